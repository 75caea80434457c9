"""A stored table, read as a pandas frame: views of the mapping, put together.

Knows: the second reading. Must not know: names, descriptors. Nothing here depends on the number of rows, but for the
columns that are ``converted``. Every place goes through `Body`, which checks it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.convert.rules import family
from colonnade.convert.stored.dtypes import decode_dtype
from colonnade.convert.stored.labels import decode_scalar
from colonnade.errors import ColonnadeError, CorruptSnapshotError, NotFoundError, UnsupportedTypeError
from colonnade.layout.envelope import Opened, read_envelope
from colonnade.layout.verify import Body
from colonnade.neighbours import pandas as internals

# What following a second reading that is not as it should be can raise.
_MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    OverflowError,
    AssertionError,
    RecursionError,
    OSError,
    pa.ArrowException,
)


@contextlib.contextmanager
def following() -> Iterator[None]:
    """Turn whatever a malformed second reading leads to into a CorruptSnapshotError; our own errors pass."""
    try:
        yield
    except ColonnadeError:
        raise
    except _MALFORMED as error:
        raise CorruptSnapshotError(f"its second reading cannot be followed ({error!r})") from error


class StoredTable:
    """One Arrow file in memory, ``buffer[start : start + size]``, and its second reading.

    Everything made from it keeps ``buffer`` alive.
    """

    def __init__(self, buffer: Any, start: int, size: int) -> None:
        self._memory = memoryview(buffer)[start : start + size]
        opened: Opened = read_envelope(self._memory)
        self._buffer = buffer
        self.body = Body(buffer, start + opened.body_start, opened.body_limit)
        with following():
            self.form: dict[str, Any] = json.loads(opened.metadata)
            self.rows: int = self.form["rows"]
        if type(self.rows) is not int or self.rows < 0:
            raise CorruptSnapshotError(f"its second reading claims {self.rows!r} rows")

    @cached_property
    def batch(self) -> pa.RecordBatch:
        """The Arrow reading, over the same memory; buffer sizes are checked, values are not looked at."""
        try:
            batch = pa.ipc.open_file(pa.py_buffer(self._memory)).get_batch(0)
            batch.validate()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptSnapshotError(f"PyArrow cannot read it ({error})") from error
        if batch.num_rows != self.rows:
            raise CorruptSnapshotError(f"its two readings have {batch.num_rows} and {self.rows} rows")
        return batch

    def child(self, place: Sequence[int]) -> pd.Index[Any]:
        """The index of a nested table."""
        at, size = place
        self.body.bytes(at, size)
        frame = StoredTable(self._buffer, self.body.start + at, size).to_pandas()
        index: pd.Index[Any] = frame.index
        return index

    def labels(self) -> pd.Index[Any]:
        """The column labels."""
        return _read_index(self, self.form["labels"])

    def to_pandas(self, columns: Iterable[Any] | None = None) -> pd.DataFrame:
        """Make the frame, or the part of it that has the given labels, in their order."""
        with following():
            return self._to_pandas(columns)

    def validate(self) -> None:
        """Look at every value: Arrow's full validation, and codes against categories and levels.

        Raises
        ------
        CorruptSnapshotError
        """
        with following():
            self.batch.validate(full=True)
            try:
                internals.verify_codes(self._to_pandas(None))
            except UnsupportedTypeError:
                return  # whole, but of a type that pandas does not have

    def _to_pandas(self, columns: Iterable[Any] | None) -> pd.DataFrame:
        form = self.form
        labels = self.labels()
        parts = _Parts.whole() if columns is None else _Parts.chosen(labels, list(columns))
        stored = [self._block(*block, limit=len(labels)) for block in form["blocks"]]
        _check_positions([*(where for _, where in stored), [place for place, _ in form["arrays"]]], len(labels))
        blocks = [piece for block in stored for piece in parts.of_block(block)]
        for position, array in form["arrays"]:
            for repeat, new_position in enumerate(parts.places(position)):
                values = _read_array(self, array)
                if repeat:  # two columns over one memory would see each other's writes
                    values = values.copy()
                shaped = values.reshape(1, -1) if isinstance(values, np.ndarray) else values
                blocks.append((shaped, np.array([new_position], np.intp)))
        if parts.order is not None:
            labels = labels.take(parts.order)
        frame = internals.make_frame(blocks, _read_index(self, form["index"]), labels, form["attrs"])
        if form["unique_labels"]:
            frame = frame.set_flags(allows_duplicate_labels=False)
        return frame

    def _block(
        self, dtype_form: Any, at: int, stride: int, positions: Any, *, limit: int
    ) -> tuple[Any, npt.NDArray[np.intp]]:
        if isinstance(positions, dict):
            where = np.array(positions["list"], np.intp)
        else:
            first, count = positions
            if not 0 <= first <= first + count <= limit:
                raise CorruptSnapshotError(f"a block of columns {first} to {first + count} in a table of {limit}")
            where = np.arange(first, first + count, dtype=np.intp)
        dtype = decode_dtype(dtype_form)
        values = self.body.block(_numpy_dtype(dtype), at, stride, len(where), self.rows)
        return (values if isinstance(dtype, np.dtype) else internals.make_datetimes(values, dtype)), where


def _check_positions(parts: Sequence[Any], columns: int) -> None:
    """See that every column is told of once: pandas takes placements as they are."""
    told = np.concatenate([np.asarray(part, np.intp) for part in parts])
    if len(told) != columns or (columns and not np.array_equal(np.sort(told), np.arange(columns))):
        raise CorruptSnapshotError("its second reading does not tell of every column once")


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


def _numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """What the values of a dtype are in memory; only dtypes without Python objects pass."""
    if isinstance(dtype, np.dtype) and dtype.kind in "biufmM":
        return dtype
    kind = family(dtype)
    if kind == "datetimetz":
        return np.dtype(f"M8[{dtype.unit}]")
    if kind == "period":
        return np.dtype(np.int64)
    raise CorruptSnapshotError(f"{dtype} cannot be a view of memory")


def _values(table: StoredTable, form: dict[str, Any]) -> Any:
    dtype = decode_dtype(form["dtype"])
    values = table.body.array(_numpy_dtype(dtype), form["at"], table.rows)
    make = {"numpy": lambda v, _: v, "datetimetz": internals.make_datetimes, "period": internals.make_periods}
    return make[family(dtype)](values, dtype)


def _masked(table: StoredTable, form: dict[str, Any]) -> Any:
    dtype = decode_dtype(form["dtype"])
    values = table.body.array(_numpy_dtype(dtype.numpy_dtype), form["values"], table.rows)
    return internals.make_masked(dtype, values, table.body.array(np.dtype(bool), form["mask"], table.rows))


def _categorical(table: StoredTable, form: dict[str, Any]) -> Any:
    codes = table.body.array(_numpy_dtype(np.dtype(form["dtype"])), form["codes"], table.rows)
    told = form["categories"]
    name, dtype = decode_scalar(told["name"]), decode_dtype(told["dtype"])
    dictionary = table.batch.column(form["field"]).dictionary
    if _is_wrapped_string(dtype):
        categories = internals.make_string_index(dictionary, dtype, name)
    else:
        categories = internals.make_index(_from_arrow(dictionary, dtype), name, told["freq"])
    return internals.make_categorical(codes, categories, form["ordered"])


def _interval(table: StoredTable, form: dict[str, Any]) -> Any:
    left, right = _values(table, form["left"]), _values(table, form["right"])
    wrap = internals.wrap_datetimes
    return internals.make_intervals(wrap(left), wrap(right), decode_dtype(form["dtype"]))


def _wrapped(table: StoredTable, form: dict[str, Any]) -> Any:
    array = table.batch.column(form["field"])
    dtype = decode_dtype(form["dtype"])
    return internals.make_strings(array, dtype) if family(dtype) == "string" else internals.make_arrow(array)


def _converted(table: StoredTable, form: dict[str, Any]) -> Any:
    field = table.batch.schema.field(form["field"])
    try:
        return _from_arrow(table.batch.column(form["field"]), decode_dtype(form["dtype"]), form.get("missing"))
    except (pa.ArrowNotImplementedError, ValueError) as error:
        raise UnsupportedTypeError(
            f"column {field.name!r} is {field.type}, which pandas cannot hold ({error}); "
            "use to_arrow(), or name other columns="
        ) from error


def _is_wrapped_string(dtype: Any) -> bool:
    return family(dtype) == "string" and dtype.storage == "pyarrow"


def _from_arrow(array: pa.Array, dtype: Any, missing: str | None = None) -> Any:
    """An Arrow array as pandas' array of a dtype: wrapped where pandas can, else converted by PyArrow."""
    kind = family(dtype)
    if _is_wrapped_string(dtype):
        return internals.make_strings(array, dtype)
    if kind == "arrow":
        return internals.make_arrow(array.cast(dtype.pyarrow_dtype))
    if kind != "numpy":
        return dtype.__from_arrow__(array)
    if dtype.kind == "O":
        return _objects(array, missing)
    return array.to_pandas().to_numpy(dtype, copy=True)


