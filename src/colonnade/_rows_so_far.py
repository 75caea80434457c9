"""The rows so far of growing tables, as tables that other hosts can fetch.

A growing table is many files that change. What is fetched is one file that does not change. So the rows so far are
written as a table when a host asks for them, and freed when nobody has asked for a while. Where that takes long,
whoever asks for the newest rows or for the same number of rows soon afterwards gets the same table, so that it can be
fetched while it grows.

Does not depend on: Flight, for how long a host may ask.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple
from weakref import WeakValueDictionary, ref

import pyarrow as pa

from colonnade._attach import attach
from colonnade._attached import segment_of
from colonnade._put import Writer
from colonnade._share import OwnedSnapshot, share
from colonnade.errors import NotFoundError
from colonnade.format.seal import Seal
from colonnade.storage.catalog import Catalog
from colonnade.storage.segment import Segment

# Rows that take more seconds to write are given out for as long again. Others are written anew if there are more.
_LONG = 1.0


class Described(NamedTuple):
    """What is known of a growing table without writing it."""

    schema: pa.Schema
    rows: int
    nbytes: int


class _Rows(NamedTuple):
    """Some rows of a growing table. Those of no rows differ in where they begin."""

    identity: int
    first: int
    version: int


class _Last(NamedTuple):
    """The table that was written last for a question; whoever asks the same before ``until`` gets it."""

    until: float
    table: ref[OwnedSnapshot]


class RowsSoFar:
    """The growing tables of a store. All methods may be called by any thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._writer = Writer(catalog)
        self._lock = threading.Lock()  # one table is written at a time
        self._tables: WeakValueDictionary[_Rows, OwnedSnapshot] = WeakValueDictionary()
        self._last: dict[tuple[int, int | None], _Last] = {}

    def describe(self, name: str) -> Described | None:
        """Describe a growing table; None if the name is not one.

        Raises
        ------
        InvalidNameError, CorruptSnapshotError, StoreAccessError
        """
        if not self._catalog.is_growing(name):
            return None
        with attach(self._catalog, name) as snapshot:
            return Described(snapshot.schema, snapshot.num_rows, snapshot.nbytes)

    def table(self, name: str, version: int | None) -> tuple[Segment, Seal, OwnedSnapshot]:
        """Write the rows as a table: all of them, or those that were there at a number of rows.

        The version of the table is the number of rows that were ever appended. Its file is there for as long as the
        snapshot is held. Rows that took long to write are given out again for as long, so without
        a number they may be that old.

        Raises
        ------
        NotFoundError
            The table never had so many rows, or they are no longer retained.
        StoreFullError, CorruptSnapshotError, StoreAccessError
        """
        if version is not None and version < 0:
            raise NotFoundError(f"there is no version {version} of the growing table {name!r}: versions count its rows")
        # The rows are those of the time of asking: who waits for the lock sees no more of them, and writes them once.
        with attach(self._catalog, name, version) as snapshot, self._lock:
            rows = _Rows(snapshot.identity, snapshot.version - snapshot.num_rows, snapshot.version)
            # The same number asked for again gives the same table, though rows at its beginning were dropped meanwhile.
            table = self._written_last(rows.identity, version)
            if table is None:
                table = self._tables.get(rows)
            if table is None:
                began = time.monotonic()
                table = share(self._writer, snapshot, version=max(snapshot.version, 1))
                self._tables[rows] = table
                now = time.monotonic()
                if now - began > _LONG:
                    self._last[rows.identity, version] = _Last(now + (now - began), ref(table))
            segment = segment_of(table)
            return segment, segment.seal(), table

    def _written_last(self, identity: int, version: int | None) -> OwnedSnapshot | None:
        """The table of the same rows, or of the newest ones, if it was written just now and is there."""
        now = time.monotonic()
        self._last = {each: last for each, last in self._last.items() if now < last.until and last.table() is not None}
        last = self._last.get((identity, version))
        return None if last is None else last.table()
