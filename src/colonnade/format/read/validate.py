"""Everything in a table looked at: both readings, value by value, and where each byte of them stands.

Knows: the layout metadata, and what Arrow's own validation does not look at. Does not depend on: names, descriptors.

Arrow's full validation covers its own reading: offsets, indices, UTF-8, null counts. What pandas reads beyond that is
held here:

1. Each view shows what Arrow's reading of the same column shows: values, nulls, codes. So no code is out of range.
   The levels of a MultiIndex are not compared, only seen to be unique, and its codes to be in range.
2. Booleans and masks are bytes of 0 and 1, which NumPy takes for granted where it counts them.
3. Categories are unique and not null; intervals end after they start; an index has the frequency it claims.
4. No two buffers or views have a byte in common, but for a view of the very buffer that its own column has. So who
   writes to one column does not write to another, or to the offsets of its strings.
5. Nested tables are validated like the table itself.
6. An array is the very memory of Arrow's columns (booleans: says what their bits say), and NaT is null.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format.bounds import Stretch, check_apart
from colonnade.format.read.column import read_array
from colonnade.format.read.index import read_rows
from colonnade.format.read.ndarray import shares_memory_with_arrow
from colonnade.interop import pandas as internals
from colonnade.rules import family

if TYPE_CHECKING:
    from colonnade.format.read.table import StoredTable


def validate(table: StoredTable) -> None:
    """Raise CorruptSnapshotError, or what following a malformed layout metadata raises, where anything is amiss."""
    batch = table.batch
    batch.validate(full=True)
    # Names and metadata of the Arrow reading, which nothing else looks at: text, and JSON.
    _ = str(batch.schema), batch.schema.names, batch.schema.pandas_metadata
    looked = _Looked(table)
    if table.array is not None:
        if shares_memory_with_arrow(table, table.array):
            looked.forget_views()
        looked.keep_views()
        looked.check_apart()
        return
    labels = table.labels()
    _check_index(labels)
    index_fields = table.form["index_fields"]
    data_fields = [field for field in range(batch.num_columns) if field not in set(index_fields)]
    if len(labels) != len(data_fields) or len({*data_fields, *index_fields}) != batch.num_columns:
        raise CorruptSnapshotError(
            f"{len(labels)} labels and index fields {index_fields} of {batch.num_columns} fields"
        )
    looked.keep_views()
    in_blocks = []
    for _, values, where in table.blocks(labels):
        for row, position in enumerate(where.tolist()):
            in_blocks.append(batch.column(data_fields[position]))
            _check_values(values[row], in_blocks[-1])
    looked.keep_views(*in_blocks)
    for position, form in table.form["arrays"]:
        with contextlib.suppress(UnsupportedTypeError):  # whole, but of a type that pandas does not have
            _check_column(table, form, read_array(table, form), data_fields[position])
        looked.keep_views(batch.column(data_fields[position]))
    _check_rows(table, index_fields)
    looked.keep_views(*(batch.column(field) for field in index_fields))
    looked.check_apart()


class _Looked:
    """What of a table's memory has been looked at: Arrow's buffers, and the views that are none of them."""

    def __init__(self, table: StoredTable) -> None:
        self._base = table.address
        self._size = table.body.start + table.body.size
        self._views: list[Stretch] = []
        self._seen: list[Stretch] = []
        self._buffers = [stretch for column in table.batch.columns for stretch in self._of(column)]
        table.body = replace(table.body, seen=self._seen)

    def _of(self, array: pa.Array) -> Iterator[Stretch]:
        for part in (array, *_dictionaries(array)):
            for buffer in part.buffers():
                if buffer is not None and 0 <= buffer.address - self._base <= self._size:  # else it is Arrow's own
                    yield buffer.address - self._base, buffer.address - self._base + buffer.size

    def keep_views(self, *columns: pa.Array) -> None:
        """Take the views made since the last call, which may be of these columns' own buffers."""
        own = {stretch for column in columns for stretch in self._of(column)}
        for stretch in self._seen:
            if stretch in own:
                own.remove(stretch)  # a second view of it is one too many
            else:
                self._views.append(stretch)
        self._seen.clear()

    def forget_views(self) -> None:
        """Leave out the views made since the last call: they are of Arrow's buffers."""
        self._seen.clear()

    def check_apart(self) -> None:
        check_apart([*self._buffers, *self._views], "its columns")


