"""Makes a PyArrow table of any tabular data.

It asks for protocols, not for libraries: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is a table.
Does not depend on: files, how a table is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import InvalidDataError, NotATableError, UnsupportedTypeError
from colonnade.interop.process_end import finished_before_exit
from colonnade.interop.wrappers import is_polars_frame, unwrapped


def arrow_table(data: Any) -> pa.Table:
    """Make a table of Arrow data, or of what stands for it. A stream is read to its end.

    The data of a table or a batch is not copied.

    Raises
    ------
    NotATableError
        If ``data`` has neither protocol, or gives Arrow data that is not a table.
    UnsupportedTypeError
        If Polars has a column that Arrow has no type for.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])  # as a stream, one without rows would lose its dictionaries
    data = unwrapped(data)
    if isinstance(data, pa.Table):
        return data
    if is_polars_frame(data):
        check_polars(data)
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


# Types of Polars that Arrow has not; Polars exports Python objects as their addresses.
_NOT_OF_ARROW = {
    "Object": "references to Python objects of this process, which mean nothing in another one",
    "Int128": "integers of 128 bits, for which Arrow has no type; cast it to Decimal(38) or Float64",
    "UInt128": "integers of 128 bits, for which Arrow has no type; cast it to Decimal(38) or Float64",
}


def check_polars(frame: Any) -> None:
    """Check that Polars can export a frame as Arrow data.

    Raises
    ------
    UnsupportedTypeError
        If it has types that Arrow has not, or a name with a null character: for that Polars ends the process.
    """
    problems = []
    for column, dtype in frame.schema.items():
        parts = list(_parts(column, dtype))
        problems += [
            f"column {column!r} has {_NOT_OF_ARROW[type_name]}"
            for type_name in dict.fromkeys(type_name for _, type_name in parts)
            if type_name in _NOT_OF_ARROW
        ]
        problems += [f"the name {name!r} has a null character; rename it" for name, _ in parts if "\0" in name]
    if problems:
        raise UnsupportedTypeError(f"Polars cannot give this data to others: {'; '.join(problems)}")


def _parts(name: str, dtype: Any) -> Iterator[tuple[str, str]]:
    """The names and types of a column of Polars and of what is inside of it."""
    yield name, str(dtype.base_type())
    for field in getattr(dtype, "fields", ()):
        yield from _parts(field.name, field.dtype)
    if (inner := getattr(dtype, "inner", None)) is not None:
        yield from _parts("", inner)


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
