"""A segment of a growing table as its producer has it: made, mapped for writing, shown to other programs.

Does not depend on: the head, names of tables, how rows are written.

The first page of each region is allocated from the start: other programs read the first offset of no rows. The core
allocates the others before it stores to them (`src/core/growing_rows.h`).
"""

from __future__ import annotations

import os
from typing import Any, cast

from colonnade import _core
from colonnade.core.alignment import PAGE
from colonnade.errors import CorruptSnapshotError
from colonnade.format.growing import GrowingSchema, Places
from colonnade.format.growing_envelope import places
from colonnade.format.growing_file import Counts, State, begin, length_place, next_state, read_state
from colonnade.storage import paths
from colonnade.storage.draft import Draft
from colonnade.storage.log_head import Entry


class LogSegment:
    """One segment, open for writing. It owns its descriptor until `close`."""

    def __init__(self, table: GrowingSchema, entry: Entry, descriptor: _core.Descriptor) -> None:
        self.entry = entry
        self.places: Places = places(table, entry.capacity, entry.text_bytes)
        self._table = table
        self._descriptor = descriptor
        self.mapping = _core.Mapping.of_draft(descriptor.fileno(), self.places.size)
        self.memory = memoryview(cast(Any, self.mapping))
        self.state: State | None = None
        self._is_state_known = True

    @classmethod
    def make(cls, table: GrowingSchema, entry: Entry, draft: Draft) -> LogSegment:
        """Make an empty segment, which shows 0 rows, of a draft: a new file, or a spare with anything in it.

        Raises
        ------
        OSError
            ENOSPC if the file system is full; nothing is left once the draft is closed.
        """
        where = places(table, entry.capacity, entry.text_bytes)
        os.ftruncate(draft.fd, where.size)
        for at, data in begin(table, where).items():
            draft.write(at, data)
        zero = bytes(8)
        for column in where.columns:
            for start in (at for at in column[:6] if at is not None):
                os.posix_fallocate(draft.fd, start, PAGE)
            if column.offsets is not None:
                draft.write(column.offsets, zero)
            for start in column.dictionary or ():
                os.posix_fallocate(draft.fd, start, PAGE)
                draft.write(start, zero)
        segment = cls(table, entry, _core.Descriptor.duplicate(draft.fd))
        columns = len(table.columns)
        dictionaries = sum(column.dictionary is not None for column in where.columns)
        segment.show(Counts(0, [0] * columns, [0] * columns, [0] * dictionaries, [0] * dictionaries))
        return segment

    @classmethod
    def open(cls, table: GrowingSchema, entry: Entry, folder: int) -> LogSegment:
        """Open a segment to go on writing; what it shows is read and checked.

        Raises
        ------
        OSError, CorruptSnapshotError
        """
        name = paths.log_segment(entry.base, entry.number)
        descriptor = _core.Descriptor(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        size, expected = os.fstat(descriptor.fileno()).st_size, places(table, entry.capacity, entry.text_bytes).size
        if size != expected:
            raise CorruptSnapshotError(f"{name} has {size:,} bytes, and the head says {expected:,}; delete the table")
        segment = cls(table, entry, descriptor)
        segment.state = read_state(table, segment.places, segment.memory)
        return segment

    @property
    def fd(self) -> int:
        """The number of the descriptor; -1 once it is closed."""
        return self._descriptor.fileno()

    def show(self, counts: Counts, *, is_whole: bool = False) -> bool:
        """Show rows to other programs; False where there is no room for another state.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        if not self._is_state_known:  # an interrupt came after the state was stored, maybe: it is never rewritten
            self.state = read_state(self._table, self.places, self.memory)
        new = next_state(self._table, self.places, counts, self.state, is_whole=is_whole)
        if new is None:
            return False
        self._is_state_known = self.state is None
        for at, data in new.writes.items():
            _write_all(self._descriptor.fileno(), data, at)
        _core.store_half_word(self.mapping, length_place(self.places), new.footer_length)
        self.state = new.state
        self._is_state_known = True
        return True

    def look_again(self) -> None:
        """Read what it shows: another producer may have shown more of it.

        Raises
        ------
        CorruptSnapshotError
        """
        self.state = read_state(self._table, self.places, self.memory)

    def tell(self) -> None:
        """Store a byte of the padding with ``pwrite``, which inotify reports to programs that wait for the file."""
        os.pwrite(self._descriptor.fileno(), b"\0", 6)

    def close(self) -> None:
        """Close it; the mapping goes with its last view."""
        self._descriptor.close()


def _write_all(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(fd, rest, at)
        at += count
        rest = rest[count:]
