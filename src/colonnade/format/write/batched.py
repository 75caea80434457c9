"""Jobs, cut at the batches of their source, so that each batch can be released before the next one is written.

A job that moves one batch's piece after the other runs batch by batch (`Cut`). All others run at the end: children of
lists, whose lengths are their own, and columns that were converted as a whole. The source of some columns comes while
they are written (`ColumnStream`): they were planned with what the source declares of them. Does not depend on: files,
tables, who owns the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from colonnade.core.jobs import Batches, Job, PandasBuffer, Piece, Result, Values
from colonnade.core.regions import Region
from colonnade.format.write.flatten import flatten
from colonnade.io.streamed import MisdeclaredError

_BITS = {Values.BITS, Values.BYTES_TO_BITS}


class BatchedSource(NamedTuple):
    """Where the values of a table come from.

    ``lengths`` are the rows of the batches that are in memory; ``release`` is called when some are not needed any more.
    The values of the fields ``stream_fields`` come while they are written: ``stream`` gives fields, and a batch of
    these.
    """

    lengths: Sequence[int]
    release: Callable[[], None]
    stream_fields: Sequence[int] = ()
    stream: Iterable[tuple[Sequence[int], pa.RecordBatch]] = ()


# A job for some rows of another, and the places of its regions.
Part = tuple[Job, dict[Region, int]]


def batches_of(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Group batches of these lengths: (first, end) of each. A group has ``most`` rows at most, or one long batch."""
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

    def part(self, first: int, end: int, places: Mapping[Region, int]) -> Part:
        """The job of some batches alone; ``places`` are those of the whole job's regions."""
        rows = self._before[end] - self._before[first]
        return _part(self.job, self._before[first], rows, self.job.pieces[first:end], places)

    def done(self, result: Result, first: int, end: int) -> None:
        """Add the result of a part, and release its source."""
        self.result = _sum(self.result, result)
        self.job.keep.release(first, end)


class ColumnStream:
    """A job of a column of fixed width, whose source comes array by array. ``result`` is that of what has come."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = Result(0, False)
        self._rows = 0

    def part(self, array: pa.Array, places: Mapping[Region, int]) -> Part:
        """The job of the next rows, which are in ``array``.

        Raises
        ------
        MisdeclaredError
            If there are more rows or nulls than the column was planned with.
        """
        before, self._rows = self._rows, self._rows + len(array)
        if self._rows > self.job.rows:
            raise MisdeclaredError(f"more than {self.job.rows:,} rows")
        if array.null_count and self.job.bitmap is None:
            raise MisdeclaredError("nulls in a column without nulls")
        (source,) = flatten(array.type, [array]).jobs
        return _part(self.job, before, len(array), source.pieces, places)

    def done(self, result: Result) -> None:
        """Add the result of a part."""
        self.result = _sum(self.result, result)

    def finish(self) -> None:
        """See that all rows have come.

        Raises
        ------
        MisdeclaredError
        """
        if self._rows < self.job.rows:
            raise MisdeclaredError(f"{self._rows:,} rows instead of {self.job.rows:,}")
        if self.job.bitmap is not None and not self.result.nulls:
            raise MisdeclaredError("no nulls in a column with nulls")


def _part(job: Job, before: int, rows: int, pieces: Sequence[Piece], places: Mapping[Region, int]) -> Part:
    """The job of ``rows`` rows, which come after the first ``before`` rows, and whose source is ``pieces``."""
    part_places: dict[Region, int] = {}

    def rest(region: Region | None, size: int) -> Region | None:
        if region is None:
            return None
        rest_region = Region(region.size - size)
        part_places[rest_region] = places[region] + size
        return rest_region

    part = replace(
        job,
        rows=rows,
        pieces=pieces,
        values=rest(job.values, _values_size(job, before)),
        bitmap=rest(job.bitmap, before // 8),
        mask=rest(job.mask, before),
        pandas_buffer=rest(job.pandas_buffer, before * _pandas_width(job)),
    )
    return part, part_places


def ranges(part: Job, places: Mapping[Region, int]) -> Iterator[tuple[int, int]]:
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


def _sum(one: Result, other: Result) -> Result:
    return Result(one.nulls + other.nulls, one.overflows or other.overflows)


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
