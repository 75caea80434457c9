"""A segment of a growing table as its producer has it: made, mapped for writing, given memory step by step.

Does not depend on: the head, names of tables, how rows are written.

Pages come before stores: `Segment.provide` allocates them with ``fallocate``, so a full file system is ENOSPC and never
a signal. Steps double from a page to `_LONGEST_STEP`, for each region by itself, so that a small table is small.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any, cast

from colonnade import _core
from colonnade.core.alignment import PAGE, align
from colonnade.errors import CorruptSnapshotError
from colonnade.format.growing import GrowingSchema, Places
from colonnade.format.growing_file import Counts, State, begin, length_place, next_state, places, read_state
from colonnade.storage import folders, paths
from colonnade.storage.log_head import Entry

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW
_LONGEST_STEP = 2 << 20


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
        # Where the memory of a region ends, by its start.
        self._provided: dict[int, int] = {}

    @classmethod
    def make(cls, table: GrowingSchema, entry: Entry, folder: int, mode: int, root: int) -> LogSegment:
        """Make an empty segment, which shows 0 rows, and give it its name.

        Raises
        ------
        OSError
            ENOSPC if the file system is full; then nothing is left.
        """
        name = paths.log_segment(entry.base, entry.number)
        hidden = f".{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(hidden, dir_fd=folder)  # of a producer that was killed
        descriptor = _core.Descriptor(hidden, _NEW_FILE, 0o600, folder)
        try:
            os.fchmod(descriptor.fileno(), mode)
            folders.give_to_owner(descriptor.fileno(), root)
            where = places(table, entry.capacity, entry.text_bytes)
            os.ftruncate(descriptor.fileno(), where.size)
            for at, data in begin(table, where).items():
                os.pwrite(descriptor.fileno(), data, at)
            segment = cls(table, entry, descriptor)
            segment.provide(_first_pages(where))
            columns = len(table.columns)
            dictionaries = sum(column.dictionary is not None for column in where.columns)
            segment.show(Counts(0, [0] * columns, [0] * columns, [0] * dictionaries, [0] * dictionaries))
            os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
            return segment
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(hidden, dir_fd=folder)
            descriptor.close()
            raise

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
    def is_open(self) -> bool:
        """Whether it can still be written."""
        return self._descriptor.fileno() >= 0

    def provide(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Allocate the pages of ranges (start of the region, first byte, last byte + 1) that are not there yet.

        Raises
        ------
        OSError
            ENOSPC if the file system is full; pages that were allocated stay for the next call.
        """
        for region, start, stop in ranges:
            have = self._provided.get(region, -1)
            if stop <= have or stop <= start:
                continue
            begin = (start if have < 0 else have) // PAGE * PAGE
            grown = begin - region
            step = min(max(grown, PAGE), _LONGEST_STEP)
            end = min(align(max(stop, begin + step), PAGE), align(self.places.size, PAGE))
            os.posix_fallocate(self._descriptor.fileno(), begin, end - begin)
            self._provided[region] = end

    def show(self, counts: Counts) -> bool:
        """Show rows to other programs; False where there is no room for another state.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        """
        new = next_state(self._table, self.places, counts, self.state)
        if new is None:
            return False
        writes, length = new
        for at, data in writes.items():
            _write_all(self._descriptor.fileno(), data, at)
        _core.store_half_word(self.mapping, length_place(self.places), length)
        self.state = read_state(self._table, self.places, self.memory)
        return True

    def tell(self) -> None:
        """Store a byte of the padding with ``pwrite``, which inotify reports to programs that wait for the file."""
        os.pwrite(self._descriptor.fileno(), b"\0", 6)

    def close(self) -> None:
        """Close it; the mapping goes with its last view."""
        self._descriptor.close()


def _write_all(fd: int, data: bytes, at: int) -> None:
    left = memoryview(data)
    while left:
        count = os.pwrite(fd, left, at)
        at += count
        left = left[count:]


def _first_pages(where: Places) -> list[tuple[int, int, int]]:
    """One page of each region: a foreign reader of 0 rows reads the first offset."""
    starts = []
    for column in where.columns:
        starts += [column.values, column.validity, column.pandas, column.mask, column.offsets, column.text]
        starts += [] if column.dictionary is None else [*column.dictionary]
    return [(at, at, at + PAGE) for at in starts if at is not None]