_MISSING = {"None": None, "nan": np.nan, "NA": pd.NA, "NaT": pd.NaT}


def _objects(array: pa.Array, missing: str | None) -> npt.NDArray[Any]:
    """Python objects; ``missing`` names what stood for a null, and without it PyArrow's choice stands."""
    if isinstance(array, (pa.StringArray, pa.LargeStringArray)):
        values = np.array(array.to_numpy(zero_copy_only=False), dtype=object)
    else:
        # As a table: PyArrow converts some extension types otherwise when they stand alone.
        converted = pa.table([array], [""]).to_pandas(integer_object_nulls=True)
        values = converted.iloc[:, 0].to_numpy(object, copy=True)
    if missing is not None and array.null_count:
        values[array.is_null().to_numpy(zero_copy_only=False)] = _MISSING[missing]
    return values


_ARRAY: dict[str, Callable[[StoredTable, dict[str, Any]], Any]] = {
    "values": _values,
    "masked": _masked,
    "categorical": _categorical,
    "interval": _interval,
    "wrapped": _wrapped,
    "converted": _converted,
}


def _read_array(table: StoredTable, form: dict[str, Any]) -> Any:
    return _ARRAY[form["kind"]](table, form)


def _range_index(_: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    start, stop, step = form["range"]
    return pd.RangeIndex(start, stop, step, name=decode_scalar(form["name"]))


def _list_index(_: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    dtype, name = decode_dtype(form["dtype"]), decode_scalar(form["name"])
    if _is_wrapped_string(dtype):
        # Not Arrow's default pool: its first allocation alone takes a huge page, 2 MiB, in every reader.
        strings = pa.array(form["values"], pa.large_string(), memory_pool=pa.system_memory_pool())
        return internals.make_string_index(strings, dtype, name)
    values = [decode_scalar(value) for value in form["values"]]
    array = np.empty(len(values), object)
    array[:] = values
    index: pd.Index[Any] = pd.Index(array, dtype=dtype, name=name, tupleize_cols=False)
    return index


def _multi_index(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    levels = [_read_index(table, level) for level in form["levels"]]
    return internals.make_multi_index(
        levels, [_codes(table, codes) for codes in form["codes"]], [decode_scalar(name) for name in form["names"]]
    )


def _codes(table: StoredTable, codes: Any) -> npt.NDArray[Any]:
    if isinstance(codes, list):
        return np.array(codes, np.intp)
    return table.body.array(_numpy_dtype(np.dtype(codes["dtype"])), codes["at"], table.rows)


def _array_index(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    return internals.make_index(_read_array(table, form["column"]), decode_scalar(form["name"]), form["freq"])


_INDEX: dict[str, Callable[[StoredTable, dict[str, Any]], pd.Index[Any]]] = {
    "range": _range_index,
    "list": _list_index,
    "multi": _multi_index,
    "array": _array_index,
    "child": lambda table, form: table.child(form["child"]),
}


def _read_index(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    return _INDEX[form["kind"]](table, form)
