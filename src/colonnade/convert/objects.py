"""Python objects of repeated values: each distinct one is made once, and the rows share it.

Knows: dates, True, False and None. Must not know: frames, jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade import _core


@dataclass(frozen=True, slots=True)
class Days:
    """All dates from day ``first`` (since 1970-01-01) on; after them None, which stands for the day `null`."""

    first: int
    dates: list[Any]

    @property
    def null(self) -> int:
        """The number that null slots are filled with."""
        return self.first + len(self.dates) - 1


def days_of(column: pa.ChunkedArray) -> Days | None:
    """Make the dates between a date32 column's first and last day; None where they are many against its rows."""
    ends = pc.min_max(column.cast(pa.int32()))
    first, last = ends["min"].as_py(), ends["max"].as_py()
    if first is None:
        return Days(0, [None])
    if last - first >= len(column) // 2:
        return None
    try:
        dates = pa.array(np.arange(first, last + 1, dtype=np.int32)).cast(pa.date32()).to_pylist()
    except (ValueError, OverflowError):  # before the year 1 or after 9999: PyArrow says so in its own words
        return None
    return Days(first, [*dates, None])


def share_dates(days: npt.NDArray[np.int32], known: Days, out: npt.NDArray[Any]) -> None:
    """Fill ``out`` (dtype object) with the dates of days."""
    _core.share_objects(out, known.dates, days, known.first)


def share_truths(values: npt.NDArray[np.int8], mask: npt.NDArray[np.int8], out: npt.NDArray[Any]) -> None:
    """Fill ``out`` (dtype object) with True, False, and None where the mask is 1."""
    _core.share_objects(out, [False, True, None], values | (mask << 1), 0)
