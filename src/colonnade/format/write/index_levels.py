"""The levels of a MultiIndex, a value for each row: other programs read them, and pandas reads levels and codes.

pandas looks at all codes several times before it takes the values: that is half of the time.
Does not depend on: files, places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.core.buffers import Outputs
from colonnade.format.read.column import is_wrapped_string
from colonnade.format.write.arrow_column import arrow_column
from colonnade.format.write.column import Column
from colonnade.format.write.pandas_column import pandas_column
from colonnade.interop import pandas as internals


@dataclass(frozen=True, slots=True)
class LevelRows:
    """A level: ``level`` has its name and dtype; ``column`` plans its values, a value for each row."""

    level: pd.Index[Any]
    column: Callable[[str], Column]

    @classmethod
    def of(cls, index: pd.MultiIndex, number: int) -> LevelRows:
        """The level of that number."""
        level, codes = index.levels[number], np.asarray(index.codes[number])
        values = internals.array_of_index(level)
        are_in_range = len(codes) and 0 <= codes.min() <= codes.max() < len(values)
        plan = _plan_of(values) if are_in_range else None
        if plan is None:
            rows = internals.level_in_rows(index, number)
            return cls(rows, partial(pandas_column, array=internals.array_of_index(rows)))
        return cls(level[:0].rename(index.names[number]), lambda name: plan(name, values, codes))


def _plan_of(values: Any) -> Callable[[str, Any, npt.NDArray[Any]], Column] | None:
    """How the rows of a level are planned; None where pandas makes them."""
    if isinstance(values, np.ndarray):
        return _numbers if values.dtype.kind in "biufmM" else None
    return _text if is_wrapped_string(values.dtype) and not internals.arrow_of(values).null_count else None


def _numbers(name: str, values: npt.NDArray[Any], codes: npt.NDArray[Any]) -> Column:
    outputs = Outputs()
    rows = outputs.new((len(codes),), values.dtype)
    outputs.touch(0)
    values.take(codes, out=rows, mode="clip")
    return pandas_column(name, rows)


def _text(_: str, values: Any, codes: npt.NDArray[Any]) -> Column:
    return arrow_column(pc.take(internals.arrow_of(values), pa.array(codes)), values.dtype)
