"""Polars frames over Arrow data. Imported only when one is asked for."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from colonnade.errors import UnsupportedTypeError

# What Polars raises for what it has no type for; the first is no Exception.
_REFUSED = (pl.exceptions.PanicException, pl.exceptions.PolarsError, ValueError)


class _Stream:
    """What Polars may know of a table: that it streams."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """Make a Polars frame; Polars keeps the buffers that have its own layout and converts the others.

    By the stream, and not by ``pl.from_arrow``: that uses Polars' threads, which a child that was forked by a process
    that has used them waits for for ever.

    Raises
    ------
    UnsupportedTypeError
        Where Polars has no type for a column.
    """
    try:
        return pl.DataFrame(_Stream(table))
    except _REFUSED as error:
        raise UnsupportedTypeError(
            f"Polars cannot read this table ({error}); to_arrow() and to_pandas() can"
        ) from error
