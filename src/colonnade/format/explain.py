"""How each column of a stored table is read, in words.

Does not depend on: names, descriptors, values (those of nested tables are validated before they are read).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.dtype_kinds import dtype_kind
from colonnade.explanation import ColumnReport, Explanation
from colonnade.format import schema
from colonnade.format.dtypes import decode_dtype
from colonnade.format.labels import decode_label
from colonnade.format.polars_reading import why_polars_converts
from colonnade.format.read.array_frame import is_held
from colonnade.format.read.blocks import read_blocks
from colonnade.format.read.file import StoredFile, reading
from colonnade.format.read.index import read_labels
from colonnade.format.read.ndarray import read_ndarray
from colonnade.format.read.validate import validate_values
from colonnade.rules import RULES, Reading

_WHY_OBJECTS = next(rule.note for rule in RULES if rule.reading is Reading.CONVERTED)
_WHY_THE_SAME_OBJECTS = "pandas holds Python objects here; those that were put are made again"
_WHY_KINDS = "Python objects of several types; others read a struct with a field for each type"
_WHY = {
    "string": "its dtype keeps Python strings; PyArrow makes them",
    "arrow": "stored in a plainer layout, and cast back",
    "category": "its dictionary has nulls or repeats itself",
}


def explain(file: StoredFile) -> Explanation:
    """Report on each column, in the order of the Arrow schema."""
    with reading():
        if isinstance(file.layout, schema.ArrayLayout):
            return Explanation(_reports_of_array(file.batch, read_ndarray(file, file.layout)))
        return Explanation(_reports(file.checked(validate_values)))


def _reports_of_array(batch: pa.RecordBatch, array: npt.NDArray[Any]) -> list[ColumnReport]:
    """Report on each Arrow column of an array."""
    why = ""
    if not is_held(array.dtype):
        why = "pandas holds no such values; it makes what it can of them"
    elif array.ndim > 2 and not array.flags.c_contiguous:
        why = "in Fortran's order; the axes beyond the first are put side by side"
    reports = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        nbytes = column.get_total_buffer_size()
        of_it = nbytes, column.null_count, nbytes if why else 0
        polars = why_polars_converts(column.type)
        reports.append(ColumnReport(field.name, "column", str(field.type), str(array.dtype), *of_it, why, polars))
    return reports


def _reports(file: StoredFile) -> list[ColumnReport]:
    batch, layout = file.batch, file.frame
    data_fields = [field for field in range(batch.num_columns) if field not in set(layout.index_fields)]
    labels = read_labels(file)
    read_as = dict(_data_dtypes(file, len(labels)))
    rows = {}
    for position, (label, field) in enumerate(zip(labels, data_fields, strict=True)):
        rows[field] = (label, "column", *read_as[position])
    for field, name, dtype, why in _index_dtypes(layout.index, layout.index_fields, batch.schema):
        rows[field] = (name, "index", dtype, why)
    views = {views.field for views in layout.views}
    reports = []
    for field, (label, role, dtype, why) in sorted(rows.items()):
        column = batch.column(field)
        nbytes = column.get_total_buffer_size()  # `nbytes` follows offsets, and these are not checked yet
        pandas_nbytes = 0 if not why else file.rows * 8 if dtype == "object" else nbytes
        polars = why_polars_converts(column.type, views=field in views)
        reports.append(
            ColumnReport(label, role, str(column.type), dtype, nbytes, column.null_count, pandas_nbytes, why, polars)
        )
    return reports


def _data_dtypes(file: StoredFile, columns: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """(position, (dtype, why it is converted))."""
    for block in read_blocks(file, columns):
        for position in block.positions.tolist():
            yield position, (str(block.dtype), "")
    for position, column in file.frame.columns:
        yield position, _column_dtype(column, file.batch.schema)


def _column_dtype(column: schema.ColumnLayout, arrow: pa.Schema) -> tuple[str, str]:
    if isinstance(column, schema.Categorical):
        return "category", ""
    if isinstance(column, schema.Wrapped) and column.dtype is None:
        return str(pd.ArrowDtype(arrow.field(column.field).type)), ""
    assert column.dtype is not None
    dtype = decode_dtype(column.dtype)
    if not isinstance(column, schema.Converted):
        return str(dtype), ""
    why = _WHY_OBJECTS if column.objects is None else _WHY_THE_SAME_OBJECTS
    if column.objects is not None and column.objects.type == "kinds":
        why = _WHY_KINDS
    return str(dtype), _WHY.get(dtype_kind(dtype), why)


def _index_dtypes(
    index: schema.RowIndex, fields: Sequence[int | None], arrow: pa.Schema
) -> Iterator[tuple[int, Any, str, str]]:
    if isinstance(index, schema.ColumnIndex):
        (field,) = fields
        assert field is not None
        yield field, decode_label(index.name), *_column_dtype(index.column, arrow)
    elif isinstance(index, schema.MultiIndexOfRows):
        for field, name in zip(fields, index.names, strict=True):
            if field is not None:
                yield field, decode_label(name), f"level of {arrow.field(field).type}", ""
