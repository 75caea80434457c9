"""Columns that are decoded when they are written, so that a few batches of them are in memory, and never all.

A table is laid out before its first byte is written. For that, a column of fixed width needs the number of its rows,
and whether it has nulls. Parquet files declare both for most columns. These columns are planned with a placeholder: a
column of the same length and type, without values. Text, dictionaries and nested columns are decoded first: their size
is not declared.

They are decoded batch by batch, the columns of a batch at the same time, while the batch before is written. Measured
against PyArrow's ``read_table`` (docs/performance.md has more): one group of columns is 8% slower than two groups that
take turns, and one column at a time of each row group 30%.

Does not depend on: stores, how a table is written, how files are found.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt


class MisdeclaredError(Exception):
    """A source has other rows or nulls than it declares."""


# Smaller tables are in memory as a whole: two scans would cost more than one.
_LEAST = 8 << 20
# The bytes of a batch. Of each group one is decoded ahead of the one that is written.
_BATCH = 4 << 20
# A placeholder consists of chunks of at most this many rows, which share one buffer of zeros that nobody reads.
_ROWS = 1 << 20


def declared_columns(dataset: Any, schema: pa.Schema) -> dict[str, bool]:
    """Give the columns of Parquet files that can be streamed; for each, whether it has nulls. None where it costs more.

    Columns of the index are not among them, because an index is made of its values.
    """
    if len(set(schema.names)) < len(schema.names):
        return {}
    fragments = list(dataset.get_fragments())
    nulls = [_nulls_of(fragment.metadata) for fragment in fragments]
    apart = _read_apart(schema)
    columns: dict[str, bool] = {}
    for field in schema:
        if field.name in apart or not _is_fixed(field.type):
            continue
        null_counts = [counts.get(field.name) for counts in nulls]
        same_type = all(field.type == _type(fragment.physical_schema, field.name) for fragment in fragments)
        if same_type and None not in null_counts:
            columns[field.name] = any(null_counts)
    rows = sum(fragment.metadata.num_rows for fragment in fragments)
    width = sum(schema.field(name).type.bit_width for name in columns) // 8
    return columns if rows * width >= _LEAST else {}


def rows_of_batch(schema: pa.Schema) -> int:
    """The number of rows, a power of two, with which a batch of these columns has about `_BATCH` bytes."""
    width = sum(field.type.bit_width for field in schema) // 8
    return int(1 << max(_BATCH // max(width, 1), 8).bit_length() - 1)


def _nulls_of(metadata: Any) -> dict[str, int | None]:
    """The number of nulls of each column of a file; None where the file does not declare it."""
    counts: dict[str, int | None] = {}
    for at in range(metadata.num_columns):
        column = metadata.schema.column(at)
        is_repeated = column.path in counts  # which of the two is meant is not clear then
        counts[column.path] = None if is_repeated else _null_count(metadata, at, column.max_definition_level > 0)
    return counts


def _null_count(metadata: Any, at: int, nullable: bool) -> int | None:
    total = 0
    for number in range(metadata.num_row_groups if nullable else 0):
        statistics = metadata.row_group(number).column(at).statistics
        if statistics is None or not statistics.has_null_count:
            return None
        total += statistics.null_count
    return total


def _is_fixed(type_: pa.DataType) -> bool:
    if isinstance(type_, pa.BaseExtensionType):
        return False
    is_bytes = pt.is_fixed_size_binary(type_) and type_.bit_width > 0
    return bool(pt.is_primitive(type_) or pt.is_decimal(type_) or is_bytes)


def _type(schema: pa.Schema, name: str) -> pa.DataType | None:
    at = schema.get_field_index(name)
    return None if at < 0 else schema.field(at).type


def _read_apart(schema: pa.Schema) -> set[str]:
    """The columns of which pandas' metadata say more than a plain dtype, and those of the index.

    How pandas reads these may depend on their values.
    """
    text = (schema.metadata or {}).get(b"pandas")
    if text is None:
        return set()
    try:
        metadata = json.loads(text)
        index = {name for name in metadata["index_columns"] if isinstance(name, str)}
        dtypes = {entry.get("field_name", entry.get("name")): entry["numpy_type"] for entry in metadata["columns"]}
        return index | {str(name) for name, dtype in dtypes.items() if not _is_plain(dtype)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return set(schema.names)  # metadata that cannot be followed


def _is_plain(dtype: Any) -> bool:
    try:
        np.dtype(dtype)
    except TypeError:
        return False
    return True


def placeholder(type_: pa.DataType, rows: int, *, nulls: bool) -> pa.ChunkedArray:
    """Make a column without values, zeros or nulls; it takes no memory that is not looked at."""
    size = max(min(rows, _ROWS) * type_.bit_width // 8, 1) + 8
    zeros = pa.py_buffer(mmap.mmap(-1, size, prot=mmap.PROT_READ))
    chunks = []
    for start in range(0, rows, _ROWS):
        length = min(_ROWS, rows - start)
        buffers = [zeros if nulls else None, zeros]
        chunks.append(pa.Array.from_buffers(type_, length, buffers, null_count=length if nulls else 0))
    return pa.chunked_array(chunks, type_)


def with_placeholders(table: pa.Table, schema: pa.Schema, has_nulls: Mapping[str, bool], rows: int) -> pa.Table:
    """Give a table with the columns of ``table`` and placeholders of those in ``has_nulls``, in ``schema``'s order.

    Raises
    ------
    MisdeclaredError
        If ``table`` has another number of rows.
    """
    if table.num_columns and table.num_rows != rows:
        raise MisdeclaredError(f"{table.num_rows:,} rows instead of {rows:,}")
    columns = []
    fields = []
    for field in schema:
        if field.name in has_nulls:
            columns.append(placeholder(field.type, rows, nulls=has_nulls[field.name]))
            fields.append(field)
        else:
            columns.append(table.column(field.name))
            fields.append(table.schema.field(field.name))
    return pa.table(columns, schema=pa.schema(fields, schema.metadata))
