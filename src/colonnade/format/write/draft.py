"""A table that is to be filled in place, planned: which columns are given, which are filled, and where.

Knows: dtypes, plans.
Does not depend on: files, descriptors. The frame that is planned holds no values yet: its columns to
be filled are one value each, seen as many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.core.jobs import Job, PandasBuffer, Piece, Validity, Values
from colonnade.core.regions import Region
from colonnade.errors import UnsupportedTypeError
from colonnade.format.write.column import Column
from colonnade.format.write.frame import plan_frame
from colonnade.format.write.table import TablePlan
from colonnade.interop import pandas as internals
from colonnade.rules import family

_KINDS = "biufmM"


@dataclass(slots=True)
class Filled:
    """A column that is filled in place: ``dtype`` is NumPy's, ``region`` is where its values will stand."""

    dtype: np.dtype[Any]
    column: Column
    region: Region

    def scan(self, rows: int, address: int) -> list[Job]:
        """The jobs that derive the rest from values at an address: bits from bytes, a bitmap from NaN and NaT."""
        (job,) = self.column.flat.jobs
        job.pieces = [Piece(address, self.dtype.itemsize, 0, 0, rows)]
        job.pandas_kind, job.pandas_buffer = PandasBuffer.NONE, None
        if job.values_kind is Values.FIXED:
            job.values_kind, job.values = Values.NONE, None
        return [job] if job.bitmap is not None or job.values is not None else []


@dataclass(slots=True)
class DraftPlan:
    """A plan, and its columns to be filled, by label."""

    table: TablePlan
    filled: dict[Any, Filled]


def plan_draft(schema: Mapping[Any, Any], rows: int, *, nulls: bool) -> DraftPlan:
    """Plan a table of columns that are data, and of columns that are dtypes and to be filled.

    Raises
    ------
    UnsupportedTypeError
        For a dtype that is not of fixed width.
    ValueError
        For data of another length.
    """
    dtypes = {label: _dtype(label, told) for label, told in schema.items() if _is_dtype(told)}
    columns = {
        label: _placeholder(dtypes[label], rows) if label in dtypes else _data(label, told, rows)
        for label, told in schema.items()
    }
    table = plan_frame(pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False))
    filled = {}
    for label, column in zip(schema, table.columns, strict=True):
        if label in dtypes:
            filled[label] = _filled(column, nulls=nulls)
    return DraftPlan(table, filled)


def _is_dtype(told: Any) -> bool:
    return isinstance(told, (str, type, np.dtype, pd.api.extensions.ExtensionDtype))


def _dtype(label: Any, told: Any) -> Any:
    try:
        dtype = pd.api.types.pandas_dtype(told)
    except TypeError as error:
        raise UnsupportedTypeError(f"column {label!r}: {told!r} is no dtype") from error
    fixed = isinstance(dtype, np.dtype) and dtype.kind in _KINDS and dtype.itemsize <= 8 and dtype.isnative
    if not fixed and family(dtype) != "datetimetz":
        raise UnsupportedTypeError(
            f"column {label!r}: {dtype} cannot be filled in place; give the values themselves instead of the dtype, "
            "or one of bool, int8 to uint64, float16 to float64, datetime64, timedelta64, datetimes with a time zone"
        )
    return dtype


def _placeholder(dtype: Any, rows: int) -> Any:
    if isinstance(dtype, np.dtype):
        return np.broadcast_to(np.zeros((), dtype), rows)
    return internals.make_datetimes(np.broadcast_to(np.zeros((), f"M8[{dtype.unit}]"), rows), dtype)


def _data(label: Any, told: Any, rows: int) -> Any:
    values = pd.Series(told).array
    if len(values) != rows:
        raise ValueError(f"column {label!r} has {len(values):,} values, and the table {rows:,} rows")
    return values


def _filled(column: Column, *, nulls: bool) -> Filled:
    (job,) = column.flat.jobs
    (node,) = column.flat.nodes
    region = job.pandas_buffer if job.pandas_kind is PandasBuffer.BYTES else job.values
    assert region is not None
    if not nulls or job.validity_kind is Validity.NONE:
        job.validity_kind, job.bitmap = Validity.NONE, None
        node.buffers[0] = None
        if job.pandas_kind is PandasBuffer.NONE:
            node.nulls = 0
    dtype = np.dtype(np.bool_) if job.pandas_kind is PandasBuffer.BYTES else _numpy(job)
    return Filled(dtype, column, region)


def _numpy(job: Job) -> np.dtype[Any]:
    held: npt.NDArray[Any] = job.keep
    return held.dtype
