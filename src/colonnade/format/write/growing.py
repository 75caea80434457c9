"""Rows for a growing table: what a caller gives, checked and in the form of its columns.

Does not depend on: segments, files, where the rows will stand.

Everything is converted and checked before anything is written: a batch is appended whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.dtype_kinds import dtype_kind
from colonnade.errors import InvalidDataError, UnsupportedTypeError, brief_repr
from colonnade.format.growing import Column, GrowingSchema, Kind
from colonnade.format.write.arrow_check import check_column
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow_calls
from colonnade.interop.arrow import arrow_table
from colonnade.interop.dictionaries import combined


class Chunk(NamedTuple):
    """The rows of one column. ``values`` are NumPy's, of the column's type; codes of categories; None for text.

    ``missing`` says where nulls are, for masked columns. ``text`` is the text itself, or the categories of the codes,
    and ``key`` an object that stands for the same categories in the next batch.
    """

    values: npt.NDArray[Any] | None
    missing: npt.NDArray[np.bool_] | None = None
    text: pa.LargeStringArray | None = None
    key: Any = None


class Rows(NamedTuple):
    """A batch: the number of rows, and a chunk for each column."""

    num_rows: int
    chunks: list[Chunk]


def rows_of(schema: GrowingSchema, data: Any) -> Rows:
    """Take a batch apart: a frame, a mapping of arrays, or Arrow data.

    Raises
    ------
    ValueError
        The columns are others, or of different lengths.
    UnsupportedTypeError, InvalidDataError
        Values that the columns cannot hold, naming the column.
    """
    columns = _columns_of(schema, data)
    missing = [name for name in schema.names if name not in columns]
    extra = [name for name in columns if name not in schema.names]
    if missing or extra:
        raise ValueError(
            f"the rows have other columns than the table: missing {missing}, unknown {extra}; it has "
            f"{list(schema.names)}"
        )
    chunks = [chunk_of(column, columns[column.name]) for column in schema.columns]
    counts = {_length(chunk) for chunk in chunks}
    if len(counts) > 1:
        lengths = {column.name: _length(chunk) for column, chunk in zip(schema.columns, chunks, strict=True)}
        raise ValueError(f"columns of different lengths: {lengths}")
    return Rows(counts.pop(), chunks)


def _length(chunk: Chunk) -> int:
    values = chunk.text if chunk.values is None else chunk.values
    return 0 if values is None else len(values)


def _columns_of(schema: GrowingSchema, data: Any) -> Mapping[Any, Any]:
    if isinstance(data, pd.DataFrame):
        return FrameColumns(schema).of(data)
    if isinstance(data, Mapping):
        _check_indices(data)
        return data
    table = arrow_table(data)
    return _unique(table.column_names, table.columns)


def _check_indices(data: Mapping[Any, Any]) -> None:
    """See that Series have one index: pandas would match their rows by label, and here they are taken as they stand.

    Raises
    ------
    ValueError
    """
    series = [(name, values.index) for name, values in data.items() if isinstance(values, pd.Series)]
    for name, index in series[1:]:
        first, expected = series[0]
        if index is not expected and not index.equals(expected):
            raise ValueError(
                f"the Series of {first!r} and {name!r} have different indices, so it is not clear which values belong "
                "to one row: give a DataFrame, or arrays (to_numpy())"
            )


class FrameColumns:
    """Takes frames apart. The names of the last frame's columns are kept: to list them takes longer than the rest."""

    def __init__(self, schema: GrowingSchema) -> None:
        self._index = schema.index
        self._labels: pd.Index[Any] | None = None
        self._names: list[Any] = []

    def of(self, df: pd.DataFrame) -> dict[Any, Any]:
        """The columns of a frame by name, with its index if that is the table's.

        Raises
        ------
        ValueError
            Several columns have one name.
        """
        labels, arrays = df.columns, internals.arrays_of(df)
        if self._labels is None or (labels is not self._labels and not internals.same_labels(labels, self._labels)):
            self._names = list(_unique(labels, arrays))
            self._labels = labels
        columns = dict(zip(self._names, arrays, strict=True))
        if self._index is not None and self._index not in columns and df.index.name == self._index:
            columns[self._index] = internals.array_of_index(df.index)
        return columns


