"""A column as the plan sees it: its Arrow nodes and buffers, the jobs that fill them, and how pandas will read it.

All classes are frozen. Where a region stands in the file is decided later, and is a value of its own (`Places`). Does
not depend on: Arrow's physical layouts (`flatten`), pandas, files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core.alignment import CACHE_LINE, STRIDE_STEP, align
from colonnade.core.jobs import Job, Result
from colonnade.core.regions import Region
from colonnade.core.text_views import ViewedText
from colonnade.format import schema
from colonnade.rules import Reading


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where each region stands, in bytes from the start of the body; and the region of each nested table."""

    regions: Mapping[Region, int]
    table_regions: Mapping[Any, Region]

    def __call__(self, region: Region) -> int:
        return self.regions[region]

    def table(self, table: Any) -> schema.NestedTable:
        """The layout metadata of a nested table."""
        region = self.table_regions[table]
        return schema.NestedTable(self(region), region.size)


# The result of each job, once it has run.
Results = Mapping[Job, Result]
# A column's layout metadata, once places and the column's field number are known.
MakeLayout = Callable[[Places, int], schema.ColumnLayout]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of the record batch, or of each of several columns: a field or a child.

    ``nulls`` is a count, or the job that counts. ``buffers`` are in Arrow's order; the first is the validity bitmap
    where ``has_validity``.
    """

    length: int
    nulls: Job | int
    buffers: tuple[Region | None, ...]
    has_validity: bool = True

    def null_counts(self, count: int, results: Results) -> Sequence[int]:
        """The number of nulls in each of ``count`` columns."""
        if not isinstance(self.nulls, Job):
            return [self.nulls] * count
        result = results[self.nulls]
        return result.nulls_of_each or [result.nulls]


# What the record batch has of an absent buffer, and of a bitmap without a null.
_ABSENT = (0, 0)
# Pairs of numbers that the record batch has of a column; of several columns an array of shape (columns, pairs, 2).
Pairs = list[tuple[int, int]] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Text in view layout that is copied straight to its place: ``offset`` bytes after the start of a region."""

    region: Region
    offset: int
    source: ViewedText


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """An Arrow column taken apart. ``patches`` are (region, offset in it, bytes), written besides the jobs' outputs.

    ``texts`` are written last, into the memory of the file. ``one_row`` is a row of the column itself, where the
    envelope needs its nested dictionaries.
    """

    type: pa.DataType
    nodes: tuple[Node, ...] = ()
    jobs: tuple[Job, ...] = ()
    patches: tuple[tuple[Region, int, bytes], ...] = ()
    one_row: pa.Array | None = None
    texts: tuple[Text, ...] = ()

    def followed_by(self, children: Sequence[Flat], type_: pa.DataType) -> Flat:
        """A nested column: this one, and its children behind it."""
        parts = [self, *children]
        return Flat(
            type_,
            tuple(node for part in parts for node in part.nodes),
            tuple(job for part in parts for job in part.jobs),
            tuple(patch for part in parts for patch in part.patches),
            texts=tuple(text for part in parts for text in part.texts),
        )

    def with_jobs(self, change: Callable[[Job], Job]) -> Flat:
        """The same column with other jobs; each node counts its nulls with the job that takes the place of its own."""
        jobs = {id(job): change(job) for job in self.jobs}
        nodes = tuple(
            replace(node, nulls=jobs[id(node.nulls)]) if isinstance(node.nulls, Job) else node for node in self.nodes
        )
        return replace(self, nodes=nodes, jobs=tuple(jobs.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of the stored table, or several of one form, ``count``.

    ``block`` is the dtype and the region of a column that stands in a block. Every other column has ``make_layout``.
    ``came_as_views``: its text was in Arrow's view layout, so its readers probably use views.
    """

    flat: Flat
    one_row: pa.Array
    reading: Reading
    block: tuple[str | schema.ZonedDtype, Region] | None = None
    make_layout: MakeLayout | None = None
    came_as_views: bool = False
    count: int = 1

    @property
    def job(self) -> Job:
        """The only job of a column of fixed width."""
        (job,) = self.flat.jobs
        return job

    def with_job(self, **changes: Any) -> Column:
        """The same column, whose only job differs in some fields."""
        return replace(self, flat=self.flat.with_jobs(lambda job: replace(job, **changes)))

    def layout(self, place: Places, field: int) -> schema.ColumnLayout:
        """How the column is read when it stands alone, as an index does."""
        if self.make_layout is not None:
            return self.make_layout(place, field)
        assert self.block is not None
        dtype, region = self.block
        return schema.Values(dtype, place(region))

    def numbers(self, place: Callable[[Region], int], results: Results) -> tuple[Pairs, Pairs]:
        """(length, null count) of its nodes and (offset, length) of its buffers, once the jobs have run."""
        if self.count > 1:
            return self._numbers_of_several(place, results)
        nodes: list[tuple[int, int]] = []
        buffers: list[tuple[int, int]] = []
        for node in self.flat.nodes:
            (nulls,) = node.null_counts(1, results)
            nodes.append((node.length, nulls))
            for region in node.buffers:
                if region is None or (not nulls and node.has_validity and region is node.buffers[0]):
                    buffers.append(_ABSENT)
                else:
                    buffers.append((place(region), region.size))
        return nodes, buffers

    def _numbers_of_several(self, place: Callable[[Region], int], results: Results) -> tuple[Pairs, Pairs]:
        nodes = np.empty((self.count, len(self.flat.nodes), 2), np.int64)
        buffers = np.zeros((self.count, sum(len(node.buffers) for node in self.flat.nodes), 2), np.int64)
        number = 0
        for at, node in enumerate(self.flat.nodes):
            nodes[:, at, 0], nodes[:, at, 1] = node.length, node.null_counts(self.count, results)
            for region in node.buffers:
                if region is not None:
                    buffers[:, number, 0], buffers[:, number, 1] = region.starts(place(region)), region.size
                    if node.has_validity and region is node.buffers[0]:
                        buffers[nodes[:, at, 1] == 0, number] = _ABSENT
                number += 1
        return nodes, buffers

    def regions(self) -> list[Region]:
        """All regions, Arrow's buffers first."""
        regions = [region for node in self.flat.nodes for region in node.buffers if region is not None]
        for job in self.flat.jobs:
            regions += [region for region in (job.mask, job.pandas_buffer) if region is not None]
        return regions


def bitmap_region(rows: int, count: int = 1) -> Region:
    """A region for one bit a row, in each of ``count`` columns."""
    size = (rows + 7) // 8
    return Region(size, count, align(size, CACHE_LINE))


def block_region(size: int, count: int = 1) -> Region:
    """A region for ``count`` columns of a block, of ``size`` bytes each."""
    return Region(size, count, align(size, STRIDE_STEP))


def one_null(type_: pa.DataType, dictionary: pa.Array | None = None) -> pa.Array:
    """One row of a type, for the envelope. That of a plain type is kept, so that envelopes can be kept."""
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, one_null(type_.storage_type))
    if dictionary is not None:
        indices = pa.nulls(1, type_.index_type)
        return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=type_.ordered)
    return pa.nulls(1, type_) if type_.num_fields else _null_of(type_)


@lru_cache(256)
def _null_of(type_: pa.DataType) -> pa.Array:
    return pa.nulls(1, type_)
