"""Makes the categories of dictionary columns, and remembers the last ones of each column.

Tables of one schema often have equal dictionaries: to compare them takes a microsecond, to make an index 40.
Does not depend on: codes, jobs.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.groups import Group
from colonnade.interop import pyarrow as by_pyarrow
from colonnade.interop.pandas_options import PandasOptions

# Dictionaries of more bytes are not remembered.
_MOST_BYTES = 16 << 10


class Categories:
    """The categories of a plan's columns."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[pa.Array, pd.Index[Any]]] = {}

    def of(self, position: int, dictionary: pa.Array, group: Group, options: PandasOptions) -> pd.Index[Any] | None:
        """The categories of a dictionary; None if pandas or PyArrow refuse them."""
        last = self._last.get(position)
        if last is not None and dictionary.equals(last[0]):
            return last[1].view()
        try:
            values = by_pyarrow.categories_of(dictionary, options)
            categories: pd.Index[Any] = pd.CategoricalDtype(values, group.arrow.ordered).categories
        except (ValueError, TypeError, NotImplementedError):  # PyArrow's errors derive from these
            return None
        if _is_exact(dictionary.type) and dictionary.get_total_buffer_size() <= _MOST_BYTES:
            self._last[position] = dictionary, categories.view()
        return categories


def _is_exact(type_: pa.DataType) -> bool:
    """Whether values that Arrow calls equal are the same values: 0.0 and -0.0 are not."""
    return bool(pt.is_integer(type_) or pt.is_string(type_) or pt.is_large_string(type_))
