"""Store what a file, a folder or a database contains.

Does not depend on: how a source is read, how a table is written.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from colonnade._lookup import key_fields
from colonnade._put import Request, Writer, write_batched
from colonnade.format.write.arrow_table import plan_table
from colonnade.format.write.table import lay_out
from colonnade.io.batches import release_memory
from colonnade.io.load import read
from colonnade.io.options import ReadOptions
from colonnade.io.progress import progress_bar
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
        with progress_bar(f"loading {request.name}", enabled=progress) as meter:
            table = read(source, query, format_, options, meter)
            lengths = [len(chunk) for chunk in table.columns[0].chunks] if table.num_columns else []
            plan = plan_table(table)
            del table  # the plan refers to its batches one by one, and each is released when it is written
            laid = lay_out(plan, key_fields(plan, request.key), request.meta)
            del plan
            fill = partial(write_batched, lengths=lengths, release=release_memory)
            return writer.store(laid, fill, lambda draft: writer.publish(request, laid, draft), unique=request.unique)
    finally:
        release_memory()
