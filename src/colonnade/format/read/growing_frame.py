"""Frames of a growing table: each has the rows that the one before has, and more.

Nothing here depends on the number of rows, and nothing is copied. Does not depend on: files, the head, how the rows of
several segments come to stand next to each other.

Numbers, times, masks and codes are views of memory. The rows of a column stand next to each other there, although
several segments hold them. Text is pandas' ``str`` over an Arrow array of one chunk for each segment.

What is made once serves all frames after it: a `Layout` for each schema, a `Columns` for each piece of memory. A frame
is then a part of each array, in blocks like those of the layout's empty frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.format.growing import GrowingSchema, Kind, stored_schema
from colonnade.format.read.column import plain_dtype
from colonnade.format.read.growing import Chunk, dictionary_of, text_array
from colonnade.format.read.projection import Positions, Projection
from colonnade.interop import pandas as internals

_BLOCK_KINDS = (Kind.INTEGER, Kind.FLOATING, Kind.TIME, Kind.BOOLEAN)


class Region(NamedTuple):
    """What pandas reads as one array: of column ``column``, its mask or its values, ``width`` bytes a row."""

    column: int
    is_mask: bool
    width: int


class Memory(Protocol):
    """Rows ``start`` to ``stop`` of each region, in the order of `Layout.regions`: at byte ``at[i]`` of ``buffer``."""

    @property
    def buffer(self) -> Any: ...
    @property
    def at(self) -> Sequence[int]: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...


class Block(NamedTuple):
    """Columns of one dtype, in memory ``plain``. ``pieces`` are its rows that stand in the frame, and their positions.

    ``index_row`` is the row that is the index of the frame, if one is.
    """

    dtype: Any
    plain: np.dtype[Any]
    columns: tuple[int, ...]
    index_row: int | None
    pieces: tuple[tuple[slice, Positions], ...]


class Layout:
    """What all frames of a schema have in common; made by `layout_of`.

    ``regions`` are what pandas reads: the columns of a block follow each other. ``first`` is the number of a column's
    values among them. ``blocks`` and ``others`` are the columns that are part of a block, and those that are not.
    ``places`` are the positions in the frame of each block piece and then of each other column. ``empty`` is a frame
    without rows, whose blocks are those of every frame, and ``template`` makes frames like it.
    """

    def __init__(self, table: GrowingSchema) -> None:
        self.table = table
        names = [name for name in table.names if name != table.index]
        place = {name: position for position, name in enumerate(names)}
        positions = [place.get(name, -1) for name in table.names]  # -1: the index
        self.blocks = tuple(_block_of(table, numbers, positions) for numbers in _blocks(table))
        regions = [Region(n, False, max(table.columns[n].width, 1)) for block in self.blocks for n in block.columns]
        for number, column in enumerate(table.columns):
            if column.kind in (Kind.MASKED, Kind.MASKED_BOOLEAN):
                regions += [Region(number, False, max(column.width, 1)), Region(number, True, 1)]
            elif column.kind is Kind.CATEGORY:
                regions.append(Region(number, False, column.width))
        self.regions = tuple(regions)
        self.first = {region.column: at for at, region in enumerate(regions) if not region.is_mask}
        self.others = tuple(n for n, column in enumerate(table.columns) if column.kind not in _BLOCK_KINDS)
        self.places = [places for block in self.blocks for _, places in block.pieces]
        self.places += [np.array([positions[number]], np.intp) for number in self.others]
        empty = table.empty_frame()
        values, array = Columns(self, None, ()).parts(range(0))
        blocks = list(zip(values, self.places, strict=True))
        # Not the index of the other frame: pandas may make a RangeIndex of integers.
        index = empty.index if array is None else internals.make_index(array, table.index, None)
        self.empty = internals.make_frame(blocks, index, empty.columns)
        self.template = internals.FrameTemplate(self.empty)


@lru_cache(64)
def layout_of(text: bytes) -> Layout:
    """The layout of a schema, as `GrowingSchema.encode` writes it."""
    return Layout(stored_schema(text))


def _block_of(table: GrowingSchema, numbers: list[int], positions: Sequence[int]) -> Block:
    dtype = table.columns[numbers[0]].dtype
    places = [positions[number] for number in numbers]
    index = places.index(-1) if -1 in places else None
    halves = [slice(0, len(places))] if index is None else [slice(0, index), slice(index + 1, len(places))]
    pieces = tuple((half, np.array(places[half], np.intp)) for half in halves if half.start < half.stop)
    return Block(dtype, plain_dtype(dtype), tuple(numbers), index, pieces)


def _blocks(table: GrowingSchema) -> list[list[int]]:
    """The columns of each block, by number."""
    by_dtype: dict[Any, list[int]] = {}
    for number, column in enumerate(table.columns):
        if column.kind in _BLOCK_KINDS:
            by_dtype.setdefault(column.dtype, []).append(number)
    return list(by_dtype.values())


class Columns:
    """All columns over some memory; each frame has a part of them.

    Parameters
    ----------
    layout : Layout
        The schema's.
    memory : Memory or None
        None where there are no rows, or nothing that pandas reads as an array.
    chunks : sequence of Chunk
        The rows that a frame has, by segment. Of the last one, frames may have other rows: see `frame`.
    base : int
        The number of the row that the segment of the last chunk begins with.
    """

    def __init__(self, layout: Layout, memory: Memory | None, chunks: Sequence[Chunk], base: int = 0) -> None:
        self._layout = layout
        self._start, self.stop = (0, 0) if memory is None else (memory.start, memory.stop)
        self._chunks = chunks
        self._base = base
        self._index: Any = None
        self._pieces = []
        for block in layout.blocks:
            whole = _array(layout, memory, block.plain, block.columns)
            if block.index_row is not None:
                self._index = _wrapped(whole[block.index_row], block.dtype)
            self._pieces += [_wrapped(whole[half], block.dtype) for half, _ in block.pieces]
        self._others = [self._arrays(number, memory) for number in layout.others]
        # The text of each column in the chunks before the last one, which does not change.
        self._text: dict[int, list[pa.Array]] = {}

    def _arrays(self, number: int, memory: Memory | None) -> tuple[Any, ...]:
        """What a column outside of the blocks is made of: nothing, codes, or values and a mask."""
        column = self._layout.table.columns[number]
        if column.kind is Kind.TEXT:
            return ()
        first = self._layout.first[number]
        if column.kind is Kind.CATEGORY:
            return (_region(memory, np.dtype("int32"), first),)
        return _region(memory, column.dtype.numpy_dtype, first), _region(memory, np.dtype(bool), first + 1)

    def frame(self, rows: range, labels: Sequence[Any] | None = None) -> pd.DataFrame:
        """Make the frame of some rows, whose numbers are ``rows``; or of some columns of it.

        They end in the last chunk's segment. If there are several chunks they begin where these do.

        Raises
        ------
        NotFoundError
            For a label that is not there.
        CorruptSnapshotError
        """
        layout = self._layout
        assert not rows or self._start <= rows.start <= rows.stop <= self.stop, "rows that are not in this memory"
        values, array = self.parts(rows)
        index = internals.range_index(rows, None) if array is None else internals.index_like(layout.empty.index, array)
        if labels is None:
            return layout.template.frame(values, index)
        projection = Projection.of(layout.empty.columns, labels)
        blocks: list[tuple[Any, Any]] = []
        for number, (part, places) in enumerate(zip(values, layout.places, strict=True)):
            if number < len(self._pieces):
                blocks += projection.of_block(part, places)
                continue
            for repeat, position in enumerate(projection.places(int(places[0]))):
                blocks.append((part.copy() if repeat else part, np.array([position], np.intp)))
        return internals.make_frame(blocks, index, projection.labels(layout.empty.columns))

    def parts(self, rows: range) -> tuple[list[Any], Any]:
        """The arrays of the frame's blocks, and the array of its index. The latter is None for a RangeIndex."""
        layout, part = self._layout, slice(rows.start - self._start, rows.stop - self._start)
        # Without a call for each: see `GrowingSnapshot.to_pandas`.
        values = [
            array[..., part] if type(array) is np.ndarray else internals.rows_of_times(array, part)
            for array in self._pieces
        ]
        for number, arrays in zip(layout.others, self._others, strict=True):
            dtype = layout.table.columns[number].dtype
            if not arrays:
                values.append(internals.make_strings(self._chunked_text(number, rows), dtype))
            elif len(arrays) == 1:
                categories = _categories(number, self._chunks)
                values.append(internals.make_wide_categorical(arrays[0][part], categories))
            else:
                values.append(internals.make_masked(dtype, arrays[0][part], arrays[1][part]))
        return values, None if self._index is None else _rows(self._index, part)

    def _chunked_text(self, number: int, rows: range) -> pa.ChunkedArray:
        if not self._chunks:
            return pa.chunked_array([], pa.large_string())
        before = self._text.get(number)
        if before is None:
            before = self._text[number] = [text_array(number, chunk) for chunk in self._chunks[:-1]]
        last = self._chunks[-1]
        start = last.start if before else rows.start - self._base
        return pa.chunked_array([*before, text_array(number, last._replace(start=start, stop=rows.stop - self._base))])


