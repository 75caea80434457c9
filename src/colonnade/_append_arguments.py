"""What callers give for a new growing table: its columns, and how much of it is kept.

Does not depend on: who appends, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from colonnade.arguments import whole_number
from colonnade.errors import brief_repr
from colonnade.format.growing import GrowingSchema
from colonnade.format.read.growing import span_of_time
from colonnade.sizes import parse_size
from colonnade.storage.log_head import Retention


def retention_of(retain: Any) -> Retention | None:
    """How much is kept: of a number of rows, a text of a time (``"1h"``) or of a size (``"4GiB"``); None for None."""
    if retain is None:
        return None
    retention: Retention | None = None
    if isinstance(retain, str) and retain.strip().upper().endswith("B"):
        retention = Retention(nbytes=parse_size(retain, "retain"))
    elif isinstance(retain, (str, timedelta, np.timedelta64)):
        retention = Retention(ns=span_of_time(retain, "retain"))
    elif hasattr(retain, "__index__") and not isinstance(retain, bool):
        retention = Retention(rows=whole_number(retain, "retain"))
    if retention is None or not all(0 <= number < 1 << 62 for number in retention) or retention == Retention():
        raise ValueError(
            f"retain must be a number of rows, a time as in '1h', or a size as in '4GiB', got {brief_repr(retain)}"
        )
    return retention


def schema_of(columns: Any, like: Any, index: Any) -> GrowingSchema | None:
    """The schema of what a caller gives; None if nothing is given."""
    if columns is not None and like is not None:
        raise ValueError("give the columns or like=, not both")
    if like is not None:
        frame = pd.DataFrame(like) if isinstance(like, Mapping) else like
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"like must be a DataFrame or a mapping of columns, got {brief_repr(like)}")
        dtypes = list(frame.dtypes.items())
        if isinstance(frame.index, pd.MultiIndex):
            raise ValueError("a growing table has one column as its index at most: reset_index() first")
        if not isinstance(frame.index, pd.RangeIndex):
            if frame.index.name is None:
                raise ValueError("the index of like= has no name; name it, or reset it")
            dtypes = [(frame.index.name, frame.index.dtype), *dtypes]
            index = frame.index.name if index is None else index
        return GrowingSchema.of(dtypes, index)
    if columns is None:
        if index is not None:
            raise ValueError("index= belongs to the columns of a new table: give them too")
        return None
    if not isinstance(columns, Mapping):
        raise TypeError(f"the columns must map names to dtypes, got {brief_repr(columns)}")
    return GrowingSchema.of(columns.items(), index)
