"""How each column of a stored table is read, in words.

Knows: the layout metadata and the rules. Does not depend on: files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from colonnade.explanation import ColumnReport, Explanation
from colonnade.format.dtypes import decode_dtype
from colonnade.format.labels import decode_scalar
from colonnade.format.read.ndarray import explain_array
from colonnade.format.read.table import StoredTable, following
from colonnade.rules import RULES, Reading, family

_WHY_OBJECTS = next(rule.note for rule in RULES if rule.reading is Reading.CONVERTED)
_WHY = {
    "string": "its dtype keeps Python strings; PyArrow makes them",
    "arrow": "stored in a plainer layout, and cast back",
    "category": "its dictionary has nulls or repeats itself",
}


def explain(table: StoredTable) -> Explanation:
    """Report on each column, in the order of the Arrow schema."""
    table.careful = True
    with following():
        return Explanation(_reports(table))


def _reports(table: StoredTable) -> list[ColumnReport]:
    batch = table.batch
    if table.array is not None:
        return explain_array(batch, table.to_numpy())
    index_fields = table.form["index_fields"]
    data_fields = [field for field in range(batch.num_columns) if field not in set(index_fields)]
    labels = table.labels()
    read_as = dict(_data_dtypes(table, labels))
    rows = {}
    for position, (label, field) in enumerate(zip(labels, data_fields, strict=True)):
        rows[field] = (label, "column", *read_as[position])
    for field, name, dtype, why in _index_dtypes(table.form["index"], index_fields, batch.schema):
        rows[field] = (name, "index", dtype, why)
    reports = []
    for field, (label, role, dtype, why) in sorted(rows.items()):
        column = batch.column(field)
        nbytes = column.get_total_buffer_size()  # `nbytes` follows offsets, and nobody looked at these
        copied = 0 if not why else table.rows * 8 if dtype == "object" else nbytes
        of_it = nbytes, column.null_count, copied
        reports.append(ColumnReport(label, role, str(column.type), dtype, *of_it, why))
    return reports


def _data_dtypes(table: StoredTable, labels: Any) -> Iterator[tuple[int, tuple[str, str]]]:
    """(position, (dtype, why it is converted))."""
    for dtype, _, where in table.blocks(labels):
        for position in where.tolist():
            yield position, (str(dtype), "")
    for position, array in table.form["arrays"]:
        yield position, _array_dtype(array)


def _array_dtype(array: dict[str, Any]) -> tuple[str, str]:
    if array["kind"] == "categorical":
        return "category", ""
    dtype = decode_dtype(array["dtype"])
    return str(dtype), _WHY.get(family(dtype), _WHY_OBJECTS) if array["kind"] == "converted" else ""


def _index_dtypes(form: dict[str, Any], fields: list[int], schema: Any) -> Iterator[tuple[int, Any, str, str]]:
    if form["kind"] == "array":
        yield fields[0], decode_scalar(form["name"]), *_array_dtype(form["column"])
    elif form["kind"] == "multi":
        for field, name in zip(fields, form["names"], strict=True):
            yield field, decode_scalar(name), f"level of {schema.field(field).type}", ""
