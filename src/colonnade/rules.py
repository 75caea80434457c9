"""THE table: Arrow type x nulls x options -> pandas dtype -> how the column is read, and what that costs.

Code dispatches on it, tests compare it with what happens, and ``docs/conversions.md`` is printed from it. In both lists
the first row that fits is taken. Does not depend on: memory, files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.dtype_kinds import dtype_kind


class Reading(Enum):
    """How pandas reads a column. From a stored table all but the last two take no time, whatever the length."""

    VALUES = "values"  # Arrow's own values are pandas' values, but for null slots
    BYTES = "bytes"  # one byte a boolean
    FLOAT64 = "float64"  # integers as float64, NaN where null
    SCALED = "scaled"  # times in another unit
    CODES = "codes"  # categorical codes, -1 where null
    MASKED = "masked"  # values, and one byte a null
    STRING = "string"  # pandas wraps the Arrow array, its offsets 64 bits wide
    ARROW = "arrow"  # pandas wraps the Arrow array
    INTERVAL = "interval"  # both ends are Arrow's own values
    REPEATED = "repeated"  # Python objects, each distinct one made once
    CONVERTED = "converted"  # pandas or PyArrow makes what it holds


@dataclass(frozen=True, slots=True)
class Target:
    """Which dtype ``to_pandas`` gives: ``nulls`` True, False or None (either), and an option that must be on."""

    arrow: str
    nulls: bool | None
    option: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How a dtype is read. ``nulls``: True, False, or None where it makes no difference."""

    arrow: str
    dtype: str
    nulls: bool | None
    reading: Reading
    note: str


_ARROW: dict[str, Callable[[pa.DataType], bool]] = {
    "any": lambda _: True,
    "integer": pt.is_integer,
    "floating": pt.is_floating,
    "timestamp": pt.is_timestamp,
    "timestamp[s, ms, us]": lambda t: pt.is_timestamp(t) and t.unit != "ns",
    "duration": pt.is_duration,
    "timestamp, duration": lambda t: pt.is_timestamp(t) or pt.is_duration(t),
    "date32": pt.is_date32,
    "date32, date64": pt.is_date,
    "bool": pt.is_boolean,
    "dictionary": pt.is_dictionary,
    "string": pt.is_string,
    "large_string": pt.is_large_string,
    "extension": lambda t: isinstance(t, pa.BaseExtensionType),
}


def _is_time(dtype: Any) -> bool:
    return dtype_kind(dtype) in ("numpy", "datetimetz") and dtype.kind in "mM"


def _unit(dtype: Any) -> str:
    return str(np.datetime_data(np.dtype(f"M8[{dtype.unit}]") if dtype_kind(dtype) == "datetimetz" else dtype)[0])


_DTYPE: dict[str, Callable[[Any, pa.DataType], bool]] = {
    "any": lambda _d, _t: True,
    "numpy number": lambda d, _: isinstance(d, np.dtype) and d.kind in "iuf",
    "float64": lambda d, _: isinstance(d, np.dtype) and d == np.float64,
    "datetime64, timedelta64": lambda d, _: _is_time(d),
    "datetime64, timedelta64 of its unit": lambda d, t: _is_time(d) and _unit(d) == t.unit,
    "bool": lambda d, _: isinstance(d, np.dtype) and d == np.bool_,
    "object": lambda d, _: isinstance(d, np.dtype) and d == np.object_,
    "masked": lambda d, _: dtype_kind(d) == "masked",
    "category": lambda d, _: dtype_kind(d) == "category",
    "str, string[pyarrow]": lambda d, _: dtype_kind(d) == "string" and d.storage == "pyarrow",
    "ArrowDtype": lambda d, _: dtype_kind(d) == "arrow",
    "period": lambda d, _: dtype_kind(d) == "period",
    "interval": lambda d, _: dtype_kind(d) == "interval",
}

