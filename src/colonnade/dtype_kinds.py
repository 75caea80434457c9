"""The kinds of pandas dtypes, and the dtype of categorical codes.

Does not depend on: pandas, how a dtype is read (`rules`), memory, files.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np

CodesType = Literal["int8", "int16", "int32", "int64"]

_KINDS = {
    "DatetimeTZDtype": "datetimetz",
    "BaseMaskedDtype": "masked",
    "CategoricalDtype": "category",
    "StringDtype": "string",
    "ArrowDtype": "arrow",
    "PeriodDtype": "period",
    "IntervalDtype": "interval",
}


def dtype_kind(dtype: Any) -> str:
    """The kind of a pandas dtype: ``numpy``, one of `_KINDS`' values, or ``other``. Does not import pandas."""
    kind: Any = type(dtype)
    return _dtype_kind(kind)


@cache
def _dtype_kind(kind: type) -> str:
    if issubclass(kind, np.dtype):
        return "numpy"
    for base in kind.__mro__:
        if base.__name__ in _KINDS and base.__module__.partition(".")[0] == "pandas":
            return _KINDS[base.__name__]
    return "other"


def codes_dtype(categories: int) -> CodesType:
    """The dtype that pandas holds codes in (``pandas.core.dtypes.cast.coerce_indexer_dtype``)."""
    for name, most in _MOST_CODES:
        if categories < most:
            return name
    return "int64"


# NumPy's iinfo() takes 3 us.
_MOST_CODES: tuple[tuple[CodesType, int], ...] = (("int8", 2**7 - 1), ("int16", 2**15 - 1), ("int32", 2**31 - 1))
