"""Anything tabular as a PyArrow table.

Protocols are asked for, not libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table.
Does not depend on: files, how a table is stored.
"""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa

from colonnade.errors import NotATableError


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
