"""Look-ups by key: from the values of key columns to row numbers, and to rows.

The key index stands in the file (``core/key_index.py``), so a process that looks keys up builds nothing and
holds nothing of its own. Does not depend on: stores, how a snapshot is attached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.core.distinct import distinct
from colonnade.core.key_index import KeyIndex
from colonnade.errors import ColonnadeError, CorruptSnapshotError
from colonnade.format import schema
from colonnade.format.key import check_key_type, key_column, key_parts, looked_up, one_key
from colonnade.format.range_key import RangeKey
from colonnade.format.read.file import StoredFile
from colonnade.format.read.index import read_rows
from colonnade.interop import pandas as internals


class Lookup:
    """Finds the rows of one stored table by its key.

    Parameters
    ----------
    file : StoredFile
        The opened table.
    frame : callable
        Makes a frame or a Series of the table. The first call of `rows` calls it.

    Raises
    ------
    ColonnadeError
        The table was put without ``key=``.
    CorruptSnapshotError
        The key index is damaged.
    """

    def __init__(self, file: StoredFile, frame: Callable[[], Any]) -> None:
        key = file.frame.key if file.array is None else None
        if key is None:
            raise ColonnadeError("the table has no key; put it with key= to look rows up")
        self._make_frame = frame
        self._frame: Any = None
        self._range: RangeKey | None = None
        if not key.fields:
            index = read_rows(file)
            if not isinstance(index, pd.RangeIndex):
                raise schema.invalid("a key index over no fields, and no row index that is a range")
            self._names = [str(index.name)]
            self._range = RangeKey(range(index.start, index.stop, index.step), self._names[0])
            return
        batch = file.batch
        if max(key.fields) >= batch.num_columns:
            raise schema.invalid(f"a key index over the fields {key.fields} of {batch.num_columns}")
        self._columns = [batch.column(field) for field in key.fields]
        self._names = [batch.schema.field(field).name for field in key.fields]
        for name, column in zip(self._names, self._columns, strict=True):
            check_key_type(name, column.type)
        key_type = self._columns[0].type
        has_one = len(self._columns) == 1 and not isinstance(key_type, pa.BaseExtensionType)
        self._one_key = one_key(key_type) if has_one else None
        self._index = _following(
            KeyIndex,
            np.frombuffer(file.body.bytes(key.at, key.size), np.uint8),
            [key_column(column) for column in self._columns],
            file.rows,
        )

    def locate(self, keys: Any) -> int | npt.NDArray[np.int64]:
        """The first row of each key, -1 where there is none: an int for one key, int64 of shape (keys,) for several."""
        rows, is_one = self._find(keys)
        return int(rows[0]) if is_one else rows

    def positions(self, keys: Any) -> npt.NDArray[np.int64]:
        """All rows of each key, one key after the other."""
        rows, _ = self._find(keys)
        if self._range is not None:
            return rows[rows >= 0]
        positions: npt.NDArray[np.int64] = _following(self._index.all_rows, rows)
        return positions

    def rows(self, keys: Any) -> pd.DataFrame:
        """All rows of each key as a new frame, one key after the other; a key that is not there gives none."""
        if self._frame is None:
            self._frame = self._make_frame()
        rows: pd.DataFrame = internals.take_rows(self._frame, self.positions(keys))
        return rows

    def validate(self) -> None:
        """Check that the index leads to each row without a null in its key, and to no other.

        Raises
        ------
        CorruptSnapshotError
        """
        if self._range is not None:
            return
        own = [key_column(column) for column in self._columns]
        rows = len(self._columns[0])
        first = _following(self._index.find, own, rows)
        rows_of_index = np.sort(_following(self._index.all_rows, distinct(first[first >= 0])))
        without_null = np.ones(rows, bool)
        for column in self._columns:
            without_null &= np.asarray(column.is_valid())
        if not np.array_equal(rows_of_index, np.flatnonzero(without_null)):
            raise CorruptSnapshotError(
                f"damaged key index: it leads to {len(rows_of_index):,} rows of {without_null.sum():,}"
            )

    def _find(self, keys: Any) -> tuple[npt.NDArray[np.int64], bool]:
        if self._range is not None:
            (values,), count = key_parts(keys, self._names)
            return self._range.find(values), count is None
        one = None if self._one_key is None else self._one_key.column(keys)
        if one is not None:
            return _following(self._index.find, (one,), 1), True
        parts, count = key_parts(keys, self._names)
        hashes = [
            looked_up(values, name, column)
            for values, name, column in zip(parts, self._names, self._columns, strict=True)
        ]
        return _following(self._index.find, hashes, 1 if count is None else count), count is None


def _following(step: Callable[..., Any], *arguments: Any) -> Any:
    """Call a step that follows numbers of the file."""
    try:
        return step(*arguments)
    except ValueError as error:
        raise CorruptSnapshotError(f"damaged key index: {error}") from error
