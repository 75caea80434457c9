"""Labels, names and frequencies as JSON: the parts of a frame that are few and may be any Python scalar.

Does not depend on: memory, files, the values of an index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

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


def index_name(index: pd.Index[Any]) -> Any:
    """The name of an index, as JSON."""
    return encode_scalar(index.name, "the name of an index")


def index_freq(index: pd.Index[Any]) -> str | None:
    """The frequency that an index of times was given; UnsupportedTypeError where text does not express it."""
    freq = getattr(index, "freq", None)
    if freq is None or isinstance(index, pd.PeriodIndex):
        return None
    text: str = freq.freqstr
    try:
        same = pd.tseries.frequencies.to_offset(text) == freq
    except ValueError:
        same = False
    if not same:
        raise UnsupportedTypeError(
            f"the index has the frequency {freq!r}, which text cannot express; set df.index.freq = None"
        )
    return text
