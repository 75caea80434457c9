"""Jobs for the core: the Python side of ``src/core/plan.h``.

Knows: the fields of a job and their order. Does not depend on: pandas, PyArrow, files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core
from colonnade.core.regions import Region


class Values(IntEnum):
    """What the ``values`` output is made from."""

    NONE = 0
    FIXED = 1
    BITS = 2
    BYTES_TO_BITS = 3
    OFFSETS32 = 4
    OFFSETS64 = 5


class Validity(IntEnum):
    """Where an element's validity is read from."""

    NONE = 0
    BITS = 1
    NAN16 = 2
    NAN32 = 3
    NAN64 = 4
    NAT = 5
    MASK = 6
    NEGATIVE = 7


class PandasBuffer(IntEnum):
    """The second physical form."""

    NONE = 0
    BYTES = 1
    FLOAT64 = 2
    CODES = 3
    SCALED = 4
    INTEGERS = 5


ELEMENTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
ELEMENT = {name: number for number, name in enumerate(ELEMENTS)}
NO_LIMIT = 2**63 - 1


def _rows_of(*names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


JOB = _rows_of(
    *("rows", "first_piece", "piece_count", "values", "width", "out_width", "validity", "fill", "element"),
    *("pandas_buffer", "pandas_element", "operand", "values_at", "bitmap_at", "mask_at", "pandas_at"),
)
PIECE = _rows_of("values", "stride", "validity", "offset", "length", "base", "map", "map_length")
RESULT = _rows_of("nulls", "overflows")


class Piece(NamedTuple):
    """One run of source elements: addresses of its buffers, and where in them it starts."""

    values: int
    stride: int
    validity: int
    offset: int
    length: int
    base: int = 0
    map: int = 0
    map_length: int = 0


@dataclass(slots=True, eq=False)
class Job:
    """One column's bytes, moved in one pass: values, validity bitmap, byte mask and pandas buffer.

    ``keep`` holds what owns the source memory until the job has run; ``nulls`` is set then.
    """

    rows: int
    pieces: Sequence[Piece]
    values_kind: Values = Values.NONE
    width: int = 0
    out_width: int = 0
    validity_kind: Validity = Validity.NONE
    fill: int = 0
    element: str = "int64"
    pandas_kind: PandasBuffer = PandasBuffer.NONE
    pandas_element: str = "int64"
    operand: int = NO_LIMIT
    values: Region | None = None
    bitmap: Region | None = None
    mask: Region | None = None
    pandas_buffer: Region | None = None
    keep: Any = None
    nulls: int = field(default=-1, init=False)

    def row(self, first_piece: int, start: int) -> tuple[int, ...]:
        """The job as the core reads it; its outputs are counted from ``start``."""
        return (
            *(self.rows, first_piece, len(self.pieces), self.values_kind, self.width, self.out_width),
            *(self.validity_kind, self.fill, ELEMENT[self.element], self.pandas_kind, ELEMENT[self.pandas_element]),
            *(self.operand, _place(self.values, start), _place(self.bitmap, start)),
            *(_place(self.mask, start), _place(self.pandas_buffer, start)),
        )


def _place(region: Region | None, start: int) -> int:
    return -1 if region is None else start + region.at


@dataclass(frozen=True, slots=True)
class Placed:
    """Jobs whose regions are counted from ``start``: the place of their body in the file, or its address in memory."""

    jobs: Sequence[Job]
    start: int


def run(placed: Sequence[Placed], write: Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
    """Run jobs and set each one's ``nulls``; ``write`` is one of the functions below, its last arguments bound.

    Raises
    ------
    OSError
        With the errno of the first write that failed; ENOSPC where the file system is full.
    """
    pieces: list[Piece] = []
    rows: list[tuple[int, ...]] = []
    for group in placed:
        for job in group.jobs:
            rows.append(job.row(len(pieces), group.start))
            pieces.extend(job.pieces)
    found = write(np.array(rows, JOB), np.array(pieces, PIECE))
    nulls = iter(found["nulls"].tolist())
    for group in placed:
        for job in group.jobs:
            job.nulls = next(nulls)


def into_file(
    jobs: npt.NDArray[Any], pieces: npt.NDArray[Any], *, fd: int, size: int, threads: int = 0
) -> npt.NDArray[Any]:
    """Run a plan (arrays of JOB and PIECE) into a file; returns an array of RESULT."""
    found = np.zeros(len(jobs), RESULT)
    _core.write_file(_numbers(jobs), _numbers(pieces), _numbers(found), fd, size, threads)
    return found


def into_memory(
    jobs: npt.NDArray[Any],
    pieces: npt.NDArray[Any],
    *,
    outputs: Sequence[npt.NDArray[np.uint8]],
    threads: int = 0,
    **tuning: int,
) -> npt.NDArray[Any]:
    """Run a plan whose places are addresses inside of ``outputs``; returns an array of RESULT."""
    found = np.zeros(len(jobs), RESULT)
    _core.write_memory(_numbers(jobs), _numbers(pieces), _numbers(found), list(outputs), threads, **tuning)
    return found


def joined(tables: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Join tables of one kind; NumPy takes 15 us to find out that their fields are the same."""
    if len(tables) == 1:
        return tables[0]
    return np.concatenate([_numbers(table) for table in tables]).reshape(-1).view(tables[0].dtype)


def _numbers(table: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return table.view(np.int64).reshape(len(table), table.dtype.itemsize // 8)
