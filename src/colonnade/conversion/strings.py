"""Widens the offsets of strings from 32 to 64 bits, as pandas needs them. The text itself is not copied.

Does not depend on: pandas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core.buffers import Outputs, address_of, as_arrow_buffer
from colonnade.core.jobs import JOB, PIECE, Values


class Widening(NamedTuple):
    """A job and its piece; ``finish`` returns the strings after the job has run."""

    job: npt.NDArray[Any]
    piece: npt.NDArray[Any]
    finish: Callable[[], pa.Array]


def widen(chunk: pa.StringArray, outputs: Outputs) -> Widening | pa.Array:
    """Plan the new offsets of a chunk; if there is nothing to plan, return the chunk as ``large_string``."""
    validity, offsets, text = chunk.buffers()
    length, nulls = len(chunk), chunk.null_count
    if length == 0 or text is None or (nulls and chunk.offset % 8):
        return chunk.cast(pa.large_string())
    wide = outputs.new((length + 1,), np.int64)
    job, piece = np.zeros(1, JOB), np.zeros(1, PIECE)
    job["rows"], job["piece_count"], job["values"], job["out_width"] = length + 1, 1, Values.OFFSETS32, 8
    job["values_at"] = address_of(wide)
    job["bitmap_at"] = job["mask_at"] = job["pandas_at"] = -1
    # The base -1 keeps the offsets' values, because the text keeps its beginning.
    piece["values"], piece["offset"], piece["length"], piece["base"] = offsets.address, chunk.offset, length + 1, -1
    bitmap = validity.slice(chunk.offset // 8) if nulls else None

    def finish() -> pa.Array:
        return pa.Array.from_buffers(pa.large_string(), length, [bitmap, as_arrow_buffer(wide), text], nulls)

    return Widening(job, piece, finish)
