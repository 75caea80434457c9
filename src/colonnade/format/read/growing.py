"""Rows of a growing table as a pandas frame, and as an Arrow table.

Nothing here depends on the number of rows, and nothing is copied. Does not depend on: files, the head, how the rows of
several segments come to stand next to each other.

pandas' numbers, times, masks and codes are views of memory in which a column's rows stand next to each other, whatever
segment holds them. Text is pandas' ``str`` over an Arrow array of one chunk for each segment; so is every column
of the Arrow table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade import _core
from colonnade.errors import CorruptSnapshotError, brief_repr
from colonnade.format.growing import (
    DICTIONARY_TEXT,
    MOST_CATEGORIES,
    Column,
    GrowingSchema,
    Kind,
    Places,
    stored_schema,
)
from colonnade.format.read.column import plain_dtype
from colonnade.format.read.projection import Positions, Projection
from colonnade.interop import pandas as internals

_BLOCK_KINDS = (Kind.INTEGER, Kind.FLOATING, Kind.TIME, Kind.BOOLEAN)


class Chunk(NamedTuple):
    """Rows ``start`` to ``stop`` of a segment, counted from its first one.

    ``memory`` is the whole file; ``made`` is what was made of it before, for this module alone.
    """

    places: Places
    memory: Any
    made: dict[Any, Any]
    start: int
    stop: int


class Region(NamedTuple):
    """What pandas reads as one array: of column ``column``, its mask or its values, ``width`` bytes a row."""

    column: int
    is_mask: bool
    width: int


class Memory(Protocol):
    """Where the rows of each region stand, in the order of `regions`: at byte ``at[i]`` of ``buffer``."""

    @property
    def buffer(self) -> Any: ...
    @property
    def at(self) -> Sequence[int]: ...


class Block(NamedTuple):
    """Columns of one dtype, in memory ``plain``. ``pieces`` are its rows that stand in the frame, and their positions.

    ``index_row`` is the row that is the index of the frame, if one is.
    """

    dtype: Any
    plain: np.dtype[Any]
    columns: tuple[int, ...]
    index_row: int | None
    pieces: tuple[tuple[slice, Positions], ...]


class Layout(NamedTuple):
    """What all frames of a schema have in common; made by `layout_of`.

    ``regions`` are what pandas reads: the columns of a block follow each other. ``first``: the number of a column's
    values among them. ``positions``: the place of each column in the frame; -1 for the index. ``blocks`` and
    ``others`` are the columns that are part of a block, and those that are not.
    """

    table: GrowingSchema
    regions: tuple[Region, ...]
    first: dict[int, int]
    labels: pd.Index[Any]
    positions: tuple[int, ...]
    blocks: tuple[Block, ...]
    others: tuple[int, ...]


@lru_cache(64)
def layout_of(text: bytes) -> Layout:
    """The layout of a schema, as `GrowingSchema.encode` writes it."""
    table = stored_schema(text)
    names = [name for name in table.names if name != table.index]
    place = {name: position for position, name in enumerate(names)}
    positions = tuple(place.get(name, -1) for name in table.names)
    blocks = tuple(_block_of(table, numbers, positions) for numbers in _blocks(table))
    regions = [Region(n, False, max(table.columns[n].width, 1)) for block in blocks for n in block.columns]
    for number, column in enumerate(table.columns):
        if column.kind in (Kind.MASKED, Kind.MASKED_BOOLEAN):
            regions += [Region(number, False, max(column.width, 1)), Region(number, True, 1)]
        elif column.kind is Kind.CATEGORY:
            regions.append(Region(number, False, column.width))
    return Layout(
        table,
        tuple(regions),
        {region.column: at for at, region in enumerate(regions) if not region.is_mask},
        table.empty_frame().columns,
        positions,
        blocks,
        tuple(n for n, column in enumerate(table.columns) if column.kind not in _BLOCK_KINDS),
    )


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


def read_frame(
    layout: Layout,
    memory: Memory | None,
    chunks: Sequence[Chunk],
    rows: range,
    columns: Iterable[Any] | None = None,
) -> pd.DataFrame:
    """Make the frame of some rows, whose numbers are ``rows``; or some columns of it.

    ``memory`` is None where there are no rows. ``chunks`` are the same rows, by segment.

    Raises
    ------
    NotFoundError
        For a label that is not there.
    CorruptSnapshotError
    """
    projection = Projection.of(layout.labels, columns)
    index: Any = None
    blocks: list[tuple[Any, Any]] = []
    for block in layout.blocks:
        array = _block(layout, memory, block.plain, block.columns, len(rows))
        # Wrapped here, because pandas would look whether it must convert them.
        whole: Any = (
            internals.wrap_datetimes(array)
            if isinstance(block.dtype, np.dtype)
            else internals.make_datetimes(array, block.dtype)
        )
        if block.index_row is not None:
            index = internals.make_index(whole[block.index_row], layout.table.index, None)
        for part, places in block.pieces:
            blocks += projection.of_block(whole if block.index_row is None else whole[part], places)
    for number in layout.others:
        for repeat, position in enumerate(projection.places(layout.positions[number])):
            column = _other(layout, number, memory, chunks, len(rows))
            blocks.append((column.copy() if repeat else column, np.array([position], np.intp)))
    if index is None:
        index = internals.range_index(rows, None)
    return internals.make_frame(blocks, index, projection.labels(layout.labels), {})


def _block(layout: Layout, memory: Memory | None, dtype: np.dtype[Any], numbers: Sequence[int], rows: int) -> Any:
    if memory is None:
        return np.empty((len(numbers), 0), dtype)
    first = layout.first[numbers[0]]
    stride = memory.at[first + 1] - memory.at[first] if len(numbers) > 1 else rows * dtype.itemsize
    return np.ndarray((len(numbers), rows), dtype, memory.buffer, memory.at[first], (stride, dtype.itemsize))


def _other(layout: Layout, number: int, memory: Memory | None, chunks: Sequence[Chunk], rows: int) -> Any:
    """A column that is no part of a block."""
    column = layout.table.columns[number]
    if column.kind is Kind.TEXT:
        arrays = [_arrow_column(column, number, chunk, None) for chunk in chunks]
        return internals.make_strings(pa.chunked_array(arrays, column.arrow), column.dtype)

    def values(dtype: np.dtype[Any], region: int) -> npt.NDArray[Any]:
        return np.empty(0, dtype) if memory is None else np.ndarray((rows,), dtype, memory.buffer, memory.at[region])

    first = layout.first[number]
    if column.kind is Kind.CATEGORY:
        return internals.make_wide_categorical(values(np.dtype("int32"), first), _categories(number, chunks))
    mask = values(np.dtype(bool), first + 1)
    return internals.make_masked(column.dtype, values(column.dtype.numpy_dtype, first), mask)


# -- categories --------------------------------------------------------------------------------------------------------


def _categories(number: int, chunks: Sequence[Chunk]) -> pd.CategoricalDtype:
    if not chunks:
        return internals.make_categorical_dtype(internals.make_string_index(_no_text(), _text_dtype(), None))
    dictionary = dictionary_of(number, chunks[-1])
    made = chunks[-1].made
    known = made.get(("categories", number))
    if known is None or known[0] is not dictionary:
        categories = internals.make_string_index(dictionary, _text_dtype(), None)
        known = made["categories", number] = (dictionary, internals.make_categorical_dtype(categories))
    dtype: pd.CategoricalDtype = known[1]
    return dtype


@lru_cache(1)
def _text_dtype() -> Any:
    return pd.StringDtype("pyarrow", na_value=np.nan)


@lru_cache(1)
def _no_text() -> pa.Array:
    return pa.array([], pa.large_string())


def dictionary_of(number: int, chunk: Chunk) -> pa.Array:
    """The dictionary of a column, as the newest segment has it now: entries are only added."""
    where = chunk.places.columns[number].dictionary
    assert where is not None, "a column without a dictionary"
    data = _buffer(chunk)
    count = _core.load_word(chunk.memory, where.size)  # with acquire order: the entries are there before their number
    known = chunk.made.get(("dictionary", number))
    if known is not None and len(known) == count:
        return known
    if count > MOST_CATEGORIES:
        raise CorruptSnapshotError(f"a dictionary has {count:,} entries, and may have {MOST_CATEGORIES:,}")
    offsets = data.slice(where.offsets, 8 * (count + 1))
    array = pa.Array.from_buffers(pa.large_string(), count, [None, offsets, data.slice(where.text, DICTIONARY_TEXT)], 0)
    chunk.made["dictionary", number] = _checked(array)
    return array


# -- Arrow -------------------------------------------------------------------------------------------------------------


def read_arrow(table: GrowingSchema, chunks: Sequence[Chunk], names: Sequence[str] | None = None) -> pa.Table:
    """Make the Arrow table of some rows: one chunk for each segment.

    Raises
    ------
    CorruptSnapshotError
    """
    schema = table.arrow
    batches = []
    dictionaries = {
        number: dictionary_of(number, chunks[-1])
        for number, column in enumerate(table.columns)
        if chunks and column.kind is Kind.CATEGORY
    }
    for chunk in chunks:
        arrays = [
            _arrow_column(column, number, chunk, dictionaries.get(number))
            for number, column in enumerate(table.columns)
        ]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    result = pa.Table.from_batches(batches, schema)
    return result if names is None else result.select(list(names))


def _arrow_column(column: Column, number: int, chunk: Chunk, dictionary: pa.Array | None) -> pa.Array:
    where, data, capacity = chunk.places.columns[number], _buffer(chunk), chunk.places.capacity
    count, offset = chunk.stop - chunk.start, chunk.start
    validity = None if where.validity is None else data.slice(where.validity, capacity // 8)
    nulls = 0 if validity is None else -1
    if column.kind is Kind.TEXT:
        assert where.offsets is not None
        assert where.text is not None
        buffers = [
            validity,
            data.slice(where.offsets, 8 * (capacity + 1)),
            data.slice(where.text, chunk.places.text_bytes),
        ]
        return _checked(pa.Array.from_buffers(column.arrow, count, buffers, nulls, offset))
    assert where.values is not None
    size = capacity * column.width if column.width else capacity // 8
    buffers = [validity, data.slice(where.values, size)]
    if column.kind is not Kind.CATEGORY:
        return pa.Array.from_buffers(column.arrow, count, buffers, nulls, offset)
    indices = pa.Array.from_buffers(pa.int32(), count, buffers, nulls, offset)
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)


def _buffer(chunk: Chunk) -> pa.Buffer:
    data = chunk.made.get("buffer")
    if data is None:
        data = chunk.made["buffer"] = pa.py_buffer(chunk.memory)
    return data


def _checked(array: pa.Array) -> pa.Array:
    """See that the ends of an array's text are inside of its buffers; offsets between are those of the producer."""
    try:
        array.validate()
    except pa.ArrowInvalid as error:
        raise CorruptSnapshotError(f"damaged text of a growing table ({error})") from error
    return array


