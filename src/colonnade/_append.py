"""Appends rows to a growing table.

Does not depend on: how readers see the rows, the bytes of a segment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Self

import pandas as pd

from colonnade.errors import ReentrantCallError, brief_repr
from colonnade.format.growing import GrowingSchema
from colonnade.format.growing_file import AUTOMATIC_STATES, Counts
from colonnade.format.write.growing import Chunk, Rows, rows_of
from colonnade.format.write.growing_rows import RowWriter
from colonnade.sizes import parse_size
from colonnade.storage import log_folder, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log import Log
from colonnade.storage.log_head import Retention
from colonnade.storage.log_segment import LogSegment
from colonnade.storage.os_errors import explained


def retention_of(retain: Any) -> Retention | None:
    """How much is kept: of a number of rows, a text of a time (``"1h"``) or of a size (``"4GiB"``); None for None."""
    if retain is None:
        return None
    found: Retention | None = None
    if type(retain) is int:
        found = Retention(rows=retain)
    elif isinstance(retain, str) and retain.strip().upper().endswith("B"):
        found = Retention(nbytes=parse_size(retain, "retain"))
    elif isinstance(retain, (str, timedelta)):
        try:
            found = Retention(ns=pd.Timedelta(retain).as_unit("ns").value)
        except ValueError as error:
            raise ValueError(f"retain={retain!r} is no time and no size: {error}") from error
    if found is None or not all(0 <= number < 1 << 62 for number in found) or found == Retention():
        raise ValueError(
            f"retain must be a number of rows, a time as in '1h', or a size as in '4GiB', got {brief_repr(retain)}"
        )
    return found


def schema_of(columns: Any, like: Any, index: Any) -> GrowingSchema | None:
    """The schema of what a caller gives; None if nothing is given."""
    if columns is not None and like is not None:
        raise ValueError("give the columns or like=, not both")
    if like is not None:
        frame = pd.DataFrame(like) if isinstance(like, Mapping) else like
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(f"like must be a DataFrame or a mapping of columns, got {brief_repr(like)}")
        dtypes = dict(frame.dtypes.items())
        if isinstance(frame.index, pd.MultiIndex):
            raise ValueError("a growing table has one column as its index at most: reset_index() first")
        if not isinstance(frame.index, pd.RangeIndex):
            if frame.index.name is None:
                raise ValueError("the index of like= has no name; name it, or reset it")
            dtypes = {frame.index.name: frame.index.dtype, **dtypes}
            index = frame.index.name if index is None else index
        return GrowingSchema.of(dtypes.items(), index)
    if columns is None:
        if index is not None:
            raise ValueError("index= belongs to the columns of a new table: give them too")
        return None
    if not isinstance(columns, Mapping):
        raise TypeError(f"the columns must map names to dtypes, got {brief_repr(columns)}")
    return GrowingSchema.of(columns.items(), index)


class Appender:
    """Appends rows to a growing table; a context manager.

    Made by `colonnade.appender`. Threads may share it. A forked child may not use it.
    """

    def __init__(self, catalog: Catalog, name: str, schema: GrowingSchema | None, retention: Retention | None) -> None:
        self._lock = threading.RLock()
        self._is_writing = False
        self._root = catalog.directory.root
        self._process = os.getpid()
        with explained(self._root, f"appending to {name!r}"):
            self._log = Log.open(catalog, paths.check_name(name), schema, retention)
            self._writer = self._new_writer()

    def _new_writer(self) -> RowWriter | None:
        segment = self._log.segment
        if segment is None:
            return None
        rows = self._log.committed - segment.entry.base
        return RowWriter(self._log.schema, segment.places, segment.memory, rows)

    @property
    def name(self) -> str:
        """The name of the table."""
        return self._log.name

    @property
    def num_rows(self) -> int:
        """How many rows were ever appended, by this appender and those before it."""
        return self._log.committed

    def append(self, data: Any) -> int:
        """Append a batch of rows: all of them at once, or none.

        Parameters
        ----------
        data : DataFrame, mapping of columns to arrays, or Arrow data
            The rows. Their columns are the table's, in any order.

        Returns
        -------
        int
            How many rows the table has then.

        Raises
        ------
        ValueError, UnsupportedTypeError, InvalidDataError
            The rows do not fit the columns.
        StoreFullError
            There is no room. After each of these errors, no row was appended.
        """
        return self._append(rows_of(self._log.schema, data))

    def row(self, **values: Any) -> int:
        """Append one row, given as keywords; returns how many rows the table has then."""
        return self._append(rows_of(self._log.schema, {name: [value] for name, value in values.items()}))

    def flush(self) -> None:
        """Show all rows to programs that read the segments as Arrow files. Readers of Colonnade see them already."""
        with self._lock:
            self._check_open()
            with explained(self._root, f"flushing {self.name!r}"):
                self._show()

    def close(self) -> None:
        """Show all rows, and let others append; twice is once."""
        with self._lock:
            if self._log.closed or self._process != os.getpid():
                return
            try:
                with explained(self._root, f"closing {self.name!r}"):
                    self._show()
            finally:
                self._log.close()
                self._writer = None  # it keeps the last segment mapped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._log.closed else f"{self.num_rows:,} rows"
        return f"<colonnade.Appender of {self.name!r}: {state}>"

    # -- the steps -----------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError(
                f"this appender of {self.name!r} belongs to process {self._process}, and this is a forked child of it; "
                "append there, or open an appender of its own here once that one is closed"
            )
        if self._log.closed:
            raise ValueError(f"this appender of {self.name!r} is closed; make another one")
        if self._is_writing:
            raise ReentrantCallError(f"a signal handler or a finalizer appends to {self.name!r} within an append")
        if self._log.is_deleted:
            raise ValueError(f"the growing table {self.name!r} was deleted; make another appender to begin anew")

    def _append(self, rows: Rows) -> int:
        with self._lock:
            self._check_open()
            if not rows.num_rows:
                return self.num_rows
            self._is_writing = True
            try:
                with explained(self._root, f"{rows.num_rows:,} rows of {self.name!r}"):
                    self._write(rows)
            finally:
                self._is_writing = False
            return self.num_rows

    def _write(self, rows: Rows) -> None:
        log, full = self._log, list[tuple[LogSegment, Counts]]()
        try:
            for part in self._parts(rows, full):
                assert self._writer is not None
                assert log.segment is not None
                log.segment.provide(self._writer.ranges(part))
                self._writer.write(part)
        except BaseException:
            # Rows behind `committed` are nobody's: segments that were begun go, and the counts are taken anew.
            log.recover()
            self._writer = self._new_writer()
            raise
        log.publish(log.committed + rows.num_rows)
        for segment, counts in full:
            segment.show(counts)
            segment.tell()
        last, writer = log.segment, self._writer
        assert last is not None
        assert writer is not None
        shown = 0 if last.state is None else last.state.rows
        if writer.rows - shown >= last.entry.capacity // AUTOMATIC_STATES:
            self._show()

    def _parts(self, rows: Rows, full: list[tuple[LogSegment, Counts]]) -> Iterator[Rows]:
        """The rows, cut where a segment ends; the next one is begun. ``full`` gets those that are to be shown whole."""
        done = 0
        while done < rows.num_rows:
            segment, writer = self._log.segment, self._writer
            room = 0 if segment is None or writer is None else segment.entry.capacity - writer.rows
            if not room:
                if segment is not None and writer is not None:
                    full.append((segment, writer.counts))
                self._begin(self._log.committed + done)
                continue
            count = min(room, rows.num_rows - done)
            yield _part(rows, done, count)
            done += count

    def _begin(self, base: int) -> None:
        """Begin the next segment; it gets the dictionaries of the last one."""
        before = self._writer
        segment = self._log.begin(base)
        self._writer = writer = RowWriter(self._log.schema, segment.places, segment.memory, 0)
        if before is not None:
            segment.provide(writer.dictionary_ranges(before))
            for number, names in before.categories.items():
                writer.add_names(number, list(names))

    def _show(self) -> None:
        segment, writer = self._log.segment, self._writer
        if segment is None or writer is None:
            return
        if segment.state is None or segment.state.rows != writer.rows:
            segment.show(writer.counts)
            segment.tell()


def append(catalog: Catalog, name: str, data: Any) -> int:
    """Append one batch of rows; a frame makes the table if it is not there."""
    is_new = isinstance(data, pd.DataFrame) and not log_folder.is_there(catalog, paths.check_name(name))
    with Appender(catalog, name, schema_of(None, data, None) if is_new else None, None) as appender:
        return appender.append(data)


def _part(rows: Rows, start: int, count: int) -> Rows:
    if start == 0 and count == rows.num_rows:
        return rows
    stop = start + count
    return Rows(
        count,
        [
            Chunk(
                None if chunk.values is None else chunk.values[start:stop],
                None if chunk.missing is None else chunk.missing[start:stop],
                chunk.text if chunk.values is not None or chunk.text is None else chunk.text.slice(start, count),
            )
            for chunk in rows.chunks
        ],
    )
