"""A segment that is being written: made without a name, filled, sealed, and given a name at the end.

Does not depend on: which name it will get, what is in it.

Invariants
----------
1. A draft has no name that a reader could find: it is an ``O_TMPFILE``, which the kernel frees when its writer is gone,
   however it ends. If the file system has no such files, or the draft was a spare, or there is no /proc, it is a file
   with a temporary name. Its writer holds a lock on it, and whoever gets that lock may remove it.
2. A draft is written with ``pwrite``, or through a mapping whose pages all exist before the first store. So a full file
   system is ENOSPC and never SIGBUS.
3. A draft that is given up frees its memory at once, whoever still refers to its mapping: a traceback does, for as long
   as a notebook shows it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import StoreAccessError
from colonnade.storage import folders, paths
from colonnade.storage.segment import MAPPED

HUGE_PAGE = 2 << 20
# No thread may be there when Python forks: it warns then. The core ends its thread before each fork.
os.register_at_fork(after_in_parent=_core.resume_collapsing)
# How many bytes are allocated before they are needed. A load may take 64 MiB besides its table; this is half of them.
_AHEAD = 32 << 20
# The size from which a file with small pages is put into huge ones after it was published (`src/core/collapser.h`).
COLLAPSED = 64 << 20
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW


class TemporaryName(NamedTuple):
    """A draft's name before it is published, and the folder where it is."""

    folder: _core.Descriptor
    name: str


