"""Looks inside a growing table: which of its files are damaged, and how.

Does not depend on: who appends meanwhile, pandas.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from colonnade.errors import ColonnadeError, CorruptSnapshotError
from colonnade.format.growing_file import check_state
from colonnade.format.read.file import reading
from colonnade.format.read.growing import Chunk, check_all, column_values, dictionary_of, read_arrow
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import NOTHING, SCHEMA, Head, LogState
from colonnade.storage.log_reader import LogReader, OpenSegment, OtherSizeError


class Damage(NamedTuple):
    """What is wrong with one file of a growing table."""

    file: str
    what: str


def damages(catalog: Catalog, name: str) -> Iterator[Damage]:
    """Look at every number and every value of a growing table; rows that are appended meanwhile are left out."""
    where = paths.locate(name)
    try:
        with catalog.directory.opened() as root:
            folder = folders.below(root, [*where.folders, where.live], catalog.directory.trusts)
        log = LogReader(catalog, name, folder)  # a new one: what was read before is read again
        head = log.head()
    except FileNotFoundError:
        if catalog.is_growing(name):
            yield Damage(paths.HEAD, "it is missing")
        return
    except ColonnadeError as error:
        yield Damage(paths.HEAD, str(error))
        return
    except OSError as error:  # a link, a folder or a pipe
        yield Damage(paths.HEAD, f"it cannot be read: {os.strerror(error.errno or 0)}")
        return
    yield from (Damage(paths.HEAD, what) for what in _head(log, head))
    before: Chunk | None = None
    for position, entry in enumerate(head.entries):
        file = paths.log_segment(entry.base, entry.number)
        try:
            segment = log.open_segment(entry)
        except (FileNotFoundError, OtherSizeError) as error:
            if log.head().first <= entry.base and not log.is_deleted:  # else retention has dropped it since
                yield Damage(file, "it is missing" if isinstance(error, FileNotFoundError) else str(error))
            continue
        except ColonnadeError as error:
            yield Damage(file, str(error))
            continue
        try:
            with reading():
                before = _segment(log, head, segment, head.end(position), before)
        except CorruptSnapshotError as error:
            yield Damage(file, str(error))


def _head(log: LogReader, head: Head) -> Iterator[str]:
    data = memoryview(cast(Any, log.words))
    if len(data) != SCHEMA + len(log.schema_text):
        yield f"it has {len(data):,} bytes, and its schema ends at {SCHEMA + len(log.schema_text):,}"
    for start, stop in NOTHING:
        if any(data[start:stop]):
            yield f"bytes {start} to {stop} are not 0"
    if head.entries and head.first != head.entries[0].base:
        yield f"the first row is {head.first:,}, and the first segment begins with row {head.entries[0].base:,}"


def _segment(log: LogReader, head: Head, segment: OpenSegment, stop: int, before: Chunk | None) -> Chunk:
    """Look at one segment, and whether it goes on where the one before it ends.

    Raises
    ------
    CorruptSnapshotError
    """
    table, where, base = log.schema, segment.places, segment.entry.base
    state = check_state(table, where, memoryview(cast(Any, segment.mapping)))
    row_count = log.committed - base  # after the state was read: no producer shows what it has not published
    rows = 0 if state is None else state.rows
    if rows > row_count:
        raise CorruptSnapshotError(f"it shows {rows:,} rows to other programs, of which {row_count:,} are published")
    if head.state == LogState.CLOSED and rows < stop - base:
        raise CorruptSnapshotError(
            f"it shows {rows:,} rows to other programs, and the head counts {stop - base:,} after an orderly end"
        )
    chunk = Chunk(where, segment.mapping, {}, 0, max(rows, stop - base))
    check_all(table, [chunk])
    if state is not None:
        null_counts = tuple(column.null_count for column in read_arrow(table, [chunk]).slice(0, rows).columns)
        if null_counts != state.nulls:
            raise CorruptSnapshotError(f"it shows {state.nulls} nulls to other programs, and there are {null_counts}")
    if before is not None:
        _follows(log, before, chunk._replace(stop=stop - base))
    return chunk._replace(stop=stop - base)


def _follows(log: LogReader, before: Chunk, chunk: Chunk) -> None:
    for number, (column, places) in enumerate(zip(log.schema.columns, chunk.places.columns, strict=True)):
        if places.dictionary is not None:
            older, newer = dictionary_of(number, before), dictionary_of(number, chunk)
            if not newer.slice(0, len(older)).equals(older):
                raise CorruptSnapshotError(f"column {column.name!r} has other categories than the segment before")
        elif column.name == log.schema.index and before.stop and chunk.stop:
            last = column_values(column, number, before)[-1]
            if column_values(column, number, chunk)[0] < last:
                raise CorruptSnapshotError(f"the index {column.name!r} begins below the end of the segment before")
