"""What a table consists of: its structure as bytes, and the memory that its values are in.

A pickler takes the table apart, because it knows every part of it: labels, index, dtypes, `attrs`, whatever a library
adds. The bytes that it writes are the structure. The memory of arrays and Arrow buffers is not written but listed. So
two looks give the same structure and the same places, unless something other than values was changed.
The structure is never unpickled.

Does not depend on: files, how the values are compared.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.core.write_watch import Stretch
from colonnade.interop.arrow import arrow_table, dictionaries
from colonnade.interop.pandas import arrow_of


class Contents(NamedTuple):
    """The structure of a table and the memory of its values, which ``owners`` keep alive."""

    structure: bytes
    stretches: tuple[Stretch, ...]
    owners: list[Any]


def contents_of(table: Any) -> Contents:
    """Separate the structure of a pandas or Polars frame, or a PyArrow table, from its values. No value is read.

    Raises
    ------
    Exception
        Whatever its pickling raises.
    """
    file, memory = io.BytesIO(), _MemoryList([], [])
    taker = _Taker(file, memory)
    # Polars would pickle its values; as an Arrow table it refers to them.
    taker.dump(table if isinstance(table, pa.Table) or _is_pandas(table) else (type(table), arrow_table(table)))
    return Contents(file.getvalue(), tuple(memory.stretches), memory.owners)


def _is_pandas(table: Any) -> bool:
    return type(table).__module__.partition(".")[0] == "pandas"


class _MemoryList(NamedTuple):
    """The memory that was found, and its owners."""

    stretches: list[Stretch]
    owners: list[Any]

    def add(self, owner: Any, stretches: list[Stretch]) -> None:
        """Add memory, without what is empty: that has no address."""
        self.owners.append(owner)
        self.stretches.extend(stretch for stretch in stretches if stretch.size)

    def add_buffer(self, buffer: pickle.PickleBuffer) -> None:
        """Add a buffer that pickle leaves out of its stream."""
        memory = np.frombuffer(buffer.raw(), np.uint8)
        self.add(memory, [Stretch(memory.__array_interface__["data"][0], memory.nbytes)])


class _Taker(pickle.Pickler):
    """Writes all of an object but the memory of its arrays, which it lists."""

    def __init__(self, file: io.BytesIO, memory: _MemoryList) -> None:
        # Not a method of its own: a circle would keep the table alive until the next garbage collection.
        super().__init__(file, pickle.HIGHEST_PROTOCOL, buffer_callback=memory.add_buffer)
        self._memory = memory

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return self._ndarray(value)
        if isinstance(value, pd.arrays.ArrowExtensionArray):
            return type(value), (arrow_of(value), value.dtype)  # pandas joins the chunks, and copies them
        if isinstance(value, pa.Array):
            return self._arrow(value)
        if isinstance(value, pa.ChunkedArray):
            return pa.chunked_array, (value.chunks, value.type)
        return NotImplemented

    def _ndarray(self, array: np.ndarray[Any, Any]) -> Any:
        """NumPy copies datetimes and what has gaps, such as blocks of a stored table."""
        stretches = None if array.dtype.hasobject else _stretches_of(array)
        if stretches is None:
            return NotImplemented
        self._memory.add(array, stretches)
        return np.ndarray, (array.shape, array.dtype, array.strides)

    def _arrow(self, array: pa.Array) -> Any:
        """PyArrow copies what is a part of a longer array."""
        buffers = array.buffers()
        self._memory.add(array, [Stretch(buffer.address, buffer.size) for buffer in buffers if buffer is not None])
        there = [buffer is not None for buffer in buffers]
        return pa.array, (array.type, len(array), array.offset, there, list(dictionaries(array)))


def _stretches_of(array: np.ndarray[Any, Any]) -> list[Stretch] | None:
    """The memory of an array of one axis, or of two of which one is without gaps; else None."""
    address = array.__array_interface__["data"][0]
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return [Stretch(address, array.nbytes)]
    if array.ndim == 2:
        for inner in (0, 1):
            step = array.strides[1 - inner]
            if array.strides[inner] == array.itemsize and step > 0:
                width = array.shape[inner] * array.itemsize
                return [Stretch(address + step * i, width) for i in range(array.shape[1 - inner])]
    return None
