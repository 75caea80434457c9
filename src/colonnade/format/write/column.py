"""A column as the plan sees it: its Arrow nodes and buffers, the jobs that fill them, and how pandas will read it.

Does not depend on: Arrow's physical layouts (`flatten`), pandas, files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from colonnade.core.jobs import Job
from colonnade.core.regions import Region
from colonnade.rules import Reading


@dataclass(slots=True, eq=False)
class Node:
    """One node of the record batch: a field or a child. ``nulls`` is a count, or the job that counts.

    ``buffers`` are in Arrow's order; the first is the validity bitmap where ``has_validity``.
    """

    length: int
    nulls: Job | int
    buffers: list[Region | None]
    has_validity: bool = True

    @property
    def null_count(self) -> int:
        return self.nulls.nulls if isinstance(self.nulls, Job) else self.nulls

    def final_buffers(self) -> list[Region | None]:
        """The buffers once the jobs have run: a bitmap without a null is left out."""
        if self.has_validity and self.null_count == 0:
            return [None, *self.buffers[1:]]
        return self.buffers


@dataclass(slots=True, eq=False)
class Flat:
    """An Arrow column taken apart. ``patches`` are (region, offset in it, bytes), written besides the jobs' outputs.

    ``one_row`` is a row of the column itself, where the envelope needs its nested dictionaries.
    """

    type: pa.DataType
    nodes: list[Node] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    patches: list[tuple[Region, int, bytes]] = field(default_factory=list)
    one_row: pa.Array | None = None

    def add(self, child: Flat) -> None:
        self.nodes += child.nodes
        self.jobs += child.jobs
        self.patches += child.patches


@dataclass(slots=True, eq=False)
class Column:
    """One column of the stored table.

    ``block`` is the encoded pandas dtype and the region where it stands in a block, or None; then ``form`` says how
    pandas reads it. Regions inside ``form`` become their places when it is written as JSON.
    """

    name: str
    flat: Flat
    one_row: pa.Array
    reading: Reading
    block: tuple[Any, Region] | None = None
    form: dict[str, Any] | None = None

    def array_form(self) -> dict[str, Any]:
        """How the column is read when it stands alone, as an index does."""
        if self.form is not None:
            return self.form
        assert self.block is not None
        dtype, region = self.block
        return {"kind": "values", "dtype": dtype, "at": region}

    def regions(self) -> list[Region]:
        """All regions, Arrow's buffers first."""
        found = [region for node in self.flat.nodes for region in node.buffers if region is not None]
        found += [region for job in self.flat.jobs for region in (job.mask, job.pandas_buffer) if region is not None]
        return found


def bitmap_region(rows: int) -> Region:
    """A region for one bit a row."""
    return Region((rows + 7) // 8)


def one_null(type_: pa.DataType, dictionary: pa.Array | None = None) -> pa.Array:
    """One row of a type, for the envelope."""
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, one_null(type_.storage_type))
    if dictionary is not None:
        indices = pa.nulls(1, type_.index_type)
        return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=type_.ordered)
    return pa.nulls(1, type_)
