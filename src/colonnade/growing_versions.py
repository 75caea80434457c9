"""Which rows of a growing table a snapshot has: all of now, those of a version, or the newest ones.

Does not depend on: how rows are read, how a new row is waited for.
"""

from __future__ import annotations

from datetime import timedelta

from colonnade.arguments import number_of_rows, whole_number
from colonnade.errors import NotFoundError
from colonnade.format.read.growing import is_time
from colonnade.growing_snapshot import GrowingSnapshot
from colonnade.storage.log_reader import LogReader, rows_dropped


def open_newest(reader: LogReader, last: int | str | timedelta) -> GrowingSnapshot:
    """Make the snapshot of the newest rows: see `GrowingSnapshot.last`. Segments without such rows are not opened."""
    rows = 1 if is_time(last) else number_of_rows(last)
    while True:
        newest = GrowingSnapshot.at(reader, reader.look(rows))
        window = newest.last(last)
        # A window that begins with the first row that was looked at may have rows before it.
        if not is_time(last) or window.rows_range.start > newest.rows_range.start or newest.num_rows < rows:
            return window
        rows = 4 * newest.num_rows


def open_growing(reader: LogReader, version: int | None) -> GrowingSnapshot:
    """Make the snapshot of a growing table, as it is now or as it was at a number of rows.

    Raises
    ------
    NotFoundError
        The table never had that many rows, or they are no longer retained.
    """
    look = reader.look()
    if version is None:
        return GrowingSnapshot.at(reader, look)
    rows = whole_number(version, "version")
    if rows < 0:
        raise ValueError(
            f"the versions of the growing table {reader.name!r} are numbers of rows >= 0, got version={rows}; "
            f"it is at {look.stop:,}"
        )
    if rows > look.stop:
        raise NotFoundError(
            f"there is no version {rows:,} of the growing table {reader.name!r}: it has {look.stop:,} rows so far"
        )
    if rows < look.first:
        raise rows_dropped(reader.name, rows, look)
    return GrowingSnapshot(reader.table, look.first, rows, reader, look)
