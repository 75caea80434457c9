"""Whether two Python objects are the same to every program: equality alone takes 1 for True, and -0.0 for 0.0.

Does not depend on: files, how objects are stored.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd


def same(one: Any, other: Any) -> bool:
    """Whether two objects are equal, of one type, and the same in all their parts. NaN is NaN; dicts have no order."""
    type_ = type(one)
    if type_ is not type(other):
        return False
    if type_ in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type_ is dict:
        if bool(one.keys() != other.keys()):
            return False
        types = {key: type(key) for key in other}
        return all(type(key) is types[key] and same(value, other[key]) for key, value in one.items())
    if type_ is np.ndarray:
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype == object:
            return all(map(same, one.tolist(), other.tolist()))
        return bool(one.tobytes() == other.tobytes())
    if type_ is float:
        return bool(one.hex() == other.hex())
    if isinstance(one, np.generic):
        return bool(one.tobytes() == other.tobytes())
    if type_ is decimal.Decimal:
        return bool(one == other) and one.is_signed() == other.is_signed()
    if type_ in (dt.datetime, dt.time, pd.Timestamp, pd.Timedelta):
        return bool(one == other) and time_details(one) == time_details(other)
    return bool(one is other or one == other)


def time_details(value: Any) -> tuple[Any, ...]:
    """What two equal times may differ in."""
    zone = getattr(value, "tzinfo", None)
    offset = None if zone is None else value.utcoffset()
    return getattr(value, "unit", None), getattr(value, "fold", None), type(zone), str(zone), offset
