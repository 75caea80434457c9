"""Memory for what a conversion writes.

Knows: the pool, and what is too small for it. Must not know: what is written.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core

# Below this, malloc gives memory that was used before, and huge pages are of no use.
POOLED = 1 << 20
FAULTED_WHEN_WRITTEN = -1


def new_array(shape: tuple[int, ...], dtype: Any, threads: int = 0) -> npt.NDArray[Any]:
    """Make an array whose contents are anything; of pooled memory if it is large.

    So many ``threads`` fault fresh pages in, 0 being all processors; or `FAULTED_WHEN_WRITTEN`.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < POOLED:
        return np.empty(shape, dtype)
    touching = {0: _core.available_threads(), FAULTED_WHEN_WRITTEN: 0}.get(threads, threads)
    buffer = _core.Buffer(size, touching)
    return np.frombuffer(buffer, dtype, math.prod(shape)).reshape(shape)


def as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View an array of any dtype as its bytes."""
    return array.reshape(-1).view(np.uint8)


def address_of(array: npt.NDArray[Any]) -> int:
    """Where an array's first element is."""
    address: int = array.__array_interface__["data"][0]
    return address


def as_arrow_buffer(array: npt.NDArray[Any]) -> pa.Buffer:
    """Wrap an array's memory as an Arrow buffer, which keeps it alive."""
    return pa.foreign_buffer(address_of(array), array.nbytes, array)
