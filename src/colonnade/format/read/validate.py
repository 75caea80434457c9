"""Every value of a file looked at: what Arrow reads, what pandas reads, and where each byte of them stands.

Arrow's full validation covers what Arrow reads: offsets, indices, UTF-8, null counts. What pandas reads beyond that is
checked here:

1. Each view shows what Arrow reads of the same column: values, nulls, codes. So no code is out of range. The levels of
   a MultiIndex are not compared; they must be unique, and its codes in range.
2. Booleans and masks are bytes of 0 and 1, which NumPy takes for granted where it counts them.
3. Categories are unique and not null; intervals end after they start; an index has the frequency it claims.
4. No two buffers or views have a byte in common, except a view of the very buffer that its own column has. So a write
   to one column changes no other column, and no offsets of strings.
5. Nested tables are validated like the table itself.
6. The views of text are those that its offsets and data have.
7. An array is the very memory of Arrow's columns (or, for booleans, agrees with their bits), and NaT is null.

Does not depend on: names, descriptors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.dtype_kinds import dtype_kind
from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.bounds import Stretch, check_apart
from colonnade.format.read.blocks import read_blocks
from colonnade.format.read.column import read_column
from colonnade.format.read.file import StoredFile, reading
from colonnade.format.read.index import read_labels, read_rows
from colonnade.format.read.ndarray import shares_memory_with_arrow
from colonnade.format.read.text_views import check_views
from colonnade.format.read.values import check_values
from colonnade.interop import pandas as internals
from colonnade.interop.arrow import dictionaries


def validate_values(file: StoredFile) -> None:
    """Raise CorruptSnapshotError where anything is wrong."""
    with reading():
        batch = file.batch
        check_values(batch)
        # Names and metadata of the Arrow schema, which nothing else looks at: text, and JSON.
        _ = str(batch.schema), batch.schema.names, batch.schema.pandas_metadata
        stretches: list[Stretch] = []
        memory = _Memory(file, stretches)
        file = file.checked(validate_values).watched(stretches)
        if isinstance(file.layout, schema.ArrayLayout):
            if shares_memory_with_arrow(file, file.layout):
                memory.forget_views()
            memory.keep_views()
        else:
            _validate_frame(file, file.layout, memory)
        memory.check_apart()


def _validate_frame(file: StoredFile, layout: schema.FrameLayout, memory: _Memory) -> None:
    batch = file.batch
    labels = read_labels(file)
    _check_index(labels)
    index_fields = [field for field in layout.index_fields if field is not None]
    data_fields = [field for field in range(batch.num_columns) if field not in set(index_fields)]
    if len(labels) != len(data_fields) or len({*data_fields, *index_fields}) != batch.num_columns:
        raise schema.invalid(f"{len(labels)} labels and index fields {index_fields} of {batch.num_columns} fields")
    memory.keep_views()
    in_blocks = []
    for block in read_blocks(file, len(labels)):
        for row, position in enumerate(block.positions.tolist()):
            in_blocks.append(batch.column(data_fields[position]))
            _check_values(block.values[row], in_blocks[-1])
    memory.keep_views(*in_blocks)
    for position, column in layout.columns:
        with contextlib.suppress(UnsupportedTypeError):  # the file is right, but pandas has no such type
            _check_column(file, column, read_column(file, column), data_fields[position])
        memory.keep_views(batch.column(data_fields[position]))
    _check_rows(file, layout)
    check_views(file)
    memory.keep_views(*(batch.column(field) for field in index_fields))


class _Memory:
    """Which bytes of a file are in use: those of Arrow's buffers, and those of views of other bytes."""

    def __init__(self, file: StoredFile, stretches: list[Stretch]) -> None:
        self._base = file.address
        self._size = file.body.start + file.body.size
        self._views: list[Stretch] = []
        self._stretches = stretches
        self._buffers = [stretch for column in file.batch.columns for stretch in self._of(column)]

    def _of(self, array: pa.Array) -> Iterator[Stretch]:
        for part in (array, *dictionaries(array)):
            for buffer in part.buffers():
                if buffer is not None and 0 <= buffer.address - self._base <= self._size:  # else it is Arrow's own
                    yield buffer.address - self._base, buffer.address - self._base + buffer.size

    def keep_views(self, *columns: pa.Array) -> None:
        """Take the views made since the last call, which may be of these columns' own buffers."""
        own = {stretch for column in columns for stretch in self._of(column)}
        for stretch in self._stretches:
            if stretch in own:
                own.remove(stretch)  # a second view of it is one too many
            else:
                self._views.append(stretch)
        self._stretches.clear()

    def forget_views(self) -> None:
        """Leave out the views made since the last call: they are of Arrow's buffers."""
        self._stretches.clear()

    def check_apart(self) -> None:
        check_apart([*self._buffers, *self._views], "its columns")


def _check_column(file: StoredFile, column: schema.ColumnLayout, values: Any, field: int) -> None:
    if isinstance(column, (schema.Categorical, schema.Wrapped, schema.Converted)) and column.field != field:
        raise schema.invalid(f"the column of field {field} refers to field {column.field}")
    check = _CHECKS.get(type(column))
    if check is not None:
        check(values, file.batch.column(field))


def _check_values(values: Any, column: pa.Array) -> None:
    """A view of numbers, booleans, times or periods."""
    _compare(_numbers(values), _expected(column, values.dtype), values.dtype)


def _expected(column: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """What a view shows of a column, with NaN and NaT for nulls."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if dtype_kind(dtype) == "period":
        return np.asarray(column.cast(pa.int64()).fill_null(_NAT).to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))


_NAT = -(1 << 63)


def _numbers(values: Any) -> npt.NDArray[Any]:
    """The memory of an array, which of booleans holds nothing else."""
    memory: npt.NDArray[Any] = values if isinstance(values, np.ndarray) else internals.numpy_of(values)
    if memory.dtype == np.bool_ and len(memory) and memory.view(np.uint8).max() > 1:
        raise CorruptSnapshotError("it has booleans that are neither 0 nor 1")
    return memory


def _compare(values: npt.NDArray[Any], expected: npt.NDArray[Any], dtype: Any) -> None:
    if values.dtype != expected.dtype:
        raise CorruptSnapshotError(f"a column of {dtype} for pandas is a column of {expected.dtype} for Arrow")
    if not np.array_equal(values, expected, equal_nan=values.dtype.kind in "fmM"):
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


_CHECKS: dict[type, Callable[[Any, pa.Array], None]] = {
    schema.Values: _check_values,
    schema.Masked: _check_masked,
    schema.Categorical: _check_categorical,
    schema.Interval: _check_interval,
}


def _check_rows(file: StoredFile, layout: schema.FrameLayout) -> None:
    try:
        index = read_rows(file)
    except UnsupportedTypeError:
        return
    fields = layout.index_fields
    levels = 0 if isinstance(layout.index, schema.RangeIndex) else index.nlevels
    if len(fields) != levels:
        raise schema.invalid(f"{len(fields)} fields for {levels} levels of the index")
    if isinstance(layout.index, schema.ColumnIndex):
        (field,) = fields
        if field is None:
            raise schema.invalid("an index without a field")
        _check_column(file, layout.index.column, internals.array_of_index(index), field)
    _check_index(index)


def _check_index(index: pd.Index[Any]) -> None:
    if isinstance(index, pd.MultiIndex):
        internals.verify_multi_index(index)
    elif isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) and index.freq is not None:
        type(index)(index.array, freq=index.freq)
