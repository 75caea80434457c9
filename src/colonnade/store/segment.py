"""One file of memory: made without a name, written, sealed; and mapped by whoever reads it.

Knows: descriptors, errno, mappings. Must not know: which name it will get, what is in it but for its seal.

Invariants
----------
1. A draft has no name that a reader could find: it is an ``O_TMPFILE``, which the kernel frees when its writer is gone
however it
   goes. Where a file system has none, it is a hidden file whose writer holds a lock on it, and whoever gets that lock
   may remove it.
2. A draft is written with ``pwrite`` alone, so a full file system is ENOSPC and never SIGBUS.
3. A reader keeps no descriptor: its mapping keeps the inode alive.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from colonnade import _core
from colonnade.errors import ColonnadeError, CorruptSnapshotError, StoreAccessError, StoreFullError
from colonnade.layout.seal import SEAL_SIZE, TAIL_SIZE, Seal, seal_place
from colonnade.store import paths

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def explain_os_error(error: OSError, root: Path, doing: str) -> ColonnadeError:
    """The error that a user can act on, for one that the kernel gave."""
    if error.errno in _FULL:
        return StoreFullError(
            errno.ENOSPC,
            f"no room in {root} for {doing}; nothing was stored. "
            "Delete tables, run gc, or use a store on a larger file system",
        )
    return StoreAccessError(error.errno, f"{doing} failed in {root}: {os.strerror(error.errno or 0)}")


class Draft:
    """A segment being written; `publish` gives it a name, and without that it leaves nothing.

    Use as a context manager.
    """

    def __init__(self, root: Path, mode: int = 0o600) -> None:
        self._hidden: Path | None = None
        try:
            self.fd = os.open(root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
        except OSError as error:
            if error.errno not in _NO_TMPFILE or not root.is_dir():
                raise
            self._make_hidden(root, mode)

    def _make_hidden(self, root: Path, mode: int) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            self._hidden = root / f"{paths.DRAFT_PREFIX}{os.urandom(8).hex()}"
            self.fd = os.open(self._hidden, flags, mode)
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            if os.fstat(self.fd).st_nlink:
                return
            os.close(self.fd)  # a gc came between the two calls, and took it for abandoned

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        if self._hidden is not None:
            self._hidden.unlink(missing_ok=True)
        os.close(self.fd)

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at a place."""
        left = memoryview(data)
        while left:
            done = os.pwrite(self.fd, left, at)
            at += done
            left = left[done:]

    def sync(self) -> None:
        """Have the bytes on the disk."""
        os.fsync(self.fd)

    def link(self, path: Path) -> None:
        """Give the segment a name that is not taken."""
        if self._hidden is not None:
            os.link(self._hidden, path, follow_symlinks=False)
        else:
            # linkat with AT_SYMLINK_FOLLOW on the descriptor's own entry. Python calls plain link(), which does not
            # follow, unless a directory is named too; with an absolute path it is ignored.
            os.link(f"/proc/self/fd/{self.fd}", path, src_dir_fd=self.fd, follow_symlinks=True)

    def reopen(self) -> int:
        """Open the segment for reading alone, whatever name it has by now."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)


def abandoned(path: Path) -> bool:
    """Whether a hidden draft's writer is gone."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def check_room(root: Path, size: int) -> None:
    """Fail before any byte is written where a table cannot fit; another writer may still be faster.

    Raises
    ------
    StoreFullError
        Saying how much is needed and how much is free.
    """
    stats = os.statvfs(root)
    free = stats.f_bavail * stats.f_frsize
    if free < size:
        raise StoreFullError(
            errno.ENOSPC,
            f"{root} has {free:,} bytes free and the table needs {size:,}; nothing was stored. "
            "Delete tables, run gc, or use a store on a larger file system",
        )


class Segment:
    """An open segment file: its seal, and mappings of it. Holds one descriptor until `close`."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        try:
            self._stat = os.fstat(fd)
        except BaseException:
            os.close(fd)
            raise
        self.size = self._stat.st_size

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Open a segment by its name; no link is followed."""
        # O_NONBLOCK: a planted pipe must not hang the reader.
        return cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))

    def close(self) -> None:
        """Give the descriptor back; mappings stay."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def is_at(self, path: Path) -> bool:
        """Whether a path leads to this very file."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (self._stat.st_dev, self._stat.st_ino)

    def map(self, *, writable: bool) -> _core.Mapping:
        """Map the whole file: privately and writable, or shared and read-only."""
        return _core.Mapping(self.fd, self.size, writable)

    def seal(self) -> Seal:
        """Read the seal.

        Raises
        ------
        CorruptSnapshotError
            Where the file is no whole Arrow file; its subclass NotASnapshotError where it is another program's.
        """
        if self.size < TAIL_SIZE:
            raise CorruptSnapshotError(f"it has {self.size} bytes, too few for a snapshot")
        place = seal_place(self.size, os.pread(self.fd, TAIL_SIZE, self.size - TAIL_SIZE))
        seal = Seal.unpack(os.pread(self.fd, SEAL_SIZE, place))
        if seal.size != self.size:
            raise CorruptSnapshotError(f"it has {self.size} bytes and was sealed with {seal.size}")
        return seal
