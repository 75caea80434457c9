"""Rows of a growing table as an Arrow table, of one chunk for each segment; and the checks of their values.

Nothing is copied. Does not depend on: files, the head, frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeGuard

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
)


class Chunk(NamedTuple):
    """Rows ``start`` to ``stop`` of a segment, counted from its first one.

    ``memory`` is the whole file; ``cache`` is what was made of it before, for this folder alone.
    """

    places: Places
    memory: Any
    cache: dict[Any, Any]
    start: int
    stop: int


def dictionary_of(number: int, chunk: Chunk) -> pa.Array:
    """The dictionary of a column, as the newest segment has it now: entries are only added."""
    where = chunk.places.columns[number].dictionary
    assert where is not None, "a column without a dictionary"
    count = _core.load_word(chunk.memory, where.size)  # with acquire order: the entries are there before their number
    dictionary = chunk.cache.get(("dictionary", number))
    if dictionary is not None and len(dictionary) == count:
        return dictionary
    if count > MOST_CATEGORIES:
        raise CorruptSnapshotError(f"a dictionary has {count:,} entries, and may have {MOST_CATEGORIES:,}")
    data = _buffer(chunk)
    offsets = data.slice(where.offsets, 8 * (count + 1))
    array = pa.Array.from_buffers(pa.large_string(), count, [None, offsets, data.slice(where.text, DICTIONARY_TEXT)], 0)
    chunk.cache["dictionary", number] = _checked(array)
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


def text_array(number: int, chunk: Chunk) -> pa.Array:
    """The rows of a text column; the ends of its text were looked at, and the offsets between are the producer's."""
    buffers = chunk.cache.get(("text", number))
    if buffers is None:
        where, data = chunk.places.columns[number], _buffer(chunk)
        assert where.validity is not None
        assert where.offsets is not None
        assert where.text is not None
        buffers = chunk.cache["text", number] = [
            data.slice(where.validity, chunk.places.capacity // 8),
            data.slice(where.offsets, 8 * (chunk.places.capacity + 1)),
            data.slice(where.text, chunk.places.text_bytes),
        ]
    return _checked(pa.Array.from_buffers(pa.large_string(), chunk.stop - chunk.start, buffers, -1, chunk.start))


def _arrow_column(column: Column, number: int, chunk: Chunk, dictionary: pa.Array | None) -> pa.Array:
    if column.kind is Kind.TEXT:
        return text_array(number, chunk)
    where, data, capacity = chunk.places.columns[number], _buffer(chunk), chunk.places.capacity
    count, offset = chunk.stop - chunk.start, chunk.start
    validity = None if where.validity is None else data.slice(where.validity, capacity // 8)
    nulls = 0 if validity is None else -1
    assert where.values is not None
    size = capacity * column.width if column.width else capacity // 8
    buffers = [validity, data.slice(where.values, size)]
    if column.kind is not Kind.CATEGORY:
        return pa.Array.from_buffers(column.arrow, count, buffers, nulls, offset)
    indices = pa.Array.from_buffers(pa.int32(), count, buffers, nulls, offset)
    return pa.DictionaryArray.from_arrays(indices, dictionary, safe=False)


def _buffer(chunk: Chunk) -> pa.Buffer:
    data = chunk.cache.get("buffer")
    if data is None:
        data = chunk.cache["buffer"] = pa.py_buffer(chunk.memory)
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
        start, stop = chunk.cache.get("checked", (chunk.start, chunk.start))
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
        chunk.cache["checked"] = (min(start, chunk.start) if following else chunk.start, chunk.stop)


def check_all(table: GrowingSchema, chunks: Sequence[Chunk]) -> None:
    """Look at every value: as `check_values`, and that pandas reads what Arrow reads, and that the index ascends.

    Raises
    ------
    CorruptSnapshotError
    """
    for chunk in chunks:
        chunk.cache.pop("checked", None)
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


def is_time(last: Any) -> TypeGuard[str | timedelta | np.timedelta64]:
    """Whether ``last=`` is a length of time, as in ``"5min"``; else it is a number of rows."""
    return isinstance(last, (str, timedelta, np.timedelta64))


def span_of_time(value: Any, name: str) -> int:
    """Give an argument as nanoseconds: a text with a unit, as in ``"5min"``, or a time of Python, NumPy or pandas.

    Raises
    ------
    ValueError
        It is not a time, has no unit, or is below 0.
    """
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal():
        # pandas would take it for nanoseconds.
        raise ValueError(f"{name}={brief_repr(value)} has no unit; for seconds write {brief_repr(value.strip() + 's')}")
    try:
        span = pd.Timedelta(value)
    except pd.errors.OutOfBoundsTimedelta as error:
        raise ValueError(f"{name}={brief_repr(value)} is longer than 292 years") from error
    except ValueError as error:
        raise ValueError(f"{name}={brief_repr(value)} is not a time, as '5min' is") from error
    if not span >= pd.Timedelta(0):  # NaT neither
        raise ValueError(f"{name}={brief_repr(value)} must be a time >= 0, as in '5min'")
    return span.as_unit("ns").value


def start_of_window(column: Column, number: int, chunks: Sequence[Chunk], rows: range, span: int) -> int:
    """The number of the first row that is later than the newest one less ``span`` nanoseconds; by binary search."""
    if not chunks:
        return rows.start
    name: Any = column.dtype.unit if hasattr(column.dtype, "unit") else np.datetime_data(column.dtype)[0]
    unit = pd.Timedelta(1, name)
    newest = int(column_values(column, number, chunks[-1])[-1])
    # Within int64: NumPy would make Python objects of all values to compare them with a larger number.
    start_value = max(newest - -(-span // unit.value), np.iinfo("int64").min)
    stop = rows.stop
    for chunk in reversed(chunks):
        values = column_values(column, number, chunk)
        position = int(np.searchsorted(values, start_value, side="right"))
        if position:
            return stop - (len(values) - position)
        stop -= len(values)
    return rows.start
