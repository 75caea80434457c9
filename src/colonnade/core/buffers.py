"""Memory that a conversion writes to: arrays of the pool, and views of arrays as bytes and as Arrow buffers.

Does not depend on: what is written.
"""

from __future__ import annotations

import math
import os
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core
from colonnade.sizes import parse_size

# In bytes. malloc gives smaller blocks from memory that was used before. For larger ones it maps fresh pages each time
# (M_MMAP_THRESHOLD).
POOLED = 128 << 10


def default_limit() -> int:
    """How many bytes the pool keeps: ``COLONNADE_POOL_LIMIT``, else a sixteenth of memory and at most 1.25 GiB.

    That is enough for 1 GiB of values with their bitmaps, masks and codes.
    """
    setting = os.environ.get("COLONNADE_POOL_LIMIT")
    if setting is None:
        return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 16, 5 << 28)
    return parse_size(setting, "COLONNADE_POOL_LIMIT")


_core.set_pool_limit(default_limit())


def set_pool_limit(limit: int | str) -> None:
    """Set how much memory of dropped frames is kept for the next ones.

    `to_pandas` and `from_pandas` write to buffers of huge pages. These are kept after the last view of them is gone,
    because the first touch of fresh memory costs more than the copy itself. By default a sixteenth of the machine's
    memory is kept, and at most 1.25 GiB. Kept memory is marked as free, and the kernel takes it when memory runs short.
    `gc` frees it.

    Parameters
    ----------
    limit : int or str
        Bytes, or a text like ``"256MiB"``; 0 keeps nothing. What exceeds the limit is freed at once. The environment
        variable ``COLONNADE_POOL_LIMIT`` sets the limit too.

    Raises
    ------
    ValueError
        If ``limit`` is not a size.

    Examples
    --------
    >>> import colonnade as cn
    >>> cn.set_pool_limit("256MiB")
    """
    _core.set_pool_limit(parse_size(limit, "the limit"))


def trim_pool() -> int:
    """Free the memory that the pool keeps; returns how many bytes it was."""
    return _core.trim_pool()


class Outputs:
    """The arrays that one conversion writes."""

    def __init__(self) -> None:
        self.arrays: list[npt.NDArray[Any]] = []
        self._buffers: list[_core.Buffer] = []

    def new(self, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
        """Make an array with arbitrary contents. A large one has memory of the pool."""
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        if count * dtype.itemsize < POOLED:
            array = np.empty(shape, dtype)
        else:
            buffer = _core.Buffer(count * dtype.itemsize)
            self._buffers.append(buffer)
            array = np.frombuffer(cast(Any, buffer), dtype, count).reshape(shape)
        self.arrays.append(array)
        return array

    def touch(self, threads: int) -> None:
        """Fault in all fresh pages at once. That takes less time than a fault at the first write to each page."""
        if self._buffers:
            _core.touch(self._buffers, threads)
            self._buffers.clear()


def as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View an array of any dtype as its bytes."""
    return array.reshape(-1).view(np.uint8)


def address_of(array: npt.NDArray[Any]) -> int:
    """The address of an array's first element."""
    address: int = array.__array_interface__["data"][0]
    return address


def as_arrow_buffer(array: npt.NDArray[Any]) -> pa.Buffer:
    """Wrap an array's memory as an Arrow buffer, which keeps it alive."""
    return pa.foreign_buffer(address_of(array), array.nbytes, array)
