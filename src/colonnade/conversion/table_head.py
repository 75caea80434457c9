"""The head of a table that becomes a frame: labels, index, dtypes, attributes; all but the rows.

Each step is PyArrow's own code or does the same in the same order, so that errors are the same too.
Does not depend on: how values are moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.conversion.column_dtypes import ColumnsByType, find_encoded_columns, find_extension_dtypes
from colonnade.interop.pandas import range_index
from colonnade.interop.pandas_options import PandasOptions
from colonnade.interop.pyarrow import check_metadata, column_labels, split_index, with_any_metadata


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """All of a frame except its rows, and what decides how its columns are read.

    It depends on the schema and the options alone, unless ``is_complete`` is False: then the table had to be changed
    first. ``types`` are the distinct types of the columns that are not part of the index, and ``kinds`` are the number
    of each column's type. ``extension_dtypes`` are the dtypes that are not NumPy's, by position; ``encoded_positions``
    are those of the columns that PyArrow must make categorical. ``index_columns`` are PyArrow's descriptors of the
    index, None if there is no metadata, and ``columns`` its descriptors of all columns.
    """

    types: Sequence[pa.DataType]
    kinds: npt.NDArray[np.intp]
    labels: Any
    attrs: Mapping[str, Any]
    extension_dtypes: Mapping[int, Any]
    encoded_positions: Set[int]
    columns: Sequence[dict[str, Any]]
    index_columns: Sequence[Any] | None
    is_complete: bool

    def positions(self, kind: int) -> npt.NDArray[np.intp]:
        """The columns of one type."""
        return np.flatnonzero(self.kinds == kind)

    def split(self, table: pa.Table, options: PandasOptions) -> tuple[pa.Table, Any]:
        """Split a table of this schema into its columns and its index."""
        return _split(table, self.index_columns, self.columns, options)


def read_head(table: pa.Table, options: PandasOptions) -> tuple[Head, pa.Table, Any]:
    """Read the head of a table; also returns its columns and its index.

    The steps, and so the errors, are in PyArrow's order.
    """
    metadata = table.schema.pandas_metadata  # raises if it is broken, even if it is ignored: as PyArrow does
    columns: list[dict[str, Any]] = []
    column_indexes: list[dict[str, Any]] = []
    attrs: dict[str, Any] = {}
    index_columns = None
    whole = table
    if metadata is not None and not options.ignore_metadata:
        columns, column_indexes = metadata["columns"], metadata.get("column_indexes", [])
        attrs = metadata.get("attributes", {})
        index_columns = metadata["index_columns"]
        whole = with_any_metadata(table, metadata)
    rest, index = _split(whole, index_columns, columns, options)
    columns_by_type = ColumnsByType(rest)
    extension_dtypes = find_extension_dtypes(columns_by_type, columns, options)
    encoded_positions = find_encoded_columns(columns_by_type, options)
    check_metadata(columns)
    labels = column_labels(rest, columns, column_indexes)
    types, kinds = columns_by_type.types, columns_by_type.kinds
    is_complete = whole is table
    head = Head(types, kinds, labels, attrs, extension_dtypes, encoded_positions, columns, index_columns, is_complete)
    return head, rest, index


_RANGE = ("start", "stop", "step", "kind", "name")


def _split(
    table: pa.Table, index_columns: Sequence[Any] | None, columns: Sequence[dict[str, Any]], options: PandasOptions
) -> tuple[pa.Table, Any]:
    if index_columns is None:
        return table, range_index(range(table.num_rows), None)
    if len(index_columns) == 1 and isinstance(index_columns[0], dict):
        start, stop, step, kind, name = (index_columns[0].get(key, 0) for key in _RANGE)
        is_plain = type(start) is type(stop) is type(step) is int and step and kind == "range"
        if is_plain and isinstance(name, str | None) and len(range(start, stop, step)) == table.num_rows:
            return table, range_index(range(start, stop, step), name)
    return split_index(table, index_columns, columns, options.types_mapper)