# -- looking at values -------------------------------------------------------------------------------------------------


def check_values(table: GrowingSchema, chunks: Sequence[Chunk]) -> None:
    """Look at the text, offsets and indices of all rows before something follows them; at each row once a process.

    Raises
    ------
    CorruptSnapshotError
    """
    for chunk in chunks:
        start, stop = chunk.made.get("checked", (chunk.start, chunk.start))
        if start <= chunk.start and chunk.stop <= stop:
            continue
        following = start <= chunk.start <= stop
        fresh = chunk._replace(start=stop if following else chunk.start)
        for number, column in enumerate(table.columns):
            if column.kind in (Kind.TEXT, Kind.CATEGORY):
                dictionary = dictionary_of(number, chunks[-1]) if column.kind is Kind.CATEGORY else None
                try:
                    if dictionary is not None:
                        dictionary.validate(full=True)
                    _arrow_column(column, number, fresh, dictionary).validate(full=True)
                except pa.ArrowInvalid as error:
                    raise CorruptSnapshotError(f"column {column.name!r} is damaged ({error})") from error
        chunk.made["checked"] = (min(start, chunk.start) if following else chunk.start, chunk.stop)


def validate(table: GrowingSchema, chunks: Sequence[Chunk]) -> None:
    """Look at every value: as `check_values`, and that pandas reads what Arrow reads, and that the index ascends.

    Raises
    ------
    CorruptSnapshotError
    """
    for chunk in chunks:
        chunk.made.pop("checked", None)
    check_values(table, chunks)
    last: Any = None
    for chunk in chunks:
        for number, column in enumerate(table.columns):
            _validate_column(column, number, chunk, chunks[-1])
        if table.index is not None:
            values = column_values(table.columns[table.names.index(table.index)], table.names.index(table.index), chunk)
            if (values[1:] < values[:-1]).any() or (last is not None and values[0] < last):
                raise CorruptSnapshotError(f"the index {table.index!r} does not ascend")
            last = values[-1]


