"""One file of memory: made without a name, written, sealed; and mapped by whoever reads it.

Knows: descriptors, errno, mappings. Does not depend on: which name it will get, what is in it but for its seal.

Invariants
----------
1. A draft has no name that a reader could find: it is an ``O_TMPFILE``, which the kernel frees when its writer is
   gone however it goes. Where a file system has none, and where it was a spare, it is a hidden file whose writer
   holds a lock on it, and whoever gets that lock may remove it.
2. A draft is written with ``pwrite``, or through a mapping whose pages are all there before the first store; so a full
   file system is ENOSPC and never SIGBUS.
3. A reader keeps no descriptor: its mapping keeps the inode alive.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import ColonnadeError, CorruptSnapshotError, StoreAccessError, StoreFullError
from colonnade.format.seal import SEAL_SIZE, TAIL_SIZE, Seal, seal_place
from colonnade.storage import folders, paths

# Smaller segments are written with pwrite, and their pages are not kept: there is no huge page in them. Measured, fresh
# and again, in ms: 1 MiB 0.5 and 0.3 with pwrite, 0.9 and 0.6 through a mapping; 2 MiB 1.4 and 0.9, 0.8 and 0.4; 8 MiB
# 4.4 and 2.7, 1.5 and 0.8.
MAPPED = 2 << 20

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


@contextlib.contextmanager
def explained(root: Path, doing: str) -> Iterator[None]:
    """What the kernel says, as an error that a user can act on."""
    try:
        yield
    except ColonnadeError:
        raise
    except OSError as error:
        raise explain_os_error(error, root, doing) from error


class Hidden(NamedTuple):
    """A draft's own name, and the descriptor of the folder it is in."""

    folder: int
    name: str


class Draft:
    """A segment being written; the catalog gives it a name, and without that it leaves nothing.

    Use as a context manager. ``hidden`` is the name it has until then, for one that is no unnamed file. ``used``: its
    memory holds what was written there before.
    """

    def __init__(self, fd: int, hidden: Hidden | None, mode: int, *, used: bool = False) -> None:
        self.fd = fd
        self.hidden = hidden
        self.used = used
        os.fchmod(fd, mode)  # whatever the umask

    @classmethod
    def fresh(cls, root: int, mode: int) -> Draft:
        """Make a segment without a name, in a store's directory."""
        try:
            return cls(os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=root), None, mode)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
        with folders.below(root, [paths.SEGMENTS], make=0o700) as folder:
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            while True:
                name = paths.random_name(paths.DRAFT_PREFIX)
                fd = os.open(name, flags, 0o600, dir_fd=folder)
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.fstat(fd).st_nlink:
                    return cls(fd, Hidden(os.dup(folder), name), mode)
                os.close(fd)  # a gc came between the two calls, and took it for abandoned

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it up, unless it was published."""
        if self.hidden is not None:
            with contextlib.suppress(FileNotFoundError):  # somebody removed the store
                os.unlink(self.hidden.name, dir_fd=self.hidden.folder)
        self._forget_name()
        os.close(self.fd)

    def _forget_name(self) -> None:
        if self.hidden is not None:
            os.close(self.hidden.folder)
            self.hidden = None

    @property
    def allocated(self) -> int:
        """The bytes of memory that it has."""
        return os.fstat(self.fd).st_blocks * 512

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at a place."""
        left = memoryview(data)
        while left:
            done = os.pwrite(self.fd, left, at)
            at += done
            left = left[done:]

    def map(self, size: int) -> _core.Mapping | None:
        """Map it for writing, all of its pages there, as huge pages; None if the kernel does not give them.

        Raises
        ------
        OSError
            ENOSPC where the file system is full.
        """
        os.ftruncate(self.fd, size)
        if size < MAPPED or not _core.in_memory(self.fd):
            return None
        mapping = _core.Mapping.of_draft(self.fd, size)
        return mapping if mapping.reserve(self.fd) else None

    def sync(self) -> None:
        """Have the bytes on the disk."""
        os.fsync(self.fd)

    def stage(self, root: int) -> Hidden:
        """Give it a name in the store that `rename` can take to where it belongs."""
        if self.hidden is None:
            # linkat with AT_SYMLINK_FOLLOW on the descriptor's own entry. Python calls plain link(), which does not
            # follow, unless a directory is named too; with an absolute path it is ignored.
            os.link(f"/proc/self/fd/{self.fd}", paths.PUBLISH, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=True)
            return Hidden(root, paths.PUBLISH)
        return self.hidden

    def place(self, folder: int, name: str) -> None:
        """Give it a hidden name in a folder, which is nobody else's."""
        if self.hidden is None:
            os.link(f"/proc/self/fd/{self.fd}", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
        else:
            os.rename(self.hidden.name, name, src_dir_fd=self.hidden.folder, dst_dir_fd=folder)
        self._forget_name()

    def published(self) -> None:
        """Hear that the name it had was taken to where it belongs."""
        self._forget_name()

    def reopen(self) -> int:
        """Open the segment for reading alone, whatever name it has by now."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)


def remove_abandoned(folder: int, name: str) -> int | None:
    """Remove a hidden file whose writer or owner is gone; the bytes that it held, or None where they are there.

    It is removed while it is locked: a writer that has just made it finds that out, for it looks when it has the lock.

    Raises
    ------
    FileNotFoundError
        Where its writer was faster.
    """
    fd = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
        return os.fstat(fd).st_blocks * 512
    except BlockingIOError:
        return None
    finally:
        os.close(fd)


class Segment:
    """An open segment file: its seal, and mappings of it. Holds one descriptor until `close`.

    ``path`` is only for people to read: the file was opened otherwise, and may have another name by now.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._found: os.stat_result | None = None

    @classmethod
    def open(cls, path: Path, folder: int, name: str) -> Segment:
        """Open a segment by its name in a folder; no link is followed.

        Raises
        ------
        BlockingIOError
            Where it is a spare by now that somebody is about to use: then its name leads elsewhere.
        """
        # O_NONBLOCK: a planted pipe must not hang the reader, nor a lease test.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return cls(path, os.open(name, flags, dir_fd=folder))

    @property
    def size(self) -> int:
        """The size of the file, in bytes."""
        return self._look().st_size

    @property
    def owner(self) -> int:
        """The user whose file it is."""
        return self._look().st_uid

    @property
    def place(self) -> tuple[int, int] | None:
        """The device and inode, which no other file has while this is open; None when it is closed."""
        return (self._look().st_dev, self._look().st_ino) if self.fd >= 0 else None

    def _look(self) -> os.stat_result:
        if self._found is None:
            self._found = os.fstat(self.fd)
        return self._found

    def close(self) -> None:
        """Give the descriptor back; mappings stay, and so does what is known of the file."""
        if self.fd >= 0:
            self._look()
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # half-made, or the interpreter is ending
            self.close()

    def is_at(self, folder: int, name: str) -> bool:
        """Whether a name in a folder leads to this very file. What is known of the file is from after that."""
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        self._found = None
        return os.path.samestat(there, self._look())

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
        size = self.size
        if size < TAIL_SIZE:
            raise CorruptSnapshotError(f"it has {size} bytes, too few for a snapshot")
        place = seal_place(size, os.pread(self.fd, TAIL_SIZE, size - TAIL_SIZE))
        seal = Seal.unpack(os.pread(self.fd, SEAL_SIZE, place))
        if seal.size != size:
            raise CorruptSnapshotError(f"it has {size} bytes and was sealed with {seal.size}")
        return seal
