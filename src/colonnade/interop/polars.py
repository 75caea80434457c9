"""Polars frames over Arrow data. Imported only when one is asked for.

Does not depend on: where tables come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.types as pt
from polars.io.plugins import register_io_source

from colonnade.errors import UnsupportedTypeError
from colonnade.interop.nested_types import replaced
from colonnade.interop.process_end import finished_before_exit

# What Polars raises for a type that it does not have; the first is not an Exception.
_REFUSED = (pl.exceptions.PanicException, pl.exceptions.PolarsError, ValueError, pa.ArrowNotImplementedError)


class _Stream:
    """Shows Polars nothing of a table but its stream."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """Make a Polars frame; Polars keeps the buffers that have its own layout and converts the others.

    It reads the stream. ``pl.from_arrow`` uses Polars' threads: if the parent has used them before a fork, the child
    waits for them forever.

    Raises
    ------
    UnsupportedTypeError
        If Polars has no type for a column.
    """
    if repeats := [name for name, count in Counter(table.column_names).items() if count > 1]:
        # `scan` would let Polars panic, which it prints.
        raise UnsupportedTypeError(
            f"Polars cannot read this table: it has several columns of one name, {', '.join(map(repr, repeats[:5]))}; "
            "to_arrow() and to_pandas() can"
        )
    try:
        with finished_before_exit:
            return pl.DataFrame(_Stream(_with_wide_decimals(table)))
    except _REFUSED as error:
        raise UnsupportedTypeError(
            f"Polars cannot read this table ({error}); to_arrow() and to_pandas() can"
        ) from error


def _with_wide_decimals(table: pa.Table) -> pa.Table:
    """The table with decimals of 128 bits in the place of smaller ones, also inside of other types.

    Polars 2.1 declares that it reads smaller ones, and reads 16 bytes for each: its values are wrong, and some from
    behind the end of the memory.
    """
    for number, field in enumerate(table.schema):
        type_ = replaced(field.type, _wide)
        if type_ != field.type:
            table = table.set_column(number, field.with_type(type_), table.column(number).cast(type_))
    return table


def _wide(type_: pa.DataType) -> pa.DataType:
    if pt.is_decimal32(type_) or pt.is_decimal64(type_):
        return pa.decimal128(type_.precision, type_.scale)
    if isinstance(type_, pa.BaseExtensionType):
        storage = replaced(type_.storage_type, _wide)
        return type_ if storage == type_.storage_type else storage
    if pt.is_dictionary(type_):
        values = replaced(type_.value_type, _wide)
        return type_ if values == type_.value_type else values
    return type_


def sort_frame(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Make a sorted copy of a frame: stable, nulls last.

    Raises
    ------
    UnsupportedTypeError
        If Polars has no order for these values.
    """
    try:
        return frame.sort(by, nulls_last=True, maintain_order=True)
    except _REFUSED as error:
        raise UnsupportedTypeError(f"sort_by={by!r}: Polars cannot sort this frame ({error})") from error


def scan(table: pa.Table) -> pl.LazyFrame:
    """Make a lazy query of Arrow data: columns that it does not need are never imported, nor are rows beyond its limit.

    Raises
    ------
    UnsupportedTypeError
        If Polars has no type for a column.
    """

    def batches(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        part = table if columns is None else table.select(columns)
        frame = from_arrow(part if rows is None else part.slice(0, rows))
        yield frame if predicate is None else frame.filter(predicate)

    schema = from_arrow(table.slice(0, 0)).schema
    return register_io_source(batches, schema=schema, validate_schema=False, is_pure=True)
