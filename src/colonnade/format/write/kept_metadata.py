"""Keeps the ``pandas`` metadata of frames, because PyArrow takes 30 us a column to make it.

It depends on names, dtypes, Arrow types, labels and index, and not on values. Where that is not known to be all
(labels of any objects, levels, attributes), PyArrow's code makes it each time.

Does not depend on: how columns are stored.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from colonnade.dtype_kinds import dtype_kind
from colonnade.interop.pyarrow import pandas_metadata

# The oldest are dropped. One takes a few hundred bytes a column.
_MOST_FRAMES, _MOST_COLUMNS = 64, 1000
_cache: dict[Hashable, bytes | None] = {}


def metadata_of(
    df: pd.DataFrame,
    labels: list[Any],
    columns: Sequence[tuple[Any, Sequence[int]]],
    levels: Sequence[Any],
    fields: Sequence[tuple[str, pa.DataType]],
) -> bytes | None:
    """The metadata that `interop.pyarrow.pandas_metadata` makes; ``labels`` are those of the columns."""
    key = _key(df, labels, columns, levels, fields)
    if key is None:
        return pandas_metadata(df, columns, levels, fields)
    try:
        return _cache[key]
    except KeyError:
        metadata = _cache[key] = pandas_metadata(df, columns, levels, fields)
    while len(_cache) > _MOST_FRAMES:
        _cache.pop(next(iter(_cache)), None)
    return metadata


def _key(
    df: pd.DataFrame,
    labels: list[Any],
    columns: Sequence[tuple[Any, Sequence[int]]],
    levels: Sequence[Any],
    fields: Sequence[tuple[str, pa.DataType]],
) -> Hashable | None:
    axis: Any = df.columns
    index: Any = df.index
    if type(df) is not pd.DataFrame or df.attrs or not 0 < len(labels) <= _MOST_COLUMNS or len(levels) != 1:
        return None
    if isinstance(axis, pd.MultiIndex) or not (_is_plain(axis.name) and _is_plain(index.name)):
        return None
    if dtype_kind(axis.dtype) != "string" and not isinstance(axis, pd.RangeIndex):
        return None
    key: list[Any] = [tuple(labels), type(axis), axis.dtype, axis.name, type(index), index.name]
    if isinstance(index, pd.RangeIndex):
        key += [index.start, index.stop, index.step]
    else:
        key.append(_dtype_key(index.dtype))
    key += [_dtype_key(column.dtype) for column, _ in columns]
    if any(each is None for each in key[6:]):
        return None
    for _, numbers in columns:
        key += (*numbers, *fields[numbers[0]])
    return (*key, *fields[len(labels) :])


def _is_plain(name: Any) -> bool:
    return name is None or type(name) is str


def _dtype_key(dtype: Any) -> Hashable | None:
    kind = dtype_kind(dtype)
    if kind == "category":
        return kind, dtype.ordered, len(dtype.categories)
    return dtype if kind in ("numpy", "datetimetz", "masked", "string", "arrow") else None
