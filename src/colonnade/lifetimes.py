"""Lifetimes, as people write them: seconds, ``"90s"``, ``"15min"``, ``"12h"``, ``"1d"``, ``"2w"``.

Does not depend on: what lives.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from colonnade.arguments import integer
from colonnade.errors import brief_repr

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST = 1 << 32  # a seal has 32 bits for it


def whole_seconds(ttl: float | str | timedelta | None) -> int:
    """Give a lifetime in whole seconds, rounded up, as a seal stores it; 0 for none.

    Raises
    ------
    ValueError
    """
    if ttl is None:
        return 0
    seconds: object = (
        ttl.total_seconds() if isinstance(ttl, timedelta) else _of_text(ttl) if isinstance(ttl, str) else ttl
    )
    number = seconds if isinstance(seconds, float) else integer(seconds)
    if number is None or not 0 < number < _MOST:
        raise ValueError(
            f"ttl must be seconds, a timedelta or a text such as '90s', '15min', '12h' or '1d', > 0 and < 2**32 "
            f"seconds; got {brief_repr(ttl)}"
        )
    return math.ceil(number)


def _of_text(text: str) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)?\s*", text, re.IGNORECASE | re.ASCII)
    return None if match is None else float(match[1]) * _SECONDS[(match[2] or "s").lower()]
