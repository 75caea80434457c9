"""The jobs of one conversion: one for each imported column, the memory they write, and the one run of the core.

Does not depend on: blocks, dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.conversion.c_stream import ImportedColumns
from colonnade.core import jobs
from colonnade.core.buffers import Outputs, as_bytes
from colonnade.core.jobs import joined

_PLACES = ("values_at", "bitmap_at", "mask_at", "pandas_at")


class ColumnJobs:
    """Collects the jobs of a conversion. A column whose job has no place to write to is not read."""

    def __init__(self, columns: ImportedColumns, *, threads: int, one_by_one: bool) -> None:
        self.columns = columns
        self.threads = threads
        # One column at a time, so that the memory of each column is free before the next one needs memory.
        self._one_by_one = one_by_one
        self._jobs = columns.blank_jobs()
        self._extra: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
        self.outputs = Outputs()
        self._keep: list[Any] = []
        self.overflows = np.empty(0, np.intp)

    def set(self, members: npt.NDArray[np.intp] | int, fields: Mapping[str, Any]) -> None:
        """Set fields of some columns' jobs; a value may be an array with one number for each column."""
        for name, value in fields.items():
            self._jobs[name][members] = value

    def renumber(self, member: int, maps: list[npt.NDArray[np.int32]]) -> None:
        """Give each piece of a column the numbers that replace its indices."""
        first = self.columns.first[member]
        for number, numbers in enumerate(maps):
            piece = self.columns.pieces[first + number]
            piece["map"], piece["map_length"] = numbers.__array_interface__["data"][0], len(numbers)
        self._keep.append(maps)

    def add(self, job: npt.NDArray[Any], piece: npt.NDArray[Any]) -> None:
        """Add a job of one piece that does not read an imported column."""
        self._extra.append((job, piece))

    def run(self, done: Callable[[int], None] | None) -> None:
        """Move all bytes. Then `overflows` are the columns with a value that is not representable in their output.

        ``done`` is called with each column that was moved.
        """
        self.columns.set_widths(self._jobs)
        outputs = [as_bytes(array) for array in self.outputs.arrays]
        if not self._one_by_one:
            self.outputs.touch(self.threads)
        writes = np.zeros(len(self._jobs), bool)
        for place in _PLACES:
            writes |= self._jobs[place] != -1
        active = np.flatnonzero(writes)
        pieces = self.columns.pieces
        for number, (job, _) in enumerate(self._extra):
            job["first_piece"] = len(pieces) + number
        pieces = joined([pieces, *(piece for _, piece in self._extra)])
        extra = [job for job, _ in self._extra]
        overflows = np.zeros(len(self._jobs), bool)
        steps = np.array_split(active, len(active)) if self._one_by_one and len(active) else [active]
        for step in steps:
            together = joined([self._jobs[step], *extra])
            extra.clear()
            results = jobs.into_memory(together, pieces, outputs=outputs, threads=self.threads)
            overflows[step] = results["overflows"][: len(step)]
            if done is not None:
                for member in step[~overflows[step]].tolist():
                    done(member)
        self.overflows = np.flatnonzero(overflows)
