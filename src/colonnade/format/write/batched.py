"""Jobs, cut at the batches of their source, so that each batch can be released before the next one is written.

A job that moves one batch's piece after the other runs batch by batch. All others run at the end: children of lists,
whose lengths are their own, and columns that were converted as a whole. Does not depend on: files, tables, who owns the
source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from colonnade.core.jobs import Batches, Job, PandasBuffer, Result, Values
from colonnade.core.regions import Region

_BITS = {Values.BITS, Values.BYTES_TO_BITS}


def batches_of(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Group batches of so many rows: (first, end) of each group, up to ``most`` rows where a batch is not longer."""
    first = rows = 0
    for number, length in enumerate(lengths):
        if rows and rows + length > most:
            yield first, number
            first, rows = number, 0
        rows += length
    if lengths:
        yield first, len(lengths)


def in_step(job: Job, lengths: Sequence[int]) -> bool:
    """Whether a job has a piece for each batch, and whole bytes in every output of each."""
    if not isinstance(job.keep, Batches) or not len(job.keep) == len(job.pieces) == len(lengths):
        return False
    writes_bits = job.bitmap is not None or job.values_kind in _BITS
    return not writes_bits or [piece.length for piece in job.pieces] == list(lengths)


class Cut:
    """A job in step, handed out part by part. ``result`` is that of the parts that are done."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Result(0, False)
        self._before = [0, *accumulate(piece.length for piece in job.pieces)]

    def part(self, first: int, end: int, places: Mapping[Region, int]) -> tuple[Job, dict[Region, int]]:
        """The job of some batches alone, and the places of its regions; ``places`` are those of the whole job's."""
        job, before = self.job, self._before[first]
        part_places: dict[Region, int] = {}

        def rest(region: Region | None, size: int) -> Region | None:
            if region is None:
                return None
            moved = Region(region.size - size)
            part_places[moved] = places[region] + size
            return moved

        part = replace(
            job,
            rows=self._before[end] - before,
            pieces=job.pieces[first:end],
            values=rest(job.values, _values_size(job, before)),
            bitmap=rest(job.bitmap, before // 8),
            mask=rest(job.mask, before),
            pandas_buffer=rest(job.pandas_buffer, before * _pandas_width(job)),
        )
        return part, part_places

    def ranges(self, part: Job, places: Mapping[Region, int]) -> Iterator[tuple[int, int]]:
        """What a part writes: from where to where."""
        sizes = (
            (part.values, _values_size(part, part.rows + 7)),
            (part.bitmap, (part.rows + 7) // 8),
            (part.mask, part.rows),
            (part.pandas_buffer, part.rows * _pandas_width(part)),
        )
        for region, size in sizes:
            if region is not None:
                yield places[region], places[region] + min(size, region.size)

    def done(self, result: Result, first: int, end: int) -> None:
        """Add the result of a part, and release its source."""
        self.result = Result(self.result.nulls + result.nulls, self.result.overflows or result.overflows)
        self.job.keep.release(first, end)


def _values_size(job: Job, rows: int) -> int:
    if job.values_kind in _BITS:
        return rows // 8
    return rows * (job.width if job.values_kind is Values.FIXED else job.out_width)


def _pandas_width(job: Job) -> int:
    return 0 if job.pandas_kind is PandasBuffer.NONE else np.dtype(job.pandas_element).itemsize


def split(jobs: Iterable[Job], lengths: Sequence[int]) -> tuple[list[Cut], list[Job]]:
    """The jobs that run batch by batch, and the others."""
    cuts: list[Cut] = []
    others: list[Job] = []
    for job in jobs:
        if in_step(job, lengths):
            cuts.append(Cut(job))
        else:
            others.append(job)
    return cuts, others
