"""Look-ups in a row index that is a range: a row is computed, and nothing is stored for it.

Does not depend on: files, what the other columns are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.format.key import keys_in_type


class RangeKey:
    """Finds the rows of integers in a range; ``name`` is that of the index, for messages."""

    def __init__(self, labels: range, name: str) -> None:
        self._labels = labels
        self._name = name

    def find(self, values: Any) -> npt.NDArray[np.int64]:
        """The row of each value, -1 where there is none.

        Raises
        ------
        TypeError
            The values are not numbers.
        """
        keys = keys_in_type(values, self._name, pa.int64())
        labels = self._labels
        if not labels:
            return np.full(len(keys), -1, np.int64)
        least, most = min(labels[0], labels[-1]), max(labels[0], labels[-1])
        is_between = pc.and_(pc.greater_equal(keys, least), pc.less_equal(keys, most)).fill_null(False)
        inside = np.asarray(is_between)
        # A distance within a range always fits into uint64, but not always into int64.
        first = np.int64(labels[0]).astype(np.uint64)
        within = np.asarray(pc.if_else(is_between, keys, labels[0])).view(np.uint64)
        distance = within - first if labels.step > 0 else first - within
        rows, rest = np.divmod(distance, np.uint64(abs(labels.step)))
        return np.where(inside & (rest == 0), rows.astype(np.int64), -1)