def column_values(column: Column, number: int, chunk: Chunk) -> npt.NDArray[Any]:
    """The values of a column of fixed width, as pandas reads them; times as int64."""
    where = chunk.places.columns[number].frame
    assert where is not None
    dtype: Any = {
        Kind.TIME: np.dtype("int64"),
        Kind.CATEGORY: np.dtype("int32"),
        Kind.BOOLEAN: np.dtype("uint8"),
        Kind.MASKED_BOOLEAN: np.dtype("uint8"),
    }.get(column.kind) or (column.dtype.numpy_dtype if column.kind is Kind.MASKED else column.dtype)
    start = where + chunk.start * dtype.itemsize
    return np.ndarray((chunk.stop - chunk.start,), dtype, _buffer(chunk), start)


def _validate_column(column: Column, number: int, chunk: Chunk, newest: Chunk) -> None:
    if column.kind is Kind.TEXT:
        return
    dictionary = dictionary_of(number, newest) if column.kind is Kind.CATEGORY else None
    array = _arrow_column(column, number, chunk, dictionary)
    nulls = np.asarray(array.is_null())
    values = column_values(column, number, chunk)
    if column.kind is Kind.CATEGORY:
        indices = np.asarray(array.indices.fill_null(-1))
        good = np.array_equal(values, np.where(nulls, -1, indices))
    elif column.kind in (Kind.BOOLEAN, Kind.MASKED_BOOLEAN):
        good = np.array_equal(values, np.asarray(array.fill_null(False)).astype("uint8"))
    elif column.kind is Kind.FLOATING:
        good = np.array_equal(np.isnan(values), nulls)
    elif column.kind is Kind.TIME:
        good = np.array_equal(values == np.iinfo("int64").min, nulls)
    else:
        good = True
    if column.kind in (Kind.MASKED, Kind.MASKED_BOOLEAN):
        where = chunk.places.columns[number].mask
        assert where is not None
        mask = np.ndarray((chunk.stop - chunk.start,), np.uint8, _buffer(chunk), where + chunk.start)
        good = good and np.array_equal(mask, nulls.astype("uint8"))
    if not good:
        raise CorruptSnapshotError(f"column {column.name!r}: pandas would read other values than Arrow")


