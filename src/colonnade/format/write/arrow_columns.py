"""The columns of an Arrow table, planned: many of one form are planned as one, as those of a pandas block are.

Measured, ten thousand columns of numbers: planned one by one, a column takes 70 us.
Does not depend on: files, places, index and labels of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.core.alignment import CACHE_LINE, STRIDE_STEP, align
from colonnade.core.jobs import Piece
from colonnade.core.regions import Region
from colonnade.dtype_kinds import dtype_kind
from colonnade.format.write.arrow_column import arrow_column
from colonnade.format.write.column import Column, Node
from colonnade.format.write.pandas_column import pandas_column

# The shortest run of columns for which it pays to plan them as one.
_MANY = 4


class ColumnGroup(NamedTuple):
    """A column, or several of one form, and the field of each."""

    fields: Sequence[int]
    column: Column


def plan_columns(
    table: pa.Table, dtype_of: Callable[[int], Any], alone: Collection[int], *, together: bool
) -> tuple[list[ColumnGroup], list[str]]:
    """Plan all columns. ``dtype_of(n)`` is the dtype by which pandas will read field ``n``, apart from nulls.

    Columns of one form are planned as one if ``together``, except the fields ``alone``. The list of texts has one for
    each column that cannot be stored.
    """
    columns = table.columns
    dtypes = [with_nulls(data, dtype_of(field)) for field, data in enumerate(columns)]
    fields_by_form: dict[Hashable, list[int]] = {}
    for field, (data, dtype) in enumerate(zip(columns, dtypes, strict=True)):
        form = _form(data, dtype) if together and field not in alone else None
        fields_by_form.setdefault(field if form is None else form, []).append(field)
    groups: list[ColumnGroup] = []
    errors: list[str] = []
    for fields in fields_by_form.values():
        try:
            groups += _plan_group(table, columns, fields, dtypes[fields[0]])
        except (pa.ArrowException, TypeError) as error:
            errors += [
                f"column {table.field(field).name!r}: Arrow type {columns[field].type} cannot be stored ({error})"
                for field in fields
            ]
    return groups, errors


def with_nulls(data: pa.ChunkedArray, dtype: Any) -> Any:
    """The dtype that a column gets because it has nulls, where it has any."""
    if isinstance(dtype, np.dtype) and dtype.kind in _WITH_NULLS and _has_nulls(data):
        return _WITH_NULLS[dtype.kind]
    return dtype


_WITH_NULLS = {"i": np.dtype(np.float64), "u": np.dtype(np.float64), "b": np.dtype(object)}


def _has_nulls(data: pa.ChunkedArray) -> bool:
    if data.null_count:
        return True
    # The nulls of these stand in the values that are repeated, and are not counted.
    return pt.is_run_end_encoded(data.type) and any(chunk.values.null_count for chunk in data.chunks)


def _form(data: pa.ChunkedArray, dtype: Any) -> Hashable | None:
    """What columns of one form have in common; None for a column that is planned alone."""
    if data.num_chunks != 1 or dtype_kind(dtype) not in ("numpy", "datetimetz") or dtype.kind == "O":
        return None
    type_ = data.type
    return (type_, dtype, data.null_count > 0) if pt.is_primitive(type_) else None


def _plan_group(
    table: pa.Table, columns: Sequence[pa.ChunkedArray], fields: Sequence[int], dtype: Any
) -> list[ColumnGroup]:
    first = _plan_one(table.field(fields[0]).name, columns[fields[0]], dtype)
    if len(fields) < _MANY or first.block is None:
        others = [
            ColumnGroup([field], _plan_one(table.field(field).name, columns[field], dtype)) for field in fields[1:]
        ]
        return [ColumnGroup(fields[:1], first), *others]
    return [ColumnGroup(fields, _as_many(first, first.block, [columns[field].chunk(0) for field in fields]))]


def _plan_one(name: str, data: pa.ChunkedArray, dtype: Any) -> Column:
    if dtype_kind(dtype) == "interval":
        # Where only the interval is null and its ends are not, pandas wants NaN in the ends.
        return pandas_column(name, dtype.__from_arrow__(data))
    return arrow_column(data, dtype)


def _as_many(first: Column, block: tuple[Any, Region], arrays: Sequence[pa.Array]) -> Column:
    """The column of the first array as the column of all, which differ from it in the addresses of their buffers."""
    dtype, region_of_block = block
    regions = {
        region: Region(
            region.size, len(arrays), align(region.size, STRIDE_STEP if region is region_of_block else CACHE_LINE)
        )
        for region in first.regions()
    }

    def of_all(region: Region | None) -> Region | None:
        return None if region is None else regions[region]

    job = first.job
    many = replace(
        job,
        pieces=[piece for array in arrays for piece in _pieces(job.pieces, array)],
        values=of_all(job.values),
        bitmap=of_all(job.bitmap),
        pandas_buffer=of_all(job.pandas_buffer),
        keep=arrays,
        count=len(arrays),
        has_all_pieces=True,
    )
    nodes = tuple(
        Node(node.length, many, tuple(of_all(region) for region in node.buffers)) for node in first.flat.nodes
    )
    flat = replace(first.flat, nodes=nodes, jobs=(many,))
    return replace(first, flat=flat, block=(dtype, regions[region_of_block]), count=len(arrays))


def _pieces(of_first: Sequence[Piece], array: pa.Array) -> list[Piece]:
    """The pieces of an array, as of the first one: none without rows."""
    if not of_first:
        return []
    validity, values = array.buffers()
    return [
        Piece(
            0 if values is None else values.address,
            of_first[0].stride,
            validity.address if validity is not None and array.null_count else 0,
            array.offset,
            len(array),
        )
    ]
