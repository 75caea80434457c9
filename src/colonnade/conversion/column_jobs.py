"""The moves of one conversion: a job for each imported column, the memory they write, and the one run of the core.

Knows: jobs, pieces, memory. Does not depend on: blocks, dtypes.
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


class Moves:
    """Collects what is to be moved. A column whose job was given no place to write to is not touched."""

    def __init__(self, imported: ImportedColumns, *, threads: int, piecemeal: bool) -> None:
        self.imported = imported
        self.threads = threads
        # One column at a time, so that each column's memory can go before the next one's is needed.
        self._piecemeal = piecemeal
        self._jobs = imported.blank_jobs()
        self._extra: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
        self.outputs = Outputs()
        self._keep: list[Any] = []
        self.overflows = np.empty(0, np.intp)

    def set(self, members: npt.NDArray[np.intp] | int, fields: Mapping[str, Any]) -> None:
        """Set fields of some columns' jobs; a value may be an array, of one number a column."""
        for name, value in fields.items():
            self._jobs[name][members] = value

    def renumber(self, member: int, maps: list[npt.NDArray[np.int32]]) -> None:
        """Give each piece of a column the numbers that replace its indices."""
        first = self.imported.first[member]
        for number, numbers in enumerate(maps):
            piece = self.imported.pieces[first + number]
            piece["map"], piece["map_length"] = numbers.__array_interface__["data"][0], len(numbers)
        self._keep.append(maps)

    def add(self, job: npt.NDArray[Any], piece: npt.NDArray[Any]) -> None:
        """Add a job of one piece that reads something else than an imported column."""
        self._extra.append((job, piece))

    def run(self, moved: Callable[[int], None] | None) -> None:
        """Move all bytes; then `overflows` are the columns some value of which had no form in its output.

        ``moved`` is called with each column that is done with.
        """
        self.imported.set_widths(self._jobs)
        outputs = [as_bytes(array) for array in self.outputs.arrays]
        if not self._piecemeal:
            self.outputs.touch(self.threads)
        writing = np.zeros(len(self._jobs), bool)
        for place in _PLACES:
            writing |= self._jobs[place] != -1
        active = np.flatnonzero(writing)
        pieces = self.imported.pieces
        for number, (job, _) in enumerate(self._extra):
            job["first_piece"] = len(pieces) + number
        pieces = joined([pieces, *(piece for _, piece in self._extra)])
        extra = [job for job, _ in self._extra]
        overflows = np.zeros(len(self._jobs), bool)
        steps = np.array_split(active, len(active)) if self._piecemeal and len(active) else [active]
        for step in steps:
            together = joined([self._jobs[step], *extra])
            extra.clear()
            found = jobs.into_memory(together, pieces, outputs=outputs, threads=self.threads)
            overflows[step] = found["overflows"][: len(step)]
            if moved is not None:
                for member in step[~overflows[step]].tolist():
                    moved(member)
        self.overflows = np.flatnonzero(overflows)