TARGETS = (
    Target("integer", True, "integer_object_nulls", "object"),
    Target("integer", True, "", "float64"),
    Target("integer", False, "", "the same"),
    Target("floating", None, "", "the same"),
    Target("bool", True, "", "object"),
    Target("bool", False, "", "bool"),
    Target("date32, date64", None, "date_as_object", "object"),
    Target("date32, date64", None, "coerce_temporal_nanoseconds", "datetime64[ns]"),
    Target("date32, date64", None, "", "datetime64[ms]"),
    Target("timestamp[s, ms, us]", None, "timestamp_as_object", "object"),
    Target("timestamp", None, "coerce_temporal_nanoseconds", "datetime64[ns], its zone"),
    Target("timestamp", None, "", "datetime64 of its unit and zone"),
    Target("duration", None, "coerce_temporal_nanoseconds", "timedelta64[ns]"),
    Target("duration", None, "", "timedelta64 of its unit"),
    Target("dictionary", None, "", "category"),
    Target("any", None, "", "object"),
)

RULES = (
    Rule("integer", "float64", True, Reading.FLOAT64, ""),
    Rule("integer", "numpy number", False, Reading.VALUES, ""),
    Rule("floating", "numpy number", None, Reading.VALUES, "a null slot holds NaN"),
    Rule("timestamp, duration", "datetime64, timedelta64 of its unit", None, Reading.VALUES, "a null slot holds NaT"),
    Rule("timestamp, duration", "datetime64, timedelta64", None, Reading.SCALED, "a null slot holds NaT"),
    Rule("date32, date64", "datetime64, timedelta64", None, Reading.SCALED, "a null slot holds NaT"),
    Rule("bool", "bool", False, Reading.BYTES, ""),
    Rule("bool", "object", True, Reading.REPEATED, "True, False and None"),
    Rule("date32", "object", None, Reading.REPEATED, "each day's date is made once"),
    Rule("any", "masked", None, Reading.MASKED, ""),
    Rule("dictionary", "category", None, Reading.CODES, ""),
    Rule("string", "str, string[pyarrow]", None, Reading.STRING, "its offsets are widened"),
    Rule("large_string", "str, string[pyarrow]", None, Reading.STRING, ""),
    Rule("any", "ArrowDtype", None, Reading.ARROW, ""),
    Rule("extension", "period", None, Reading.VALUES, "a null slot holds NaT"),
    Rule("extension", "interval", None, Reading.INTERVAL, ""),
    Rule("any", "any", None, Reading.CONVERTED, "pandas holds Python objects here; PyArrow makes them"),
)


def target_for(arrow: pa.DataType, nulls: bool, flags: Collection[str]) -> Target:
    """The first row of `TARGETS` that fits a column; ``flags`` are the names of the options that are on."""
    for target in TARGETS:
        if (
            target.nulls in (None, nulls)
            and _ARROW[target.arrow](arrow)
            and (not target.option or target.option in flags)
        ):
            return target
    raise AssertionError("the last row fits everything")


def dtype_for(arrow: pa.DataType, nulls: bool, flags: Collection[str]) -> Any:
    """The dtype that ``to_pandas`` gives a column; of a zoned timestamp that of its values, without the zone."""
    return _NAMED[target_for(arrow, nulls, flags).dtype](arrow)


@cache
def _category_dtype() -> Any:
    import pandas as pd  # `import colonnade` must not

    return pd.CategoricalDtype()


_NAMED: dict[str, Callable[[pa.DataType], Any]] = {
    "object": lambda _: np.dtype(object),
    "float64": lambda _: np.dtype(np.float64),
    "bool": lambda _: np.dtype(np.bool_),
    "the same": lambda t: np.dtype(t.to_pandas_dtype()),
    "datetime64[ms]": lambda _: np.dtype("M8[ms]"),
    "datetime64[ns]": lambda _: np.dtype("M8[ns]"),
    "datetime64[ns], its zone": lambda _: np.dtype("M8[ns]"),
    "datetime64 of its unit and zone": lambda t: np.dtype(f"M8[{t.unit}]"),
    "timedelta64[ns]": lambda _: np.dtype("m8[ns]"),
    "timedelta64 of its unit": lambda t: np.dtype(f"m8[{t.unit}]"),
    "category": lambda _: _category_dtype(),
}


def rule_for(arrow: pa.DataType, dtype: Any, nulls: bool) -> Rule:
    """The first row that fits a column."""
    for rule in RULES:
        if rule.nulls in (None, nulls) and _ARROW[rule.arrow](arrow) and _DTYPE[rule.dtype](dtype, arrow):
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
_NAN = {pa.float64(): 0x7FF8 << 48, pa.float32(): 0x7FC0 << 16, pa.float16(): 0x7FFF}
