"""Makes a PyArrow table of any tabular data.

It asks for protocols, not for libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table.
Does not depend on: files, how a table is stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import InvalidDataError, NotATableError
from colonnade.interop.process_end import finished_before_exit


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
    for protocol, open_stream in (
        ("__arrow_c_stream__", pa.RecordBatchReader.from_stream),
        ("__arrow_c_array__", lambda array: pa.Table.from_batches([pa.record_batch(array)])),
    ):
        if hasattr(data, protocol):
            try:
                with finished_before_exit:
                    source = open_stream(data)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise NotATableError(
                    f"{_described(data)} gives Arrow data that is not a table ({error}); "
                    "put it in a table with a column name first"
                ) from error
            # Errors from here on are the source's own, and are not changed.
            table = source if isinstance(source, pa.Table) else source.read_all()
            with finished_before_exit:
                del source
            for column in table.columns:
                for chunk in column.chunks:
                    _check_null_count(chunk)
            return table
    raise NotATableError(
        f"{_described(data)} is not a table; tables are those of pandas, Polars and PyArrow, DuckDB relations, "
        "and whatever has __arrow_c_stream__; NumPy arrays and bytes are stored too. "
        "Convert it to one of these first, as with pandas.DataFrame(data)"
    )


def check_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Check what the producer of a batch says of it, as far as that is cheap; returns the batch.

    Raises
    ------
    InvalidDataError
    """
    try:
        batch.validate()
    except pa.ArrowException as error:
        raise _invalid(str(error)) from error
    for column in batch.columns:
        _check_null_count(column)
    return batch


def _check_null_count(array: pa.Array) -> None:
    """Check that an array which declares no nulls has none. Other counts are not trusted: nulls are counted later.

    The bitmap is read only if there is one. PyArrow looks at this in full validations alone.
    """
    validity = array.buffers()[0]
    if validity is not None and len(array) and not array.null_count:
        valid = pa.Array.from_buffers(pa.bool_(), len(array), [None, validity], null_count=0, offset=array.offset)
        if valid.false_count:
            raise _invalid(f"an array of {array.type} declares no nulls, and has {valid.false_count}")
    for child in _children(array):
        _check_null_count(child)


def _invalid(reason: str) -> InvalidDataError:
    return InvalidDataError(
        f"the Arrow data is not valid ({reason}), and nothing was stored; the library that made it has to be mended"
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
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


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
