"""Polars frames over Arrow data. Imported only when one is asked for."""

from __future__ import annotations

import polars as pl
import pyarrow as pa


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """Make a Polars frame; Polars keeps the buffers that have its own layout and converts the others."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
