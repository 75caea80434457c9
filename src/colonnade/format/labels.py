"""Labels, names and frequencies as the layout metadata has them: few values that may be any Python scalar.

Does not depend on: memory, files, the values of an index.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.format.schema import FloatLabel, Label, NumpyLabel, TupleLabel
from colonnade.format.schema import invalid as schema_error

_EXACT = (str, int, float, bool, type(None))
# NumPy's scalars that Python's have a value for. On Linux `longlong` is another type of the same size, and stays out.
NUMPY_TYPES: dict[str, Any] = {
    name: np.dtype(name).type
    for name in (
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"float{bits}" for bits in (16, 32, 64)),
    )
}
_NUMPY = frozenset(NUMPY_TYPES.values())


def encode_label(value: Any, what: str) -> Label:
    """Give a label its form in the layout metadata.

    Raises
    ------
    UnsupportedTypeError
        For anything that would not come back equal.
    """
    if type(value) in _NUMPY:
        return NumpyLabel(value.dtype.name, _number(value.item()))
    if type(value) is float:
        number: Label = _number(value)
        return number
    if type(value) in _EXACT and _is_unicode(value):
        exact: Label = value
        return exact
    if type(value) is tuple:
        return TupleLabel([encode_label(item, what) for item in value])
    raise UnsupportedTypeError(
        f"{what} is {brief_repr(value)}, a {type(value).__name__}; "
        "it must be a string of valid Unicode, a number, a bool, None or a tuple of these"
    )


def _number(value: Any) -> Any:
    if type(value) is float and not math.isfinite(value):
        return FloatLabel("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
    return value


def _is_unicode(value: Any) -> bool:
    """Whether JSON can hold a value: half of a surrogate pair is a string of Python alone."""
    return type(value) is not str or value.isascii() or value.encode("utf-8", "ignore").decode() == value


def decode_label(label: Label) -> Any:
    """Invert `encode_label`."""
    if isinstance(label, NumpyLabel):
        if label.dtype not in NUMPY_TYPES:
            raise schema_error(f"no dtype of a label: {label.dtype!r}")
        return NUMPY_TYPES[label.dtype](decode_label(label.value))
    if isinstance(label, TupleLabel):
        return tuple(decode_label(item) for item in label.items)
    return float(label.value) if isinstance(label, FloatLabel) else label


def index_name(index: pd.Index[Any]) -> Label:
    """The name of an index, as a label."""
    return encode_label(index.name, "the name of an index")


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
