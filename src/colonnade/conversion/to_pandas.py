"""An Arrow table as a pandas frame.

Knows: the options, and that a frame is a head (index, labels, attributes) and blocks. Does not depend on: how blocks
are made.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.blocks import BlockMaker
from colonnade.conversion.c_stream import ImportedColumns
from colonnade.conversion.groups import Group, bytes_copied, group_columns, why_copied
from colonnade.explanation import ColumnReport, Explanation
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow as by_pyarrow
from colonnade.interop.pyarrow import Head
from colonnade.rules import Reading


def to_pandas(table: pa.Table, options: dict[str, Any]) -> pd.DataFrame:
    """Convert; ``options`` are those of ``pyarrow.Table.to_pandas``, all of them."""
    maps = options["maps_as_pydicts"]
    if maps is not None and not isinstance(maps, str):
        raise TypeError(f"maps_as_pydicts is {maps!r}; it must be 'lossy', 'strict' or None")
    head, groups, imported = _plan(table, options)
    labels = head.labels()
    if options["zero_copy_only"]:
        _refuse_copies(head.table, groups, options)
    maker = BlockMaker(head.table, groups, imported, options)
    return internals.make_frame(maker.make(options["categories"] or ()), head.index, labels, head.attrs)


def _plan(table: pa.Table, options: dict[str, Any]) -> tuple[Head, list[Group], ImportedColumns]:
    categories = options["categories"] or ()
    by_type = {"types_mapper": options["types_mapper"]}
    head = by_pyarrow.read_head(table, ignore_metadata=options["ignore_metadata"], **by_type)
    extension = by_pyarrow.extension_dtypes(
        head, **by_type, strings_to_categorical=options["strings_to_categorical"], categories=categories
    )
    encoded = by_pyarrow.encoded_columns(head, categories, strings=options["strings_to_categorical"])
    groups, imported = group_columns(head, extension, encoded, options)
    return head, groups, imported


def explain(table: pa.Table, options: dict[str, Any]) -> Explanation:
    """Say how `to_pandas` would read each column; no value is looked at but for nulls."""
    head, groups, _ = _plan(table, options)
    labels = head.labels()
    reports = {}
    for group in groups:
        for position in group.positions.tolist():
            column = head.table.column(position)
            why = why_copied(group, column, options)
            copied = bytes_copied(group, column) if why else 0
            found = column.nbytes, column.null_count, copied
            dtype = _dtype_name(group)
            reports[position] = ColumnReport(labels[position], "column", str(group.arrow), dtype, *found, why)
    taken = Counter(table.schema.names) - Counter(head.table.schema.names)
    for name in taken:
        column = table.column(table.schema.get_all_field_indices(name)[-1])
        found = column.nbytes, column.null_count, column.nbytes
        reports[len(reports)] = ColumnReport(name, "index", str(column.type), "index", *found, "it becomes the index")
    return Explanation(report for _, report in sorted(reports.items()))


def _dtype_name(group: Group) -> str:
    if pt.is_timestamp(group.arrow) and group.arrow.tz is not None and not group.extension and group.dtype.kind == "M":
        return str(by_pyarrow.zoned_dtype(group.arrow, np.datetime_data(group.dtype)[0]))
    return str(group.dtype)


def _refuse_copies(table: pa.Table, groups: list[Group], options: dict[str, Any]) -> None:
    copied = []
    for group in groups:
        for position in group.positions.tolist():
            why = why_copied(group, table.column(position), options)
            if why:
                copied.append((position, f"{table.schema.names[position]!r} ({group.arrow}): {why}"))
    if copied:
        # What has no form in pandas at all has an error of its own.
        objects = [p for group in groups if group.rule.reading is Reading.CONVERTED for p in group.positions.tolist()]
        by_pyarrow.convert_columns(
            table.select(objects).slice(0, 0), {**options, "zero_copy_only": False, "split_blocks": False}, None
        )
        shown = "\n  ".join(line for _, line in sorted(copied)[:20]) + ("\n  ..." if len(copied) > 20 else "")
        raise pa.ArrowInvalid(f"zero_copy_only=True, but {len(copied)} columns would be copied:\n  {shown}")
