"""Polars frames over Arrow data. Imported only when one is asked for.

Does not depend on: where tables come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from colonnade.errors import UnsupportedTypeError
from colonnade.interop.process_end import finished_before_exit

# What Polars raises for a type that it does not have; the first is not an Exception.
_REFUSED = (pl.exceptions.PanicException, pl.exceptions.PolarsError, ValueError)


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
            return pl.DataFrame(_Stream(table))
    except _REFUSED as error:
        raise UnsupportedTypeError(
            f"Polars cannot read this table ({error}); to_arrow() and to_pandas() can"
        ) from error


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

    schema = from_arrow(table.schema.empty_table()).schema
    return register_io_source(batches, schema=schema, validate_schema=False, is_pure=True)
