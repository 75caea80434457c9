"""Bounds checks: the only maker of views into a body.

Every place and count that comes from a file passes through `Body` before memory is looked at. Does not depend on: what
a view is used for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.core.alignment import STRIDE_STEP
from colonnade.errors import CorruptSnapshotError

_MOST_AXES = 64  # NumPy's
_MOST_LENGTH = 1 << 63

Stretch = tuple[int, int]  # the first byte, and the one after the last


class Body:
    """``size`` bytes of ``buffer`` from ``start``: the area that a snapshot's places count from.

    Views keep ``buffer`` alive. A list ``stretches`` records the bytes of ``buffer`` that each view covers.
    """

    __slots__ = ("buffer", "size", "start", "stretches")

    def __init__(self, buffer: Any, start: int, size: int, stretches: list[Stretch] | None = None) -> None:
        self.buffer = buffer
        self.start = start
        self.size = size
        self.stretches = stretches

    def _check(self, at: Any, count: Any, what: str, *details: Any) -> None:
        # The words are put together only when they are needed: they take longer than the check.
        if type(at) is not int or type(count) is not int or at < 0 or count < 0 or at + count > self.size:
            name = what.format(*details)
            raise CorruptSnapshotError(
                f"{name} at byte {at}, {count} bytes long, is outside of the body of {self.size} bytes"
            )
        # Compiled loops over numbers take for granted that these stand at a multiple of their size.
        if at % STRIDE_STEP:
            name = what.format(*details)
            raise CorruptSnapshotError(f"{name} is at byte {at} of the body, which is not a multiple of {STRIDE_STEP}")

    def array(self, dtype: np.dtype[Any], at: int, rows: int) -> npt.NDArray[Any]:
        """View ``rows`` elements at ``at``; nothing is copied."""
        self._check(at, rows * dtype.itemsize, "an array of {} {}", rows, dtype)
        if self.stretches is not None:
            self.stretches.append((self.start + at, self.start + at + rows * dtype.itemsize))
        return np.ndarray((rows,), dtype, self.buffer, self.start + at)

    def ndarray(self, dtype: np.dtype[Any], at: int, shape: Any, order: Any) -> npt.NDArray[Any]:
        """View an array whose memory is contiguous in an order, C or F; nothing is copied."""
        if order not in ("C", "F"):
            raise CorruptSnapshotError(f"an array has the order {order!r}; it must be C or F")
        if type(shape) is not list or len(shape) > _MOST_AXES:
            raise CorruptSnapshotError(f"an array of the shape {str(shape)[:200]}")
        for length in shape:
            if type(length) is not int or not 0 <= length < _MOST_LENGTH:
                raise CorruptSnapshotError(f"an array of the shape {shape}")
        # Of Python's integers, which do not overflow. Even of an array that has nothing in it the strides are numbers.
        if math.prod(filter(None, shape)) * dtype.itemsize >= _MOST_LENGTH:
            raise CorruptSnapshotError(f"an array of the shape {shape}")
        size = math.prod(shape) * dtype.itemsize
        self._check(at, size, "an array of {} {}", shape, dtype)
        if self.stretches is not None:
            self.stretches.append((self.start + at, self.start + at + size))
        return np.ndarray(shape, dtype, self.buffer, self.start + at, order=order)

    def block(self, dtype: np.dtype[Any], at: int, stride: int, columns: int, rows: int) -> npt.NDArray[Any]:
        """View a block of shape (columns, rows), ``stride`` bytes from one column to the next; nothing is copied."""
        width = rows * dtype.itemsize
        if type(stride) is not int or stride < width or stride % STRIDE_STEP:
            raise CorruptSnapshotError(f"a block of {rows} {dtype} has a stride of {stride} bytes")
        self._check(at, stride * (columns - 1) + width, "a block of {} x {} {}", columns, rows, dtype)
        if self.stretches is not None:
            first = self.start + at
            self.stretches.extend((first + stride * i, first + stride * i + width) for i in range(columns))
        return np.ndarray((columns, rows), dtype, self.buffer, self.start + at, (stride, dtype.itemsize))

    def bytes(self, at: int, size: int) -> memoryview:
        """View ``size`` bytes at ``at``."""
        self._check(at, size, "a nested table, or an array's bytes,")
        if self.stretches is not None:
            self.stretches.append((self.start + at, self.start + at + size))
        return memoryview(self.buffer)[self.start + at : self.start + at + size]


def check_apart(stretches: Iterable[Stretch], what: str) -> None:
    """See that no two stretches have a byte in common."""
    end = 0
    for first, last in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if first < end:
            raise CorruptSnapshotError(f"{what} overlap at byte {first} of the file")
        end = last
