"""The indexes of the layout metadata: the rows', the column labels', and the levels of both.

Does not depend on: blocks, names, descriptors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.format import schema
from colonnade.format.dtypes import decode_dtype
from colonnade.format.labels import decode_label
from colonnade.format.read.column import is_wrapped_string, read_column
from colonnade.format.read.file import StoredFile, open_nested, reading
from colonnade.interop import pandas as internals

_MOST = 1 << 63  # inclusive: a range may stop right after the greatest number


def _range(_: StoredFile, layout: schema.RangeIndex) -> pd.Index[Any]:
    bounds = layout.start, layout.stop, layout.step
    # Not left to pandas, which makes a range of larger numbers and fails when it is looked at.
    if not all(abs(number) <= _MOST for number in bounds):
        raise schema.invalid(f"an index that ranges from {layout.start} to {layout.stop} by {layout.step}")
    return internals.range_index(range(*bounds), decode_label(layout.name))


def _list(_: StoredFile, layout: schema.ListIndex) -> pd.Index[Any]:
    dtype, name = decode_dtype(layout.dtype), decode_label(layout.name)
    if is_wrapped_string(dtype):
        return internals.make_string_index(_strings(layout.values), dtype, name)
    array = np.empty(len(layout.values), object)
    for i, value in enumerate(layout.values):  # a slice would take tuples apart
        array[i] = decode_label(value)
    index: pd.Index[Any] = pd.Index(array, dtype=dtype, name=name, tupleize_cols=False)
    return index


def _strings(values: list[Any]) -> pa.Array:
    """Labels as an Arrow array.

    Not by Arrow's converter, if all are text: its first call in a process imports modules, which takes 3 ms. And not in
    its default pool, whose first allocation takes a huge page, 2 MiB. NumPy's first sum takes 30 us.
    """
    if not values or not all(type(value) is str for value in values):
        return pa.array(values, pa.large_string(), memory_pool=pa.system_memory_pool())
    texts = [value.encode() for value in values]
    offsets = struct.pack(f"{len(values) + 1}q", 0, *accumulate(map(len, texts)))
    return pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))


def _nested(file: StoredFile, layout: schema.NestedTable) -> pd.Index[Any]:
    table = open_nested(file, layout)
    with reading():
        return read_rows(table)


def _multi(
    file: StoredFile,
    layout: schema.MultiIndexOfRows | schema.MultiIndexOfLabels,
    codes: Sequence[npt.NDArray[Any]],
) -> pd.MultiIndex:
    if len({len(of_level) for of_level in codes}) != 1:
        raise schema.invalid("a MultiIndex whose levels have codes of different lengths, or no codes")
    levels = [_read(file, level) for level in layout.levels]
    return internals.make_multi_index(levels, codes, [decode_label(name) for name in layout.names])


def _multi_of_rows(file: StoredFile, layout: schema.MultiIndexOfRows) -> pd.Index[Any]:
    return _multi(file, layout, [file.body.array(np.dtype(c.dtype), c.at, file.rows) for c in layout.codes])


def _multi_of_labels(file: StoredFile, layout: schema.MultiIndexOfLabels) -> pd.Index[Any]:
    index = _multi(file, layout, [np.array(codes, np.intp) for codes in layout.codes])
    # As many codes as columns, so looking at each is cheap.
    for level, codes in zip(index.levels, index.codes, strict=True):
        values: Any = np.asarray(codes)
        if len(values) and not -1 <= values.min() <= values.max() < len(level):
            raise schema.invalid(f"labels with codes up to {values.max()} for {len(level)} values of a level")
    return index


def _column(file: StoredFile, layout: schema.ColumnIndex) -> pd.Index[Any]:
    return internals.make_index(read_column(file, layout.column), decode_label(layout.name), layout.freq)


_READERS: dict[type, Callable[[StoredFile, Any], pd.Index[Any]]] = {
    schema.RangeIndex: _range,
    schema.ListIndex: _list,
    schema.NestedTable: _nested,
    schema.ColumnIndex: _column,
    schema.MultiIndexOfRows: _multi_of_rows,
    schema.MultiIndexOfLabels: _multi_of_labels,
}


def _read(file: StoredFile, layout: schema.RowIndex | schema.LabelIndex) -> pd.Index[Any]:
    return _READERS[type(layout)](file, layout)


def read_labels(file: StoredFile) -> pd.Index[Any]:
    """The column labels."""
    known_labels: pd.Index[Any] | None = file.cache.get("labels")
    if known_labels is not None:
        return known_labels.view()  # of its own: a user may name it
    layout = file.frame.labels
    labels = _read(file, layout)
    # Each column has a field in the file's footer, so a file cannot have more labels than bytes.
    if len(labels) > file.size:
        raise schema.invalid(f"{len(labels)} labels in a table of {file.size} bytes")
    if isinstance(layout, schema.ListIndex):  # others are made at once, or of values in the body
        file.cache["labels"] = labels
        return labels.view()
    return labels


def read_rows(file: StoredFile) -> pd.Index[Any]:
    """The row index."""
    index = _read(file, file.frame.index)
    if len(index) != file.rows:
        raise schema.invalid(f"an index of {len(index)} labels in a table of {file.rows} rows")
    return index
