"""Keeps the names and metadata of frames, because PyArrow takes 30 us a column to make them.

They depend on the labels, the dtypes, and the index; not on values. Frames for which that is not known to be all (other
classes, attributes, labels of any objects) have no signature, and PyArrow's code makes theirs each time.
Does not depend on: values, schemas that are asked for.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd
import pyarrow as pa

from colonnade.conversion.recent import Recent
from colonnade.dtype_kinds import dtype_kind
from colonnade.interop.pandas import columns_by_dtype, same_labels
from colonnade.interop.pyarrow import FrameHead


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
