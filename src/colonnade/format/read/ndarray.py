"""A stored array: read as NumPy or as bytes, and validated.

Every place goes through `Body`, which checks it. Does not depend on: pandas, names, descriptors.
"""

from __future__ import annotations

import contextlib
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.ndarray_layout import Layout, decode_array_dtype, lay_out_array
from colonnade.format.read.file import StoredFile, reading


def read_ndarray(file: StoredFile, layout: schema.ArrayLayout) -> npt.NDArray[Any]:
    """View the array; nothing is copied."""
    with reading():
        return file.body.ndarray(_dtype(layout), layout.at, layout.shape, layout.order)


def read_bytes(file: StoredFile, layout: schema.ArrayLayout) -> pa.Buffer:
    """View the array's bytes, as they stand in memory."""
    array = read_ndarray(file, layout)
    return pa.py_buffer(file.body.bytes(layout.at, array.nbytes))


def _dtype(layout: schema.ArrayLayout) -> np.dtype[Any]:
    try:
        return decode_array_dtype(layout.dtype)
    except (ValueError, TypeError, KeyError, SyntaxError, OverflowError) as error:
        raise schema.invalid(f"no dtype of an array ({error})") from error


def shares_memory_with_arrow(file: StoredFile, array_layout: schema.ArrayLayout) -> bool:
    """Whether Arrow's columns are the array's own memory, and not bits that say the same.

    Raises
    ------
    CorruptSnapshotError
        Where they are neither.
    """
    array = read_ndarray(file, array_layout)
    batch = file.batch
    layout = lay_out_array(array.dtype, tuple(array.shape), array_layout.order)
    if batch.schema.types != [layout.type] * layout.columns or batch.num_rows != layout.rows:
        raise CorruptSnapshotError(f"an array of shape {array.shape} and {array.dtype} is other columns for Arrow")
    if array.dtype == np.bool_ and array.size and array.reshape(-1, order=array_layout.order).view(np.uint8).max() > 1:
        raise CorruptSnapshotError("it has booleans that are neither 0 nor 1")
    memory = array.reshape(-1, order=array_layout.order)
    for number, column in enumerate(batch.columns):
        part = memory[number * layout.rows : (number + 1) * layout.rows] if layout.columns > 1 else memory
        if not _is_same(part, column, layout):
            raise CorruptSnapshotError(f"an array of {array.dtype} has other values for Arrow")
    return layout.carrier.kind != "b"


def _is_same(memory: npt.NDArray[Any], column: pa.Array, layout: Layout) -> bool:
    values = column.storage.flatten() if layout.tensor else column  # without what is null
    if len(values) != layout.length:
        return False
    if layout.carrier.kind == "b":
        return not values.null_count and np.array_equal(values.to_numpy(zero_copy_only=False), memory)
    if len(values):
        address = values.buffers()[1].address + values.offset * layout.carrier.itemsize
        if address != memory.__array_interface__["data"][0]:
            return False
    if layout.carrier.kind in "mM":
        return np.array_equal(values.is_null().to_numpy(zero_copy_only=False), np.isnat(memory))
    return not values.null_count


def view_of(name: str, array: npt.NDArray[Any]) -> memoryview:
    """View an array by the buffer protocol, with its shape and format.

    Raises
    ------
    BufferError
        The protocol has no format for its dtype.
    """
    # NumPy asks for this before it asks for `__array__`, so it must say as much.
    with contextlib.suppress(ValueError, RuntimeError):  # times have no format, nor have some structures
        view = memoryview(cast(Any, array))
        if np.asarray(view).dtype == array.dtype:
            return view
    raise BufferError(
        f"{name} is an array of {array.dtype}, a dtype that the buffer protocol has no format for; use to_buffer()"
    )


def values_buffer(name: str, file: StoredFile) -> pa.Buffer:
    """The values of a table's one column, where they are memory of fixed width and nothing else; not copied."""
    with reading():
        column = file.batch.column(0) if file.batch.num_columns == 1 else None
        if column is not None and pt.is_primitive(column.type) and column.type.bit_width >= 8 and not column.null_count:
            return column.buffers()[1]
        columns = f"{file.batch.num_columns} columns" if column is None else f"a column of {column.type}"
        nulls = " with nulls" if column is not None and column.null_count else ""
        raise UnsupportedTypeError(
            f"to_buffer() gives bytes, an array, or one column of fixed width without nulls, and {name} is a table of "
            f"{columns}{nulls}; use to_arrow(), whose columns have buffers()"
        )