def _unique(names: Iterable[Any], arrays: Sequence[Any]) -> dict[Any, Any]:
    columns = dict(zip(names, arrays, strict=True))
    if len(columns) < len(arrays):
        raise ValueError(f"the rows have several columns of one name: {list(names)}")
    return columns


def chunk_of(column: Column, values: Any) -> Chunk:
    """Convert the rows of one column.

    Raises
    ------
    UnsupportedTypeError, InvalidDataError
    """
    if isinstance(values, (pd.Series, pd.Index)):
        values = values.array
    if isinstance(values, (str, bytes, Mapping, set, frozenset)):  # text would be letters, and a set has no order
        raise UnsupportedTypeError(
            f"column {column.name!r} was given {brief_repr(values)}, which is no column of rows: give a list or an "
            "array, or append one row with row()"
        )
    if isinstance(values, np.ma.MaskedArray):  # NumPy would append what stands under the mask
        raise UnsupportedTypeError(
            f"column {column.name!r} was given a masked array of NumPy; give pandas' masked dtypes, or fill it"
        )
    try:
        if column.kind is Kind.TEXT:
            return Chunk(None, None, _text(column, values))
        if column.kind is Kind.CATEGORY:
            return _codes(column, values)
        if column.kind in (Kind.MASKED, Kind.MASKED_BOOLEAN):
            return _masked(column, values)
        return Chunk(_numbers(column, values))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidDataError) or str(error).startswith("column "):
            raise
        raise UnsupportedTypeError(
            f"column {column.name!r} holds {column.dtype} and cannot take {brief_repr(values)}: {error}"
        ) from error


def _arrow(values: Any) -> pa.Array | None:
    if isinstance(values, pa.ChunkedArray):
        return combined(values)
    return values if isinstance(values, pa.Array) else None


def _checked(column: Column, values: Any) -> pa.Array | None:
    """Arrow data whose lengths, offsets and dictionary indices are possible."""
    array = _arrow(values)
    if array is not None:
        check_column(column.name, pa.chunked_array([array]))
    return array


def _numbers(column: Column, data: Any) -> npt.NDArray[Any]:
    target: Any = column.dtype
    if column.kind is Kind.TIME and not isinstance(target, np.dtype):
        return _zoned(column, data)
    array = _checked(column, data)
    if array is not None:
        if pt.is_timestamp(array.type) and array.type.tz is not None:
            raise UnsupportedTypeError(
                f"column {column.name!r} holds {target}, and was given times of the zone {array.type.tz}; "
                "cast them to times without a zone"
            )
        if array.null_count and not column.nullable:
            raise InvalidDataError(
                f"column {column.name!r} holds {target}, which has no nulls, and {array.null_count:,} rows are null; "
                "declare a masked dtype (Int64, boolean) for a new table, or fill them"
            )
        values = array.to_numpy(zero_copy_only=False)
    else:
        values = np.asarray(data)
    return _cast(column, values, target)


def _zoned(column: Column, data: Any) -> npt.NDArray[Any]:
    array = _checked(column, data)
    times = pd.DatetimeIndex(data if array is None else pyarrow_calls.to_pandas(array))
    if times.tz is None and not times.isna().all():
        raise UnsupportedTypeError(
            f"column {column.name!r} holds {column.dtype}, and was given times without a zone; give them one: "
            "tz_localize"
        )
    times = times.tz_localize("UTC") if times.tz is None else times.tz_convert("UTC")
    values: Any = times.as_unit(column.dtype.unit)
    same = values == times
    if not bool(np.all(same | times.isna())):
        row = int(np.argmin(same | times.isna()))
        raise InvalidDataError(f"column {column.name!r} holds {column.dtype}, and row {row:,} is {times[row]!r}")
    return internals.numpy_of(values.array)


