"""`explain`: how `to_pandas` reads each column of Arrow data, how many bytes that copies, and why.

Does not depend on: how bytes are moved.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.c_stream import import_columns
from colonnade.conversion.groups import Group, group_columns, kinds_of
from colonnade.conversion.table_head import read_head
from colonnade.dtype_kinds import codes_dtype
from colonnade.explanation import ColumnReport, Explanation
from colonnade.interop.arrow import arrow_table
from colonnade.interop.pandas_options import PandasOptions
from colonnade.interop.pyarrow import zoned_dtype
from colonnade.rules import Reading


def explain(data: Any, **options: Any) -> Explanation:
    """Say of each column of Arrow data how `to_pandas` would read it, how many bytes that copies, and why.

    Parameters
    ----------
    data : pyarrow.Table or RecordBatch, or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
        Only its types, its dictionaries and where it has nulls are looked at, not its values.
    **options
        The options of `to_pandas`.

    Returns
    -------
    Explanation
        A sequence of reports that prints as a table. Its ``to_pandas()`` makes a frame of them.

    Raises
    ------
    NotATableError
        If ``data`` is not a table.
    TypeError
        If an option is not one of `to_pandas`.

    Examples
    --------
    >>> import colonnade as cn, pyarrow as pa
    >>> for report in cn.explain(pa.table({"x": [1, 2], "b": [True, None]}), split_blocks=True):
    ...     print(report.column, report.dtype, report.copied, report.why or "zero-copy")
    x int64 0 zero-copy
    b object 16 pandas holds Python objects here; each distinct one is made once
    """
    unknown = options.keys() - set(PandasOptions.names())
    if unknown:
        raise TypeError(
            f"to_pandas has no option {', '.join(sorted(unknown))}; it has {', '.join(PandasOptions.names())}"
        )
    return _explain(arrow_table(data), PandasOptions(**options))


def _explain(table: pa.Table, options: PandasOptions) -> Explanation:
    head, columns, _ = read_head(table, options)
    kinds = kinds_of(head)
    has_nulls = np.frombuffer(import_columns(columns, kinds.import_positions).has_nulls(), np.bool_)
    groups = group_columns(kinds, has_nulls, options)
    reports = {}
    for group in groups:
        for position in group.positions.tolist():
            column = columns.column(position)
            why = why_copied(group, column, options)
            reports[position] = ColumnReport(
                head.labels[position],
                "column",
                str(group.arrow),
                _dtype_name(group),
                column.nbytes,
                column.null_count,
                bytes_copied(group, column) if why else 0,
                why,
            )
    for name in Counter(table.schema.names) - Counter(columns.schema.names):
        column = table.column(table.schema.get_all_field_indices(name)[-1])
        sizes = column.nbytes, column.null_count, column.nbytes
        reports[len(reports)] = ColumnReport(name, "index", str(column.type), "index", *sizes, "it becomes the index")
    return Explanation(report for _, report in sorted(reports.items()))


def _dtype_name(group: Group) -> str:
    if pt.is_timestamp(group.arrow) and group.arrow.tz is not None and not group.is_given and group.dtype.kind == "M":
        return str(zoned_dtype(group.arrow, np.datetime_data(group.dtype)[0]))
    return str(group.dtype)


def bytes_copied(group: Group, column: pa.ChunkedArray) -> int:
    """How many bytes are written for a column that is copied; for Python objects, the bytes of their pointers."""
    rows, reading = len(column), group.rule.reading
    if reading is Reading.STRING:
        return sum(8 * (len(chunk) + 1) for chunk in column.chunks)
    if reading is Reading.CODES:
        counts = [len(chunk.dictionary) for chunk in column.chunks]
        if _shares_codes(group, column):
            return int(column.chunk(0).dictionary.nbytes)
        return rows * np.dtype(codes_dtype(max(counts, default=0))).itemsize
    if reading is Reading.MASKED:
        return rows * int(group.dtype.numpy_dtype.itemsize + 1)
    return int(column.nbytes) if group.is_given else rows * int(group.dtype.itemsize)


_WHY = {
    Reading.BYTES: "its bits become bytes",
    Reading.FLOAT64: "integers with nulls become float64",
    Reading.SCALED: "its times change their unit",
    Reading.MASKED: "it gets a mask of bytes",
    Reading.REPEATED: "pandas holds Python objects here; each distinct one is made once",
    Reading.CONVERTED: "pandas holds Python objects here; PyArrow makes them",
}


def why_copied(group: Group, column: pa.ChunkedArray, options: PandasOptions) -> str:
    """Why a column of the group is copied; an empty text if it is not."""
    reading, chunks = group.rule.reading, column.num_chunks
    if reading is Reading.VALUES:
        if not options.split_blocks:
            return "pandas keeps all columns of a dtype in one block; split_blocks=True gives each its own"
        if group.nulls:
            return "its null slots are filled with NaN or NaT"
        return f"it has {chunks} chunks" if chunks != 1 else ""
    if reading is Reading.CODES:
        return _why_codes(group, column)
    if reading is Reading.STRING:
        return "its offsets become 64 bits wide" if pt.is_string(group.arrow) else ""
    if reading is Reading.CONVERTED and group.is_given:
        return f"pandas makes {group.dtype} of it"
    return _WHY.get(reading, "")


def _shares_codes(group: Group, column: pa.ChunkedArray) -> bool:
    """Whether the Arrow indices are pandas' codes, without a copy."""
    if group.nulls or column.num_chunks != 1:
        return False
    return str(group.arrow.index_type) == codes_dtype(len(column.chunk(0).dictionary))


def _why_codes(group: Group, column: pa.ChunkedArray) -> str:
    if group.nulls or column.num_chunks != 1:
        return "codes are one array, with -1 for null"
    if not _shares_codes(group, column):
        count = len(column.chunk(0).dictionary)
        return f"its indices are {group.arrow.index_type}, and the codes of {count} categories {codes_dtype(count)}"
    if not pt.is_primitive(group.arrow.value_type):
        return f"categories are made of its dictionary of {group.arrow.value_type}"
    return ""
