"""Rows into a segment of a growing table, by the core; and the dictionaries of its category columns.

Does not depend on: files, the head, who publishes.

What a dictionary gains is written before the codes that use it, in the order text, offset, size.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core
from colonnade.core.distinct import distinct
from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format.growing import (
    DICTIONARY_TEXT,
    MOST_CATEGORIES,
    Column,
    ColumnPlaces,
    DictionaryPlaces,
    GrowingSchema,
    Kind,
    Places,
)
from colonnade.format.growing_file import Counts
from colonnade.format.write.growing import Chunk, Rows

# The order of `GrowingKind` in the core.
_KINDS = (
    Kind.INTEGER,
    Kind.FLOATING,
    Kind.TIME,
    Kind.BOOLEAN,
    Kind.MASKED,
    Kind.MASKED_BOOLEAN,
    Kind.TEXT,
    Kind.CATEGORY,
)
_NEW = -2  # a category that the dictionary does not have yet
_Part = tuple[Any, Any, Any, Any, Any, int]


class Dictionary:
    """The dictionary of one category column of one segment."""

    def __init__(self, column: Column, at: DictionaryPlaces, memory: memoryview, rows: _core.GrowingRows) -> None:
        self.codes: dict[str, int] = {}
        self.text_end = 0
        self._column = column
        self._at = at
        self._memory = memory
        self._rows = rows
        self._last: tuple[Any, npt.NDArray[np.int32]] | None = None
        size = struct.unpack_from("<Q", memory, at.size)[0]
        if size:
            names = self._stored(size)
            self.codes = {name: code for code, name in enumerate(names)}
            if len(self.codes) < size:
                raise self._damaged("a category is there twice")

    def _stored(self, size: int) -> list[str]:
        """The categories that the segment has.

        Raises
        ------
        CorruptSnapshotError
        """
        if size > MOST_CATEGORIES:
            raise self._damaged(f"{size:,} categories, and {MOST_CATEGORIES:,} are the most")
        ends = np.frombuffer(self._memory, "<i8", size + 1, self._at.offsets)
        if ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] > DICTIONARY_TEXT:
            raise self._damaged("offsets that lead out of its text")
        self.text_end = int(ends[-1])
        text = bytes(self._memory[self._at.text : self._at.text + self.text_end])
        try:
            return [text[start:stop].decode() for start, stop in itertools.pairwise(ends.tolist())]
        except UnicodeDecodeError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> CorruptSnapshotError:
        return CorruptSnapshotError(f"the dictionary of column {self._column.name!r} is damaged: {what}")

    def add(self, names: Iterable[str]) -> None:
        """Add categories; those that it has are left out.

        Raises
        ------
        UnsupportedTypeError
            They are too many.
        OSError
            ENOSPC if the file system is full.
        """
        new = [name.encode() for name in dict.fromkeys(names) if name not in self.codes]
        if not new:
            return
        size, end = len(self.codes) + len(new), self.text_end + sum(map(len, new))
        if size > MOST_CATEGORIES or end > DICTIONARY_TEXT:
            raise UnsupportedTypeError(
                f"column {self._column.name!r} would have {size:,} categories with {end:,} bytes of text, and may have "
                f"{MOST_CATEGORIES:,} with {DICTIONARY_TEXT:,}; use str for columns of so many different values"
            )
        at, first = self._at, len(self.codes)
        self._rows.provide(at.text + self.text_end, at.text + end)
        self._rows.provide(at.offsets + 8 * first, at.offsets + 8 * (size + 1))
        self._memory[at.text + self.text_end : at.text + end] = b"".join(new)
        for number, text in enumerate(new, first + 1):
            self.text_end += len(text)
            struct.pack_into("<q", self._memory, at.offsets + 8 * number, self.text_end)
            self.codes[text.decode()] = number - 1
        _core.store_word(self._memory, at.size, size)

    def coded(self, chunk: Chunk) -> npt.NDArray[np.int32]:
        """The codes of a chunk's rows; categories that the dictionary does not have yet are added."""
        assert chunk.values is not None
        assert chunk.text is not None
        key = chunk.text if chunk.key is None else chunk.key
        if self._last is None or self._last[0] is not key:
            self._last = key, self._table(chunk.text)
        codes = self._last[1][chunk.values]  # -1 takes the last one
        if len(codes) and codes.min() == _NEW:
            new = distinct(chunk.values[codes == _NEW])
            self.add(chunk.text.take(pa.array(new)).to_pylist())
            self._last = key, self._table(chunk.text)
            codes = self._last[1][chunk.values]
        return np.ascontiguousarray(codes)

    def _table(self, names: pa.Array) -> npt.NDArray[np.int32]:
        codes = (-1 if name is None else self.codes.get(name, _NEW) for name in names.to_pylist())
        return np.array([*codes, -1], np.int32)


