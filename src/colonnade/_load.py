"""Store what a file, a folder or a database contains.

Does not depend on: how a source is read, how a table is written.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from colonnade._put import Request, Writer, write_batched
from colonnade.format.write.arrow_table import plan_table
from colonnade.format.write.batched import BatchedSource
from colonnade.format.write.key import key_fields
from colonnade.format.write.table import lay_out
from colonnade.interop.process_end import finished_before_exit
from colonnade.io.batches import release_memory
from colonnade.io.load import Read, read
from colonnade.io.options import ReadOptions
from colonnade.io.progress import Meter, progress_bar
from colonnade.io.streamed import MisdeclaredError
from colonnade.snapshot import Snapshot


def load(
    writer: Writer,
    source: Any,
    request: Request,
    *,
    query: str | None,
    format_: str | None,
    options: ReadOptions,
    progress: bool,
) -> Snapshot:
    """Read a source batch by batch, and write it as the next version of a name."""
    writer.prepare(request)
    try:
        with finished_before_exit, progress_bar(f"loading {request.name}", enabled=progress) as meter:
            try:
                return _store(writer, request, read(source, query, format_, options, meter))
            except MisdeclaredError:  # only files declare something, and they can be read again
                return _store(writer, request, read(source, query, format_, options, Meter(), streams=False))
    except FileNotFoundError as error:
        if Path(request.name).is_file():
            error.add_note("the name comes first, then the source: load('name', 'file.parquet')")
        raise
    finally:
        release_memory()


def _store(writer: Writer, request: Request, source: Read) -> Snapshot:
    plan = plan_table(source.table, together=False)  # batches go column by column
    batches = BatchedSource(source.lengths, release_memory, source.stream_fields, source.stream)
    del source  # the plan refers to its batches one by one, and each is released when it is written
    placement = lay_out(plan, key_fields(plan, request.key), request.meta, views=request.views)
    del plan
    fill = partial(write_batched, source=batches)
    return writer.store(placement, fill, lambda draft: writer.publish(request, placement, draft), unique=request.unique)
