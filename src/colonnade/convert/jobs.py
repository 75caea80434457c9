"""Jobs for the core: the Python side of ``src/core/plan.h``.

Knows: the fields of a job and their order. Must not know: pandas, PyArrow, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core
from colonnade.layout.regions import Region


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


class Twin(IntEnum):
    """The second physical form, written beside the first."""

    NONE = 0
    BYTES = 1
    FLOAT64 = 2
    CODES = 3


ELEMENTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Piece(NamedTuple):
    """One run of source elements: addresses of its buffers, and where in them it starts."""

    values: int
    stride: int
    validity: int
    offset: int
    length: int
    base: int = 0


@dataclass(slots=True, eq=False)
class Job:
    """One column's bytes, moved in one pass: values, validity bitmap, byte mask and twin.

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
    twin_kind: Twin = Twin.NONE
    twin_width: int = 0
    values: Region | None = None
    bitmap: Region | None = None
    mask: Region | None = None
    twin: Region | None = None
    keep: Any = None
    nulls: int = field(default=-1, init=False)


def _place(region: Region | None, start: int) -> int:
    return -1 if region is None else start + region.at


@dataclass(frozen=True, slots=True)
class Placed:
    """Jobs whose regions are counted from ``start``, the place of their body in the file."""

    jobs: Sequence[Job]
    start: int


def run(
    placed: Sequence[Placed], *, size: int, fd: int | None = None, memory: npt.NDArray[np.uint8] | None = None
) -> None:
    """Run jobs into a file of ``size`` bytes or into memory, and set each job's ``nulls``.

    Raises
    ------
    OSError
        With the errno of the first write that failed; ENOSPC where the file system is full.
    """
    pieces: list[Piece] = []
    rows: list[tuple[int, ...]] = []
    for group in placed:
        for job in group.jobs:
            rows.append(
                (
                    job.rows,
                    len(pieces),
                    len(job.pieces),
                    job.values_kind,
                    job.width,
                    job.out_width,
                    job.validity_kind,
                    job.fill,
                    ELEMENTS.index(job.element),
                    job.twin_kind,
                    job.twin_width,
                    _place(job.values, group.start),
                    _place(job.bitmap, group.start),
                    _place(job.mask, group.start),
                    _place(job.twin, group.start),
                )
            )
            pieces.extend(job.pieces)
    job_table = np.array(rows, np.int64).reshape(-1, 15)
    piece_table = np.array(pieces, np.int64).reshape(-1, 6)
    nulls = np.zeros(len(rows), np.int64)
    if memory is not None:
        _core.write_memory(job_table, piece_table, nulls, memory)
    elif fd is not None:
        _core.write_file(job_table, piece_table, nulls, fd, size)
    counts = iter(nulls.tolist())
    for group in placed:
        for job in group.jobs:
            job.nulls = next(counts)
