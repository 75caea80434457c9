"""Whatever can be stored, planned: chooses the planner for a frame, an Arrow table, an array or a buffer.

Protocols are asked for, not libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table;
whatever has neither and gives a buffer is an array. Does not depend on: files, places.
"""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.format.write.arrow_table import plan_table
from colonnade.format.write.frame import plan_frame
from colonnade.format.write.ndarray import plan_array
from colonnade.format.write.table import TablePlan
from colonnade.interop.arrow import arrow_table


def plan(data: Any) -> TablePlan:
    """Plan a frame, Arrow data, a NumPy array or a buffer; its memory must stay as it is until the plan has run.

    Raises
    ------
    NotATableError, UnsupportedTypeError
    """
    if isinstance(data, pd.Series):
        data = data.to_frame()
    if isinstance(data, pd.DataFrame):
        return plan_frame(data)
    if not _speaks_arrow(data):
        if isinstance(data, (np.ndarray, np.generic)):
            return plan_array(np.asanyarray(data))
        memory = _memory_of(data)
        if memory is not None:
            return plan_array(memory)
    return plan_table(arrow_table(data))


def _speaks_arrow(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _memory_of(data: Any) -> npt.NDArray[Any] | None:
    """What gives a buffer, as an array over its memory: bytes as uint8; None where it gives none."""
    try:
        values = np.asarray(memoryview(data))
    except TypeError:
        return None
    return values.view(np.uint8) if _is_bytes(data) else values


def _is_bytes(data: Any) -> bool:
    """Whether a buffer is bytes and no more; arrays say what their elements are."""
    memory = memoryview(data)
    element = memory.format.lstrip("@=<>!") if memory.ndim == 1 else ""
    return element in ("B", "b", "c") and not isinstance(data, array.array)
