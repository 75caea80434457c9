"""A whole table, planned and then laid out: its columns, how pandas reads it, and its nested tables.

Does not depend on: pandas, names, where the bytes will go: a descriptor or memory is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core import jobs
from colonnade.core.alignment import CACHE_LINE, PAGE, STRIDE_STEP, align
from colonnade.core.jobs import Job, Placed, Result
from colonnade.core.key_index import size_of_index
from colonnade.core.regions import Block, Region, arrange, gaps
from colonnade.core.text_views import VIEW
from colonnade.format import schema
from colonnade.format.schema import METADATA_KEY
from colonnade.format.seal import CHECKSUMS_SIZE, SEAL_SIZE, TAIL_SIZE, Checksums
from colonnade.format.write.batched import BatchedSource, ColumnStream, Part, batches_of, ranges, split
from colonnade.format.write.column import Column, Pairs, Places, Results
from colonnade.format.write.envelope import END_OF_STREAM, Envelope, Numbers, write_envelope
from colonnade.format.write.fields import NamedTypes
from colonnade.format.write.kept_envelope import Shape, envelope_of
from colonnade.format.write.text_views import view_fields

PANDAS_KEY = b"pandas"

# How much is written before its source is released, in bytes; of each column enough to be worth a job.
_BATCH = 16 << 20
_BATCH_OF_A_JOB = 16 << 10


_Item = TypeVar("_Item")
MakeIndex = Callable[[Places], schema.RowIndex]
MakeLabels = Callable[[Places], schema.LabelIndex]


@dataclass(frozen=True, slots=True, eq=False)
class FrameLayoutPlan:
    """The layout metadata of a table, but for places.

    ``columns`` are (position in the frame, field, column) of those that stand in no block.
    """

    rows: int
    columns: Sequence[tuple[int, int, Column]]
    index: MakeIndex
    index_fields: Sequence[int | None]
    labels: MakeLabels
    attrs: str
    unique_labels: bool
    series: schema.Series | None = None

    def placed(self, place: Places, blocks: Sequence[schema.Block], key: schema.Key | None) -> schema.TableLayout:
        """The layout metadata, with each region's place."""
        return schema.FrameLayout(
            rows=self.rows,
            blocks=list(blocks),
            columns=[(position, column.layout(place, field)) for position, field, column in self.columns],
            index=self.index(place),
            index_fields=list(self.index_fields),
            labels=self.labels(place),
            attrs=self.attrs,
            unique_labels=self.unique_labels,
            key=key,
            series=self.series,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ArrayLayoutPlan:
    """The layout metadata of an array, but for its place."""

    rows: int
    dtype: schema.NumpyDtype
    shape: Sequence[int]
    order: Literal["C", "F"]
    region: Region

    def placed(self, place: Places, _: Sequence[schema.Block], __: schema.Key | None) -> schema.TableLayout:
        """The layout metadata, with the array's place."""
        return schema.ArrayLayout(self.rows, self.dtype, list(self.shape), self.order, place(self.region))


@dataclass(frozen=True, slots=True, eq=False)
class NestedPlan:
    """A nested table, stored whole behind the body: the levels of a MultiIndex, or labels that JSON cannot hold."""

    plan: TablePlan


@dataclass(frozen=True, slots=True, eq=False)
class TablePlan:
    """What is to be stored; where it stands in the file is decided by `lay_out`.

    ``fields`` are of the Arrow schema, as `pyarrow.schema` takes them. ``order`` is the field of each of the columns;
    empty where the fields have the columns' order.
    """

    rows: int
    columns: Sequence[Column]
    fields: NamedTypes | Sequence[pa.Field]
    metadata: Mapping[bytes, bytes]
    layout: FrameLayoutPlan | ArrayLayoutPlan
    order: Sequence[int] = ()
    blocks: Sequence[Block] = ()
    extra_jobs: Sequence[Job] = ()
    nested_tables: Sequence[NestedPlan] = ()

    def regions(self) -> list[Region]:
        """Everything of the body that is written."""
        regions = [region for column in self.columns for region in column.regions()]
        return regions + [job.values for job in self.extra_jobs if job.values is not None]


def in_fields(order: Sequence[int], items: Iterable[Iterable[_Item]]) -> list[_Item]:
    """What each column has for every field of its own, in the order of the fields. ``order`` is as in `TablePlan`."""
    all_items = list(chain.from_iterable(items))
    return [item for _, item in sorted(zip(order, all_items, strict=True), key=itemgetter(0))] if order else all_items


def _pairs_in_fields(order: Sequence[int], pairs: Sequence[Pairs]) -> npt.NDArray[np.int64]:
    """The pairs of all columns, in the order of the fields; ``order`` is as in `TablePlan`."""
    if set(map(type, pairs)) <= {list}:  # a frame of a few columns: with the arrays below it takes three times as long
        return np.array([*chain.from_iterable(in_fields(order, zip(pairs, strict=True)))], np.int64).reshape(-1, 2)
    parts: list[npt.NDArray[np.int64]] = []
    single: list[tuple[int, int]] = []  # of columns that came one by one since the last part
    pairs_of_field: list[int] = []
    for each in pairs:
        if isinstance(each, list):
            single += each
            pairs_of_field.append(len(each))
        else:
            parts += [np.array(single, np.int64).reshape(-1, 2), each.reshape(-1, 2)]
            single = []
            pairs_of_field += [each.shape[1]] * len(each)
    all_pairs = np.concatenate([*parts, np.array(single, np.int64).reshape(-1, 2)])
    return all_pairs[np.argsort(np.repeat(order, pairs_of_field), kind="stable")] if order else all_pairs


def group_blocks(columns: Iterable[tuple[Sequence[int], Column]]) -> tuple[Block, ...]:
    """Put the columns that stand in blocks side by side, by dtype; ``columns`` are (positions in the frame, column)."""
    blocks: dict[str | schema.ZonedDtype, list[tuple[Region, Sequence[int]]]] = {}
    for positions, column in columns:
        if column.block is not None:
            dtype, region = column.block
            blocks.setdefault(dtype, []).append((region, positions))
    return tuple(
        Block(dtype, tuple([region for region, _ in members]), tuple([number for _, at in members for number in at]))
        for dtype, members in blocks.items()
    )


def _block_layout(block: Block, place: Places) -> schema.Block:
    first, count = block.positions[0], len(block.positions)
    is_run = block.positions == tuple(range(first, first + count))
    columns: schema.Run | list[int] = schema.Run(first, count) if is_run else list(block.positions)
    return schema.Block(block.dtype, place(block.regions[0]), block.stride, columns)


# Where the seal of a draft will stand, and that of a nested table.
_NO_SEAL = bytes(SEAL_SIZE)
_ZEROS = memoryview(bytes(1 << 16))

Write = Callable[[int, bytes | bytearray | memoryview], None]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A plan with every byte's place known. ``size`` is the file's, in bytes.

    The contents end at ``end``. Checksums and seal follow, up to ``footer_at``. ``nested_tables`` are the nested
    tables, each with its place in the body.
    """

    plan: TablePlan
    envelope: Envelope
    places: Mapping[Region, int]
    body_size: int
    end: int
    size: int
    nested_tables: Sequence[tuple[int, Placement]]
    key: schema.Key | None = None
    views: Sequence[schema.Views] = ()

    @property
    def footer_at(self) -> int:
        """Where the footer stands: checksums and seal end there."""
        return self.end + CHECKSUMS_SIZE + SEAL_SIZE

    @property
    def key_at(self) -> int:
        """Where the key index stands in the file; only for a table that has one."""
        assert self.key is not None
        return self.envelope.body_start + self.key.at

    def place_in_file(self, region: Region) -> int:
        """Where a region of the body stands in the file."""
        return self.envelope.body_start + self.places[region]

    def _placed(self, start: int, own: Sequence[Job]) -> Iterator[Placed]:
        """Some jobs of the table's own columns, and all that it has besides them."""
        body = start + self.envelope.body_start
        yield Placed([*own, *self.plan.extra_jobs], self.places, body)
        for at, child in self.nested_tables:
            yield from child._placed(body + at, _jobs_of(child.plan.columns))

    def _finish(self, start: int, write: Write, results: Results) -> None:
        """Write what no job writes. The checksums are not those of the values, and the seal is empty: see `_put`."""
        body = start + self.envelope.body_start
        for column in self.plan.columns:
            for region, offset, data in column.flat.patches:
                write(body + self.places[region] + offset, data)
        write(body + self.body_size, END_OF_STREAM)
        for at, child in self.nested_tables:
            child._finish(body + at, write, results)
        layout = self.envelope.finished(self._numbers(results))
        write(start, self.envelope.start)
        write(start + len(self.envelope.start), layout.message)
        checksums = Checksums.of_layout(self.envelope.metadata, *layout, self.envelope.body_start)
        write(start + self.end, layout.tail(checksums.pack() + _NO_SEAL))

    def _numbers(self, results: Results) -> Numbers:
        place = self.places.__getitem__
        numbers = [column.numbers(place, results) for column in self.plan.columns]
        nodes = _pairs_in_fields(self.plan.order, [pairs for pairs, _ in numbers])
        buffers = _pairs_in_fields(self.plan.order, [pairs for _, pairs in numbers])
        return Numbers(self.plan.rows, self.body_size, nodes, buffers)

    def clear_gaps(self, write: Write) -> None:
        """Write zeros wherever nothing else will be written: a used segment's memory holds what stood there before."""
        for start, end in self._gaps(0):
            for at in range(start, end, len(_ZEROS)):
                write(at, _ZEROS[: end - at])

    def _gaps(self, start: int) -> Iterator[tuple[int, int]]:
        body = start + self.envelope.body_start
        regions = [(region.starts(self.places[region]), region.size) for region in self.plan.regions()]
        regions.append(([self.body_size], len(END_OF_STREAM)))
        regions += [([at], child.size) for at, child in self.nested_tables]
        regions += [([self.key.at], self.key.size)] if self.key else []
        regions += [([views.at], self.plan.rows * VIEW) for views in self.views]
        yield from ((body + first, body + last) for first, last in gaps(regions, start + self.end - body))
        for at, child in self.nested_tables:
            yield from child._gaps(body + at)

    def write_to_memory(self, memory: npt.NDArray[np.uint8]) -> None:
        """Write the file into memory of ``size`` bytes, zeros where nothing will be written."""
        results = self.move_to_memory(memory, self.plan.columns)

        def write(at: int, data: bytes | bytearray | memoryview) -> None:
            memory[at : at + len(data)] = np.frombuffer(data, np.uint8)

        self._finish(0, write, results)

    @property
    def has_texts(self) -> bool:
        """Whether there is text that `write_texts` writes."""
        return any(column.flat.texts for column in self.plan.columns) or any(
            child.has_texts for _, child in self.nested_tables
        )

    def write_texts(self, memory: npt.NDArray[np.uint8], start: int = 0) -> None:
        """Copy text that came in view layout to its place; ``memory`` is the file's, all else of which is written."""
        body = start + self.envelope.body_start
        for column in self.plan.columns:
            for text in column.flat.texts:
                at = body + self.places[text.region] + text.offset
                text.source.copy_to(memory[at : at + text.source.size])
        for at, child in self.nested_tables:
            child.write_texts(memory, body + at)

    def move_to_memory(self, memory: npt.NDArray[np.uint8], columns: Sequence[Column]) -> Results:
        """Move some columns' bytes, and what nested tables have, into memory of ``size`` bytes."""
        address = memory.__array_interface__["data"][0]
        return jobs.run(list(self._placed(address, _jobs_of(columns))), partial(jobs.into_memory, outputs=[memory]))

    def finish_in_file(self, fd: int, write: Write, results: Results, scans: Mapping[Job, Job]) -> None:
        """Complete a file whose values are there: write everything that no job writes.

        ``results`` are those of the jobs that have run; each job of ``scans`` runs now, in the place of its key.
        """
        groups = [Placed(list(scans.values()), self.places, self.envelope.body_start)]
        scan_results = jobs.run(groups, self._into_file(fd))
        self._finish(0, write, {**results, **{own: scan_results[scan] for own, scan in scans.items()}})

    def write_to_file(self, fd: int, write: Write) -> None:
        """Write the file to a descriptor, as above; ``write(at, data)`` writes the few bytes that no job writes."""
        results = jobs.run(list(self._placed(0, _jobs_of(self.plan.columns))), self._into_file(fd))
        self._finish(0, write, results)

    def write_batched(
        self, fd: int, write: Write, memory_of: Callable[[int, int], memoryview | None], source: BatchedSource
    ) -> None:
        """Write the file as above, batch after batch of the source; each is released when it is written.

        ``memory_of`` gives the memory of a range of the file, or None if ``fd`` is to be written instead.

        Raises
        ------
        MisdeclaredError
        """
        columns = self.plan.columns
        streams = {field: ColumnStream(columns[field].job) for field in source.stream_fields}
        now = [job for field, column in enumerate(columns) if field not in streams for job in column.flat.jobs]
        cuts, others = split(now, source.lengths)
        most = max(_BATCH, len(cuts) * _BATCH_OF_A_JOB) * self.plan.rows // self.size
        for first, end in batches_of(source.lengths, most):
            parts = [cut.part(first, end, self.places) for cut in cuts]
            results = self._write_parts(parts, fd, memory_of)
            for cut, result in zip(cuts, results, strict=True):
                cut.done(result, first, end)
            source.release()
        for fields, batch in source.stream:
            parts = [streams[field].part(array, self.places) for field, array in zip(fields, batch, strict=True)]
            for field, result in zip(fields, self._write_parts(parts, fd, memory_of), strict=True):
                streams[field].done(result)
        for column in streams.values():
            column.finish()
        batch_results = {cut.job: cut.result for cut in cuts}
        batch_results |= {stream.job: stream.result for stream in streams.values()}
        self._finish(0, write, {**jobs.run(list(self._placed(0, others)), self._into_file(fd)), **batch_results})

    def _write_parts(
        self, parts: Sequence[Part], fd: int, memory_of: Callable[[int, int], memoryview | None]
    ) -> list[Result]:
        """Write parts of jobs, through a mapping where there is one."""
        body = self.envelope.body_start
        memory = None
        for part, places in parts:
            for first, end in ranges(part, places):
                memory = memory_of(body + first, body + end)
        if memory is None:
            start, run = body, self._into_file(fd)
        else:
            output = np.frombuffer(memory, np.uint8)
            start, run = output.ctypes.data + body, partial(jobs.into_memory, outputs=[output])
        results = jobs.run([Placed([part], places, start) for part, places in parts], run)
        return [results[part] for part, _ in parts]

    def _into_file(self, fd: int) -> Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[Any]]:
        return partial(jobs.into_file, fd=fd, size=self.size)


