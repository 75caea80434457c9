"""The key of a table that is written: which columns ``key=`` names, and their key index.

Does not depend on: how keys are looked up, stores.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pyarrow as pa

from colonnade.arguments import labels
from colonnade.core.key_index import build_index
from colonnade.errors import DuplicateKeyError
from colonnade.format import schema
from colonnade.format.key import check_key_type, key_column
from colonnade.format.read.file import open_file
from colonnade.format.write.column import Places
from colonnade.format.write.table import FrameLayoutPlan, TablePlan
from colonnade.suggestions import listed

# The label of a column, or several; True is the row index.
Key = Hashable | list[Hashable]


def key_fields(plan: TablePlan, key: Key | None) -> list[int] | None:
    """The fields of a planned table that ``key=`` names: none for a row index that is a range; None for no key.

    Raises
    ------
    ValueError
        There is no such column, or no row index but the numbers of the rows.
    UnsupportedTypeError
        A column's type cannot be a key.
    """
    if key is None or key is False:
        return None
    fields_of_plan = pa.schema(plan.fields)
    names = fields_of_plan.names
    if key is True:
        levels = plan.layout.index_fields if isinstance(plan.layout, FrameLayoutPlan) else []
        fields = [field for field in levels if field is not None]
        if len(fields) < len(levels):
            raise ValueError("key=True is the row index, but one of its levels is a range: its values are not stored")
        if not fields and not _has_range_of_labels(plan):
            raise ValueError(
                "key=True is the row index, but that is a range of all row numbers; name a column that is the key"
            )
    else:
        # A column whose label is a number or a tuple has its text as the name of its field.
        is_one = isinstance(key, tuple) and str(key) in names
        key_names = [str(label) for label in ([key] if is_one else labels(key) or [])]
        if not key_names:
            raise ValueError("key must name a column, or be True for the row index, got none")
        if len(set(key_names)) < len(key_names):
            raise ValueError(f"key={key!r} names a column twice")
        for name in key_names:
            if name not in names:
                raise ValueError(f"key={key!r}: there is no column {name!r}; {listed(name, names)}")
            if names.count(name) > 1:
                raise ValueError(f"key={key!r}: {names.count(name)} columns are named {name!r}; rename all but one")
        fields = [names.index(name) for name in key_names]
    for field in fields:
        check_key_type(names[field], fields_of_plan.field(field).type)
    return fields


def _has_range_of_labels(plan: TablePlan) -> bool:
    """Whether the row index is a range that says more than the numbers of the rows, as of ``set_index("id")``."""
    if not isinstance(plan.layout, FrameLayoutPlan):
        return False
    index = plan.layout.index(Places({}, {}))  # nothing of a range has a place
    return isinstance(index, schema.RangeIndex) and (index.start, index.step, index.name) != (0, 1, None)


def build_key(memory: Any, key_at: int, *, unique: bool) -> None:
    """Build the key index of a table in its place, ``key_at``. The table's file is ``memory``, whole but for its seal.

    Raises
    ------
    DuplicateKeyError
        ``unique`` is asked for, and a key stands in several rows.
    """
    file = open_file(memory, 0, len(memory))
    key = file.frame.key
    assert key is not None
    if not key.fields:
        return  # a range: its rows are computed
    region = np.frombuffer(memory, np.uint8)[key_at : key_at + key.size]
    columns = [file.batch.column(field) for field in key.fields]
    index = build_index(region, [key_column(column) for column in columns], file.rows)
    if unique and index.duplicates:
        names = ", ".join(file.batch.schema.field(field).name for field in key.fields)
        row = index.repeated_row()
        duplicate = ", ".join(repr(column[row].as_py()) for column in columns)
        raise DuplicateKeyError(
            f"unique=True: {index.duplicates:,} of {file.rows:,} rows repeat a key of {names}, such as {duplicate}; "
            "nothing was stored"
        )
