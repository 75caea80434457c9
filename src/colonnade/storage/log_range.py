"""The columns of many segments as one piece of memory: each column's rows stand next to each other.

Does not depend on: dtypes, frames, the head.

A **lane** is one region that pandas reads as one array: the values of a column, or its mask. Row ``r`` of the table is
in lane ``i`` at ``i * span + (r - origin) * width``. Segments begin at multiples of `STRIPE` rows, so each part of a
lane is whole pages in both places, whatever the machine's pages are.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from colonnade import _core
from colonnade.core.alignment import align
from colonnade.format.growing import HUGE_PAGE, Places
from colonnade.format.read.growing_frame import Region
from colonnade.format.stripes import HUGE_STRIPE, STRIPE
from colonnade.storage.log_reader import LogReader, Part
from colonnade.storage.os_errors import explain_use

# What a shared range reserves at first for a lane, in bytes: addresses cost nothing, but there are 2**47 of them.
_SPAN = 1 << 34
_MOST_ADDRESSES = 1 << 43


def _place(region: Region, where: Places) -> int:
    """Where a region begins in a segment."""
    column = where.columns[region.column]
    at = column.mask if region.is_mask else column.frame
    assert at is not None, "a lane of a column that has no such region"
    return at


class Rows(NamedTuple):
    """Rows ``start`` to ``stop`` of all lanes in memory: of lane ``i`` from byte ``at[i]`` of ``buffer`` on.

    Where rows are shared, ``stop`` is as far as they may grow without another mapping.
    """

    buffer: _core.RangeView | _core.Mapping
    at: list[int]
    start: int
    stop: int


class LogRange:
    """Addresses for the lanes of rows from ``origin`` on. A writable one is private, and good for one frame."""

    def __init__(self, lanes: Sequence[Region], origin: int, rows: int, *, writable: bool) -> None:
        width = max((lane.width for lane in lanes), default=1)
        self._lanes = lanes
        self._writable = writable
        self.origin = origin // HUGE_STRIPE * HUGE_STRIPE
        self.rows = align(max(rows, STRIPE) + HUGE_STRIPE, STRIPE)
        span = align(self.rows * width, HUGE_PAGE)
        if not writable:
            span = max(span, min(_SPAN, _MOST_ADDRESSES // max(len(lanes), 1) // HUGE_PAGE * HUGE_PAGE))
            self.rows = span // width // STRIPE * STRIPE
        self.span = span
        try:
            self.addresses = _core.AddressRange(max(span * len(lanes), HUGE_PAGE))
        except MemoryError:
            if writable or rows >= self.rows:
                raise
            self.rows = align(rows + HUGE_STRIPE, STRIPE)  # where addresses are limited (ulimit -v), as few as possible
            self.span = align(self.rows * width, HUGE_PAGE)
            self.addresses = _core.AddressRange(max(self.span * len(lanes), HUGE_PAGE))
        # Pieces that somebody has mapped, by segment and the rows that they cover.
        self._pieces: WeakValueDictionary[tuple[int, int, int], _core.MappedPieces] = WeakValueDictionary()

    def holds(self, parts: Sequence[Part]) -> bool:
        """Whether there is room for these rows."""
        return parts[0].start >= self.origin and parts[-1].stop <= self.origin + self.rows

    def map(self, parts: Sequence[Part]) -> tuple[Rows, list[_core.MappedPieces]]:
        """Map what is not mapped yet: the rows, and the pieces, one for each part; whoever keeps these maps once.

        Raises
        ------
        MemoryError
            The process has too many mappings.
        ValueError
            Another segment has the same rows mapped here: use a new range.
        """
        last = len(parts) - 1
        pieces = [self._piece(part, is_last=number == last) for number, part in enumerate(parts)]
        start, stop = parts[0].start, parts[-1].stop if self._writable else self._end(parts[-1])
        view = _core.RangeView(self.addresses, pieces)
        places = [i * self.span + (start - self.origin) * lane.width for i, lane in enumerate(self._lanes)]
        return Rows(view, places, start, stop), pieces

    def _end(self, last: Part) -> int:
        """As far as the last segment may grow here."""
        return min(last.segment.entry.base + last.segment.entry.capacity, self.origin + self.rows)

    def _piece(self, part: Part, *, is_last: bool) -> _core.MappedPieces:
        base = part.segment.entry.base
        if self._writable:  # as little as there is to see
            begin, end = part.start // STRIPE * STRIPE, align(part.stop, STRIPE)
        else:
            begin = max(base, self.origin)
            end = self._end(part) if is_last else part.stop
        key = (part.segment.entry.number, begin, end)
        piece = self._pieces.get(key)
        if piece is None:
            where = part.segment.places
            piece = self.addresses.map(
                part.segment.fd,
                [
                    (
                        i * self.span + (begin - self.origin) * lane.width,
                        _place(lane, where) + (begin - base) * lane.width,
                        (end - begin) * lane.width,
                    )
                    for i, lane in enumerate(self._lanes)
                ],
                self._writable,
            )
            self._pieces[key] = piece
        return piece


class SharedRange:
    """The range that all read-only frames of a process are views of; it is begun anew where it does not fit."""

    def __init__(self, lanes: Sequence[Region]) -> None:
        self._lanes = lanes
        self._range: LogRange | None = None
        self._pieces: dict[
            int, tuple[int, _core.MappedPieces]
        ] = {}  # by segment: the row behind a piece, and the piece

    def rows(self, parts: Sequence[Part], first_row: int) -> Rows:
        """The rows of some parts; ``first_row``: the first row of the table that is wanted later."""
        with _lock:
            if self._range is not None and self._range.holds(parts):
                with contextlib.suppress(ValueError):  # a segment that holds rows of the one before, too
                    return self._map(self._range, parts, first_row)
            origin = min(parts[0].start, first_row)
            count = parts[-1].stop - origin
            self._pieces = {}
            self._range = LogRange(self._lanes, origin, 2 * count, writable=False)
            return self._map(self._range, parts, first_row)

    def _map(self, into: LogRange, parts: Sequence[Part], first_row: int) -> Rows:
        rows, pieces = into.map(parts)
        # They stay mapped for the next frame. Those that retention has dropped go with the last frame over them.
        for part, piece in zip(parts, pieces, strict=True):
            entry = part.segment.entry
            self._pieces[entry.number] = (entry.base + entry.capacity, piece)
        for number in [number for number, (end, _) in self._pieces.items() if end <= first_row]:
            del self._pieces[number]
        return rows


# One lock for all, made anew in a forked child: another thread may have had it.
_lock = threading.RLock()


def _in_child() -> None:
    global _lock  # noqa: PLW0603 -- as above
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_in_child)


def shared_range(reader: LogReader, lanes: Sequence[Region]) -> SharedRange:
    """The range of a growing table that all read-only frames of this process are views of."""
    range_: SharedRange | None = reader.cache.get("range")
    return reader.cache.setdefault("range", SharedRange(lanes)) if range_ is None else range_


def private_rows(lanes: Sequence[Region], parts: Sequence[Part]) -> Rows:
    """Rows for one frame that may be written to: no other frame and no other process sees what is stored.

    Raises
    ------
    StoreAccessError, MemoryError
    """
    if len(parts) > 1:
        first, last = parts[0].start, parts[-1].stop
        return LogRange(lanes, first, last - first, writable=True).map(parts)[0]
    (part,) = parts
    where, start = part.segment.places, part.start - part.segment.entry.base
    try:
        mapping = _core.Mapping(part.segment.fd, where.size, True)  # one mapping for all columns
    except OSError as error:
        raise explain_use(error, "mapping a segment of a growing table") from error
    return Rows(mapping, [_place(lane, where) + start * lane.width for lane in lanes], part.start, part.stop)