def _jobs_of(columns: Sequence[Column]) -> list[Job]:
    return [job for column in columns for job in column.flat.jobs]


def lay_out(
    plan: TablePlan,
    key_fields: Sequence[int] | None = None,
    meta: str = "",
    alignment: int = PAGE,
    *,
    views: bool = False,
) -> Placement:
    """Give every byte of a plan its place; no data is looked at.

    ``key_fields`` are the fields that a key index is built over, once they are written; none where the key is a row
    index that is a range. ``meta`` is what a user stores with the table, as JSON. ``views``: all text gets views, and
    not only what came in view layout.
    """
    nested_tables = [lay_out(table.plan, alignment=CACHE_LINE) for table in plan.nested_tables]
    regions, body_end = arrange(plan.blocks, plan.regions())
    body_size = align(body_end, STRIDE_STEP)
    tables = [Region(table.size) for table in nested_tables]
    key_regions = [Region(size_of_index(plan.rows))] if key_fields else []
    view_regions = {number: Region(plan.rows * VIEW) for number in view_fields(plan.columns, plan.order, views=views)}
    behind, end = arrange([], [*tables, *key_regions, *view_regions.values()], body_size + len(END_OF_STREAM))
    places = Places({**regions, **behind}, dict(zip(plan.nested_tables, tables, strict=True)))
    key = None if key_fields is None else schema.Key([], 0, 0)
    if key_fields:
        key = schema.Key(list(key_fields), places(key_regions[0]), key_regions[0].size)
    layout = plan.layout.placed(places, [_block_layout(block, places) for block in plan.blocks], key)
    text = [schema.Views(number, places(region)) for number, region in view_regions.items()]
    layout = schema.with_views(layout, text) if text else layout
    layout = schema.with_meta(layout, meta) if meta else layout
    metadata = {**plan.metadata, METADATA_KEY: schema.encode(layout)}
    shape = Shape(
        plan.fields, plan.order, [column.one_row for column in plan.columns], [column.count for column in plan.columns]
    )

    def write() -> Envelope:
        one_row = in_fields(plan.order, [[column.one_row] * column.count for column in plan.columns])
        return write_envelope(pa.schema(plan.fields, metadata), one_row, alignment)

    envelope = envelope_of(shape, metadata, alignment, write)
    contents = align(envelope.body_start + end, STRIDE_STEP)
    size = contents + CHECKSUMS_SIZE + SEAL_SIZE + len(envelope.layout.footer) + TAIL_SIZE
    children = tuple((places(region), table) for region, table in zip(tables, nested_tables, strict=True))
    return Placement(plan, envelope, places.regions, body_size, contents, size, children, key, text)
