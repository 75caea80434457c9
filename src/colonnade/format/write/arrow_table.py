"""An Arrow table, planned: each column's buffers as they stand, and the frame that PyArrow would make of them.

What ``Table.to_pandas`` gives is not worked out again here: it is called with the table's first row. Does not depend
on: files, places, how a column's bytes are laid out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.format.ipc import without_layout_metadata
from colonnade.format.labels import index_name
from colonnade.format.write.arrow_check import check_table
from colonnade.format.write.arrow_columns import plan_columns
from colonnade.format.write.frame import FrameParts, column_index, encode_attrs, range_layout
from colonnade.format.write.pandas_head import head_of, index_fields, parsed_metadata
from colonnade.format.write.table import PANDAS_KEY, FrameLayoutPlan, MakeIndex, TablePlan, group_blocks, in_fields
from colonnade.interop import pyarrow_calls
from colonnade.interop.pandas import labels_of


def range_index(pandas_metadata: dict[str, Any] | None, rows: int) -> pd.RangeIndex:
    """The RangeIndex that the metadata describes, where its length fits; else the default one."""
    descriptors = (pandas_metadata or {}).get("index_columns") or []
    if len(descriptors) == 1 and isinstance(descriptors[0], dict) and descriptors[0].get("kind") == "range":
        bounds = descriptors[0]
        index = pd.RangeIndex(bounds["start"], bounds["stop"], bounds["step"], name=bounds["name"])
        if len(index) == rows:
            return index
    return pd.RangeIndex(rows)


def plan_table(table: pa.Table, *, together: bool = True) -> TablePlan:
    """Plan an Arrow table; pandas will read what ``table.to_pandas()`` gives.

    ``together``: many columns of one form are planned as one; else each has its own `Column`. The table's own schema
    metadata is kept, but for the key that holds the layout metadata.
    """
    check_table(table)
    metadata = without_layout_metadata(table.schema) or {}
    if parsed_metadata(table.schema) is None:
        metadata.pop(PANDAS_KEY, None)
    rows = table.num_rows  # which a table without columns loses with other metadata
    head = head_of(table)
    table, empty_frame = head.table, head.frame
    level_fields = index_fields(table, table.schema.pandas_metadata, rows)
    stored_index = [field for field in level_fields if field is not None]
    frame = FrameParts(table.column_names)
    data_fields = [field for field in range(table.num_columns) if field not in stored_index]
    positions = {field: position for position, field in enumerate(data_fields)}
    dtypes = empty_frame.dtypes.tolist()

    def dtype_of(field: int) -> Any:
        if field in positions:
            return dtypes[positions[field]]
        # Several levels are read through levels and codes.
        return empty_frame.index.dtype if len(level_fields) == 1 else np.dtype(object)

    groups, frame.errors = plan_columns(table, dtype_of, stored_index, together=together)
    frame.raise_errors()
    make_index: MakeIndex
    if len(level_fields) > 1:
        # Levels and codes are pandas' work, on the index columns alone.
        index: Any = pyarrow_calls.to_pandas(table.select(stored_index)).index
        make_index = frame.multi_of_rows(index)
    elif stored_index:
        field = stored_index[0]
        (column,) = [column for fields, column in groups if field in fields]
        make_index = column_index(column, field, index_name(empty_frame.index), None)
    else:
        layout = range_layout(range_index(table.schema.pandas_metadata, rows))
        make_index = lambda _: layout  # noqa: E731 -- the simplest of the three
    order = [field for fields, _ in groups for field in fields]
    types = in_fields(order, [[column.flat.type] * column.count for _, column in groups])
    data = [
        ([positions[field] for field in fields], fields, column) for fields, column in groups if fields[0] in positions
    ]
    return TablePlan(
        rows,
        tuple(column for _, column in groups),
        [field.with_type(type_) for field, type_ in zip(table.schema, types, strict=True)],
        metadata,
        FrameLayoutPlan(
            rows=rows,
            columns=tuple((at[0], fields[0], column) for at, fields, column in data if column.block is None),
            index=make_index,
            index_fields=tuple(level_fields),
            labels=frame.labels(empty_frame.columns, labels_of(empty_frame.columns)),
            attrs=encode_attrs(empty_frame.attrs),
            unique_labels=False,
        ),
        () if order == sorted(order) else order,
        group_blocks((at, column) for at, _, column in data),
        tuple(frame.codes),
        tuple(frame.nested_plans),
    )
