"""Keeps the names and metadata of frames, because PyArrow takes 30 us a column to make them.

They depend on the labels, the dtypes, and the index; not on values. Frames for which that is not known to be all (other
classes, attributes, labels of any objects) have no signature, and PyArrow's code makes theirs each time.
Does not depend on: values, schemas that are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from colonnade.conversion.recent import Recent
from colonnade.dtype_kinds import dtype_kind
from colonnade.interop.pandas import columns_by_dtype, same_labels
from colonnade.interop.pyarrow import range_descriptor


def signature(df: Any, preserve_index: bool | None) -> Hashable | None:
    """What frames of one head have in common besides their labels; None if PyArrow must look at this frame."""
    if type(df) is not pd.DataFrame or df.attrs or not df.shape[1]:
        return None
    blocks: list[Any] = []
    for dtype, positions in columns_by_dtype(df):
        key = _dtype_key(dtype)
        if key is None:
            return None
        blocks.append((key, positions))
    labels, index = df.columns, df.index
    index_key: tuple[Any, ...] = ()
    if preserve_index is not False:
        if isinstance(index, pd.MultiIndex) or not _is_plain(index.name):
            return None
        is_described = preserve_index is None and type(index) is pd.RangeIndex
        dtype = None if is_described else _dtype_key(index.dtype)
        if dtype is None and not is_described:
            return None
        index_key = (index.name, dtype)
    if isinstance(labels, pd.MultiIndex) or not _is_plain(labels.name):
        return None
    return (len(labels), labels.name, preserve_index, index_key, *blocks)


def _is_plain(name: Any) -> bool:
    return name is None or type(name) is str


def _dtype_key(dtype: Any) -> Hashable | None:
    kind = dtype_kind(dtype)
    if kind == "category":
        return kind, dtype.ordered, len(dtype.categories), _dtype_key(dtype.categories.dtype)
    return dtype if kind in ("numpy", "datetimetz", "masked", "string", "arrow") else None


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
            text, head = schema.metadata[b"pandas"], _described(df.index)
            self._rest = text[len(head) :] if text.startswith(head) else b""

    def table(self, arrays: Sequence[Any], index: Any) -> pa.Table | None:
        """Make the table of the arrays that a frame's columns became; None if they have other types."""
        if [array.type for array in arrays] != self.types:
            return None
        last, schema = self._last
        if last is not None and last is not index and not _is_same_range(last, index):
            if not self._rest:
                return None
            schema = self._schema.with_metadata({b"pandas": _described(index) + self._rest})
            self._last = index, schema
        return pa.Table.from_arrays(list(arrays), schema=schema)


def _is_same_range(index: Any, other: Any) -> bool:
    return (index.start, index.stop, index.step) == (other.start, other.stop, other.step)


def _described(index: Any) -> bytes:
    """How PyArrow's metadata begins, for a RangeIndex."""
    return json.dumps({"index_columns": [range_descriptor(index)]})[:-1].encode()


_HEADS: Recent[FrameHead] = Recent()


def find_head(key: Hashable, labels: pd.Index[Any]) -> FrameHead | None:
    """The head of frames with this signature and these labels, if it is kept."""
    return _HEADS.find(key, lambda head: same_labels(labels, head.labels))


def keep_head(key: Hashable, df: pd.DataFrame, table: pa.Table, preserve_index: bool | None) -> None:
    """Keep the head of a table that PyArrow's code made of a frame."""
    is_described = preserve_index is None and type(df.index) is pd.RangeIndex
    head = FrameHead(df, table, is_described=is_described)
    if same_labels(head.labels, df.columns):  # else it would never be found
        _HEADS.add(key, head, len(head.labels))
