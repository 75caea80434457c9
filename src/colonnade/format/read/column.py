"""The columns of the layout metadata: each kind, made of views of the body and of Arrow's arrays.

Nothing here depends on the number of rows, except for columns that are ``converted``: these are read whole, so Arrow
checks all their values first. Does not depend on: frames, indexes, names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.dtype_kinds import codes_dtype, dtype_kind
from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.dtypes import PLAIN_DTYPES, decode_dtype
from colonnade.format.labels import decode_label
from colonnade.format.read.file import StoredFile
from colonnade.format.read.values import check_array
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow_calls

# What a view of memory may be, in this machine's byte order.
_PLAIN = frozenset(PLAIN_DTYPES.values())


def plain_dtype(dtype: Any) -> np.dtype[Any]:
    """What the values of a dtype are in memory; only dtypes that a block or array of plain memory can have pass."""
    if isinstance(dtype, np.dtype) and dtype in _PLAIN:
        return dtype
    kind = dtype_kind(dtype)
    if kind == "datetimetz":
        return np.dtype(f"M8[{dtype.unit}]")
    if kind == "period":
        return np.dtype(np.int64)
    raise schema.invalid(f"{dtype} cannot be a view of memory")


def is_wrapped_string(dtype: Any) -> bool:
    """Whether pandas wraps an Arrow array of strings."""
    return dtype_kind(dtype) == "string" and dtype.storage == "pyarrow"


def _view(file: StoredFile, dtype: Any, at: int) -> Any:
    values = file.body.array(plain_dtype(dtype), at, file.rows)
    make = {"numpy": lambda v, _: v, "datetimetz": internals.make_datetimes, "period": internals.make_periods}
    return make[dtype_kind(dtype)](values, dtype)


def _values(file: StoredFile, layout: schema.Values) -> Any:
    return _view(file, decode_dtype(layout.dtype), layout.at)


def _masked(file: StoredFile, layout: schema.Masked) -> Any:
    dtype = decode_dtype(layout.dtype)
    values = file.body.array(plain_dtype(dtype.numpy_dtype), layout.values, file.rows)
    return internals.make_masked(dtype, values, file.body.array(np.dtype(bool), layout.mask, file.rows))


def _categorical(file: StoredFile, layout: schema.Categorical) -> Any:
    name, dtype = decode_label(layout.categories.name), decode_dtype(layout.categories.dtype)
    dictionary = file.batch.column(layout.field).dictionary
    if is_wrapped_string(dtype):
        categories = internals.make_string_index(dictionary, dtype, name)
    else:
        dictionary.validate(full=True)
        categories = internals.make_index(
            from_arrow(dictionary, dtype, layout.categories.objects), name, layout.categories.freq
        )
    if layout.dtype != codes_dtype(len(categories)):
        raise schema.invalid(f"{len(categories)} categories have codes of {layout.dtype}")
    codes = file.body.array(np.dtype(layout.dtype), layout.codes, file.rows)
    return internals.make_categorical(codes, categories, layout.ordered)


def _interval(file: StoredFile, layout: schema.Interval) -> Any:
    dtype = decode_dtype(layout.dtype)
    left, right = (internals.wrap_datetimes(_view(file, dtype.subtype, place)) for place in (layout.left, layout.right))
    return internals.make_intervals(left, right, dtype)


def _wrapped(file: StoredFile, layout: schema.Wrapped) -> Any:
    array = file.batch.column(layout.field)
    if layout.dtype is None:
        return internals.make_arrow(array)
    return internals.make_strings(array, decode_dtype(layout.dtype))


def _converted(file: StoredFile, layout: schema.Converted) -> Any:
    field = file.batch.schema.field(layout.field)
    array = file.batch.column(layout.field)
    dtype = decode_dtype(layout.dtype)
    # First of all: if values are damaged, the error is about the file, and not about a type that pandas cannot hold.
    try:
        check_array(array)
    except pa.ArrowException as error:
        raise CorruptSnapshotError(f"column {field.name!r} is damaged ({error})") from error
    try:
        values = from_arrow(array, dtype, layout.objects)
        if layout.nulls is not None:
            _restore_nulls(values, file, layout.nulls, array)
        return values
    except (MemoryError, CorruptSnapshotError):
        raise
    except Exception as error:  # the values are valid, so pandas or PyArrow does not have them: dates of the year 10000
        raise UnsupportedTypeError(
            f"column {field.name!r} is {field.type}, which pandas cannot hold ({error}); "
            "use to_arrow(), or name other columns="
        ) from error


def _restore_nulls(values: Any, file: StoredFile, nulls: schema.Nulls, array: pa.Array) -> None:
    from colonnade.format.object_parts import MISSING_VALUES

    codes = file.body.array(np.dtype(np.int8), nulls.at, file.rows)
    are_known = bool(codes.min(initial=-1) == -1 and codes.max(initial=-1) < len(nulls.kinds))
    if not are_known or not np.array_equal(codes >= 0, array.is_null().to_numpy(zero_copy_only=False)):
        raise schema.invalid("kinds of nulls do not fit the nulls of their column")
    if values.dtype != object:
        raise schema.invalid(f"kinds of nulls of a column of {values.dtype}")
    for code, kind in enumerate(nulls.kinds):
        values[codes == code] = MISSING_VALUES[kind]


_cast_array: Callable[[pa.Array, pa.DataType], pa.Array] = pa.Array.cast


def _cast(array: pa.Array, type_: pa.DataType) -> pa.ChunkedArray:
    """Cast to a plainer type, in as many chunks as its 32-bit offsets take."""
    try:
        return pa.chunked_array([_cast_array(array, type_)])
    except pa.ArrowInvalid:
        if len(array) < 2:
            raise
    half = len(array) // 2
    # Copied, because the offsets of a slice are those of the whole.
    halves = [pa.concat_arrays([part]) for part in (array.slice(0, half), array.slice(half))]
    return pa.chunked_array([chunk for part in halves for chunk in _cast(part, type_).chunks])


def from_arrow(array: pa.Array, dtype: Any, objects: schema.Objects | None) -> Any:
    """An Arrow array as pandas' array of a dtype. Objects are made as ``objects`` records; None: as PyArrow does."""
    kind = dtype_kind(dtype)
    if is_wrapped_string(dtype):
        return internals.make_strings(array, dtype)
    if kind == "arrow":
        return internals.make_arrow(_cast(array, dtype.pyarrow_dtype))
    if kind != "numpy":
        return dtype.__from_arrow__(array)
    if dtype.kind == "O":
        if objects is None:
            return _objects_of_pyarrow(array)
        from colonnade.format.read.objects import to_objects

        return to_objects(array, objects)
    return pyarrow_calls.to_pandas(array).to_numpy(plain_dtype(dtype), copy=True)


