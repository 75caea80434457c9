"""A whole table, planned: its columns, how pandas reads it, and the nested tables that hold what JSON cannot.

Knows: columns, regions, envelopes.
Does not depend on: pandas, names, where the bytes will go: a descriptor or memory is
handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core import jobs
from colonnade.core.jobs import Job, Placed
from colonnade.core.regions import CACHE_LINE, PAGE, STRIDE_STEP, Block, Region, align, arrange
from colonnade.format.ipc import END_OF_STREAM, METADATA_KEY, Envelope, write_envelope
from colonnade.format.seal import SEAL_SIZE, TAIL_SIZE
from colonnade.format.write.batched import batches_of, split
from colonnade.format.write.column import Column

PANDAS_KEY = b"pandas"

# What is written before its source is let go of, in bytes; of each column enough to be worth a job.
_TURN = 16 << 20
_TURN_OF_A_JOB = 16 << 10


@dataclass(slots=True, eq=False)
class Child:
    """A nested table, stored whole in the annex: the levels of a MultiIndex, or labels that JSON cannot hold."""

    plan: TablePlan
    region: Region = field(default_factory=lambda: Region(0))

    def form(self) -> dict[str, Any]:
        return {"kind": "child", "child": self}


@dataclass(slots=True, eq=False)
class TablePlan:
    """What is to be stored. ``form`` is the layout metadata: JSON, with regions and children where numbers will be."""

    rows: int
    columns: list[Column]
    fields: list[pa.Field]
    metadata: dict[bytes, bytes]
    form: dict[str, Any]
    blocks: list[Block] = field(default_factory=list)
    extra_jobs: list[Job] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    def regions(self) -> list[Region]:
        """Everything of the body that is written."""
        regions = [region for column in self.columns for region in column.regions()]
        return regions + [job.values for job in self.extra_jobs if job.values is not None]


def group_blocks(columns: Sequence[tuple[int, Column]]) -> list[Block]:
    """Put the columns that stand in blocks side by side, by dtype; ``columns`` are (position in the frame, column)."""
    blocks: dict[str, Block] = {}
    for position, column in columns:
        if column.block is not None:
            dtype, region = column.block
            block = blocks.setdefault(str(dtype), Block(dtype))
            block.regions.append(region)
            block.positions.append(position)
    return list(blocks.values())


def _positions(block: Block) -> Any:
    first, count = block.positions[0], len(block.positions)
    return [first, count] if block.positions == list(range(first, first + count)) else {"list": block.positions}


@dataclass(slots=True, eq=False)
class LaidOut:
    """A plan with every byte's place known. ``size`` is the file's, in bytes."""

    plan: TablePlan
    envelope: Envelope
    body_size: int
    seal_at: int
    size: int
    children: list[tuple[int, LaidOut]]

    def _placed(self, start: int, own: Sequence[Job]) -> Iterator[Placed]:
        """Some jobs of the table's own columns, and all that it has besides them."""
        body = start + self.envelope.body_start
        yield Placed([*own, *self.plan.extra_jobs], body)
        for at, child in self.children:
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
        for at, child in self.children:
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
        taken += [(body + at, body + at + child.size) for at, child in self.children]
        end = body
        for first, last in sorted(taken):
            if first > end:
                yield end, first
            end = max(end, last)
        if end < start + self.seal_at:
            yield end, start + self.seal_at
        for at, child in self.children:
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
        turns: Sequence[int],
        release: Callable[[], None],
    ) -> None:
        """Write the file as above, so many of the source's rows after each other, and forget each when it is written.

        ``turns`` are the lengths of the source's batches; ``let_go`` is called when some are not needed any more.
        """
        into_file = partial(jobs.into_file, fd=fd, size=self.size)
        cuts, others = split(_jobs_of(self.plan.columns), turns)
        most = max(_TURN, len(cuts) * _TURN_OF_A_JOB) * self.plan.rows // self.size
        for first, end in batches_of(turns, most):
            parts = [cut.part(first, end) for cut in cuts]
            jobs.run([Placed(parts, self.envelope.body_start)], into_file)
            for cut, part in zip(cuts, parts, strict=True):
                cut.done(part, first, end)
            release()
        jobs.run(list(self._placed(0, others)), into_file)
        self._finish(0, write, seal)


def _jobs_of(columns: Sequence[Column]) -> list[Job]:
    return [job for column in columns for job in column.flat.jobs]


def lay_out(plan: TablePlan, alignment: int = PAGE) -> LaidOut:
    """Give every byte of a plan its place; no data is looked at."""
    children = [lay_out(child.plan, CACHE_LINE) for child in plan.children]
    body_size = align(arrange(plan.blocks, plan.regions()), STRIDE_STEP)
    for child, laid in zip(plan.children, children, strict=True):
        child.region.size = laid.size
    annex_end = arrange([], [child.region for child in plan.children], body_size + len(END_OF_STREAM))
    form = {
        "rows": plan.rows,
        "blocks": [[block.dtype, block.regions[0].at, block.stride, _positions(block)] for block in plan.blocks],
        **plan.form,
    }
    metadata = {**plan.metadata, METADATA_KEY: json.dumps(form, default=_place, separators=(",", ":")).encode()}
    schema = pa.schema(plan.fields, metadata)
    envelope = write_envelope(schema, [column.one_row for column in plan.columns], alignment)
    seal_at = align(envelope.body_start + annex_end, STRIDE_STEP)
    size = seal_at + SEAL_SIZE + len(envelope.footer) + TAIL_SIZE
    places = [child.region.at for child in plan.children]
    return LaidOut(plan, envelope, body_size, seal_at, size, list(zip(places, children, strict=True)))


def _place(value: Any) -> Any:
    if isinstance(value, Region):
        return value.at
    if isinstance(value, Child):
        return [value.region.at, value.region.size]
    raise TypeError(f"{value!r} in the layout metadata")
