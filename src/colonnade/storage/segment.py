"""One open file of a store: its seal, its owner, mappings of it.

Does not depend on: which name leads to the file, what is in it except for its seal, how it was written (`draft`).

A reader needs no descriptor once it has a mapping: the mapping keeps the inode alive.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from colonnade import _core
from colonnade.errors import CorruptSnapshotError
from colonnade.format.seal import CHECKSUMS_SIZE, SEAL_SIZE, TAIL_SIZE, Seal, seal_place
from colonnade.storage.os_errors import explain_use

# Smaller segments are written with pwrite, and their pages are not kept: there is no huge page in them. Measured, fresh
# and again, in ms: 1 MiB 0.5 and 0.3 with pwrite, 0.9 and 0.6 through a mapping; 2 MiB 1.4 and 0.9, 0.8 and 0.4; 8 MiB
# 4.4 and 2.7, 1.5 and 0.8.
MAPPED = 2 << 20


class Segment:
    """An open segment file. It owns one descriptor until `close`, or until it is collected.

    ``where`` is its path, for people to read: the file was opened otherwise, and may have another name by now.
    """

    def __init__(self, path: Path | str, descriptor: _core.Descriptor) -> None:
        self.where = path
        self._descriptor = descriptor
        self._stat: os.stat_result | None = None

    @classmethod
    def of_draft(cls, path: Path | str, descriptor: _core.Descriptor) -> Segment:
        """Make one of a complete draft. All that can be asked of the file is known then, so nothing fails later."""
        segment = cls(path, descriptor)
        segment._fstat()
        return segment

    @classmethod
    def open(cls, path: Path | str, folder: int, name: str) -> Segment:
        """Open a segment by its name in a folder; no link is followed.

        Raises
        ------
        BlockingIOError
            If it is a spare that a writer is about to claim. Then the name leads elsewhere by now.
        """
        # O_NONBLOCK: a planted pipe must not stop the reader, nor a lease test.
        return cls(path, _core.Descriptor(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder))

    @property
    def path(self) -> Path:
        """``where`` as a Path, which takes 5 us to make."""
        return Path(self.where)

    @property
    def fd(self) -> int:
        """The number of the descriptor; -1 once it is closed."""
        return self._descriptor.fileno()

    @property
    def size(self) -> int:
        """The size of the file, in bytes."""
        return self._fstat().st_size

    @property
    def owner(self) -> int:
        """The number of the user who owns the file."""
        return self._fstat().st_uid

    @property
    def place(self) -> tuple[int, int] | None:
        """The device and inode, which no other file has while this one is open; None when it is closed."""
        return (self._fstat().st_dev, self._fstat().st_ino) if self.fd >= 0 else None

    def _fstat(self) -> os.stat_result:
        if self._stat is None:
            try:
                self._stat = os.fstat(self.fd)
            except OSError as error:
                raise explain_use(error, "looking at an open segment") from error
        return self._stat

    def close(self) -> None:
        """Close the descriptor; mappings stay, and so does what is known of the file."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                self._fstat()
            self._descriptor.close()

    def is_at(self, folder: int, name: str) -> bool:
        """Whether a name in a folder leads to this file. What is known of the file is read again after that."""
        try:
            stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        self._stat = None
        return os.path.samestat(stat, self._fstat())

    def map(self, *, writable: bool) -> _core.Mapping:
        """Map the whole file: privately and writable, or shared and read-only.

        Raises
        ------
        StoreAccessError
            If the kernel refuses, for instance because the process has too many mappings.
        """
        size = self.size
        try:
            return _core.Mapping(self.fd, size, writable)
        except OSError as error:
            raise explain_use(error, f"mapping {size:,} bytes of a segment") from error

    def seal(self) -> Seal:
        """Read the seal.

        Raises
        ------
        CorruptSnapshotError
            If the file is not a whole Arrow file; its subclass NotASnapshotError if another program wrote it.
        """
        size = self.size
        if size < TAIL_SIZE:
            raise CorruptSnapshotError(f"it has {size} bytes, too few for a snapshot")
        place = seal_place(size, os.pread(self.fd, TAIL_SIZE, size - TAIL_SIZE))
        checksums = max(place - CHECKSUMS_SIZE, 0)
        seal = Seal.unpack(os.pread(self.fd, place + SEAL_SIZE - checksums, checksums))
        if seal.size != size:
            raise CorruptSnapshotError(f"it has {size} bytes and was sealed with {seal.size}")
        return seal

    def hold(self) -> None:
        """Lock a copy of another host's snapshot, shared, until it is closed: nobody removes it to make room.

        If a cleaner has it locked, it is being removed; this one can still be read.
        """
        self._descriptor.try_lock(shared=True)

    def drop_inherited_lock(self) -> None:
        """Go on with an open file of its own: in a forked child, whose parent has the file locked.

        A child inherits the open file, and with it the lock, which would then last as long as the child. The number of
        the descriptor stays the same.
        """
        with _core.Descriptor(f"/proc/self/fd/{self.fd}", os.O_RDONLY) as fd:
            os.dup2(fd, self.fd, inheritable=False)
