"""Widens the offsets of strings from 32 to 64 bits, as pandas needs them. The text itself is not copied.

Does not depend on: pandas.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from colonnade.core import jobs
from colonnade.core.buffers import Outputs, address_of, as_arrow_buffer, as_bytes
from colonnade.core.jobs import JOB, PIECE, Values

# With fewer rows, NumPy has copied the offsets before a job is planned.
_LEAST_ROWS = 1 << 14


def widen(chunk: pa.StringArray, threads: int) -> pa.Array:
    """The chunk as ``large_string``."""
    length, nulls = len(chunk), chunk.null_count
    validity, offsets, text = chunk.buffers()
    if length == 0 or text is None or (nulls and chunk.offset % 8):
        return chunk.cast(pa.large_string())
    if length < _LEAST_ROWS:
        wide = np.frombuffer(offsets, np.int32, length + 1, 4 * chunk.offset).astype(np.int64)
    else:
        wide = _widen(offsets.address, chunk.offset, length + 1, threads)
    bitmap = validity.slice(chunk.offset // 8) if nulls else None
    return pa.Array.from_buffers(_LARGE_STRING, length, [bitmap, as_arrow_buffer(wide), text], nulls)


_LARGE_STRING = pa.large_string()


def _widen(address: int, offset: int, count: int, threads: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    outputs = Outputs()
    wide = outputs.new((count,), np.int64)
    job, piece = np.zeros(1, JOB), np.zeros(1, PIECE)
    job["rows"], job["piece_count"], job["values"], job["out_width"] = count, 1, Values.OFFSETS32, 8
    job["values_at"] = address_of(wide)
    job["bitmap_at"] = job["mask_at"] = job["pandas_at"] = -1
    # The base -1 keeps the offsets' values, because the text keeps its beginning.
    piece["values"], piece["offset"], piece["length"], piece["base"] = address, offset, count, -1
    outputs.touch(threads)
    jobs.into_memory(job, piece, outputs=[as_bytes(wide)], threads=threads)
    return wide