def _dictionaries(array: pa.Array) -> Iterator[pa.Array]:
    """All dictionaries inside an array; `pyarrow.Array.buffers` has those of the other children alone."""
    if isinstance(array, pa.DictionaryArray):
        yield array.dictionary
        yield from _dictionaries(array.dictionary)
    for child in _children(array):
        yield from _dictionaries(child)


def _children(array: pa.Array) -> list[pa.Array]:
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if isinstance(array, pa.MapArray):
        return [array.keys, array.items]
    if isinstance(array, (pa.StructArray, pa.UnionArray)):
        return [array.field(i) for i in range(array.type.num_fields)]
    return [array.values] if array.type.num_fields else []  # lists and run ends


def _check_column(table: StoredTable, form: dict[str, Any], values: Any, field: int) -> None:
    if form.get("field", field) != field:
        raise CorruptSnapshotError(f"field {field} would be read as field {form['field']!r}")
    if form["kind"] in _CHECKS:
        _CHECKS[form["kind"]](values, table.batch.column(field))


def _check_values(values: Any, column: pa.Array) -> None:
    """A view of numbers, booleans, times or periods."""
    _compare(_numbers(values), _expected(column, values.dtype), values.dtype)


def _expected(column: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """What a view shows of a column, with NaN and NaT for nulls."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if family(dtype) == "period":
        return np.asarray(column.cast(pa.int64()).fill_null(_NAT).to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


_NAT = -(1 << 63)


def _numbers(values: Any) -> npt.NDArray[Any]:
    """The memory of an array, which of booleans holds nothing else."""
    memory: npt.NDArray[Any] = values if isinstance(values, np.ndarray) else internals.numpy_of(values)
    if memory.dtype == np.bool_ and len(memory) and memory.view(np.uint8).max() > 1:
        raise CorruptSnapshotError("it has booleans that are neither 0 nor 1")
    return memory


def _compare(found: npt.NDArray[Any], expected: npt.NDArray[Any], dtype: Any) -> None:
    if found.dtype != expected.dtype:
        raise CorruptSnapshotError(f"a column of {dtype} is stored for pandas, and one of {expected.dtype} for Arrow")
    if not np.array_equal(found, expected, equal_nan=found.dtype.kind in "fmM"):
        raise CorruptSnapshotError(f"a column of {dtype} has other values for pandas than for Arrow")


def _check_masked(array: Any, column: pa.Array) -> None:
    values, mask = map(_numbers, internals.masked_parts(array))
    _compare(mask, np.asarray(column.is_null().to_numpy(zero_copy_only=False)), "mask")
    if column.type != pa.from_numpy_dtype(values.dtype):
        raise CorruptSnapshotError(f"a column of {array.dtype} is {column.type} for Arrow")
    _compare(values[~mask], np.asarray(column.drop_null().to_numpy(zero_copy_only=False)), array.dtype)


def _check_categorical(array: Any, column: pa.Array) -> None:
    # In the dictionary's range, so they fit; Arrow has seen to that.
    expected = column.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    _compare(internals.codes_of(array).astype(np.int64), expected, "codes")
    _check_index(array.categories)
    if array.categories.hasnans or not array.categories.is_unique:
        raise CorruptSnapshotError("it has categories that are null, or not unique")


def _check_interval(array: Any, column: pa.Array) -> None:
    for side, field in ((array.left, 0), (array.right, 1)):
        _check_values(internals.array_of_index(side), column.storage.field(field))
    pd.arrays.IntervalArray.from_arrays(array.left, array.right, array.closed)  # looks at their order and their nulls


_CHECKS: dict[str, Callable[[Any, pa.Array], None]] = {
    "values": _check_values,
    "masked": _check_masked,
    "categorical": _check_categorical,
    "interval": _check_interval,
}


def _check_rows(table: StoredTable, fields: list[int]) -> None:
    try:
        index = read_rows(table)
    except UnsupportedTypeError:
        return
    form = table.form["index"]
    levels = {"range": 0, "array": 1}.get(form["kind"], index.nlevels)
    if len(fields) != levels:
        raise CorruptSnapshotError(f"{len(fields)} fields for {levels} levels of the index")
    if form["kind"] == "array":
        (field,) = fields
        _check_column(table, form["column"], internals.array_of_index(index), field)
    _check_index(index)


def _check_index(index: pd.Index[Any]) -> None:
    if isinstance(index, pd.MultiIndex):
        internals.verify_multi_index(index)
    elif isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) and index.freq is not None:
        type(index)(index.array, freq=index.freq)
