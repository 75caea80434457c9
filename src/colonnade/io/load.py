"""The sources of `load`: each is read into a table whose memory nothing else refers to.

Does not depend on: stores, how a source is read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import printable
from colonnade.io import databases
from colonnade.io.batches import Source, gather
from colonnade.io.files import open_files
from colonnade.io.formats import checked_format
from colonnade.io.options import ReadOptions
from colonnade.io.progress import Meter
from colonnade.io.secrets import without_secrets


def read(source: Any, query: str | None, format_: str | None, options: ReadOptions, meter: Meter) -> pa.Table:
    """Read a source to its end, batch by batch."""
    with _opened(source, query, format_, options, meter) as opened:
        return gather(opened)


@contextlib.contextmanager
def _opened(
    source: Any, query: str | None, format_: str | None, options: ReadOptions, meter: Meter
) -> Iterator[Source]:
    kind = checked_format(format_)
    is_file = isinstance(source, (str, os.PathLike)) and not databases.is_database(os.fspath(source))
    if not is_file and (given := options.chosen()):
        raise ValueError(f"{given[0]}= is for files; say it in the query")
    if not isinstance(source, (str, os.PathLike)):
        if kind is not None:
            raise ValueError("format= is for files, not for connections and Arrow data")
        if query is None:
            yield _counted(databases.open_arrow(source), meter)
        else:
            with databases.open_connection(source, query) as opened:
                yield _counted(opened, meter)
        return
    path = os.fspath(source)
    if not databases.is_database(path):
        if query is not None:
            shown = printable(without_secrets(path))
            raise ValueError(f"query= is for databases ({', '.join(databases.DRIVERS)}), and {shown} is a file")
        yield open_files(path, kind, options, meter)
        return
    if query is None:
        scheme = path.partition("://")[0]
        raise ValueError(f"{scheme}:// is a database; say with query= what to ask it")
    with databases.open_database(path, query) as opened:
        yield _counted(opened, meter)


def _counted(source: Source, meter: Meter) -> Source:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.batches:
            meter.count(batch)
            yield batch

    return Source(source.schema, batches())
