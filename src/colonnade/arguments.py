"""Checks of arguments that several verbs take. Each error names the argument.

Does not depend on: what the numbers mean.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from colonnade.errors import brief_repr


def integer(value: Any) -> int | None:
    """Give an integer of Python or NumPy as an int; None for everything else, True and False included."""
    try:
        return None if type(value) is bool else operator.index(value)
    except TypeError:
        return None


def whole_number(value: Any, name: str) -> int:
    """Give an argument as an int.

    Raises
    ------
    TypeError
        It is not an integer of Python or NumPy, or it is True or False.
    """
    number = integer(value)
    if number is None:
        raise TypeError(f"{name} must be a whole number, got {brief_repr(value)}")
    return number


def expanded(path: str) -> Path:
    """Make a path of text that may begin with the home directory of a user, ``~``.

    Raises
    ------
    ValueError
        There is no such user, or no home directory.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{brief_repr(path)}: that user has no home directory; write the whole path") from error


def check_flags(**flags: Any) -> None:
    """Check that arguments are True or False.

    Raises
    ------
    TypeError
        Naming the first that is neither.
    """
    for name, value in flags.items():
        if type(value) is not bool:
            raise TypeError(f"{name} must be True or False, got {brief_repr(value)}")


def labels(columns: Any) -> list[Any] | None:
    """Give the labels that ``columns=`` names; a string is one label, and so is a number."""
    if columns is None:
        return None
    return list(columns) if isinstance(columns, Iterable) and not isinstance(columns, (str, bytes)) else [columns]


def seconds(value: Any, name: str) -> float:
    """Give an argument as a number of seconds, which may be infinite.

    Raises
    ------
    TypeError
        It is not a number.
    ValueError
        It is below 0, or NaN.
    """
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number of seconds, got {brief_repr(value)}")
    number = float(value)
    if not number >= 0:
        raise ValueError(f"{name} must be >= 0 seconds, got {number:g}")
    return number


def number_of_rows(last: Any) -> int:
    """Give ``last=`` as a number of rows.

    Raises
    ------
    TypeError
        It is not an integer.
    ValueError
        It is below 0.
    """
    count = integer(last)
    if count is None:
        raise TypeError(f"last must be a number of rows or a time, as in '5min', got {brief_repr(last)}")
    if count < 0:
        raise ValueError(f"last must be >= 0 rows or a time, got {count}")
    return count
