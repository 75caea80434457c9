"""The jobs of a plan, as tables for the core.

The enumerations and the order of the fields are defined in ``src/core/plan.h``; this module reads them from the core.

Does not depend on: pandas, PyArrow, files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core
from colonnade.core.regions import Region

Values = _core.Values
Validity = _core.Validity
PandasBuffer = _core.PandasBuffer

# The number of an element type, by its NumPy name.
ELEMENT = {element.name.lower(): int(element) for element in _core.Element}
# The operand of codes that may be any number.
NO_LIMIT = 2**63 - 1


def _rows_of(names: Sequence[str]) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


_JOB_FIELDS = _core.job_fields()
JOB = _rows_of(_JOB_FIELDS)
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


@dataclass(slots=True, eq=False)
class Job:
    """Moves the bytes of one column in one pass: values, validity bitmap, byte mask and pandas buffer.

    ``keep`` holds what owns the source memory until the job has run. Then ``nulls`` is the number of nulls, and
    ``overflows`` is whether some value is not representable in an output, or some index is outside of its dictionary.
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
    overflows: bool = field(default=False, init=False)

    def row(self, first_piece: int, start: int) -> tuple[int, ...]:
        """The job as a row of `JOB`; the places of its outputs are counted from ``start``."""
        fields = {
            "rows": self.rows,
            "first_piece": first_piece,
            "piece_count": len(self.pieces),
            "values": self.values_kind,
            "width": self.width,
            "out_width": self.out_width,
            "validity": self.validity_kind,
            "fill": self.fill,
            "element": ELEMENT[self.element],
            "pandas_buffer": self.pandas_kind,
            "pandas_element": ELEMENT[self.pandas_element],
            "operand": self.operand,
            "values_at": _place(self.values, start),
            "bitmap_at": _place(self.bitmap, start),
            "mask_at": _place(self.mask, start),
            "pandas_at": _place(self.pandas_buffer, start),
        }
        return tuple([fields[name] for name in _JOB_FIELDS])


def _place(region: Region | None, start: int) -> int:
    return -1 if region is None else start + region.at


@dataclass(frozen=True, slots=True)
class Placed:
    """Jobs whose regions are counted from ``start``: the place of the body in the file, or its address in memory."""

    jobs: Sequence[Job]
    start: int


def run(placed: Sequence[Placed], write: Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
    """Run jobs and set the ``nulls`` and ``overflows`` of each.

    ``write`` is `into_file` or `into_memory` with its keyword arguments bound.

    Raises
    ------
    OSError
        With the errno of the first write that failed; ENOSPC where the file system is full.
    """
    pieces: list[tuple[int, ...]] = []
    rows: list[tuple[int, ...]] = []
    for group in placed:
        for job in group.jobs:
            rows.append(job.row(len(pieces), group.start))
            pieces.extend(job.pieces)
    results = write(np.array(rows, JOB), np.array(pieces, PIECE))
    numbers = zip(results["nulls"].tolist(), results["overflows"].tolist(), strict=True)
    for group in placed:
        for job in group.jobs:
            nulls, overflows = next(numbers)
            job.nulls, job.overflows = nulls, bool(overflows)


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
