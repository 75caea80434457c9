"""Which processes have files below a directory mapped or open, and which one has a file locked: passes over /proc.

Does not depend on: what the files are for.

1. A file is identified by its inode number. The path that a mapping shows is the name by which the file was opened,
   which another file may have since; for a segment that was written without a name it is ``/dev/shm/x/#123 (deleted)``.
2. Mappings show the device of the mount, and on most file systems ``stat`` gives the same: whoever maps a file of that
   device is found, by whatever path. On btrfs (a device for each subvolume) and overlayfs (one for each layer, and
   older kernels show the layer's) the two differ: there the path must lead below the directory, and only processes
   that see the same mounts are looked at. A container with a file system of its own may have the same paths.
3. Descriptors are identified by path first: a ``stat`` of all that anybody has open would hang on a dead network mount.
4. Processes come and go meanwhile. One that is gone holds nothing, which is not an error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from colonnade import _core
from colonnade.errors import StoreAccessError

_GONE = (FileNotFoundError, ProcessLookupError)
_DELETED = b" (deleted)"
_SPARSE = (b"@live/", b"/new@")  # where segments of growing tables are, or were


class Holder(NamedTuple):
    """A process that keeps a segment in memory.

    ``kind`` is ``mapped``, or ``open`` where it has nothing but a descriptor; ``command`` is the kernel's short name.
    """

    pid: int
    command: str
    kind: Literal["mapped", "open"]


@dataclass(slots=True)
class Held:
    """A file that processes hold, as far as they show it.

    ``deleted_paths`` are the paths below the directory by which it was opened and cannot be any more; ``is_written``
    says whether anybody has it open for writing.
    """

    extent: int = 0  # how far mappings reach
    allocated_bytes: int | None = None  # known where a process has it open
    is_written: bool = False
    deleted_paths: set[Path] = field(default_factory=set)
    holders: dict[int, Holder] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """The bytes that it occupies: exact where it is open, else as far as it is mapped.

        A segment of a growing table is mapped further than it occupies: only root can see the bytes of one that nobody
        has open.
        """
        return self.extent if self.allocated_bytes is None else self.allocated_bytes


class Scan(NamedTuple):
    """What one pass found: files by inode number, and how many processes this user may not look at."""

    files: dict[int, Held]
    unseen: int


def scan(directory: Path) -> Scan:
    """Find who holds what is or was below a directory, which need not be there any more.

    Raises
    ------
    StoreAccessError
        If there is no /proc.
    """
    if not Path("/proc/self").exists():
        raise StoreAccessError(
            errno.ENOENT, "cannot see which processes hold the store: /proc is not mounted. Mount it"
        )
    scanner = _Scanner(directory)
    unseen = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                scanner.look_at(int(name))
            except PermissionError:
                unseen += 1
            except _GONE:
                continue
    return Scan(scanner.files, unseen)


class _Scanner:
    def __init__(self, directory: Path) -> None:
        root = Path(os.path.realpath(directory))
        self.files: dict[int, Held] = {}
        self._root = os.fsencode(root) + b"/"
        self._device = device = _device_shown(next(path for path in [root, *root.parents] if os.path.exists(path)))
        device_text = b"" if device is None else f"{os.major(device):02x}:{os.minor(device):02x}".encode()
        below = self._root.replace(b"\n", rb"\012")  # as mappings show it
        # Of the hundreds of mappings that a process has, few are of the store: this finds them.
        self._mark = device_text or below
        path = b"" if device_text else re.escape(below)
        self._line = re.compile(rb"(\w+)-(\w+) \S+ (\w+) " + (device_text or rb"\S+") + rb" (\d+) +(" + path + rb".*)")
        self._mounts = os.readlink("/proc/self/ns/mnt")
        self._commands: dict[int, str] = {}

    def look_at(self, pid: int) -> None:
        with open(f"/proc/{pid}/maps", "rb") as file:
            maps = file.read()
        if not maps:
            return  # a thread of the kernel, or a process that has ended
        if self._device is None and os.readlink(f"/proc/{pid}/ns/mnt") != self._mounts:
            return
        at = maps.find(self._mark)
        while at >= 0:
            line_end = maps.find(b"\n", at)
            if match := self._line.fullmatch(maps, maps.rfind(b"\n", 0, at) + 1, line_end):
                start, end, offset, inode, path = match.groups()
                file_open = self._held(int(inode), pid, "mapped", path.replace(rb"\012", b"\n"))
                file_open.extent = max(file_open.extent, int(offset, 16) + int(end, 16) - int(start, 16))
                if file_open.allocated_bytes is None and any(part in path for part in _SPARSE):
                    with contextlib.suppress(OSError):  # only root may follow this
                        file_itself = os.stat(f"/proc/{pid}/map_files/{start.decode()}-{end.decode()}")
                        file_open.allocated_bytes = file_itself.st_blocks * 512
            at = maps.find(self._mark, line_end)
        folder = f"/proc/{pid}/fd"
        for number in os.listdir(folder):
            try:
                self._look_at_descriptor(pid, f"{folder}/{number}".encode())
            except _GONE:
                continue  # closed meanwhile

    def _look_at_descriptor(self, pid: int, link: bytes) -> None:
        path = os.readlink(link)
        if not path.startswith(self._root):
            return
        status = os.stat(link)
        if stat.S_ISREG(status.st_mode) and self._device in (None, status.st_dev):
            file = self._held(status.st_ino, pid, "open", path)
            file.allocated_bytes = status.st_blocks * 512
            file.is_written |= bool(os.lstat(link).st_mode & stat.S_IWUSR)  # the link's mode is the descriptor's

    def _held(self, inode: int, pid: int, kind: Literal["mapped", "open"], path: bytes) -> Held:
        if pid not in self._commands:
            self._commands[pid] = _command(pid)
        file = self.files.setdefault(inode, Held())
        file.holders.setdefault(pid, Holder(pid, self._commands[pid], kind))
        if path.startswith(self._root) and path.endswith(_DELETED):
            file.deleted_paths.add(Path(os.fsdecode(path.removesuffix(_DELETED))))
        return file


def _device_shown(directory: Path) -> int | None:
    """The device that mappings of files in a directory show; None where it is not the one that ``stat`` gives."""
    with _core.Descriptor(os.fspath(directory), os.O_PATH) as fd:
        device = os.fstat(fd).st_dev
        facts = dict(line.split(maxsplit=1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        mount, _, number, *_ = line.split()
        if mount == facts["mnt_id:"]:
            kind = line.partition(" - ")[2].split()[0]
            if kind == "overlay" or number != f"{os.major(device)}:{os.minor(device)}":
                return None
    return device


class LockHolder(NamedTuple):
    """A process that has a file locked. ``stopped``: it does not run, because of a signal, a debugger or a freezer."""

    pid: int
    command: str
    stopped: bool


def lock_holder(fd: int) -> LockHolder | None:
    """Find who has an open file locked by flock; None if /proc/locks does not say, or another namespace has it."""
    status = os.fstat(fd)
    try:
        with open("/proc/locks", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file if "->" not in line]
    except OSError:
        return None
    # "1: FLOCK ADVISORY WRITE 4711 00:1b:4242 0 EOF". On btrfs and overlayfs the device is not the one that stat gives.
    flocks = [(int(line[4]), line[5].split(":")) for line in lines if line[1] == "FLOCK" and line[3] == "WRITE"]
    same = [(pid, place) for pid, place in flocks if int(place[2]) == status.st_ino and pid > 0]
    device = [os.major(status.st_dev), os.minor(status.st_dev)]
    exact = [pid for pid, place in same if [int(place[0], 16), int(place[1], 16)] == device]
    pids = exact or [pid for pid, _ in same]
    if not pids:
        return None
    try:
        state = Path(f"/proc/{pids[0]}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return LockHolder(pids[0], _command(pids[0]), state in "TtD")
    except OSError:
        return LockHolder(pids[0], "which this user may not look at, or which has ended", False)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(errors="replace").removesuffix("\n")
