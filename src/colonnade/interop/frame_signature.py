"""What PyArrow's names and metadata of a frame depend on, so that they can be kept for the next frame.

They depend on the labels, the dtypes, and the index; not on values. Frames for which that is not known to be all (other
classes, attributes, labels of any objects) have no signature, and PyArrow's code makes theirs each time.
Does not depend on: values, who keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import pandas as pd

from colonnade.dtype_kinds import dtype_kind
from colonnade.interop.pandas import columns_by_dtype
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


def is_same_range(index: Any, other: Any) -> bool:
    """Whether two RangeIndexes have the same numbers."""
    return (index.start, index.stop, index.step) == (other.start, other.stop, other.step)


def described_range(index: Any) -> bytes:
    """The first bytes of PyArrow's metadata for a frame with a RangeIndex."""
    return json.dumps({"index_columns": [range_descriptor(index)]})[:-1].encode()


def after_range(text: bytes, index: Any) -> bytes:
    """What comes after the description of a RangeIndex in PyArrow's metadata; empty where they begin otherwise."""
    start = described_range(index)
    return text[len(start) :] if text.startswith(start) else b""
