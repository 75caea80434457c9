"""A table that its producer fills in place, in the segment that is published then.

Knows: a draft and the columns in it; with `api` and `snapshot`, the only place where files meet columns.
Does not depend on: how a draft gets its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from colonnade import _core
from colonnade.errors import NotFoundError

if TYPE_CHECKING:
    import numpy.typing as npt

    from colonnade.format.write.draft import DraftPlan
    from colonnade.format.write.table import LaidOut
    from colonnade.storage.draft import Draft


class DraftTable(Mapping[Any, "npt.NDArray[Any]"]):
    """A table being filled: a mapping of labels to arrays, which are the segment's own memory.

    Made by `colonnade.allocate`; nobody sees the table before its block has ended without an error. Columns that were
    given as data are there already and are no items. What an array holds before it is filled is anything, as with
    `numpy.empty`. Once the block has ended, arrays that somebody still has are private copies: what is stored there is
    no longer the table's.
    """

    def __init__(self, plan: DraftPlan, laid: LaidOut, draft: Draft) -> None:
        self._plan = plan
        self._laid = laid
        self._draft = draft
        self._mapping: _core.Mapping | None = draft.map_in_any_pages(laid.size)
        memory = np.frombuffer(cast(Any, self._mapping), np.uint8)
        if draft.used:
            laid.clear_gaps(draft.write)
        to_be_filled = {id(filled.column) for filled in plan.filled.values()}
        laid.move_to_memory(memory, [column for column in plan.table.columns if id(column) not in to_be_filled])
        body = laid.envelope.body_start
        self._arrays: dict[Any, npt.NDArray[Any]] = {
            label: np.ndarray((plan.table.rows,), filled.dtype, memory, body + filled.region.at)
            for label, filled in plan.filled.items()
        }

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._plan.table.rows

    @property
    def nbytes(self) -> int:
        """The size that the file will have, in bytes."""
        return self._laid.size

    def __getitem__(self, label: Any) -> npt.NDArray[Any]:
        if self._mapping is None:
            raise ValueError("the draft's block has ended: open the table by its name")
        try:
            return self._arrays[label]
        except (KeyError, TypeError):
            raise NotFoundError(
                f"there is no column {label!r} to be filled; there are: {', '.join(map(repr, self._arrays))}"
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def finish(self, seal: bytes) -> None:
        """Make the segment whole: nothing that is stored in the arrays from now on comes into it."""
        assert self._mapping is not None
        self._mapping.detach(self._draft.fd)
        self.discard()
        # Not through the old mapping: what is stored there from now on is nobody's.
        filled = _core.Mapping(self._draft.fd, self._laid.size, False)
        body = filled.address + self._laid.envelope.body_start
        scans = [
            job for column in self._plan.filled.values() for job in column.scan(self.num_rows, body + column.region.at)
        ]
        self._laid.finish_in_file(self._draft.fd, self._draft.write, scans, seal)

    def discard(self) -> None:
        """Let go of the arrays: from here on only who still has one keeps its memory."""
        self._arrays.clear()
        self._mapping = None

    def __repr__(self) -> str:
        if self._mapping is None:
            return "<colonnade.DraftTable: its block has ended>"
        columns = ", ".join(f"{label!r}: {array.dtype}" for label, array in self._arrays.items())
        return f"<colonnade.DraftTable of {self.num_rows:,} rows to fill: {columns or 'no column'}>"