class _Steps:
    """The pages of a draft, allocated step by step as huge pages."""

    def __init__(self, mapping: _core.Mapping, fd: int) -> None:
        self._mapping: _core.Mapping | None = mapping
        self._fd = fd
        self._size = len(mapping)
        self._missing = bytearray(b"\1") * -(-self._size // HUGE_PAGE)

    def reserved(self, start: int, stop: int) -> _core.Mapping | None:
        """Allocate the pages of a range, and give the mapping; None from the first failure on."""
        first, last = start // HUGE_PAGE, -(-stop // HUGE_PAGE)
        while self._mapping is not None and (first := self._missing.find(1, first, last)) >= 0:
            end = self._missing.find(0, first, last)
            end = last if end < 0 else end
            if self._mapping.reserve_part(self._fd, first * HUGE_PAGE, min(end * HUGE_PAGE, self._size)):
                self._missing[first:end] = bytes(end - first)
            else:
                self._mapping = None
        return self._mapping


class Draft:
    """A segment that is being written. If nothing publishes it, it leaves nothing.

    Use it as a context manager. ``temporary`` is its name, if it has one. ``used``: its memory contains what was
    written there before.
    """

    def __init__(
        self, descriptor: _core.Descriptor, temporary: TemporaryName | None, mode: int, *, used: bool = False
    ) -> None:
        self._descriptor = descriptor
        self._mapping: _core.Mapping | None = None
        self._has_all_pages = False
        self._has_huge_pages = False  # False also where that is not known
        self.temporary = temporary
        self.used = used
        os.fchmod(self.fd, mode)  # whatever the umask

    @classmethod
    def fresh(cls, root: int, mode: int) -> Draft:
        """Make a segment without a name, in a store's directory."""
        if has_proc():
            try:
                return cls(_core.Descriptor(".", os.O_TMPFILE | os.O_RDWR, 0o600, root), None, mode)
            except OSError as error:
                if error.errno not in _NO_TMPFILE:
                    raise
        with folders.segments(root, make=True) as folder:
            while True:
                name = paths.random_name(paths.DRAFT_PREFIX)
                descriptor = _core.Descriptor(name, _NEW_FILE, 0o600, folder)
                descriptor.try_lock()
                # A gc may come between the two calls, and take it for abandoned.
                if os.fstat(descriptor.fileno()).st_nlink:
                    return cls(descriptor, TemporaryName(_core.Descriptor.duplicate(folder), name), mode)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fd(self) -> int:
        """The number of the descriptor; -1 once it is closed."""
        return self._descriptor.fileno()

    def close(self) -> None:
        """Give it up, unless it was published."""
        mapping, self._mapping = self._mapping, None
        try:
            if self.temporary is not None:
                with contextlib.suppress(OSError):  # somebody removed the store; or the next put or gc removes it
                    os.unlink(self.temporary.name, dir_fd=self.temporary.folder.fileno())
            if mapping is not None:
                mapping.abandon()
        finally:
            self._forget_name()
            self._descriptor.close()

    def _forget_name(self) -> None:
        temporary, self.temporary = self.temporary, None
        if temporary is not None:
            temporary.folder.close()

    @property
    def allocated(self) -> int:
        """The bytes of memory that it has."""
        return os.fstat(self.fd).st_blocks * 512

    def write(self, at: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at a place."""
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self.fd, rest, at)
            at += count
            rest = rest[count:]

    def map(self, size: int) -> _core.Mapping | None:
        """Map it for writing, with all of its pages; None where ``pwrite`` is faster.

        Pages that are there are used, huge or small. Small ones become huge once the draft is published, where nobody
        waits. Measured for 1 GiB with two threads: present huge pages 55 ms, new huge ones 95, present
        small ones 280 to 320, new small ones 420 to 620. Giving small pages back for new huge ones was tried: with a
        kernel that had some huge pages, but not as many, puts took 370 to 940 ms.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        os.ftruncate(self.fd, size)
        if size < MAPPED or not _core.in_memory(self.fd):
            return None
        mapping = self._mapping = _core.Mapping.of_draft(self.fd, size)
        if self.used and 3 * size <= 4 * self.allocated:
            os.posix_fallocate(self.fd, 0, size)  # what little is missing
            self._has_all_pages = mapping.populate()
            return mapping if self._has_all_pages else None
        self._has_all_pages = self._has_huge_pages = mapping.reserve(self.fd)
        return mapping if self._has_all_pages else None

    def map_step_by_step(self, size: int, regions: int) -> Callable[[int, int], _core.Mapping | None]:
        """Map it for writing; its pages come when a range of its bytes is asked for, so that no more memory is taken.

        ``regions`` grow side by side, each with up to a huge page that is not needed yet; with too many of them there
        are no huge pages. Returns a function that gives the mapping once all pages of a range are there, and None where
        ``pwrite`` is to be used.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        if self.used and 3 * size <= 4 * self.allocated:
            mapping = self.map(size)  # which takes little more than is there
            return lambda _start, _stop: mapping
        os.ftruncate(self.fd, size)
        is_dear = size < MAPPED or regions * HUGE_PAGE > _AHEAD
        if is_dear or not _core.in_memory(self.fd) or not _core.huge_pages_at_hand():
            return lambda _start, _stop: None
        mapping = self._mapping = _core.Mapping.of_draft(self.fd, size)
        return _Steps(mapping, self.fd).reserved

    def map_in_any_pages(self, size: int) -> _core.Mapping:
        """Map it for writing, with all of its pages, whatever their size: a full file system is an error now.

        Only while nothing is written yet: new pages replace what is there.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        return self.map(size) or self.map_written(size)

    def map_written(self, size: int) -> _core.Mapping:
        """Map it for writing as it is, and allocate the pages that are missing. A second call returns the same mapping.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        if not self._has_all_pages:
            os.posix_fallocate(self.fd, 0, size)
            self._has_all_pages = True
        if self._mapping is None:
            self._mapping = _core.Mapping.of_draft(self.fd, size)
        return self._mapping

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        os.fsync(self.fd)

    def stage(self, root: int) -> TemporaryName:
        """Give it a name in the store, from which `rename` can take it to its own."""
        if self.temporary is None:
            folder = _core.Descriptor.duplicate(root)  # first, so that nothing fails once it has a name
            name = paths.PUBLISH
            try:
                self._link(root, name)
            except FileExistsError:  # somebody else's, who may write here too
                name = paths.random_name(f"{paths.PUBLISH}-")
                self._link(root, name)
            self.temporary = TemporaryName(folder, name)
        return self.temporary

    def _link(self, folder: int, name: str) -> None:
        # linkat with AT_SYMLINK_FOLLOW on the descriptor's own entry. Python calls plain link(), which does not follow,
        # unless a directory is named too; with an absolute path it is ignored.
        os.link(f"/proc/self/fd/{self.fd}", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)

    def place(self, folder: int, name: str) -> None:
        """Give it a name in a folder that nothing else has."""
        if self.temporary is None:
            self._link(folder, name)
        else:
            os.rename(self.temporary.name, name, src_dir_fd=self.temporary.folder.fileno(), dst_dir_fd=folder)
        self.published()

    def published(self) -> None:
        """Record that it has its own name by now: it is nobody's to give up."""
        self._mapping = None
        self._forget_name()

    def collapse_later(self, size: int) -> None:
        """Have a large segment put into huge pages once it is published. Nobody waits for it, and it may fail."""
        if size >= COLLAPSED and not self._has_huge_pages:
            _core.collapse_later(self.fd)

    def is_at(self, folder: int, name: str) -> bool:
        """Whether a name in a folder leads to this very file, or to none, or it cannot be seen."""
        try:
            return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(self.fd))
        except OSError:
            return True

    def unlock(self) -> None:
        """Drop the lock that says that its writer lives."""
        self._descriptor.unlock()

    def check_is_at(self, folder: int, name: str) -> None:
        """See that nobody swapped a name for another.

        Raises
        ------
        StoreAccessError
        """
        if not self.is_at(folder, name):
            raise StoreAccessError(
                errno.EPERM,
                f"another file was put in the place of {name!r}: somebody else may write to this directory. "
                "Use a store in a directory of your own",
            )

    def reopen(self) -> _core.Descriptor:
        """Open the segment for reading only, whatever name it has."""
        if self.temporary is None or has_proc():
            return _core.Descriptor(f"/proc/self/fd/{self.fd}", os.O_RDONLY)
        return _core.Descriptor(self.temporary.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.temporary.folder.fileno())


def has_proc() -> bool:
    """Whether /proc is mounted: files without names are given names through it."""
    return os.access("/proc/self/fd", os.X_OK)


def remove_if_abandoned(folder: int, name: str) -> int | None:
    """Remove a file whose writer or owner is gone; the bytes that it held, or None if its writer or owner lives.

    It is removed while it is locked: a writer that has just made it finds that out, because it looks once it has the
    lock.

    Raises
    ------
    FileNotFoundError
        If its writer was faster.
    """
    descriptor = _core.Descriptor(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
    with descriptor as fd:
        if not descriptor.try_lock():
            return None
        os.unlink(name, dir_fd=folder)
        return os.fstat(fd).st_blocks * 512
