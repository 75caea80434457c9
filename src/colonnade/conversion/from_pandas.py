"""`from_pandas`: a pandas frame becomes an Arrow table.

Every column is copied once, or is memory that nobody can write to (the Arrow arrays of ``str`` and ArrowDtype).
PyArrow refers to the frame's memory where it can, and a later write to the frame then changes the table. To keep a
reference, so that pandas copies on write, would not be enough: ``df["x"].array[0] = 1`` still writes in place.
Does not depend on: files, metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.core import jobs
from colonnade.core.buffers import Outputs, address_of, as_arrow_buffer, as_bytes
from colonnade.core.jobs import ELEMENT, JOB, PIECE, PandasBuffer, Validity, Values
from colonnade.interop import pandas as internals
from colonnade.interop.pyarrow import FrameParts, take_apart, to_arrow
from colonnade.rules import dtype_kind

_NAN = {2: Validity.NAN16, 4: Validity.NAN32, 8: Validity.NAN64}


@dataclass(frozen=True, slots=True, eq=False)
class _Copied:
    """A column that the core copies: ``fields`` of its job, its memory, and the outputs."""

    type: pa.DataType
    fields: Mapping[str, int]
    values: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None
    out: npt.NDArray[Any]
    bitmap: npt.NDArray[np.uint8] | None
    dictionary: pa.Array | None = None

    def array(self, nulls: int) -> pa.Array:
        """The column as an Arrow array, after it was copied."""
        bitmap = as_arrow_buffer(self.bitmap) if self.bitmap is not None and nulls else None
        type_ = self.type.index_type if self.dictionary is not None else self.type
        array = pa.Array.from_buffers(type_, len(self.values), [bitmap, as_arrow_buffer(self.out)], nulls)
        if self.dictionary is None:
            return array
        return pa.DictionaryArray.from_arrays(array, self.dictionary, ordered=self.type.ordered, safe=False)


def from_pandas(  # noqa: PLR0917 -- PyArrow's parameters, in PyArrow's order
    df: pd.DataFrame,
    schema: pa.Schema | None = None,
    preserve_index: bool | None = None,
    nthreads: int | None = None,
    columns: Sequence[Any] | None = None,
    safe: bool = True,
) -> pa.Table:
    """Convert a pandas frame to Arrow: ``pyarrow.Table.from_pandas``, at the speed of memory.

    The result equals PyArrow's, metadata included, and does not change when the frame does: every column is copied
    once, while it is scanned for nulls, or is Arrow memory already (``str``, ArrowDtype). PyArrow's result may refer to
    the frame's memory.

    Parameters
    ----------
    df : pandas.DataFrame
    schema : pyarrow.Schema, optional
        The columns to take, in this order, and their types.
    preserve_index : bool, optional
        Store the index as columns. By default every index except a RangeIndex is stored so; that becomes metadata.
    nthreads : int, optional
        How many threads; by default all processors that this process may run on.
    columns : list, optional
        The columns to take.
    safe : bool, default True
        Raise if a value does not fit the schema's type.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError, KeyError, TypeError, pyarrow.ArrowInvalid, pyarrow.ArrowTypeError
        Where PyArrow raises them.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> df = pd.DataFrame({"x": [1.0, None]})
    >>> table = cn.from_pandas(df)
    >>> df["x"].array[0] = 7.0
    >>> table["x"].to_pylist()
    [1.0, None]
    """
    if schema is not None and not isinstance(schema, pa.Schema):
        raise TypeError(f"schema must be a pyarrow.Schema or None, got a {type(schema).__name__}")
    if nthreads is not None and nthreads < 1:
        raise ValueError(f"nthreads must be greater than 0 or None, got {nthreads}")
    parts = take_apart(df, schema, preserve_index, columns)
    if not parts.columns:
        return pa.Table.from_pandas(df, schema, preserve_index, nthreads, columns, safe)
    return parts.table(df, _convert(parts, int(nthreads or 0), safe), schema, preserve_index)


def _convert(parts: FrameParts, threads: int, safe: bool) -> list[Any]:
    outputs = Outputs()
    arrays: list[Any] = []
    for column, field in zip(parts.columns, parts.fields, strict=True):
        plan = _plan(column, None if field is None else field.type, safe, outputs)
        arrays.append(_by_pyarrow(column, field, safe) if plan is None else plan)
    copied = [(number, plan) for number, plan in enumerate(arrays) if isinstance(plan, _Copied)]
    results = _run([plan for _, plan in copied], outputs, threads)
    for (number, plan), (nulls, overflows) in zip(copied, results, strict=True):
        column, field = parts.columns[number], parts.fields[number]
        arrays[number] = _by_pyarrow(column, field, safe) if overflows else plan.array(nulls)
    for array, field in zip(arrays, parts.fields, strict=True):
        if field is not None and not field.nullable and array.null_count > 0:
            raise ValueError(f"Field {field} was non-nullable but pandas column had {array.null_count} null values")
    return arrays


def _run(plans: Sequence[_Copied], outputs: Outputs, threads: int) -> list[tuple[int, int]]:
    table, pieces = np.zeros(len(plans), JOB), np.zeros(len(plans), PIECE)
    for number, plan in enumerate(plans):
        job, piece = table[number], pieces[number]
        job["rows"], job["piece_count"], job["first_piece"] = len(plan.values), 1, number
        job["width"], job["mask_at"] = plan.values.itemsize, -1
        job["bitmap_at"] = -1 if plan.bitmap is None else address_of(plan.bitmap)
        for name, value in plan.fields.items():
            job[name] = value
        place, other = ("pandas_at", "values_at") if job["pandas_buffer"] else ("values_at", "pandas_at")
        job[place], job[other] = address_of(plan.out), -1
        piece["values"], piece["stride"], piece["length"] = (
            address_of(plan.values),
            plan.values.strides[0],
            len(plan.values),
        )
        piece["validity"] = 0 if plan.mask is None else address_of(plan.mask)
    outputs.touch(threads)
    results = jobs.into_memory(table, pieces, outputs=[as_bytes(array) for array in outputs.arrays], threads=threads)
    return list(zip(results["nulls"].tolist(), results["overflows"].tolist(), strict=True))


# -- which columns the core copies -------------------------------------------------------------------------------------


def _plan(column: Any, type_: pa.DataType | None, safe: bool, outputs: Outputs) -> _Copied | None:
    """Plan a Series or an Index; None if PyArrow converts it."""
    array = internals.array_of_index(column)
    make = _PLANS.get(dtype_kind(array.dtype))
    return None if make is None else make(array, type_, safe, outputs)


def _copied(
    type_: pa.DataType,
    values: npt.NDArray[Any],
    validity: Validity,
    outputs: Outputs,
    mask: npt.NDArray[np.bool_] | None = None,
) -> _Copied:
    rows = len(values)
    bitmap = None if validity is Validity.NONE else outputs.new(((rows + 7) // 8,), np.uint8)
    if values.dtype.kind == "b":
        fields = {"values": Values.BYTES_TO_BITS, "validity": validity}
        out = outputs.new(((rows + 7) // 8,), np.uint8)
    else:
        fields = {"values": Values.FIXED, "validity": validity}
        out = outputs.new((rows,), values.dtype)
    return _Copied(type_, fields, values, mask, out, bitmap)


def _plan_numpy(values: npt.NDArray[Any], type_: pa.DataType | None, safe: bool, outputs: Outputs) -> _Copied | None:
    kind = values.dtype.kind
    if kind not in "biufmM" or not values.dtype.isnative or values.itemsize > 8:
        return None
    try:
        natural = pa.from_numpy_dtype(values.dtype)
    except (pa.ArrowNotImplementedError, ValueError):
        return None  # a unit that Arrow does not have
    if type_ is None or type_ == natural:
        validity = _NAN[values.itemsize] if kind == "f" else Validity.NAT if kind in "mM" else Validity.NONE
        return _copied(natural, values, validity, outputs)
    if safe and kind == "f" and values.itemsize > 2 and pt.is_integer(type_):
        bitmap = outputs.new(((len(values) + 7) // 8,), np.uint8)
        out = outputs.new((len(values),), type_.to_pandas_dtype())
        fields = {"validity": _NAN[values.itemsize], "element": ELEMENT[values.dtype.name]}
        fields |= {"pandas_buffer": PandasBuffer.INTEGERS, "pandas_element": ELEMENT[str(type_)]}
        return _Copied(type_, fields, values, None, out, bitmap)
    return None


def _plan_zoned(array: Any, type_: pa.DataType | None, _: bool, outputs: Outputs) -> _Copied | None:
    natural = pa.timestamp(array.dtype.unit, array.dtype.tz)
    if type_ not in (None, natural):
        return None
    return _copied(natural, internals.numpy_of(array), Validity.NAT, outputs)


def _plan_masked(array: Any, type_: pa.DataType | None, _: bool, outputs: Outputs) -> _Copied | None:
    values, mask = internals.masked_parts(array)
    natural = pa.from_numpy_dtype(values.dtype)
    if type_ not in (None, natural) or mask.strides != (1,):
        return None
    return _copied(natural, values, Validity.MASK, outputs, mask)


def _plan_categorical(array: Any, type_: pa.DataType | None, _: bool, outputs: Outputs) -> _Copied | None:
    if type_ is not None:
        return None
    empty = pa.array(array[:0], from_pandas=True)
    codes = internals.codes_of(array)
    if empty.type.index_type != pa.from_numpy_dtype(codes.dtype):
        return None
    return replace(_copied(empty.type, codes, Validity.NEGATIVE, outputs), dictionary=empty.dictionary)


_PLANS: dict[str, Callable[[Any, pa.DataType | None, bool, Outputs], _Copied | None]] = {
    "numpy": _plan_numpy,
    "datetimetz": _plan_zoned,
    "masked": _plan_masked,
    "category": _plan_categorical,
}

# Their memory is Arrow's, which nobody writes to.
_IMMUTABLE = ("string", "arrow")


def _by_pyarrow(column: Any, field: pa.Field | None, safe: bool) -> Any:
    """PyArrow's conversion; of a copy if the result would refer to memory that may be written to."""
    array = internals.array_of_index(column)
    if dtype_kind(array.dtype) in _IMMUTABLE or array.dtype == object:
        return to_arrow(column, field, safe)
    if isinstance(array, np.ndarray):
        converted = to_arrow(column, field, safe)
        return to_arrow(column.copy(deep=True), field, safe) if _shares(converted, array) else converted
    return to_arrow(column.copy(deep=True), field, safe)


def _shares(converted: Any, values: npt.NDArray[Any]) -> bool:
    first, last = np.lib.array_utils.byte_bounds(values)
    chunks = converted.chunks if isinstance(converted, pa.ChunkedArray) else [converted]
    return any(
        buffer is not None and buffer.address < last and first < buffer.address + buffer.size
        for chunk in chunks
        for buffer in chunk.buffers()
    )
