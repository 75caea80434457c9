"""What an index has besides its values: a name and a frequency, as JSON.

Knows: pandas' public indexes. Does not depend on: memory, files.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from colonnade.errors import UnsupportedTypeError
from colonnade.format.labels import encode_scalar


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