def span_of_time(value: Any, name: str) -> int:
    """Give an argument as nanoseconds: a text with a unit, as in ``"5min"``, or a time of Python, NumPy or pandas.

    Raises
    ------
    ValueError
        It is no time, has no unit, or is below 0.
    """
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal():
        # pandas would take it for nanoseconds.
        raise ValueError(f"{name}={brief_repr(value)} has no unit; for seconds write {brief_repr(value.strip() + 's')}")
    try:
        span = pd.Timedelta(value)
    except ValueError as error:
        raise ValueError(f"{name}={brief_repr(value)} is no time, as '5min' is") from error
    if not span >= pd.Timedelta(0):  # NaT neither
        raise ValueError(f"{name}={brief_repr(value)} must be a time >= 0, as in '5min'")
    return span.as_unit("ns").value


def start_of_window(column: Column, number: int, chunks: Sequence[Chunk], rows: range, span: int) -> int:
    """The number of the first row that is later than the newest one less so many nanoseconds; by binary search."""
    if not chunks:
        return rows.start
    name: Any = column.dtype.unit if hasattr(column.dtype, "unit") else np.datetime_data(column.dtype)[0]
    unit = pd.Timedelta(1, name)
    bound = int(column_values(column, number, chunks[-1])[-1]) - -(-span // unit.value)
    stop = rows.stop
    for chunk in reversed(chunks):
        values = column_values(column, number, chunk)
        position = int(np.searchsorted(values, bound, side="right"))
        if position:
            return stop - (len(values) - position)
        stop -= len(values)
    return rows.start
