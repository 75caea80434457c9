"""The arrays of the layout metadata: each kind, made of views of the body and of Arrow's arrays.

Knows: the layout metadata of one column.
Does not depend on: frames, indexes, files. Nothing here depends on the number of
rows, but for columns that are ``converted``; these are read whole, so Arrow checks all their values first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format.dtypes import decode_dtype
from colonnade.format.labels import decode_scalar
from colonnade.interop import pandas as internals
from colonnade.rules import codes_dtype, family

if TYPE_CHECKING:
    from colonnade.format.read.table import StoredTable

# What a view of memory may be: what pandas holds in blocks, without Python objects and in this machine's byte order.
_PLAIN = frozenset(
    np.dtype(name)
    for name in (
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"float{bits}" for bits in (16, 32, 64)),
        *(f"{kind}64[{unit}]" for kind in ("datetime", "timedelta") for unit in ("s", "ms", "us", "ns")),
    )
)
CODES = frozenset({"int8", "int16", "int32", "int64"})


def plain_dtype(dtype: Any) -> np.dtype[Any]:
    """What the values of a dtype are in memory; only dtypes that a block or array of plain memory can have pass."""
    if isinstance(dtype, np.dtype) and dtype in _PLAIN:
        return dtype
    kind = family(dtype)
    if kind == "datetimetz":
        return np.dtype(f"M8[{dtype.unit}]")
    if kind == "period":
        return np.dtype(np.int64)
    raise CorruptSnapshotError(f"{dtype} cannot be a view of memory")


def is_wrapped_string(dtype: Any) -> bool:
    """Whether pandas wraps an Arrow array of strings."""
    return family(dtype) == "string" and dtype.storage == "pyarrow"


def _values(table: StoredTable, form: dict[str, Any]) -> Any:
    dtype = decode_dtype(form["dtype"])
    values = table.body.array(plain_dtype(dtype), form["at"], table.rows)
    make = {"numpy": lambda v, _: v, "datetimetz": internals.make_datetimes, "period": internals.make_periods}
    return make[family(dtype)](values, dtype)


def _masked(table: StoredTable, form: dict[str, Any]) -> Any:
    dtype = decode_dtype(form["dtype"])
    values = table.body.array(plain_dtype(dtype.numpy_dtype), form["values"], table.rows)
    return internals.make_masked(dtype, values, table.body.array(np.dtype(bool), form["mask"], table.rows))


def _categorical(table: StoredTable, form: dict[str, Any]) -> Any:
    told = form["categories"]
    name, dtype = decode_scalar(told["name"]), decode_dtype(told["dtype"])
    dictionary = table.batch.column(form["field"]).dictionary
    if is_wrapped_string(dtype):
        categories = internals.make_string_index(dictionary, dtype, name)
    else:
        dictionary.validate(full=True)
        categories = internals.make_index(_from_arrow(dictionary, dtype), name, told["freq"])
    if form["dtype"] != codes_dtype(len(categories)):
        raise CorruptSnapshotError(f"{len(categories)} categories have codes of {form['dtype']!r}")
    codes = table.body.array(np.dtype(form["dtype"]), form["codes"], table.rows)
    return internals.make_categorical(codes, categories, form["ordered"])


def _interval(table: StoredTable, form: dict[str, Any]) -> Any:
    wrap = internals.wrap_datetimes
    left, right = wrap(_values(table, form["left"])), wrap(_values(table, form["right"]))
    dtype = decode_dtype(form["dtype"])
    if not left.dtype == right.dtype == dtype.subtype:
        raise CorruptSnapshotError(f"{dtype} would reach from {left.dtype} to {right.dtype}")
    return internals.make_intervals(left, right, dtype)


def _wrapped(table: StoredTable, form: dict[str, Any]) -> Any:
    array = table.batch.column(form["field"])
    dtype = decode_dtype(form["dtype"])
    return internals.make_strings(array, dtype) if family(dtype) == "string" else internals.make_arrow(array)


def _converted(table: StoredTable, form: dict[str, Any]) -> Any:
    field = table.batch.schema.field(form["field"])
    array = table.batch.column(form["field"])
    dtype = decode_dtype(form["dtype"])
    # Before anything is tried: what it says is that the file is broken, and not that pandas cannot hold the type.
    try:
        array.validate(full=True)
    except pa.ArrowException as error:
        raise CorruptSnapshotError(f"column {field.name!r} is broken ({error})") from error
    try:
        return _from_arrow(array, dtype, form.get("missing"))
    except (pa.ArrowNotImplementedError, ValueError) as error:
        raise UnsupportedTypeError(
            f"column {field.name!r} is {field.type}, which pandas cannot hold ({error}); "
            "use to_arrow(), or name other columns="
        ) from error


def _from_arrow(array: pa.Array, dtype: Any, missing: str | None = None) -> Any:
    """An Arrow array as pandas' array of a dtype: wrapped where pandas can, else converted by PyArrow."""
    kind = family(dtype)
    if is_wrapped_string(dtype):
        return internals.make_strings(array, dtype)
    if kind == "arrow":
        return internals.make_arrow(array.cast(dtype.pyarrow_dtype))
    if kind != "numpy":
        return dtype.__from_arrow__(array)
    if dtype.kind == "O":
        return _objects(array, missing)
    return array.to_pandas().to_numpy(plain_dtype(dtype), copy=True)


_MISSING = {"None": None, "nan": np.nan, "NA": pd.NA, "NaT": pd.NaT}


def _objects(array: pa.Array, missing: str | None) -> npt.NDArray[Any]:
    """Python objects; ``missing`` names what stood for a null, and without it PyArrow's choice stands."""
    if isinstance(array, (pa.StringArray, pa.LargeStringArray)):
        values = np.array(array.to_numpy(zero_copy_only=False), dtype=object)
    else:
        # As a table: PyArrow converts some extension types otherwise when they stand alone.
        converted = pa.table([array], [""]).to_pandas(integer_object_nulls=True)
        values = converted.iloc[:, 0].to_numpy(object, copy=True)
    if missing is not None and array.null_count:
        values[array.is_null().to_numpy(zero_copy_only=False)] = _MISSING[missing]
    return values


_ARRAY: dict[str, Callable[[StoredTable, dict[str, Any]], Any]] = {
    "values": _values,
    "masked": _masked,
    "categorical": _categorical,
    "interval": _interval,
    "wrapped": _wrapped,
    "converted": _converted,
}


def read_array(table: StoredTable, form: dict[str, Any]) -> Any:
    """Make one column's array."""
    values = _ARRAY[form["kind"]](table, form)
    if values.shape != (table.rows,):
        raise CorruptSnapshotError(f"an array of {values.shape} in a table of {table.rows} rows")
    return values
