"""Labels and names as JSON: the parts of a frame that are few and may be any Python scalar.

Knows: which scalars JSON keeps exactly. Does not depend on: pandas' indexes as such, memory, files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from colonnade.errors import UnsupportedTypeError

_EXACT = (str, int, float, bool, type(None))


def encode_scalar(value: Any, what: str) -> Any:
    """A label as JSON. Tuples become ``{"tuple": [...]}``; NumPy scalars become Python's.

    Raises
    ------
    UnsupportedTypeError
        For anything that JSON would not give back equal.
    """
    if type(value) in _EXACT:
        return value
    if isinstance(value, np.generic) and type(value.item()) in _EXACT:
        return value.item()
    if type(value) is tuple:
        return {"tuple": [encode_scalar(item, what) for item in value]}
    raise UnsupportedTypeError(
        f"{what} is {value!r}, a {type(value).__name__}; "
        "it must be a string, a number, a bool, None or a tuple of these"
    )


def decode_scalar(value: Any) -> Any:
    """Invert `encode_scalar`; TypeError for JSON that it does not make."""
    if type(value) in _EXACT:
        return value
    if type(value) is dict:
        return tuple(decode_scalar(item) for item in value["tuple"])
    raise TypeError(f"{value!r} is no label")
