"""Makes a PyArrow table of any tabular data.

It asks for protocols, not for libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table.
Does not depend on: files, how a table is stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import NotATableError


def arrow_table(data: Any) -> pa.Table:
    """Make a table of Arrow data. A stream is read to its end; the data of a table or a batch is not copied.

    Raises
    ------
    NotATableError
        If ``data`` has neither protocol, or gives Arrow data that is not a table.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])  # as a stream, one without rows would lose its dictionaries
    if is_lazy(data):
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
            # Errors from here on are the source's own, and are not changed.
            return source if isinstance(source, pa.Table) else source.read_all()
    raise NotATableError(
        f"a {_described(data)} is not a table; tables are those of pandas, Polars and PyArrow, DuckDB relations, "
        "and whatever has __arrow_c_stream__; NumPy arrays and bytes are stored too. "
        "Convert it to one of these first, as with pandas.DataFrame(data)"
    )


def is_lazy(data: Any) -> bool:
    """Whether this is a query of Polars that was not run yet."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.LazyFrame)


def is_polars_series(data: Any) -> bool:
    """Whether this is a Series of Polars. Nothing is imported: without Polars loaded, there can be none."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.Series)


def _described(data: Any) -> str:
    kind = type(data)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def dictionaries(array: pa.Array) -> Iterator[pa.Array]:
    """All dictionaries inside an array; `pyarrow.Array.buffers` has those of the other children alone."""
    if isinstance(array, pa.DictionaryArray):
        yield array.dictionary
        yield from dictionaries(array.dictionary)
    for child in _children(array):
        yield from dictionaries(child)


def _children(array: pa.Array) -> list[pa.Array]:
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if isinstance(array, pa.MapArray):
        return [array.keys, array.items]
    if isinstance(array, (pa.StructArray, pa.UnionArray)):
        return [array.field(i) for i in range(array.type.num_fields)]
    return [array.values] if array.type.num_fields else []  # lists and run ends
