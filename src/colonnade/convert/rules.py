"""THE table: Arrow type x pandas dtype x nulls -> how pandas reads the column, and what that costs.

Knows: types. Must not know: memory, files. Code dispatches on it, tests hold it against what happens, and
``docs/conversions.md`` is printed from it. The first row that fits is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt


class Reading(Enum):
    """How pandas reads a column of a stored table. All but the last take no time and no memory, whatever the length."""

    VALUES = "values"  # Arrow's own values are pandas' values
    BYTES = "bytes"  # twin: one byte a boolean
    FLOAT64 = "float64"  # twin: integers as float64, NaN where null
    CODES = "codes"  # categorical codes: Arrow's indices, or a twin where nulls or widths differ
    MASKED = "masked"  # values, and a twin of one byte a null
    STRING = "string"  # pandas wraps the Arrow array
    ARROW = "arrow"  # pandas wraps the Arrow array
    INTERVAL = "interval"  # both ends are Arrow's own values
    CONVERTED = "converted"  # PyArrow makes Python objects when the table is opened


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. ``nulls``: True, False, or None where it makes no difference."""

    arrow: str
    dtype: str
    nulls: bool | None
    reading: Reading
    note: str


_ARROW: dict[str, Callable[[pa.DataType], bool]] = {
    "any": lambda _: True,
    "integer": pt.is_integer,
    "floating": pt.is_floating,
    "timestamp, duration": lambda t: pt.is_timestamp(t) or pt.is_duration(t),
    "bool": pt.is_boolean,
    "dictionary": pt.is_dictionary,
    "large_string": pt.is_large_string,
    "extension": lambda t: isinstance(t, pa.BaseExtensionType),
}

_DTYPE: dict[str, Callable[[Any], bool]] = {
    "any": lambda _: True,
    "numpy number": lambda d: isinstance(d, np.dtype) and d.kind in "iuf",
    "float64": lambda d: isinstance(d, np.dtype) and d == np.float64,
    "datetime64, timedelta64": lambda d: family(d) in ("numpy", "datetimetz") and d.kind in "mM",
    "bool": lambda d: isinstance(d, np.dtype) and d == np.bool_,
    "masked": lambda d: family(d) == "masked",
    "category": lambda d: family(d) == "category",
    "str, string[pyarrow]": lambda d: family(d) == "string" and d.storage == "pyarrow",
    "ArrowDtype": lambda d: family(d) == "arrow",
    "period": lambda d: family(d) == "period",
    "interval": lambda d: family(d) == "interval",
}

_FAMILIES = {
    "DatetimeTZDtype": "datetimetz",
    "BaseMaskedDtype": "masked",
    "CategoricalDtype": "category",
    "StringDtype": "string",
    "ArrowDtype": "arrow",
    "PeriodDtype": "period",
    "IntervalDtype": "interval",
}


def family(dtype: Any) -> str:
    """The kind of a pandas dtype: ``numpy``, one of `_FAMILIES`' values, or ``other``. Does not import pandas."""
    kind: Any = type(dtype)
    return _family(kind)


@cache
def _family(kind: type) -> str:
    if issubclass(kind, np.dtype):
        return "numpy"
    for base in kind.__mro__:
        if base.__name__ in _FAMILIES and base.__module__.partition(".")[0] == "pandas":
            return _FAMILIES[base.__name__]
    return "other"


RULES = (
    Rule("integer", "numpy number", False, Reading.VALUES, ""),
    Rule("integer", "float64", True, Reading.FLOAT64, ""),
    Rule("floating", "numpy number", None, Reading.VALUES, "a null slot holds NaN"),
    Rule("timestamp, duration", "datetime64, timedelta64", None, Reading.VALUES, "a null slot holds NaT"),
    Rule("bool", "bool", False, Reading.BYTES, ""),
    Rule("any", "masked", None, Reading.MASKED, ""),
    Rule("dictionary", "category", None, Reading.CODES, ""),
    Rule("large_string", "str, string[pyarrow]", None, Reading.STRING, ""),
    Rule("any", "ArrowDtype", None, Reading.ARROW, ""),
    Rule("extension", "period", None, Reading.VALUES, "a null slot holds NaT"),
    Rule("extension", "interval", None, Reading.INTERVAL, ""),
    Rule("any", "any", None, Reading.CONVERTED, "pandas holds Python objects here; PyArrow makes them"),
)


def rule_for(arrow: pa.DataType, dtype: Any, nulls: bool) -> Rule:
    """The first row that fits a column."""
    for rule in RULES:
        if rule.nulls in (None, nulls) and _ARROW[rule.arrow](arrow) and _DTYPE[rule.dtype](dtype):
            return rule
    raise AssertionError("the last rule fits everything")


def fill_pattern(arrow: pa.DataType) -> int:
    """The bits of what pandas expects under a null (layout rule 2): NaN, NaT, and 0 in everything else."""
    if isinstance(arrow, pa.BaseExtensionType):
        # pandas' periods are the one extension type whose nulls are read in place.
        return _NAT if arrow.extension_name == "pandas.period" else 0
    if pt.is_timestamp(arrow) or pt.is_duration(arrow):
        return _NAT
    return _NAN.get(arrow, 0)


_NAT = -(2**63)
_NAN = {pa.float64(): 0x7FF8 << 48, pa.float32(): 0x7FC0 << 16, pa.float16(): 0x7E00}
