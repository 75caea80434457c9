"""Keeps the names and metadata of frames, because PyArrow takes 30 us a column to make them.

Frames without a signature (`interop.frame_signature`) get theirs from PyArrow's code each time.
Does not depend on: values, schemas that are asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from colonnade.interop.frame_signature import after_range, described_range, is_same_range
from colonnade.interop.pandas import same_labels
from colonnade.recent import Recent


class FrameHead:
    """The names and the metadata of frames that agree in labels, dtypes and the kind of their index."""

    __slots__ = ("_last", "_rest", "_schema", "has_index_column", "labels", "types")

    def __init__(self, df: Any, table: pa.Table, *, is_described: bool) -> None:
        """Take them from the table that a frame became; ``is_described``: its index is a RangeIndex in metadata."""
        schema = table.schema
        self.labels = df.columns.view()
        self.types: list[pa.DataType] = schema.types
        self.has_index_column = len(self.types) > df.shape[1]
        self._schema = schema.remove_metadata()
        self._last = df.index if is_described else None, schema
        # What comes after the descriptor of the index, which says how many rows there are.
        self._rest = b""
        if is_described:
            self._rest = after_range(schema.metadata[b"pandas"], df.index)

    def table(self, arrays: Sequence[Any], index: Any) -> pa.Table | None:
        """Make the table of the arrays that a frame's columns became; None if they have other types."""
        if [array.type for array in arrays] != self.types:
            return None
        last, schema = self._last
        if last is not None and last is not index and not is_same_range(last, index):
            if not self._rest:
                return None
            schema = self._schema.with_metadata({b"pandas": described_range(index) + self._rest})
            self._last = index, schema
        return pa.Table.from_arrays(list(arrays), schema=schema)


# The columns of all heads together.
_HEADS: Recent[FrameHead] = Recent(50_000)


def find_head(key: Hashable, labels: pd.Index[Any]) -> FrameHead | None:
    """The head of frames with this signature and these labels, if it is kept."""
    return _HEADS.find(key, lambda head: same_labels(labels, head.labels))


def keep_head(key: Hashable, df: pd.DataFrame, table: pa.Table, preserve_index: bool | None) -> None:
    """Keep the head of a table that PyArrow's code made of a frame."""
    is_described = preserve_index is None and type(df.index) is pd.RangeIndex
    head = FrameHead(df, table, is_described=is_described)
    if same_labels(head.labels, df.columns):  # else it would never be found
        _HEADS.add(key, head, len(head.labels))
