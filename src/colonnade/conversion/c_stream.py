"""Imports Arrow columns, chunk by chunk: where the buffers of each chunk are, and how many nulls each column has.

The core does it, through Arrow's C stream interface.
Does not depend on: pandas, what a column will become.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core
from colonnade.core.jobs import JOB, PIECE, Validity

# From this number on, a table is exported whole, batch by batch. 10,000 columns take 10 ms one by one, and 3.5 ms as
# one batch.
_MANY_COLUMNS = 512
# A table that is exported whole may have this many batches, because each batch costs as much as there are columns.
_MOST_BATCHES = 64


@dataclass(slots=True, eq=False)
class ImportedColumns:
    """Columns as pieces of a plan.

    The pieces (PIECE) of column i are ``pieces[first[i] : first[i] + counts[i]]``. ``positions`` are the positions of
    the columns in their table. ``source`` keeps the memory alive that the pieces point to.
    """

    source: _core.ImportedArrays | None
    rows: int
    positions: npt.NDArray[np.intp]
    pieces: npt.NDArray[Any]
    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    nulls: npt.NDArray[np.int64]

    def blank_jobs(self) -> npt.NDArray[Any]:
        """One job (JOB) for each column; it reads values and bitmap, and does not write yet."""
        jobs = np.zeros(len(self.counts), JOB)
        jobs["rows"], jobs["first_piece"], jobs["piece_count"] = self.rows, self.first, self.counts
        jobs["validity"] = Validity.BITS
        for place in ("values_at", "bitmap_at", "mask_at", "pandas_at"):
            jobs[place] = -1
        return jobs

    def release(self) -> None:
        """Release the memory; from now on the columns themselves must keep it alive."""
        self.source = None

    def set_widths(self, jobs: npt.NDArray[Any]) -> None:
        """Copy the width of the elements from each job to its pieces."""
        self.pieces["stride"] = np.repeat(jobs["width"], self.counts)


def import_columns(table: pa.Table, positions: npt.NDArray[np.intp], threads: int = 0) -> ImportedColumns:
    """Import columns of primitive values or dictionary indices.

    Each chunk is one piece. Where there are thousands of columns, adjacent chunks may be joined.

    Raises
    ------
    ValueError
        The arrays contradict each other, as only those of a faulty producer do: a column has fewer rows than the table,
        or declares more nulls than it has rows.
    """
    source = _core.ImportedArrays()
    chosen = positions.tolist()
    if len(chosen) >= _MANY_COLUMNS:
        part = table if len(chosen) == table.num_columns else table.select(chosen)
        if source.add_table(part.__arrow_c_stream__(), len(chosen), table.num_rows, _MOST_BATCHES):
            return _imported(source, table.num_rows, positions)
    streams = [table.column(position).__arrow_c_stream__() for position in chosen]
    source.add_columns(streams, table.num_rows, threads)
    return _imported(source, table.num_rows, positions)


def _imported(source: _core.ImportedArrays, rows: int, positions: npt.NDArray[np.intp]) -> ImportedColumns:
    counts = source.piece_counts()
    first = np.cumsum(counts) - counts
    pieces = source.pieces().view(PIECE).reshape(-1)
    return ImportedColumns(source, rows, positions, pieces, first, counts, source.nulls())
