"""`from_pandas`: a pandas frame becomes an Arrow table.

Every column is copied once, or is memory that cannot be written to (the Arrow arrays of ``str`` and ArrowDtype), unless
``copy=False`` says otherwise. PyArrow refers to the frame's memory where it can, and a later write to the frame then
changes the table. To keep a reference, so that pandas copies on write, would not be enough: ``df["x"].array[0] = 1``
still writes in place.
Does not depend on: files, metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.conversion.array_columns import ArrayColumn, ArrayMover, plan_array
from colonnade.conversion.frame_heads import find_head, keep_head
from colonnade.dtype_kinds import dtype_kind
from colonnade.interop import pandas as internals
from colonnade.interop.frame_signature import signature
from colonnade.interop.pyarrow import take_apart, to_arrow


class _Source(NamedTuple):
    """The arrays of a frame that become Arrow's, and the fields that they shall become.

    ``column`` returns the Series or Index of an array, whose name is in PyArrow's errors.
    """

    rows: int
    arrays: Sequence[Any]
    fields: Sequence[pa.Field | None]
    column: Callable[[int], Any]


def from_pandas(  # noqa: PLR0917 -- PyArrow's parameters, in PyArrow's order
    df: pd.DataFrame,
    schema: pa.Schema | None = None,
    preserve_index: bool | None = None,
    nthreads: int | None = None,
    columns: Sequence[Any] | None = None,
    safe: bool = True,
    *,
    copy: bool = True,
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
    copy : bool, default True
        If False, the table refers to the frame's memory where it can: numbers, times, the values of masked arrays,
        codes. A write to the frame then changes the table, as it changes PyArrow's.

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
    threads = int(nthreads or 0)
    key = signature(df, preserve_index) if schema is None and columns is None else None
    head = None if key is None else find_head(key, df.columns)
    if head is not None:
        source = _source_of(df, has_index_column=head.has_index_column)
        table = head.table(_convert(source, threads, safe=safe, copy=copy), df.index)
        if table is not None:
            return table
    parts = take_apart(df, schema, preserve_index, columns)
    if not parts.columns:
        return pa.Table.from_pandas(df, schema, preserve_index, nthreads, columns, safe)
    arrays = [internals.array_of_index(column) for column in parts.columns]
    source = _Source(len(df), arrays, parts.fields, parts.columns.__getitem__)
    table = parts.table(df, _convert(source, threads, safe=safe, copy=copy), schema, preserve_index)
    if key is not None:
        keep_head(key, df, table, preserve_index)
    return table


def _source_of(df: pd.DataFrame, *, has_index_column: bool) -> _Source:
    arrays = internals.arrays_of(df)
    if has_index_column:
        arrays.append(internals.array_of_index(df.index))

    def column(number: int) -> Any:
        return df.index if number == df.shape[1] else df.iloc[:, number]

    return _Source(len(df), arrays, (None,) * len(arrays), column)


def _convert(source: _Source, threads: int, *, safe: bool, copy: bool) -> list[Any]:
    """The Arrow arrays of a frame's columns."""
    arrays: list[Any] = []
    plans: list[ArrayColumn] = []
    for array, field in zip(source.arrays, source.fields, strict=True):
        plan = plan_array(array, None if field is None else field.type, safe=safe, copy=copy)
        if plan is not None:
            plans.append(plan)
        arrays.append(plan)
    arrays_of_core = iter(ArrayMover(source.rows, threads).move(plans) if plans else ())
    for number, (plan, field) in enumerate(zip(arrays, source.fields, strict=True)):
        array = None if plan is None else next(arrays_of_core)
        if array is None:
            array = _by_pyarrow(source.arrays[number], partial(source.column, number), field, safe=safe, copy=copy)
        if field is not None and not field.nullable and array.null_count > 0:
            raise ValueError(f"Field {field} was non-nullable but pandas column had {array.null_count} null values")
        arrays[number] = array
    return arrays


# Their memory is Arrow's, which is never written to.
_IMMUTABLE = ("string", "arrow")


def _by_pyarrow(array: Any, column: Callable[[], Any], field: pa.Field | None, *, safe: bool, copy: bool) -> Any:
    """PyArrow's conversion; of a copy if the result would refer to memory that may be written to."""
    if dtype_kind(array.dtype) in _IMMUTABLE or array.dtype == object or not copy:
        return to_arrow(array, column, field, safe)
    if isinstance(array, np.ndarray):
        result = to_arrow(array, column, field, safe)
        return to_arrow(array.copy(), column, field, safe) if _shares(result, array) else result
    return to_arrow(array.copy(), column, field, safe)


def _shares(result: Any, values: npt.NDArray[Any]) -> bool:
    first, last = np.lib.array_utils.byte_bounds(values)
    chunks = result.chunks if isinstance(result, pa.ChunkedArray) else [result]
    return any(
        buffer is not None and buffer.address < last and first < buffer.address + buffer.size
        for chunk in chunks
        for buffer in chunk.buffers()
    )
