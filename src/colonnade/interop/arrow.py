"""Anything tabular, any array and any bytes, as a plan to store it.

Knows: the Arrow PyCapsule protocols, the buffer protocol, and how to tell pandas' and Polars' own classes without
importing them.
Does not depend on: files. Protocols are asked for, not libraries: whatever has ``__arrow_c_stream__`` is a
table, and what has none and gives a buffer is an array.
"""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.errors import NotATableError
from colonnade.format.write.table import TablePlan


def plan(data: Any) -> TablePlan:
    """Plan a frame, Arrow data, a NumPy array or a buffer; its memory must stay as it is until the plan has run.

    Raises
    ------
    NotATableError, UnsupportedTypeError
    """
    import pandas  # noqa: PLC0415 -- `import colonnade` must not

    from colonnade.format.write.arrow_table import plan_table  # noqa: PLC0415 -- it imports pandas
    from colonnade.format.write.frame import plan_frame  # noqa: PLC0415 -- the same
    from colonnade.format.write.ndarray import plan_array  # noqa: PLC0415 -- the same

    if isinstance(data, pandas.Series):
        data = data.to_frame()
    if isinstance(data, pandas.DataFrame):
        return plan_frame(data)
    if not _speaks_arrow(data):
        if isinstance(data, (np.ndarray, np.generic)):
            return plan_array(np.asanyarray(data))
        held = _memory_of(data)
        if held is not None:
            return plan_array(held)
    return plan_table(arrow_table(data))


def _speaks_arrow(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _memory_of(data: Any) -> npt.NDArray[Any] | None:
    """What gives a buffer, as an array over its memory: bytes as uint8; None where it gives none."""
    try:
        memory = memoryview(data)
    except TypeError:
        return None
    held = np.asarray(memory)
    return held.view(np.uint8) if _is_bytes(data) else held


def _is_bytes(data: Any) -> bool:
    """Whether a buffer is bytes and no more; arrays say what their elements are."""
    memory = memoryview(data)
    told = memory.format.lstrip("@=<>!") if memory.ndim == 1 else ""
    return told in ("B", "b", "c") and not isinstance(data, array.array)


def arrow_table(data: Any) -> pa.Table:
    """Arrow data as a table; what a stream gives is held in memory, what a table holds is not copied."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])  # as a stream, one without rows would lose its dictionaries
    if _is_lazy(data):
        data = data.collect()
    for protocol, opened in (
        ("__arrow_c_stream__", pa.RecordBatchReader.from_stream),
        ("__arrow_c_array__", lambda array: pa.Table.from_batches([pa.record_batch(array)])),
    ):
        if hasattr(data, protocol):
            try:
                source = opened(data)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise NotATableError(
                    f"a {_described(data)} gives Arrow data that is not a table ({error}); "
                    "put it in a table with a column name first"
                ) from error
            # What fails from here on is the source's own error, and is left as it is.
            return source if isinstance(source, pa.Table) else source.read_all()
    raise NotATableError(
        f"a {_described(data)} is not a table; tables are those of pandas, Polars and PyArrow, DuckDB relations, "
        "and whatever has __arrow_c_stream__; NumPy arrays and bytes are stored too. "
        "Make one of these of it first, as in pandas.DataFrame(data)"
    )


def _is_lazy(data: Any) -> bool:
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.LazyFrame)


def _described(data: Any) -> str:
    kind = type(data)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
