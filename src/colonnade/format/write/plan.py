"""Whatever can be stored, planned: chooses the planner for a frame, an Arrow table, an array or a buffer.

Protocols are asked for, not libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table;
whatever has neither and gives a buffer is an array. Does not depend on: files, places.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.errors import NotATableError, UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.dtypes import is_rounded
from colonnade.format.labels import encode_label
from colonnade.format.object_parts import object_array
from colonnade.format.write.arrow_table import plan_table
from colonnade.format.write.frame import plan_frame
from colonnade.format.write.ndarray import plan_array
from colonnade.format.write.table import FrameLayoutPlan, TablePlan
from colonnade.interop.arrow import arrow_table
from colonnade.interop.wrappers import is_polars_series, unwrapped


def plan(data: Any) -> TablePlan:
    """Plan a frame, Arrow data, a NumPy array or a buffer, or what stands for one of them.

    Its memory must stay as it is until the plan has run.

    Raises
    ------
    NotATableError, UnsupportedTypeError
    """
    data = unwrapped(data)
    if isinstance(data, pd.DataFrame):
        return plan_frame(data)
    if isinstance(data, pd.Series):
        return _plan_series(data)
    if is_polars_series(data):
        return _as_series(plan_table(arrow_table(data.to_frame())), schema.Series(data.name))
    if is_mapping(data):
        return plan_frame(frame_of(data))
    if not _speaks_arrow(data):
        if isinstance(data, (np.ndarray, np.generic)):
            return plan_array(np.asanyarray(data))
        memory = _memory_of(data)
        if memory is not None:
            return plan_array(memory)
    return plan_table(arrow_table(data))


def is_mapping(data: Any) -> bool:
    """Whether this is a mapping, which is stored as a frame: a dict of arrays."""
    return isinstance(data, Mapping) and not _speaks_arrow(data)


def frame_of(columns: Mapping[Any, Any]) -> pd.DataFrame:
    """Make a frame of a mapping of labels to arrays, which are not copied.

    Raises
    ------
    NotATableError, UnsupportedTypeError
    """
    for label, values in columns.items():
        if isinstance(values, np.ndarray) and is_rounded(values.dtype):
            raise UnsupportedTypeError(
                f"column {label!r} is an array of {values.dtype}, of which pandas makes other times; put the array "
                "alone, or convert it with astype"
            )
    try:
        return pd.DataFrame(dict(columns), copy=False)
    except (ValueError, TypeError) as error:
        raise NotATableError(
            f"a {type(columns).__name__} is stored as one table: its keys are the columns, its values must be "
            f"arrays of one length (pandas says: {error}). Put several tables under a name each"
        ) from error


def _plan_series(data: pd.Series[Any]) -> TablePlan:
    try:
        series = schema.Series(encode_label(data.name, "the name"))
    except UnsupportedTypeError:
        # A nested table holds a time, say, as the column's label. pandas would make another label of some names.
        frame = data.to_frame("")
        frame.columns = pd.Index(object_array([data.name]), dtype=object, tupleize_cols=False)
        return _as_series(plan_frame(frame), schema.Series(labelled=True))
    return _as_series(plan_frame(data.to_frame()), series)


def _as_series(frame: TablePlan, series: schema.Series) -> TablePlan:
    assert isinstance(frame.layout, FrameLayoutPlan)
    return replace(frame, layout=replace(frame.layout, series=series))


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