def _objects_of_pyarrow(array: pa.Array) -> npt.NDArray[Any]:
    if isinstance(array, (pa.StringArray, pa.LargeStringArray)):
        return np.array(array.to_numpy(zero_copy_only=False), dtype=object)
    if isinstance(array, pa.DictionaryArray) and array.type.value_type.num_fields:
        array = array.dictionary_decode()  # PyArrow looks for hashes of such values, which are dicts and lists
    # As a table: PyArrow converts some extension types otherwise when they stand alone.
    try:
        frame = pyarrow_calls.to_pandas(pa.table([array], [""]), integer_object_nulls=True)
    except pa.ArrowNotImplementedError:
        if not _has_extensions_inside(array.type):
            raise
        # PyArrow has lists of UUIDs as Python objects, and not in pandas.
        return np.fromiter(array.to_pylist(), object, len(array))
    values: npt.NDArray[Any] = frame.iloc[:, 0].to_numpy(object, copy=True)
    return values


def _has_extensions_inside(type_: pa.DataType) -> bool:
    fields = [type_.field(number).type for number in range(type_.num_fields)]
    return any(isinstance(field, pa.BaseExtensionType) or _has_extensions_inside(field) for field in fields)


_READERS: dict[type, Callable[[StoredFile, Any], Any]] = {
    schema.Values: _values,
    schema.Masked: _masked,
    schema.Categorical: _categorical,
    schema.Interval: _interval,
    schema.Wrapped: _wrapped,
    schema.Converted: _converted,
}


def read_column(file: StoredFile, layout: schema.ColumnLayout) -> Any:
    """Make one column's array."""
    values = _READERS[type(layout)](file, layout)
    if values.shape != (file.rows,):
        raise schema.invalid(f"a column of shape {values.shape} in a table of {file.rows} rows")
    return values
