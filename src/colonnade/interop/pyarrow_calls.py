"""Calls of PyArrow that a daemon thread finishes before the process ends; see `process_end`.

Does not depend on: what is read, written or converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from colonnade.interop.process_end import finished_before_exit

# PyArrow's defaults; made once, so that PyArrow does not ask the environment for older ones at each put.
_OPTIONS = pa.ipc.IpcWriteOptions()


def ipc_file(batch: pa.RecordBatch) -> memoryview:
    """Write an IPC file of one batch, in memory."""
    with finished_before_exit:
        sink = pa.BufferOutputStream()
        writer = pa.ipc.new_file(sink, batch.schema, options=_OPTIONS)
        with writer:
            writer.write_batch(batch)
        del writer
        return memoryview(sink.getvalue())


def first_batch(file: Any) -> pa.RecordBatch:
    """Read the first batch of an IPC file in memory, without a copy."""
    with finished_before_exit:
        return pa.ipc.RecordBatchFileReader(pa.py_buffer(file)).get_batch(0)


def to_pandas(data: pa.Table | pa.Array | pa.ChunkedArray, *, use_threads: bool = True, **options: Any) -> Any:
    """Convert as PyArrow does."""
    with finished_before_exit:
        return with_threads_or_without(use_threads, lambda threads: data.to_pandas(use_threads=threads, **options))


def with_threads_or_without(use_threads: bool, convert: Callable[[bool], Any]) -> Any:
    """Convert, and again without threads if PyArrow cannot start one: a user or a container may have no more."""
    try:
        return convert(use_threads)
    except pa.ArrowException as error:
        if not use_threads or "worker thread" not in str(error):
            raise
    return convert(False)
