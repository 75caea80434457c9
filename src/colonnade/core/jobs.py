"""The jobs of a plan, as tables for the core.

``src/core/plan.h`` defines the enumerations and the fields. A test compares both.

Does not depend on: pandas, PyArrow, files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core
from colonnade.core.regions import Region

# The number of an element type, by its NumPy name.
ELEMENT = {name.lower(): number for number, name in enumerate(_core.enumerators()["Element"])}
# The operand of codes that may be any number.
NO_LIMIT = 2**63 - 1


class Values(IntEnum):
    """What the values output is made from."""

    NONE = 0
    FIXED = 1
    BITS = 2
    BYTES_TO_BITS = 3
    OFFSETS32 = 4
    OFFSETS64 = 5
    INDICES = 6


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
    """The second physical form of a column."""

    NONE = 0
    BYTES = 1
    FLOAT64 = 2
    CODES = 3
    SCALED = 4
    INTEGERS = 5


def _rows_of(names: Sequence[str]) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


# In the order of `Job.row`.
JOB = _rows_of((
    "rows", "first_piece", "piece_count", "values", "width", "out_width", "validity", "fill", "element",
    "pandas_buffer", "pandas_element", "operand", "values_at", "bitmap_at", "mask_at", "pandas_at",
))  # fmt: skip
PIECE = _rows_of(_core.piece_fields())
RESULT = _rows_of(_core.result_fields())


class Piece(NamedTuple):
    """One run of source elements: the addresses of its buffers, and where in them it starts."""

    values: int
    stride: int
    validity: int
    offset: int
    length: int
    base: int = 0
    map: int = 0
    map_length: int = 0


class Result(NamedTuple):
    """What a job has found in its columns.

    ``nulls`` is the number of nulls. ``overflows`` is whether some value is not representable in an output, or some
    index is outside of its dictionary. ``nulls_of_each`` are the nulls of each of several columns.
    """

    nulls: int
    overflows: bool
    nulls_of_each: Sequence[int] = ()


class Batches:
    """Arrays whose memory a job reads, one for each of its pieces, kept alive until they are released.

    The only part of a plan that changes: a source that is released batch by batch is never in memory as a whole.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = list(arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def release(self, first: int, end: int) -> None:
        """Drop some arrays: those from ``first`` to before ``end``."""
        self._arrays[first:end] = [None] * (end - first)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Moves the bytes of one column in one pass: values, validity bitmap, byte mask and pandas buffer.

    Or those of several columns of one form, ``count``: each has a run of every region. So ten thousand columns are
    planned as one. In a pandas block their values begin ``source_step`` bytes after each other, and ``pieces`` are
    those of the first column. With ``has_all_pieces`` they are those of all columns, as many of each.

    ``keep`` holds what owns the source memory until the job has run.
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
    count: int = 1
    source_step: int = 0
    has_all_pieces: bool = False

    @property
    def pieces_of_each(self) -> int:
        """The number of pieces of each column."""
        return len(self.pieces) // self.count if self.has_all_pieces else len(self.pieces)

    def row(self, first_piece: int, places: Mapping[Region, int], start: int) -> tuple[int, ...]:
        """The job of the first column as a row of `JOB`; the places of its outputs are counted from ``start``."""
        return (
            self.rows,
            first_piece,
            self.pieces_of_each,
            self.values_kind,
            self.width,
            self.out_width,
            self.validity_kind,
            self.fill,
            ELEMENT[self.element],
            self.pandas_kind,
            ELEMENT[self.pandas_element],
            self.operand,
            _place(self.values, places, start),
            _place(self.bitmap, places, start),
            _place(self.mask, places, start),
            _place(self.pandas_buffer, places, start),
        )


def _place(region: Region | None, places: Mapping[Region, int], start: int) -> int:
    return -1 if region is None else start + places[region]


@dataclass(frozen=True, slots=True)
class Placed:
    """Jobs and the places of their regions, counted from ``start``: where the body is in the file, or in memory."""

    jobs: Sequence[Job]
    places: Mapping[Region, int]
    start: int


def run(
    groups: Sequence[Placed], write: Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]
) -> dict[Job, Result]:
    """Run jobs; returns the result of each.

    ``write`` is `into_file` or `into_memory` with its keyword arguments bound.

    Raises
    ------
    OSError
        With the errno of the first write that failed; ENOSPC where the file system is full.
    """
    pieces: list[tuple[int, ...]] = []
    rows: list[tuple[int, ...]] = []
    for group in groups:
        for job in group.jobs:
            rows.append(job.row(len(pieces), group.places, group.start))
            pieces.extend(job.pieces)
    all_jobs = [job for group in groups for job in group.jobs]
    tables = np.array(rows, JOB), np.array(pieces, PIECE)
    if any(job.count > 1 for job in all_jobs):
        tables = _for_each_column(all_jobs, *tables)
    results = write(*tables)
    nulls, overflows = results["nulls"].tolist(), results["overflows"].tolist()
    counts: dict[Job, Result] = {}
    first = 0
    for job in all_jobs:
        end = first + job.count
        if job.count == 1:
            counts[job] = Result(nulls[first], bool(overflows[first]))
        else:
            counts[job] = Result(sum(nulls[first:end]), any(overflows[first:end]), nulls[first:end])
        first = end
    return counts


def _for_each_column(
    jobs: Sequence[Job], rows: npt.NDArray[Any], pieces: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A row, and pieces, for each column of each job; the rows that are given are of the first columns."""
    owner, column = _counted([job.count for job in jobs])
    table = rows[owner]
    outputs = [(job.values, job.bitmap, job.mask, job.pandas_buffer) for job in jobs]
    steps = np.array([0 if region is None else region.step for regions in outputs for region in regions])
    for number, place in enumerate(_OUTPUTS):
        table[place] += column * steps[number :: len(_OUTPUTS)][owner]
    steps = np.array([job.pieces_of_each if job.has_all_pieces else 0 for job in jobs])
    table["first_piece"] += column * steps[owner]
    row, piece = _counted(table["piece_count"])
    parts = pieces[table["first_piece"][row] + piece]
    steps = np.array([job.source_step for job in jobs])
    parts["values"] += (column * steps[owner])[row]
    table["first_piece"] = np.cumsum(table["piece_count"]) - table["piece_count"]
    return table, parts


_OUTPUTS = ("values_at", "bitmap_at", "mask_at", "pandas_at")


def _counted(counts: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Number the items of several owners: the owner of each item, and its place among the items of that owner."""
    counts = np.asarray(counts)
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def into_file(
    jobs: npt.NDArray[Any], pieces: npt.NDArray[Any], *, fd: int, size: int, threads: int = 0
) -> npt.NDArray[Any]:
    """Run a plan (arrays of `JOB` and `PIECE`) into a file; returns an array of `RESULT`."""
    return _results(_core.write_file(as_numbers(jobs), as_numbers(pieces), fd, size, threads))


def into_memory(
    jobs: npt.NDArray[Any],
    pieces: npt.NDArray[Any],
    *,
    outputs: Sequence[npt.NDArray[np.uint8]],
    threads: int = 0,
    **tuning: int,
) -> npt.NDArray[Any]:
    """Run a plan whose places are addresses inside of ``outputs``; returns an array of `RESULT`."""
    return _results(_core.write_memory(as_numbers(jobs), as_numbers(pieces), list(outputs), threads, **tuning))


def as_numbers(table: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """View a table as one row of numbers for each of its rows, as the core takes it."""
    return table.view(np.int64).reshape(len(table), table.dtype.itemsize // 8)


def _results(numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return numbers.view(RESULT).reshape(-1)