def _cast(column: Column, values: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[Any]:
    """The values as the column has them: exactly, but for floats, which may be rounded, though not to infinity."""
    if values.ndim != 1:
        raise ValueError(f"{values.ndim} axes; a column has one")
    if values.dtype == target:
        return values
    if values.dtype == object or not len(values):
        values = _inferred(column, values, target)
    have = values.dtype.kind
    if (target.kind in "mM" and have != target.kind) or have not in "biufmM" or (have in "mM" and target.kind != have):
        raise UnsupportedTypeError(f"column {column.name!r} holds {target}, and was given {values.dtype}")
    if target.kind not in "mM" and np.can_cast(values.dtype, target, "safe"):
        return values.astype(target)
    with np.errstate(invalid="ignore", over="ignore"):
        cast = values.astype(target)
    if target.kind == "f":
        same = ~(np.isinf(cast) & np.isfinite(values))
    elif target.kind in "mM":  # NumPy wraps around, and in the finer of two units all would seem the same
        same = (cast.astype(values.dtype) == values) | (np.isnat(cast) & np.isnat(values))
    else:
        same = cast == values
    if have in "iu" and target.kind in "iu":  # of the other sign, it wraps around
        same &= (values < 0) == (cast < 0)
    if not bool(np.all(same)):
        row = int(np.argmin(same))
        value = values[row] if target.kind in "mM" else values[row].item()
        raise InvalidDataError(f"column {column.name!r} holds {target}, and row {row:,} is {value}")
    return cast


def _inferred(column: Column, values: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[Any]:
    """Python objects as an array of the type that they have."""
    array: Any = pd.array(values.tolist() if len(values) else np.empty(0, target))
    if column.nullable and array.isna().all():
        return np.full(len(values), np.nan if target.kind == "f" else "NaT", target)
    if isinstance(array.dtype, np.dtype) and array.dtype.kind in "mM":
        return np.asarray(array)
    if dtype_kind(array.dtype) != "masked":
        raise UnsupportedTypeError(
            f"column {column.name!r} holds {target}, and was given {brief_repr(values.tolist())}"
        )
    plain, missing = internals.masked_parts(array)
    if not missing.any():
        return plain
    if target.kind != "f":
        raise InvalidDataError(f"column {column.name!r} holds {target}, which has no nulls; fill them")
    return np.asarray(array.to_numpy(np.float64, na_value=np.nan))


def _masked(column: Column, data: Any) -> Chunk:
    array = _checked(column, data)
    if array is not None:
        if pt.is_null(array.type):
            array = array.cast(column.arrow)
        missing = np.asarray(array.is_null())
        zero = False if column.kind is Kind.MASKED_BOOLEAN else 0
        without_nulls = array.fill_null(zero) if array.null_count else array
        values = without_nulls.to_numpy(zero_copy_only=False)
        plain = column.dtype.numpy_dtype
        return Chunk(_cast(column, values, plain), missing)
    own = data if getattr(data, "dtype", None) == column.dtype else _as_masked(column, data)
    values, missing = internals.masked_parts(own)
    return Chunk(np.where(missing, values.dtype.type(0), values) if missing.any() else values, missing)


def _as_masked(column: Column, data: Any) -> Any:
    if pd.api.types.infer_dtype(data) == "string":  # pandas would read numbers in it
        raise UnsupportedTypeError(f"column {column.name!r} holds {column.dtype}, and was given text")
    if column.dtype.kind == "f" and column.width < 8:
        values, missing = internals.masked_parts(pd.array(data, dtype="Float64"))
        narrow = _cast(column, np.where(missing, 0.0, values), column.dtype.numpy_dtype)
        return pd.arrays.FloatingArray(narrow, missing)
    return pd.array(data, dtype=column.dtype)


def _text(column: Column, data: Any) -> pa.LargeStringArray:
    array = _checked(column, data)
    if array is None:
        if getattr(data, "_pa_array", None) is not None:
            return _text(column, internals.arrow_of(data))
        array = pa.array(data, from_pandas=True)
    if array.type == pa.large_string():
        return array
    if not len(array):  # of any type: an empty list has none
        return pa.array([], pa.large_string())
    text = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not any(test(text) for test in (pt.is_string, pt.is_large_string, pt.is_string_view, pt.is_null)):
        raise UnsupportedTypeError(f"text is wanted, and was given {array.type}")
    return array.cast(pa.large_string())


def _codes(column: Column, data: Any) -> Chunk:
    array = _checked(column, data)
    if array is None and isinstance(getattr(data, "dtype", None), pd.CategoricalDtype):
        return Chunk(internals.codes_of(data), None, _text(column, data.categories.array), data.categories)
    if array is None:
        array = _text(column, data)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    indices = array.indices.cast(pa.int32())
    codes = np.asarray(indices.fill_null(-1) if indices.null_count else indices)
    return Chunk(codes, None, _text(column, array.dictionary))
