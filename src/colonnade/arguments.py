"""Checks of arguments that several verbs take: numbers that are none are a TypeError that names the argument.

Does not depend on: what the numbers mean.
"""

from __future__ import annotations

import numbers
import operator
from typing import Any

from colonnade.errors import brief_repr


def whole_number(value: Any, name: str) -> int:
    """Give an argument as an int.

    Raises
    ------
    TypeError
        It is no integer, of Python or NumPy.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {brief_repr(value)}") from None


def seconds(value: Any, name: str) -> float:
    """Give an argument as a number of seconds, which may be infinite.

    Raises
    ------
    TypeError
        It is no number.
    ValueError
        It is below 0, or NaN.
    """
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number of seconds, got {brief_repr(value)}")
    number = float(value)
    if not number >= 0:
        raise ValueError(f"{name} must be >= 0 seconds, got {number:g}")
    return number
