"""A whole table, planned and then laid out: its columns, how pandas reads it, and its nested tables.

Does not depend on: pandas, names, where the bytes will go: a descriptor or memory is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core import jobs
from colonnade.core.jobs import Job, Placed
from colonnade.core.key_index import size_of_index
from colonnade.core.regions import CACHE_LINE, PAGE, STRIDE_STEP, Block, Region, align, arrange
from colonnade.format import schema
from colonnade.format.ipc import END_OF_STREAM, Envelope, write_envelope
from colonnade.format.schema import METADATA_KEY
from colonnade.format.seal import SEAL_SIZE, TAIL_SIZE
from colonnade.format.write.batched import batches_of, split
from colonnade.format.write.column import Column, Places

PANDAS_KEY = b"pandas"

# How much is written before its source is released, in bytes; of each column enough to be worth a job.
_BATCH = 16 << 20
_BATCH_OF_A_JOB = 16 << 10


MakeIndex = Callable[[Places], schema.RowIndex]
MakeLabels = Callable[[Places], schema.LabelIndex]


@dataclass(frozen=True, slots=True, eq=False)
class FrameLayoutPlan:
    """The layout metadata of a table, but for places.

    ``columns`` are (position in the frame, field, column); those that stand in a block are left out of the metadata.
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
            columns=[
                (position, column.layout(place, field))
                for position, field, column in self.columns
                if column.block is None
            ],
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
    region: Region = field(default_factory=lambda: Region(0))


@dataclass(frozen=True, slots=True, eq=False)
class TablePlan:
    """What is to be stored; where it stands in the file is decided by `lay_out`."""

    rows: int
    columns: Sequence[Column]
    fields: Sequence[pa.Field]
    metadata: Mapping[bytes, bytes]
    layout: FrameLayoutPlan | ArrayLayoutPlan
    blocks: Sequence[Block] = ()
    extra_jobs: Sequence[Job] = ()
    nested: Sequence[NestedPlan] = ()

    def regions(self) -> list[Region]:
        """Everything of the body that is written."""
        regions = [region for column in self.columns for region in column.regions()]
        return regions + [job.values for job in self.extra_jobs if job.values is not None]


def group_blocks(columns: Iterable[tuple[int, Column]]) -> list[Block]:
    """Put the columns that stand in blocks side by side, by dtype; ``columns`` are (position in the frame, column)."""
    blocks: dict[str | schema.ZonedDtype, Block] = {}
    for position, column in columns:
        if column.block is not None:
            dtype, region = column.block
            block = blocks.setdefault(dtype, Block(dtype))
            block.regions.append(region)
            block.positions.append(position)
    return list(blocks.values())


def _block_layout(block: Block, place: Places) -> schema.Block:
    first, count = block.positions[0], len(block.positions)
    is_run = block.positions == list(range(first, first + count))
    columns: schema.Run | list[int] = schema.Run(first, count) if is_run else block.positions
    return schema.Block(block.dtype, place(block.regions[0]), block.stride, columns)


