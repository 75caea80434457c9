"""A hash index over key columns: the Python side of ``src/core/key_index.h``.

An index stands in one region: a header of 64 bytes, the slots, and the chain of rows with equal keys. Any memory can
hold it: `build_index` writes a region, `KeyIndex` reads one.

Does not depend on: Arrow, pandas, files, where the region stands.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core

# magic, seed, rows that are not the first of their key, rows left out for a null, bits; see docs/format.md
_HEADER = struct.Struct("<8sQqqq24x")
_MAGIC = b"KEYINDEX"
_SLOT, _ROW = 8, 4  # bytes
# Slots of a region: 256 KiB, which stay in the second-level cache of the thread that fills them.
_REGION_SLOTS = 32768
# Fewer keys are looked up by one thread, as in ``key_index.cpp``.
_THREADED = 1 << 16
# How many seeds are tried. A region is too full only for an unlucky seed.
_SEEDS = 8

_NO_OFFSETS = np.empty(0, np.int64)
_ALL_VALID = np.empty(0, np.uint8)


class KeyColumn(NamedTuple):
    """The memory of one column of a key.

    ``values`` are its bytes; a value has ``width`` of them, or 0 stands for text, whose ``offsets`` (rows + 1) lead
    into the bytes; they are int64 or int32. ``valid`` has a byte for each row, 0 for a null; it is empty where there
    are no nulls.
    """

    values: npt.NDArray[np.uint8]
    width: int
    offsets: npt.NDArray[np.int64] | npt.NDArray[np.int32] = _NO_OFFSETS
    valid: npt.NDArray[np.uint8] = _ALL_VALID


def size_of_index(rows: int) -> int:
    """The bytes of an index over ``rows`` rows: about 16 for each."""
    bits, slots = _slots(rows)
    return _HEADER.size + (slots << bits) * _SLOT + _chain_size(rows)


def _slots(rows: int) -> tuple[int, int]:
    """(bits, slots of a region), so that two of three slots are taken."""
    slots = rows + rows // 2
    bits = 0
    while slots >> bits > _REGION_SLOTS:
        bits += 1
    return bits, (slots >> bits) + 2


def _chain_size(rows: int) -> int:
    return (rows * _ROW + 7) & ~7


class KeyIndex:
    """An index over memory that holds one.

    Parameters
    ----------
    memory : numpy.ndarray of uint8
        The region. Every number in it is checked before it is used as a place.
    columns : sequence of KeyColumn
        The columns that the index was built over.
    rows : int
        How many rows the columns have.

    Raises
    ------
    ValueError
        The region is not an index over ``rows`` rows.
    """

    def __init__(self, memory: npt.NDArray[np.uint8], columns: Sequence[KeyColumn], rows: int) -> None:
        if len(memory) < _HEADER.size:
            raise ValueError(f"a key index of {len(memory)} bytes has no header")
        magic, self._seed, self.duplicates, self.nulls, self._bits = _HEADER.unpack_from(memory.data)
        if magic != _MAGIC:
            raise ValueError(f"a key index begins with {magic!r}")
        slots_end = len(memory) - _chain_size(rows)
        if slots_end <= _HEADER.size or (slots_end - _HEADER.size) % _SLOT:
            raise ValueError(f"a key index of {len(memory)} bytes is not one of {rows} rows")
        self._slots = memory[_HEADER.size : slots_end].view(np.uint64)
        chain = memory[slots_end : slots_end + rows * _ROW].view(np.uint32)
        self._chain = chain if self.duplicates else chain[:0]
        self._columns = list(columns)
        self._rows = rows

    def find(self, keys: Sequence[KeyColumn], count: int) -> npt.NDArray[np.int64]:
        """The first row of each of ``count`` keys, -1 where there is none."""
        rows = np.empty(count, np.int64)
        threads = 1 if count < _THREADED else 0  # to ask how many there are takes a system call
        self._check(
            _core.find_keys(
                self._slots, self._chain, self._bits, self._seed, self._columns, self._rows, keys, rows, threads
            )
        )
        return rows

    def all_rows(self, first: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """All rows of each key whose first row `find` gave, in order, one key after the other."""
        if not self.duplicates:
            return first[first >= 0]
        counts = np.empty(len(first), np.int64)
        self._check(_core.count_key_rows(self._slots, self._chain, self._bits, self._rows, first, counts))
        rows = np.empty(int(counts.sum()), np.int64)
        self._check(_core.list_key_rows(self._slots, self._chain, self._bits, self._rows, first, rows))
        return rows

    def repeated_row(self) -> int:
        """A row whose key stands in a later row too; only where there are duplicates."""
        return int(np.argmax(self._chain != 0))

    @staticmethod
    def _check(sound: bool) -> None:
        if not sound:
            raise ValueError("a key index leads to rows that are not there")


def build_index(memory: npt.NDArray[np.uint8], columns: Sequence[KeyColumn], rows: int) -> KeyIndex:
    """Write an index over columns into ``memory``, whose length is ``size_of_index(rows)``, on all processors.

    Keys of one integer column need no other memory; others need 8 bytes a row meanwhile, and so does a table where many
    rows have one key.
    """
    bits, region_slots = _slots(rows)
    slots_end = _HEADER.size + (region_slots << bits) * _SLOT
    slots = memory[_HEADER.size : slots_end].view(np.uint64)
    chain = memory[slots_end : slots_end + rows * _ROW].view(np.uint32)
    for _ in range(_SEEDS):
        seed = int.from_bytes(os.urandom(8), "little")
        counts = _core.build_key_index(list(columns), rows, seed, bits, slots, chain)
        if counts is not None:
            nulls, duplicates = counts
            _HEADER.pack_into(memory.data, 0, _MAGIC, seed, duplicates, nulls, bits)
            return KeyIndex(memory, columns, rows)
    raise AssertionError(f"{_SEEDS} seeds gave too full a region")


def column_of(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None) -> KeyColumn:
    """A column of fixed-width values."""
    values = np.ascontiguousarray(values)
    return KeyColumn(
        values.view(np.uint8).reshape(-1),
        values.dtype.itemsize,
        valid=_ALL_VALID if valid is None else valid.view(np.uint8),
    )
