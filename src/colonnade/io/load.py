"""The sources of `load`: each is read into a table whose memory nothing else refers to, and batches of the rest.

Does not depend on: stores, how a source is read.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.errors import printable
from colonnade.io import databases
from colonnade.io.batches import Source, Stream, gather
from colonnade.io.files import open_files
from colonnade.io.formats import checked_format
from colonnade.io.options import ReadOptions
from colonnade.io.progress import Meter
from colonnade.io.secrets import without_secrets
from colonnade.io.streamed import with_placeholders


class Read(NamedTuple):
    """A table that was read. ``lengths`` are the rows of the batches that are in memory.

    For the fields ``stream_fields`` the table has placeholders. ``stream`` gives their values: the numbers of some
    fields, and a batch of them.
    """

    table: pa.Table
    lengths: list[int]
    stream_fields: list[int]
    stream: Iterator[tuple[Sequence[int], pa.RecordBatch]]


def read(
    source: Any, query: str | None, format_: str | None, options: ReadOptions, meter: Meter, *, streams: bool = True
) -> Read:
    """Read a source to its end, batch by batch, but for the columns that can be streamed, if ``streams``.

    Raises
    ------
    MemoryError
        No thread can be started.
    """
    _check_threads()
    with _opened(source, query, format_, options, meter, streams=streams) as (schema, batches, stream):
        if stream is None:
            table = gather(schema, batches)
            return Read(table, _lengths(table), [], iter(()))
        table = gather(pa.schema([field for field in schema if field.name not in stream.columns]), batches)
        lengths = _lengths(table)
        stream_fields = [schema.get_field_index(name) for name in stream.columns]
        whole = with_placeholders(table, schema, stream.columns, stream.rows)
        return Read(whole, lengths, stream_fields, _batches(schema, stream))


def _check_threads() -> None:
    """See that there can be threads: without one, PyArrow waits for ever."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(
            "no thread can be started to load with: this user or container has as many as it may (ulimit -u, pids.max),"
            " or there is no memory; nothing was stored"
        ) from error
    thread.join()


def _batches(schema: pa.Schema, stream: Stream) -> Iterator[tuple[Sequence[int], pa.RecordBatch]]:
    for names, batch in stream.batches:
        yield [schema.get_field_index(name) for name in names], batch


def _lengths(table: pa.Table) -> list[int]:
    return [len(chunk) for chunk in table.columns[0].chunks] if table.num_columns else []


@contextlib.contextmanager
def _opened(
    source: Any, query: str | None, format_: str | None, options: ReadOptions, meter: Meter, *, streams: bool
) -> Iterator[Source]:
    kind = checked_format(format_)
    is_file = isinstance(source, (str, os.PathLike)) and not databases.is_database(os.fspath(source))
    if not is_file and (names := options.chosen()):
        raise ValueError(f"{names[0]}= is for files; say it in the query")
    if not isinstance(source, (str, os.PathLike)):
        if kind is not None:
            raise ValueError("format= is for files, not for connections and Arrow data")
        if query is None:
            yield _counted(databases.open_arrow(source), meter)
        else:
            with databases.open_connection(source, query) as result:
                yield _counted(result, meter)
        return
    path = os.fspath(source)
    if not databases.is_database(path):
        if query is not None:
            title = printable(without_secrets(path))
            raise ValueError(f"query= is for databases ({', '.join(databases.DRIVERS)}), and {title} is a file")
        yield open_files(path, kind, options, meter, streams=streams)
        return
    if query is None:
        scheme = path.partition("://")[0]
        raise ValueError(f"{scheme}:// is a database; say with query= what to ask it")
    with databases.open_database(path, query) as result:
        yield _counted(result, meter)


def _counted(source: Source, meter: Meter) -> Source:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.batches:
            meter.count(batch)
            yield batch

    return Source(source.schema, batches())