class RowWriter:
    """Writes into one segment, which has ``rows``; nulls, text and dictionaries are counted anew."""

    def __init__(self, table: GrowingSchema, places: Places, mapping: _core.Mapping, fd: int, rows: int) -> None:
        self._places = places
        self.widths = [max(column.width, 1) for column in table.columns]
        self.memory = memoryview(cast(Any, mapping))
        columns: list[Any] = [
            (_KINDS.index(column.kind), column.width, *(-1 if place is None else place for place in at[:6]))
            for column, at in zip(table.columns, places.columns, strict=True)
        ]
        try:
            self.core = _core.GrowingRows(fd, mapping, columns, places.capacity, places.text_bytes, rows)
        except ValueError as error:
            raise CorruptSnapshotError(f"a segment of a growing table is damaged: {error}") from error
        self.dictionaries = {
            number: Dictionary(table.columns[number], at.dictionary, self.memory, self.core)
            for number, at in enumerate(places.columns)
            if at.dictionary is not None
        }

        # The codes of each category column by its number, as single rows look them up.
        self.codes = [
            self.dictionaries[number].codes if number in self.dictionaries else None for number in range(len(columns))
        ]

    @property
    def rows(self) -> int:
        """The rows that it has, published or not."""
        return self.core.rows

    @property
    def counts(self) -> Counts:
        """What a state is to say of the rows that are written."""
        nulls, text = self.core.counts()
        dictionaries = self.dictionaries.values()
        return Counts(
            self.rows, nulls, text, [len(each.codes) for each in dictionaries], [each.text_end for each in dictionaries]
        )

    def batch(self, rows: Rows) -> _core.GrowingBatch:
        """The memory of rows, for the core; new categories are added."""
        parts = [
            (self.dictionaries[number].coded(chunk), None, None, None, None, 0)
            if number in self.dictionaries
            else _part(chunk)
            for number, chunk in enumerate(rows.chunks)
        ]
        return _core.GrowingBatch(parts, rows.num_rows)

    def take(self, before: RowWriter, start: int) -> None:
        """Copy the dictionaries of the previous segment, and its rows from ``start`` on, into this one.

        Raises
        ------
        OSError
            ENOSPC if the file system is full.
        CorruptSnapshotError
        """
        for number, dictionary in before.dictionaries.items():
            self.dictionaries[number].add(dictionary.codes)
        count = before.rows - start
        if count:
            parts = [
                _stored_part(before.memory, at, width, start, count)
                for at, width in zip(before.places.columns, before.widths, strict=True)
            ]
            try:
                row_count = self.core.append(_core.GrowingBatch(parts, count), 0)
            except ValueError as error:
                raise CorruptSnapshotError(f"a segment of a growing table is damaged: {error}") from error
            assert row_count == count, "the new segment has room for what it takes"

    @property
    def places(self) -> Places:
        """Where everything is in the segment."""
        return self._places


def _part(chunk: Chunk) -> _Part:
    if chunk.values is not None:
        values = chunk.values
        if values.dtype.kind in "mM":  # which have no buffer protocol
            values = values.view(np.int64)
        missing = None if chunk.missing is None else np.ascontiguousarray(chunk.missing)
        return np.ascontiguousarray(values), missing, None, None, None, 0
    text = chunk.text
    assert text is not None
    bits, offsets, data = text.buffers()
    if offsets is None or not offsets.size:
        return None, None, np.zeros(1, np.int64), None, None, 0
    places = np.frombuffer(offsets, np.int64, len(text) + 1, 8 * text.offset)
    return None, None, places, data, bits if text.null_count else None, text.offset


def _stored_part(memory: memoryview, at: ColumnPlaces, width: int, start: int, count: int) -> _Part:
    """Rows of a segment, as a batch for another one."""
    if at.offsets is not None and at.text is not None and at.validity is not None:
        offsets = memory[at.offsets + 8 * start : at.offsets + 8 * (start + count + 1)]
        end = struct.unpack_from("<q", offsets, 8 * count)[0]
        bits = memory[at.validity : at.validity + -(-(start + count) // 8)]
        return None, None, offsets, memory[at.text : at.text + end], bits, start
    values = at.frame
    assert values is not None
    missing = None if at.mask is None else memory[at.mask + start : at.mask + start + count]
    return memory[values + start * width : values + (start + count) * width], missing, None, None, None, 0


def text_of(rows: Rows) -> int:
    """The most bytes of text that one column of the rows has."""
    text = [chunk.text for chunk in rows.chunks if chunk.values is None]
    return max((each.nbytes for each in text if each is not None), default=0)