@dataclass(slots=True, eq=False)
class LaidOut:
    """A plan with every byte's place known. ``size`` is the file's, in bytes."""

    plan: TablePlan
    envelope: Envelope
    body_size: int
    seal_at: int
    size: int
    nested: list[tuple[int, LaidOut]]
    key: schema.Key | None = None

    @property
    def key_at(self) -> int:
        """Where the key index stands in the file; only for a table that has one."""
        assert self.key is not None
        return self.envelope.body_start + self.key.at

    def _placed(self, start: int, own: Sequence[Job]) -> Iterator[Placed]:
        """Some jobs of the table's own columns, and all that it has besides them."""
        body = start + self.envelope.body_start
        yield Placed([*own, *self.plan.extra_jobs], body)
        for at, child in self.nested:
            yield from child._placed(body + at, _jobs_of(child.plan.columns))

    def _finish(self, start: int, write: Callable[[int, bytes | bytearray], None], seal: bytes) -> None:
        body = start + self.envelope.body_start
        nodes = [node for column in self.plan.columns for node in column.flat.nodes]
        self.envelope.finish(
            self.plan.rows,
            self.body_size,
            [(node.length, node.null_count) for node in nodes],
            [buffer for node in nodes for buffer in node.final_buffers()],
        )
        for column in self.plan.columns:
            for region, offset, data in column.flat.patches:
                write(body + region.at + offset, data)
        write(body + self.body_size, END_OF_STREAM)
        for at, child in self.nested:
            child._finish(body + at, write, bytes(SEAL_SIZE))
        write(start, self.envelope.head)
        write(start + self.seal_at, self.envelope.tail(seal))

    def clear_gaps(self, write: Callable[[int, bytes], None]) -> None:
        """Write zeros wherever nothing else will be written: a used segment's memory holds what stood there before."""
        for start, end in self._gaps(0):
            write(start, bytes(end - start))

    def _gaps(self, start: int) -> Iterator[tuple[int, int]]:
        body = start + self.envelope.body_start
        taken = [(body + region.at, body + region.at + region.size) for region in self.plan.regions()]
        taken.append((body + self.body_size, body + self.body_size + len(END_OF_STREAM)))
        taken += [(body + at, body + at + child.size) for at, child in self.nested]
        taken += [(body + self.key.at, body + self.key.at + self.key.size)] if self.key else []
        end = body
        for first, last in sorted(taken):
            if first > end:
                yield end, first
            end = max(end, last)
        if end < start + self.seal_at:
            yield end, start + self.seal_at
        for at, child in self.nested:
            yield from child._gaps(body + at)

    def write_to_memory(self, memory: npt.NDArray[np.uint8], seal: bytes) -> None:
        """Write the file into memory of ``size`` bytes, zeros where nothing will be written."""
        self.move_to_memory(memory, self.plan.columns)

        def write(at: int, data: bytes | bytearray) -> None:
            memory[at : at + len(data)] = np.frombuffer(data, np.uint8)

        self._finish(0, write, seal)

    def move_to_memory(self, memory: npt.NDArray[np.uint8], columns: Sequence[Column]) -> None:
        """Move some columns' bytes, and what nested tables have, into memory of ``size`` bytes."""
        address = memory.__array_interface__["data"][0]
        jobs.run(list(self._placed(address, _jobs_of(columns))), partial(jobs.into_memory, outputs=[memory]))

    def finish_in_file(
        self, fd: int, write: Callable[[int, bytes | bytearray], None], scans: Sequence[Job], seal: bytes
    ) -> None:
        """Make a file whole whose columns are there: run the last jobs, and write what is no job's."""
        jobs.run([Placed(scans, self.envelope.body_start)], partial(jobs.into_file, fd=fd, size=self.size))
        self._finish(0, write, seal)

    def write_to_file(self, fd: int, write: Callable[[int, bytes | bytearray], None], seal: bytes) -> None:
        """Write the file to a descriptor, as above; ``write(at, data)`` writes the few bytes that are no job's."""
        jobs.run(list(self._placed(0, _jobs_of(self.plan.columns))), partial(jobs.into_file, fd=fd, size=self.size))
        self._finish(0, write, seal)

    def write_batched(
        self,
        fd: int,
        write: Callable[[int, bytes | bytearray], None],
        seal: bytes,
        lengths: Sequence[int],
        release: Callable[[], None],
    ) -> None:
        """Write the file as above, batch after batch of the source; each is released when it is written.

        ``lengths`` are the rows of the source's batches; ``release`` is called when some are not needed any more.
        """
        into_file = partial(jobs.into_file, fd=fd, size=self.size)
        cuts, others = split(_jobs_of(self.plan.columns), lengths)
        most = max(_BATCH, len(cuts) * _BATCH_OF_A_JOB) * self.plan.rows // self.size
        for first, end in batches_of(lengths, most):
            parts = [cut.part(first, end) for cut in cuts]
            jobs.run([Placed(parts, self.envelope.body_start)], into_file)
            for cut, part in zip(cuts, parts, strict=True):
                cut.done(part, first, end)
            release()
        jobs.run(list(self._placed(0, others)), into_file)
        self._finish(0, write, seal)


def _jobs_of(columns: Sequence[Column]) -> list[Job]:
    return [job for column in columns for job in column.flat.jobs]


def lay_out(plan: TablePlan, key_fields: Sequence[int] = (), meta: str = "", alignment: int = PAGE) -> LaidOut:
    """Give every byte of a plan its place; no data is looked at.

    ``key_fields`` are the fields that a key index is built over, once they are written. ``meta`` is what a user stores
    with the table, as JSON.
    """
    nested = [lay_out(table.plan, alignment=CACHE_LINE) for table in plan.nested]
    body_size = align(arrange(plan.blocks, plan.regions()), STRIDE_STEP)
    for table, laid in zip(plan.nested, nested, strict=True):
        table.region.size = laid.size
    nested_end = arrange([], [table.region for table in plan.nested], body_size + len(END_OF_STREAM))
    key = None
    if key_fields:
        region = Region(size_of_index(plan.rows))
        nested_end = arrange([], [region], max(nested_end, body_size + len(END_OF_STREAM)))
        key = schema.Key(list(key_fields), _place(region), region.size)
    layout = plan.layout.placed(_place, [_block_layout(block, _place) for block in plan.blocks], key)
    layout = schema.with_meta(layout, meta) if meta else layout
    arrow_schema = pa.schema(list(plan.fields), {**plan.metadata, METADATA_KEY: schema.encode(layout)})
    envelope = write_envelope(arrow_schema, [column.one_row for column in plan.columns], alignment)
    seal_at = align(envelope.body_start + nested_end, STRIDE_STEP)
    size = seal_at + SEAL_SIZE + len(envelope.footer) + TAIL_SIZE
    places = [_place(table.region) for table in plan.nested]
    return LaidOut(plan, envelope, body_size, seal_at, size, list(zip(places, nested, strict=True)), key)


def _place(region: Region) -> int:
    return region.at
