"""How Polars reads a column of Arrow data: in place, or why it converts it. Polars is not needed to say so.

Does not depend on: pandas, where the data are.

What is converted was measured with Polars 2.1, by the memory that it takes: ``tests/format/test_polars_reading.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.types as pt

_TEXT = "Polars keeps text as views: put it with views=True, or from Polars"
# The first that is true says why; no line, no conversion.
_REASONS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pt.is_dictionary, "Polars makes its own categories of a dictionary"),
    (lambda type_: pt.is_decimal32(type_) or pt.is_decimal64(type_), "Polars keeps decimals in 128 bits"),
    (pt.is_fixed_size_binary, "Polars keeps bytes as views"),
    (pt.is_time, "Polars keeps times of day in nanoseconds, and checks them"),
    (lambda type_: pt.is_timestamp(type_) and type_.unit == "s", "Polars has no seconds, and makes milliseconds"),
    (lambda type_: pt.is_duration(type_) and type_.unit == "s", "Polars has no seconds, and makes milliseconds"),
    (lambda type_: pt.is_list(type_) or pt.is_map(type_), "Polars keeps places in lists in 64 bits"),
)


def why_polars_converts(type_: pa.DataType, *, views: bool = False) -> str:
    """Say why Polars converts a column of a type; empty where it reads it in place.

    Parameters
    ----------
    type_
        The Arrow type of the column.
    views
        Whether the column is text that has views.
    """
    if isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    if pt.is_string(type_) or pt.is_large_string(type_) or pt.is_binary(type_) or pt.is_large_binary(type_):
        return "" if views else _TEXT
    if why := next((why for is_it, why in _REASONS if is_it(type_)), ""):
        return why
    children = (type_.field(number).type for number in range(type_.num_fields)) if pt.is_nested(type_) else ()
    return next(filter(None, map(why_polars_converts, children)), "")
