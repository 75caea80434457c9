"""Some columns of a stored table, in an order that is asked for.

Does not depend on: files, how a column is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.errors import NotFoundError, brief_repr
from colonnade.suggestions import listed

Positions = npt.NDArray[np.intp]


class Projection:
    """Which columns are asked for: ``order[i]`` is the stored position of column i; None for all, as stored."""

    __slots__ = ("order",)

    def __init__(self, order: Positions | None) -> None:
        self.order = order

    @classmethod
    def of(cls, labels: pd.Index[Any], columns: Iterable[Any] | None) -> Projection:
        """Find the columns of some labels; NotFoundError for a label that is not there."""
        if columns is None:
            return cls(None)
        positions = [_positions_of(labels, label) for label in columns]
        return cls(np.concatenate([*positions, np.empty(0, np.intp)]).astype(np.intp))

    def labels(self, labels: pd.Index[Any]) -> pd.Index[Any]:
        """The labels of the columns that are asked for."""
        return labels if self.order is None else labels.take(self.order)

    def places(self, position: int) -> list[int]:
        """Where a stored column stands in the result: nowhere, once, or several times."""
        if self.order is None:
            return [position]
        places: list[int] = np.flatnonzero(self.order == position).tolist()
        return places

    def of_block(self, values: Any, positions: Positions) -> list[tuple[Any, Positions]]:
        """The rows of a block that are asked for, as views: adjacent rows stay in one block, others get one each.

        A row that is asked for again is a copy: two columns over one memory would see each other's writes.
        """
        if self.order is None:
            return [(values, positions)]
        row_of = {position: row for row, position in enumerate(positions.tolist())}
        rows = [(row_of[p], new) for new, p in enumerate(self.order.tolist()) if p in row_of]
        pieces = []
        positions_used: set[int] = set()
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or rows[end][0] != rows[end - 1][0] + 1:
                first, last = rows[start][0], rows[end - 1][0]
                piece = values[first : last + 1]
                is_repeated = not positions_used.isdisjoint(range(first, last + 1))
                positions_used.update(range(first, last + 1))
                new_positions = np.array([new for _, new in rows[start:end]], np.intp)
                pieces.append((piece.copy() if is_repeated else piece, new_positions))
                start = end
        return pieces


def _positions_of(labels: pd.Index[Any], label: Any) -> Positions:
    try:
        location = labels.get_loc(label)
    except (KeyError, TypeError, pd.errors.InvalidIndexError) as error:  # the last for values that cannot be labels
        raise NotFoundError(f"there is no column {brief_repr(label)}; {listed(label, labels)}") from error
    return np.atleast_1d(np.arange(len(labels), dtype=np.intp)[location])
