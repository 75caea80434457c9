"""A table that is to be filled in place, planned: which columns are given, which are filled, and where.

The frame that is planned holds no values yet: each column to be filled is one value, repeated without memory. Does not
depend on: files, descriptors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from colonnade.core.jobs import Job, PandasBuffer, Piece, Validity, Values
from colonnade.core.regions import Region
from colonnade.dtype_kinds import dtype_kind
from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.format.write.column import Column
from colonnade.format.write.frame import plan_frame
from colonnade.format.write.table import TablePlan
from colonnade.interop import pandas as internals

_KINDS = "biufmM"


@dataclass(frozen=True, slots=True)
class ColumnToFill:
    """A column that is filled in place: ``dtype`` is NumPy's, ``region`` is where its values will stand."""

    dtype: np.dtype[Any]
    column: Column
    region: Region

    def scan(self, rows: int, address: int) -> Job | None:
        """The job that derives the rest from values at an address: bits from bytes, a bitmap from NaN and NaT.

        It has the result of the column's own job, in whose place it runs. None if there is nothing to derive.
        """
        own = self.column.job
        is_in_place = own.values_kind is Values.FIXED
        scan = replace(
            own,
            pieces=[Piece(address, self.dtype.itemsize, 0, 0, rows)],
            pandas_kind=PandasBuffer.NONE,
            pandas_buffer=None,
            values_kind=Values.NONE if is_in_place else own.values_kind,
            values=None if is_in_place else own.values,
        )
        return scan if scan.bitmap is not None or scan.values is not None else None


@dataclass(frozen=True, slots=True)
class DraftPlan:
    """A plan, and its columns to be filled, by label."""

    table: TablePlan
    columns_to_fill: dict[Any, ColumnToFill]


def plan_draft(schema: Mapping[Any, Any], rows: int, *, nulls: bool) -> DraftPlan:
    """Plan a table of columns that are data, and of columns that are dtypes and to be filled.

    Raises
    ------
    UnsupportedTypeError
        For a dtype that is not of fixed width.
    ValueError
        For data of another length.
    """
    if not isinstance(schema, Mapping):
        raise TypeError(f"schema must map labels to dtypes or data, got {brief_repr(schema)}")
    dtypes = {label: _dtype(label, value) for label, value in schema.items() if _is_dtype(value)}
    data = {
        label: _placeholder(dtypes[label], rows) if label in dtypes else _data(label, value, rows)
        for label, value in schema.items()
    }
    table = plan_frame(pd.DataFrame(data, index=pd.RangeIndex(rows), copy=False))
    columns = {
        label: _without_nulls(column) if label in dtypes and not (nulls and _has_nulls(column)) else column
        for label, column in zip(schema, table.columns, strict=True)
    }
    columns_to_fill = {label: _column_to_fill(columns[label]) for label in dtypes}
    return DraftPlan(replace(table, columns=tuple(columns.values())), columns_to_fill)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, (str, type, np.dtype, pd.api.extensions.ExtensionDtype))


def _dtype(label: Any, value: Any) -> Any:
    try:
        dtype = pd.api.types.pandas_dtype(value)
    except TypeError as error:
        raise UnsupportedTypeError(f"column {label!r}: {value!r} is not a dtype") from error
    is_fixed = isinstance(dtype, np.dtype) and dtype.kind in _KINDS and dtype.itemsize <= 8 and dtype.isnative
    if not is_fixed and dtype_kind(dtype) != "datetimetz":
        raise UnsupportedTypeError(
            f"column {label!r}: {dtype} cannot be filled in place; give the values themselves instead of the dtype, "
            "or one of bool, int8 to uint64, float16 to float64, datetime64, timedelta64, datetimes with a time zone"
        )
    return dtype


def _placeholder(dtype: Any, rows: int) -> Any:
    if isinstance(dtype, np.dtype):
        return np.broadcast_to(np.zeros((), dtype), rows)
    return internals.make_datetimes(np.broadcast_to(np.zeros((), f"M8[{dtype.unit}]"), rows), dtype)


def _data(label: Any, data: Any, rows: int) -> Any:
    values = pd.Series(data).array
    if len(values) != rows:
        raise ValueError(f"column {label!r} has {len(values):,} values, and the table {rows:,} rows")
    return values


def _has_nulls(column: Column) -> bool:
    return column.job.validity_kind is not Validity.NONE


def _without_nulls(column: Column) -> Column:
    """A column without a bitmap: NaN and NaT, where there are any, are values."""
    column = column.with_job(validity_kind=Validity.NONE, bitmap=None)
    (node,) = column.flat.nodes
    is_counted = column.job.pandas_kind is not PandasBuffer.NONE
    node = replace(node, nulls=node.nulls if is_counted else 0, buffers=(None, *node.buffers[1:]))
    return replace(column, flat=replace(column.flat, nodes=(node,)))


def _column_to_fill(column: Column) -> ColumnToFill:
    job = column.job
    is_bytes = job.pandas_kind is PandasBuffer.BYTES
    region = job.pandas_buffer if is_bytes else job.values
    assert region is not None
    dtype = np.dtype(np.bool_) if is_bytes else job.keep.dtype
    return ColumnToFill(dtype, column, region)
