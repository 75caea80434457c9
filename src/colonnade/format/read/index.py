"""The indexes of the layout metadata: the rows', the columns', and the levels of both.

Knows: the layout metadata of an index, and which kinds may stand where. Does not depend on: blocks, files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import CorruptSnapshotError
from colonnade.format.dtypes import decode_dtype
from colonnade.format.labels import decode_scalar
from colonnade.format.read.column import CODES, is_wrapped_string, read_array
from colonnade.interop import pandas as internals
from colonnade.rules import family

if TYPE_CHECKING:
    from colonnade.format.read.table import StoredTable

_Read = Callable[["StoredTable", dict[str, Any]], "pd.Index[Any]"]


def _range(_: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    start, stop, step = form["range"]
    # Not left to pandas, which makes a range of other numbers and fails when it is looked at.
    if not all(type(number) is int and abs(number) <= _MOST for number in (start, stop, step)):
        raise CorruptSnapshotError(f"an index that ranges from {start!r} to {stop!r} by {step!r}")
    return pd.RangeIndex(start, stop, step, name=decode_scalar(form["name"]))


_MOST = 1 << 63  # inclusive: a range may stop right after the greatest number


def _list(_: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    dtype, name = decode_dtype(form["dtype"]), decode_scalar(form["name"])
    if is_wrapped_string(dtype):
        # Not Arrow's default pool: its first allocation alone takes a huge page, 2 MiB, in every reader.
        strings = pa.array(form["values"], pa.large_string(), memory_pool=pa.system_memory_pool())
        return internals.make_string_index(strings, dtype, name)
    if family(dtype) != "string" and dtype != np.dtype(object):
        raise CorruptSnapshotError(f"a list of labels of {dtype}")
    array = np.empty(len(form["values"]), object)
    for i, value in enumerate(form["values"]):  # a slice would take tuples apart
        array[i] = decode_scalar(value)
    index: pd.Index[Any] = pd.Index(array, dtype=dtype, name=name, tupleize_cols=False)
    return index


def _multi(table: StoredTable, form: dict[str, Any], read_codes: Callable[[Any], npt.NDArray[Any]]) -> pd.Index[Any]:
    levels = [_read(table, level, _LEVELS) for level in form["levels"]]
    codes = [read_codes(told) for told in form["codes"]]
    if len({len(of_level) for of_level in codes}) != 1:
        raise CorruptSnapshotError("a MultiIndex whose levels have codes of different lengths, or no codes")
    return internals.make_multi_index(levels, codes, [decode_scalar(name) for name in form["names"]])


def _multi_of_rows(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    def read_codes(told: Any) -> npt.NDArray[Any]:
        if told["dtype"] not in CODES:
            raise CorruptSnapshotError(f"codes of {told['dtype']!r}")
        return table.body.array(np.dtype(told["dtype"]), told["at"], table.rows)

    return _multi(table, form, read_codes)


def _multi_of_labels(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    index: Any = _multi(table, form, lambda told: np.array(told, np.intp))
    # As many codes as columns, so looking at each is cheap.
    for level, codes in zip(index.levels, index.codes, strict=True):
        if len(codes) and not -1 <= codes.min() <= codes.max() < len(level):
            raise CorruptSnapshotError(f"labels with codes up to {codes.max()} for {len(level)} values of a level")
    return index  # type: ignore[no-any-return]


def _array(table: StoredTable, form: dict[str, Any]) -> pd.Index[Any]:
    return internals.make_index(read_array(table, form["column"]), decode_scalar(form["name"]), form["freq"])


_LEVELS: dict[str, _Read] = {
    "range": _range,
    "list": _list,
    "child": lambda table, form: table.child(form["child"]),
}
_LABELS: dict[str, _Read] = {**_LEVELS, "multi": _multi_of_labels}
_ROWS: dict[str, _Read] = {"range": _range, "array": _array, "multi": _multi_of_rows}


def _read(table: StoredTable, form: dict[str, Any], kinds: dict[str, _Read]) -> pd.Index[Any]:
    return kinds[form["kind"]](table, form)


def read_labels(table: StoredTable) -> pd.Index[Any]:
    """The column labels."""
    labels = _read(table, table.form["labels"], _LABELS)
    # Each column has a field in the file's footer, so more than a file has bytes are none of its columns'.
    if len(labels) > table.size:
        raise CorruptSnapshotError(f"{len(labels)} labels in a table of {table.size} bytes")
    return labels


def read_rows(table: StoredTable) -> pd.Index[Any]:
    """The row index."""
    index = _read(table, table.form["index"], _ROWS)
    if len(index) != table.rows:
        raise CorruptSnapshotError(f"an index of {len(index)} labels in a table of {table.rows} rows")
    return index