def _array(layout: Layout, memory: Memory | None, dtype: np.dtype[Any], numbers: Sequence[int]) -> Any:
    """The columns of a block, of shape (columns, rows)."""
    if memory is None:
        return np.empty((len(numbers), 0), dtype)
    first, rows = layout.first[numbers[0]], memory.stop - memory.start
    stride = memory.at[first + 1] - memory.at[first] if len(numbers) > 1 else rows * dtype.itemsize
    return np.ndarray((len(numbers), rows), dtype, memory.buffer, memory.at[first], (stride, dtype.itemsize))


def _region(memory: Memory | None, dtype: np.dtype[Any], region: int) -> Any:
    if memory is None:
        return np.empty(0, dtype)
    return np.ndarray((memory.stop - memory.start,), dtype, memory.buffer, memory.at[region])


def _wrapped(array: Any, dtype: Any) -> Any:
    """Times as pandas' own arrays, because pandas would look whether it must convert them; others as they are."""
    return internals.wrap_datetimes(array) if isinstance(dtype, np.dtype) else internals.make_datetimes(array, dtype)


def _rows(array: Any, rows: slice) -> Any:
    """Some rows of a column or of several; rows are the last axis."""
    return array[..., rows] if isinstance(array, np.ndarray) else internals.rows_of_times(array, rows)


def _categories(number: int, chunks: Sequence[Chunk]) -> pd.CategoricalDtype:
    """The dtype with the categories that there are now; the same object until there are more."""
    if not chunks:
        return internals.make_categorical_dtype(internals.make_string_index(_no_text(), _text_dtype(), None))
    dictionary = dictionary_of(number, chunks[-1])
    cache = chunks[-1].cache
    entry = cache.get(("categories", number))
    if entry is None or entry[0] is not dictionary:
        categories = internals.make_string_index(dictionary, _text_dtype(), None)
        entry = cache["categories", number] = (dictionary, internals.make_categorical_dtype(categories))
    dtype: pd.CategoricalDtype = entry[1]
    return dtype


@lru_cache(1)
def _text_dtype() -> Any:
    return pd.StringDtype("pyarrow", na_value=np.nan)


@lru_cache(1)
def _no_text() -> pa.Array:
    return pa.array([], pa.large_string())
