"""Frames of a growing table: private ones, and those of the newest rows, for which most was made before.

Does not depend on: snapshots, how a frame is put together, how rows are written.

A `Look` keeps the columns over all its rows and over those of its last segment. The next look at the same segments has
them too, so a frame after growth takes as long for any number of rows and of segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from colonnade.format.read.growing import Chunk
from colonnade.format.read.growing_frame import Columns, layout_of
from colonnade.storage.log_range import private_rows, shared_range
from colonnade.storage.log_reader import LogReader, Look, Part

if TYPE_CHECKING:
    import pandas as pd


def chunks_of(parts: Sequence[Part]) -> list[Chunk]:
    """The rows of parts, as `format.read.growing` takes them."""
    return [
        Chunk(
            part.segment.places,
            part.segment.mapping,
            part.segment.cache,
            part.start - part.segment.entry.base,
            part.stop - part.segment.entry.base,
        )
        for part in parts
    ]


def shared_frame(reader: LogReader, look: Look, rows: range, labels: Sequence[Any] | None) -> pd.DataFrame:
    """Make a read-only frame of some rows of a look: views of memory that all such frames of the process share.

    Raises
    ------
    NotFoundError
        For a label that is not there.
    CorruptSnapshotError, StoreAccessError, MemoryError
    """
    if not look.segments or rows.stop <= look.segments[-1].entry.base:
        return _shared(reader, look, rows).frame(rows, labels)
    start = look.segments[-1].entry.base
    if rows.start >= start:
        key, start = "last segment", max(start, look.first)
    elif rows.start == look.first:
        key, start = "all", look.first
    else:
        return _shared(reader, look, rows).frame(rows, labels)
    columns: Columns | None = look.cache.get(key)
    if columns is None or columns.stop < rows.stop:
        columns = look.cache[key] = _shared(reader, look, range(start, look.stop))
    return columns.frame(rows, labels)


def _shared(reader: LogReader, look: Look, rows: range) -> Columns:
    layout, parts = layout_of(reader.schema_text), look.parts(rows.start, rows.stop)
    if not parts:
        return Columns(layout, None, ())
    memory = shared_range(reader, layout.regions).rows(parts, min(look.first, rows.start))
    return Columns(layout, memory, chunks_of(parts), parts[-1].segment.entry.base)


def private_frame(reader: LogReader, look: Look, rows: range, labels: Sequence[Any] | None) -> pd.DataFrame:
    """Make a frame that may be written to; errors are those of `shared_frame`."""
    layout, parts = layout_of(reader.schema_text), look.parts(rows.start, rows.stop)
    if not parts:
        return Columns(layout, None, ()).frame(rows, labels)
    memory = private_rows(layout.regions, parts)
    return Columns(layout, memory, chunks_of(parts), parts[-1].segment.entry.base).frame(rows, labels)
