"""A stored table, read as a pandas frame: views of the mapping, put together.

Knows: the layout metadata of a frame. Does not depend on: names, descriptors, how one column is read. Every place goes
through `Body`, which checks it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import ColonnadeError, CorruptSnapshotError, NotFoundError, UnsupportedTypeError
from colonnade.format.bounds import Body
from colonnade.format.dtypes import decode_dtype
from colonnade.format.ipc import Opened, read_envelope
from colonnade.format.read.column import plain_dtype, read_array
from colonnade.format.read.index import read_labels, read_rows
from colonnade.format.read.ndarray import columns_of, read_bytes, read_ndarray
from colonnade.format.read.validate import validate
from colonnade.interop import pandas as internals
from colonnade.rules import family

_MOST_ROWS = 1 << 63


@contextlib.contextmanager
def following() -> Iterator[None]:
    """Turn whatever a malformed layout metadata leads to into a CorruptSnapshotError.

    pandas and PyArrow fail in many ways. Our own errors pass, and a lack of memory, which need not be the file's fault.
    """
    try:
        yield
    except (ColonnadeError, MemoryError):
        raise
    except Exception as error:
        raise CorruptSnapshotError(f"its layout metadata cannot be followed ({error!r})") from error


class StoredTable:
    """One Arrow file in memory, ``buffer[start : start + size]``, and its layout metadata.

    Everything made from it keeps ``buffer`` alive. ``nested``: it stands in another table's annex, and has no nested
    tables itself; else a small file could be as many tables as 2 has powers. ``careful``: nested tables are validated
    before they are read, for their values will be looked at here.
    """

    def __init__(self, buffer: Any, start: int, size: int, *, nested: bool = False) -> None:
        self._memory = memoryview(buffer)[start : start + size]
        opened: Opened = read_envelope(self._memory)
        self._buffer = buffer
        self._nested = nested
        self._batch: pa.RecordBatch | None = None
        self.careful = False
        self.size = size
        self.body = Body(buffer, start + opened.body_start, opened.body_limit)
        with following():
            self.form: dict[str, Any] = json.loads(opened.metadata)
            self.rows: int = self.form["rows"]
        if type(self.rows) is not int or not 0 <= self.rows < _MOST_ROWS:
            raise CorruptSnapshotError(f"its layout metadata claims {self.rows!r} rows")

    @property
    def batch(self) -> pa.RecordBatch:
        """The Arrow reading, over the same memory; buffer sizes are checked, values are not looked at."""
        # No cached_property: before Python 3.12 it has a lock, which a child forked meanwhile would wait for for ever.
        if self._batch is None:
            self._batch = self._read_batch()
        return self._batch

    def _read_batch(self) -> pa.RecordBatch:
        try:
            batch = pa.ipc.open_file(pa.py_buffer(self._memory)).get_batch(0)
            batch.validate()
        except MemoryError:
            raise
        except Exception as error:  # extension types of pandas fail in Python
            raise CorruptSnapshotError(f"PyArrow cannot read it ({error})") from error
        if batch.num_rows != self.rows:
            raise CorruptSnapshotError(f"its two readings have {batch.num_rows} and {self.rows} rows")
        return batch

    @property
    def address(self) -> int:
        """Where the memory is that places count from."""
        address: int = pa.py_buffer(self._buffer).address
        return address

    def child(self, place: Sequence[int]) -> pd.Index[Any]:
        """The index of a nested table."""
        if self._nested:
            raise CorruptSnapshotError("a nested table has nested tables")
        at, size = place
        self.body.bytes(at, size)
        table = StoredTable(self._buffer, self.body.start + at, size, nested=True)
        if self.careful:
            table.validate()
        with following():
            return read_rows(table)

    @property
    def array(self) -> dict[str, Any] | None:
        """The layout metadata of what was put as an array or a buffer; None for a frame."""
        return self.form.get("array")

    def to_numpy(self) -> npt.NDArray[Any]:
        """View what was put as an array or a buffer."""
        with following():
            return read_ndarray(self.body, self.form["array"])

    def to_buffer(self) -> pa.Buffer:
        """View the bytes of what was put as an array or a buffer."""
        with following():
            return read_bytes(self.body, self.form["array"])

    def labels(self) -> pd.Index[Any]:
        """The column labels."""
        return read_labels(self)

    def to_pandas(self, columns: Iterable[Any] | None = None) -> pd.DataFrame:
        """Make the frame, or the part of it that has the given labels, in their order."""
        self.careful = columns is not None
        with following():
            return self._to_pandas(columns)

    def validate(self) -> None:
        """Look at every value: Arrow's full validation, and pandas' reading against Arrow's.

        Raises
        ------
        CorruptSnapshotError
        """
        self.careful = True
        with following():
            validate(self)
            self.careful = False  # not twice
            with contextlib.suppress(UnsupportedTypeError):  # whole, but of a type that pandas does not have
                frame = self._to_pandas(None)
                frame.set_flags(allows_duplicate_labels=frame.flags.allows_duplicate_labels)  # looks for any

    def _to_pandas(self, columns: Iterable[Any] | None) -> pd.DataFrame:
        if self.array is not None:
            return self._array_to_pandas(columns)
        form = self.form
        labels = self.labels()
        parts = _Parts.whole() if columns is None else _Parts.chosen(labels, list(columns))
        stored = self.blocks(labels)
        blocks = [piece for _, values, where in stored for piece in parts.of_block((values, where))]
        for position, array in form["arrays"]:
            for repeat, new_position in enumerate(parts.places(position)):
                values = read_array(self, array)
                if repeat:  # two columns over one memory would see each other's writes
                    values = values.copy()
                shaped = values.reshape(1, -1) if isinstance(values, np.ndarray) else values
                blocks.append((shaped, np.array([new_position], np.intp)))
        if parts.order is not None:
            labels = labels.take(parts.order)
        if type(form["attrs"]) is not dict:
            raise CorruptSnapshotError(f"its attrs are a {type(form['attrs']).__name__}")
        unique = form["unique_labels"] is True
        return internals.make_frame(blocks, read_rows(self), labels, form["attrs"], unique_labels=unique)

    def _array_to_pandas(self, columns: Iterable[Any] | None) -> pd.DataFrame:
        labels, values, others = columns_of(read_ndarray(self.body, self.form["array"]))
        parts = _Parts.whole() if columns is None else _Parts.chosen(labels, list(columns))
        if values is None:
            # pandas made it of copies, so any columns of it may be taken.
            frame = pd.DataFrame(dict(enumerate(others)), copy=False).set_axis(labels, axis=1)
            return frame if parts.order is None else frame.iloc[:, parts.order]
        blocks = parts.of_block((values, np.arange(len(labels), dtype=np.intp)))
        if parts.order is not None:
            labels = labels.take(parts.order)
        return internals.make_frame(blocks, pd.RangeIndex(values.shape[1]), labels, {})

    def blocks(self, labels: pd.Index[Any]) -> list[tuple[Any, Any, npt.NDArray[np.intp]]]:
        """(dtype, values of shape (columns, rows), positions) of each block; every column is in a block or an array."""
        wheres = [_positions_of_block(positions, len(labels)) for *_, positions in self.form["blocks"]]
        _check_positions([*wheres, [place for place, _ in self.form["arrays"]]], len(labels))
        return [
            self._block(dtype, at, stride, where)
            for (dtype, at, stride, _), where in zip(self.form["blocks"], wheres, strict=True)
        ]

    def _block(
        self, dtype_form: Any, at: int, stride: int, where: npt.NDArray[np.intp]
    ) -> tuple[Any, Any, npt.NDArray[np.intp]]:
        dtype = decode_dtype(dtype_form)
        if family(dtype) not in ("numpy", "datetimetz"):
            raise CorruptSnapshotError(f"a block of {dtype}")
        values = self.body.block(plain_dtype(dtype), at, stride, len(where), self.rows)
        return dtype, (values if isinstance(dtype, np.dtype) else internals.make_datetimes(values, dtype)), where


def _positions_of_block(positions: Any, limit: int) -> npt.NDArray[np.intp]:
    if isinstance(positions, dict):
        return np.array(positions["list"], np.intp)
    first, count = positions
    if not 0 <= first <= first + count <= limit:
        raise CorruptSnapshotError(f"a block of columns {first} to {first + count} in a table of {limit}")
    return np.arange(first, first + count, dtype=np.intp)


def _check_positions(parts: Sequence[Any], columns: int) -> None:
    """See that every column is told of once: pandas takes placements as they are."""
    told = np.concatenate([np.asarray(part, np.intp) for part in parts])
    if len(told) != columns or (columns and not np.array_equal(np.sort(told), np.arange(columns))):
        raise CorruptSnapshotError("its layout metadata does not tell of every column once")


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which columns are wanted: ``order[i]`` is the stored position of the i-th; None for all, as stored."""

    order: npt.NDArray[np.intp] | None

    @classmethod
    def whole(cls) -> _Parts:
        return cls(None)

    @classmethod
    def chosen(cls, labels: pd.Index[Any], columns: list[Any]) -> _Parts:
        order = [_positions_of(labels, label) for label in columns]
        return cls(np.concatenate([*order, np.empty(0, np.intp)]).astype(np.intp))

    def places(self, position: int) -> list[int]:
        if self.order is None:
            return [position]
        places: list[int] = np.flatnonzero(self.order == position).tolist()
        return places

    def of_block(self, block: tuple[Any, npt.NDArray[np.intp]]) -> list[tuple[Any, npt.NDArray[np.intp]]]:
        """The wanted rows of a block, as views: neighbours stay in one block, the others get one each.

        A row that is wanted again is a copy: two columns over one memory would see each other's writes.
        """
        if self.order is None:
            return [block]
        values, positions = block
        row_of = {position: row for row, position in enumerate(positions.tolist())}
        wanted = [(row_of[p], new) for new, p in enumerate(self.order.tolist()) if p in row_of]
        pieces = []
        given: set[int] = set()
        start = 0
        for end in range(1, len(wanted) + 1):
            if end == len(wanted) or wanted[end][0] != wanted[end - 1][0] + 1:
                first, last = wanted[start][0], wanted[end - 1][0]
                rows = values[first : last + 1]
                repeated = not given.isdisjoint(range(first, last + 1))
                given.update(range(first, last + 1))
                where = np.array([new for _, new in wanted[start:end]], np.intp)
                pieces.append((rows.copy() if repeated else rows, where))
                start = end
        return pieces


def _positions_of(labels: pd.Index[Any], label: Any) -> npt.NDArray[np.intp]:
    try:
        found = labels.get_loc(label)
    except (KeyError, TypeError) as error:
        shown = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
        raise NotFoundError(f"there is no column {label!r}; there are: {shown}") from error
    return np.atleast_1d(np.arange(len(labels), dtype=np.intp)[found])
