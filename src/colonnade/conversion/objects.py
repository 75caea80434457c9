"""Makes Python objects for repeated values: each distinct object is made once, and all rows share it.

Dates, True, False and None. Does not depend on: frames, jobs.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core
from colonnade.interop import pyarrow_calls

# What a null slot of days is filled with: a number of days that is not a date.
NULL_DAY = -(2**31)


def share_dates(days: npt.NDArray[np.int32], out: npt.NDArray[Any], threads: int) -> None:
    """Fill ``out`` (dtype object, all None) with ``datetime.date`` for days since 1970-01-01, None for `NULL_DAY`.

    Each date is made once, unless the days lie far apart: then PyArrow makes one for each row.

    Raises
    ------
    ValueError
        PyArrow's, for years before 1 or after 9999.
    """
    first, last = _core.range_of(days, NULL_DAY)
    if first > last:
        return
    if len(days) < _FEW:
        dates = {day: None if day == NULL_DAY else _date(day) for day in set(days.tolist())}
        out[:] = [dates[day] for day in days.tolist()]
    elif last - first < len(days) // 8:
        dates_in_order = _dates(pa.array(np.arange(first, last + 1, dtype=np.int32)))
        _core.share_objects(out, [*dates_in_order, None], days, first, threads)
    elif last - first < 4 * len(days):
        _share_sparse_dates(days, first, last, out)
    else:
        out[:] = _dates(pa.array(days, mask=days == NULL_DAY), repeated=True)


def _share_sparse_dates(days: npt.NDArray[np.int32], first: int, last: int, out: npt.NDArray[Any]) -> None:
    """Make only the dates that occur."""
    nowhere = last - first + 1
    places = np.where(days == NULL_DAY, nowhere, days.astype(np.int64) - first)
    occurs = np.zeros(nowhere + 1, np.bool_)
    occurs[places] = True
    occurring = np.flatnonzero(occurs[:nowhere])
    dates = np.full(nowhere + 1, None, object)
    dates[occurring] = _dates(pa.array((occurring + first).astype(np.int32)))
    np.take(dates, places, out=out, mode="clip")  # all places are inside; other modes copy once more


# For fewer days Python's own loop is faster: PyArrow takes longer to begin.
_FEW = 1000
_EPOCH = date(1970, 1, 1).toordinal()


def _date(day: int) -> date:
    if not date.min.toordinal() <= day + _EPOCH <= date.max.toordinal():
        _dates(pa.array([day], pa.int32()))  # raises
    return date.fromordinal(day + _EPOCH)


def _dates(days: pa.Array, *, repeated: bool = False) -> npt.NDArray[Any]:
    dates: npt.NDArray[Any] = pyarrow_calls.to_pandas(days.cast(pa.date32()), deduplicate_objects=repeated).to_numpy()
    return dates


def share_bools(values: npt.NDArray[np.int8], mask: npt.NDArray[np.int8], out: npt.NDArray[Any], threads: int) -> None:
    """Fill ``out`` (dtype object, all None) with True, False, and None where the mask is 1.

    ``values`` and ``mask`` are overwritten.
    """
    np.left_shift(mask, 1, out=mask)
    np.bitwise_or(values, mask, out=values)
    _core.share_objects(out, [False, True, None], values, 0, threads)
