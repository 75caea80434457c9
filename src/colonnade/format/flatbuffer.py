"""A table of a flatbuffer, its fields taken by slot.

The binary form is https://flatbuffers.dev/internals. Does not depend on: what a slot means.

The four kinds of field that Arrow's footers need take fewer lines here than the calls of the library take, and a
quarter of its time, which was a fifth of opening a small table. Whatever a number in the buffer says, nothing outside
of it is read: ``struct`` and NumPy raise, and a place before its start does so here.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_SIGNED = struct.Struct("<i").unpack_from
_UNSIGNED = struct.Struct("<I").unpack_from
_SHORT = struct.Struct("<H").unpack_from


class Table:
    """A table that starts at ``position`` of a buffer. Numbers that make no sense raise struct.error or ValueError."""

    __slots__ = ("_data", "_position", "_slots", "_slots_end")

    def __init__(self, data: Any, position: int) -> None:
        self._data = data
        self._position = position
        self._slots = position - _SIGNED(data, _inside(position))[0]
        self._slots_end = self._slots + _SHORT(data, _inside(self._slots))[0]

    @classmethod
    def root(cls, data: Any, start: int = 0) -> Table:
        """The root table of a buffer that begins at ``start``."""
        return cls(data, start + _UNSIGNED(data, start)[0])

    def place(self, slot: int) -> int:
        """The position of a field in the buffer, 0 where it was left out."""
        entry = self._slots + 4 + 2 * slot
        if entry >= self._slots_end:
            return 0
        offset: int = _SHORT(self._data, entry)[0]
        return self._position + offset if offset else 0

    @property
    def position(self) -> int:
        """Where it starts in the buffer."""
        return self._position

    def vector(self, slot: int) -> tuple[int, int]:
        """Where the items of a vector start, and how many they are; (0, 0) where it was left out."""
        place = self.place(slot)
        if not place:
            return 0, 0
        start = self._follow(place)
        return start + 4, _UNSIGNED(self._data, start)[0]

    def _follow(self, place: int) -> int:
        return place + int(_UNSIGNED(self._data, place)[0])

    def table(self, slot: int) -> Table:
        """A field that is a table."""
        return Table(self._data, self._follow(self.place(slot)))

    def structs(self, slot: int, dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
        """A vector of structs, as a view: writable where the buffer is."""
        place = self.place(slot)
        if not place:
            return np.empty(0, dtype)
        start = self._follow(place)
        return np.frombuffer(self._data, dtype, _UNSIGNED(self._data, start)[0], start + 4)

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables."""
        place = self.place(slot)
        if not place:
            return []
        start = self._follow(place)
        (count,) = _UNSIGNED(self._data, start)
        return [Table(self._data, self._follow(start + 4 + 4 * number)) for number in range(count)]

    def text(self, slot: int, size: int | None = None) -> bytes:
        """A string. With ``size``: only if it has that many bytes, so that no long one is copied for nothing."""
        place = self.place(slot)
        if not place:
            return b""
        start = self._follow(place)
        (length,) = _UNSIGNED(self._data, start)
        return b"" if size not in (None, length) else bytes(self._data[start + 4 : start + 4 + length])


def _inside(place: int) -> int:
    if place < 0:
        raise ValueError(f"a place of {place} in a flatbuffer")
    return place
