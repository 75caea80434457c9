"""A table that its producer fills in place, in the segment that is published afterwards.

Does not depend on: how a draft gets its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from colonnade import _core
from colonnade._put import Request, Writer
from colonnade.arguments import check_flags, integer
from colonnade.errors import NotFoundError, brief_repr
from colonnade.format.write.draft import DraftPlan, plan_draft
from colonnade.format.write.table import Placement, lay_out
from colonnade.storage.draft import Draft
from colonnade.suggestions import listed

if TYPE_CHECKING:
    import numpy.typing as npt


@contextlib.contextmanager
def allocate(
    writer: Writer, schema: Mapping[Any, Any], rows: int, request: Request, *, nulls: bool
) -> Iterator[DraftTable]:
    """Give a table to fill, and publish it when the block ends without an error."""
    count = integer(rows)
    if count is None or count < 0:
        raise ValueError(f"rows must be an integer >= 0, got {brief_repr(rows)}")
    check_flags(nulls=nulls)
    writer.prepare(request)
    plan = plan_draft(schema, count, nulls=nulls)
    placement = lay_out(plan.table)
    with contextlib.ExitStack() as stack:
        with writer.explained(placement.size):
            draft = stack.enter_context(writer.publisher.draft(placement.size))
            table = DraftTable(plan, placement, draft)
        stack.callback(table.discard)
        yield table  # an error of the block is the caller's, and is not explained
        with writer.explained(placement.size):
            table.finish()
            writer.publish(request, placement, draft).close()


class DraftTable(Mapping[Any, "npt.NDArray[Any]"]):
    """A table to fill: a mapping of column labels to arrays, which are the memory of the segment itself.

    Made by `colonnade.allocate`. No other process sees the table before its block has ended without an error. Columns
    that were given as data are filled already and are not items. Before it is filled, an array holds arbitrary values,
    as after `numpy.empty`. After the block, arrays that the caller still has are private copies: storing into them does
    not change the table.

    Examples
    --------
    >>> import colonnade as cn
    >>> with cn.allocate("docs/draft", {"x": "float64"}, rows=3) as draft:
    ...     draft["x"][:] = [0.5, 1.5, 2.5]
    >>> cn.get("docs/draft")["x"].tolist()
    [0.5, 1.5, 2.5]
    >>> cn.delete("docs/draft")
    """

    def __init__(self, plan: DraftPlan, placement: Placement, draft: Draft) -> None:
        self._plan = plan
        self._placement = placement
        self._draft = draft
        self._mapping: _core.Mapping | None = draft.map_in_any_pages(placement.size)
        memory = np.frombuffer(cast(Any, self._mapping), np.uint8)
        if draft.used:
            placement.clear_gaps(draft.write)
        to_fill = {id(mapping.column) for mapping in plan.columns_to_fill.values()}
        self._results = placement.move_to_memory(
            memory, [column for column in plan.table.columns if id(column) not in to_fill]
        )
        placement.write_texts(memory)
        self._arrays: dict[Any, npt.NDArray[Any]] = {
            label: np.ndarray((plan.table.rows,), mapping.dtype, memory, placement.place_in_file(mapping.region))
            for label, mapping in plan.columns_to_fill.items()
        }

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._plan.table.rows

    @property
    def nbytes(self) -> int:
        """The size that the file will have, in bytes."""
        return self._placement.size

    def __getitem__(self, label: Any) -> npt.NDArray[Any]:
        if self._mapping is None:
            raise ValueError("the block of this draft has ended; open the table by its name")
        try:
            return self._arrays[label]
        except (KeyError, TypeError):
            raise NotFoundError(f"there is no column {label!r} to fill; {listed(label, self._arrays)}") from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def finish(self) -> None:
        """Complete the segment. What is stored into the arrays from now on does not reach it."""
        assert self._mapping is not None
        self._mapping.detach(self._draft.fd)
        self.discard()
        # Not through the old mapping: what is stored there from now on is not part of the table.
        mapping = _core.Mapping(self._draft.fd, self._placement.size, False)
        try:
            scans = {
                column.column.job: scan
                for column in self._plan.columns_to_fill.values()
                if (scan := column.scan(self.num_rows, mapping.address + self._placement.place_in_file(column.region)))
            }
            self._placement.finish_in_file(self._draft.fd, self._draft.write, self._results, scans)
        finally:
            del mapping  # the traceback of an error must not keep the memory

    def discard(self) -> None:
        """Drop the arrays. The memory stays as long as the caller has one of them."""
        self._arrays.clear()
        self._mapping = None

    def __repr__(self) -> str:
        if self._mapping is None:
            return "<colonnade.DraftTable: its block has ended>"
        columns = ", ".join(f"{label!r}: {array.dtype}" for label, array in self._arrays.items())
        return f"<colonnade.DraftTable of {self.num_rows:,} rows to fill: {columns or 'no column'}>"
