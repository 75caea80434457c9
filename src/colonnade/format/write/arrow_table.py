"""An Arrow table, planned: each column's buffers as they stand, and the frame that PyArrow would make of them.

What ``Table.to_pandas`` gives is not worked out again here: it is called with the table's first row. Does not depend
on: files, places, how a column's bytes are laid out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.dtype_kinds import dtype_kind
from colonnade.format.ipc import without_layout_metadata
from colonnade.format.labels import index_name
from colonnade.format.write.arrow_check import check_table
from colonnade.format.write.arrow_column import arrow_column
from colonnade.format.write.column import Column
from colonnade.format.write.frame import FrameParts, column_index, encode_attrs, range_layout
from colonnade.format.write.pandas_column import pandas_column
from colonnade.format.write.pandas_head import head_of, index_fields, parsed_metadata
from colonnade.format.write.table import PANDAS_KEY, FrameLayoutPlan, MakeIndex, TablePlan, group_blocks
from colonnade.interop import pyarrow_calls
from colonnade.interop.pandas import labels_of


def with_nulls(data: pa.ChunkedArray, dtype: Any) -> Any:
    """The dtype that a column gets because it has nulls, where it has any."""
    if isinstance(dtype, np.dtype) and dtype.kind in _WITH_NULLS and _has_nulls(data):
        return _WITH_NULLS[dtype.kind]
    return dtype


_WITH_NULLS = {"i": np.dtype(np.float64), "u": np.dtype(np.float64), "b": np.dtype(object)}


def _has_nulls(data: pa.ChunkedArray) -> bool:
    if pt.is_run_end_encoded(data.type):  # their nulls stand in the values that are repeated, and are not counted
        return any(chunk.values.null_count for chunk in data.chunks)
    return bool(data.null_count)


def range_index(pandas_metadata: dict[str, Any] | None, rows: int) -> pd.RangeIndex:
    """The RangeIndex that the metadata describes, where its length fits; else the default one."""
    descriptors = (pandas_metadata or {}).get("index_columns") or []
    if len(descriptors) == 1 and isinstance(descriptors[0], dict) and descriptors[0].get("kind") == "range":
        bounds = descriptors[0]
        index = pd.RangeIndex(bounds["start"], bounds["stop"], bounds["step"], name=bounds["name"])
        if len(index) == rows:
            return index
    return pd.RangeIndex(rows)


def _table_column(name: str, data: pa.ChunkedArray, dtype: Any) -> Column:
    if dtype_kind(dtype) == "interval":
        # Where only the interval is null and its ends are not, pandas wants NaN in the ends.
        return pandas_column(name, dtype.__from_arrow__(data))
    return arrow_column(data, dtype)


def plan_table(table: pa.Table) -> TablePlan:
    """Plan an Arrow table; pandas will read what ``table.to_pandas()`` gives.

    The table's own schema metadata is kept, but for the key that holds the layout metadata.
    """
    check_table(table)
    metadata = without_layout_metadata(table.schema) or {}
    if parsed_metadata(table.schema) is None:
        metadata.pop(PANDAS_KEY, None)
    rows = table.num_rows  # which a table without columns loses with other metadata
    head = head_of(table)
    table, expected = head.table, head.frame
    level_fields = index_fields(table, table.schema.pandas_metadata, rows)
    stored_index = [field for field in level_fields if field is not None]
    frame = FrameParts(table.column_names)
    dtypes = expected.dtypes.tolist()
    data_position = 0
    data_columns: list[tuple[int, int, Column]] = []
    for field, (name, data) in enumerate(zip(table.column_names, table.columns, strict=True)):
        is_data = field not in stored_index
        if is_data:
            dtype: Any = dtypes[data_position]
        elif len(level_fields) == 1:
            dtype = expected.index.dtype
        else:
            dtype = np.dtype(object)  # read through levels and codes
        dtype = with_nulls(data, dtype)
        try:
            column = _table_column(name, data, dtype)
        except (pa.ArrowException, TypeError) as error:
            frame.errors.append(f"column {name!r}: Arrow type {data.type} cannot be stored ({error})")
            continue
        frame.columns.append(column)
        if is_data:
            data_columns.append((data_position, field, column))
            data_position += 1
    frame.raise_errors()
    make_index: MakeIndex
    if len(level_fields) > 1:
        # Levels and codes are pandas' work, on the index columns alone.
        index: Any = pyarrow_calls.to_pandas(table.select(stored_index)).index
        make_index = frame.multi_of_rows(index)
    elif stored_index:
        field = stored_index[0]
        make_index = column_index(frame.columns[field], field, index_name(expected.index), None)
    else:
        layout = range_layout(range_index(table.schema.pandas_metadata, rows))
        make_index = lambda _: layout  # noqa: E731 -- the simplest of the three
    fields = [field.with_type(column.flat.type) for field, column in zip(table.schema, frame.columns, strict=True)]
    return TablePlan(
        rows,
        tuple(frame.columns),
        fields,
        metadata,
        FrameLayoutPlan(
            rows=rows,
            columns=tuple(each for each in data_columns if each[-1].block is None),
            index=make_index,
            index_fields=tuple(level_fields),
            labels=frame.labels(expected.columns, labels_of(expected.columns)),
            attrs=encode_attrs(expected.attrs),
            unique_labels=False,
        ),
        (),
        group_blocks(([position], column) for position, _, column in data_columns),
        tuple(frame.codes),
        tuple(frame.nested),
    )
