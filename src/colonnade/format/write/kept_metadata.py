"""Keeps the ``pandas`` metadata of frames, because PyArrow takes 30 us a column to make it.

It depends on the signature (`interop.frame_signature`), the labels and the Arrow types. Without a signature PyArrow's
code makes it each time.

Does not depend on: how columns are stored.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from colonnade.format.write.fields import NamedTypes
from colonnade.interop.frame_signature import after_range, described_range, is_same_range, signature
from colonnade.interop.pandas import same_labels
from colonnade.interop.pyarrow import pandas_metadata
from colonnade.recent import Recent


class _Kept(NamedTuple):
    """The metadata of a frame, and what they were made for. ``range`` is its index, if that is in the metadata."""

    labels: pd.Index[Any]
    types: Sequence[pa.DataType]
    range: pd.RangeIndex | None
    text: bytes

    def text_for(self, index: Any) -> bytes | None:
        """The metadata of a frame with another range; None if the range cannot be exchanged."""
        if self.range is None or is_same_range(self.range, index):
            return self.text
        rest = after_range(self.text, self.range)
        return described_range(index) + rest if rest else None


# The columns of all frames together.
_KEPT: Recent[_Kept] = Recent(50_000)


def metadata_of(
    df: pd.DataFrame,
    columns: Sequence[tuple[Any, Sequence[int]]],
    levels: Sequence[Any],
    fields: NamedTypes,
) -> bytes | None:
    """The metadata that `interop.pyarrow.pandas_metadata` makes."""
    key = signature(df, None)
    if key is None:
        return pandas_metadata(df, columns, levels, fields)
    kept = _KEPT.find(key, lambda kept: same_labels(df.columns, kept.labels) and kept.types == fields.types)
    text = None if kept is None else kept.text_for(df.index)
    if text is None:
        text = pandas_metadata(df, columns, levels, fields)
        if text is not None:
            _keep(key, df, fields.types, text)
    return text


def _keep(key: Hashable, df: pd.DataFrame, types: Sequence[pa.DataType], text: bytes) -> None:
    kept = _Kept(df.columns.view(), types, df.index if type(df.index) is pd.RangeIndex else None, text)
    if same_labels(df.columns, kept.labels):  # else it would never be found
        _KEPT.add(key, kept, len(kept.labels))
