"""What of a growing table's rows the core takes as it is: plain objects of Python, plain arrays.

Does not depend on: segments, how other rows are converted.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from colonnade import _core
from colonnade.dtype_kinds import dtype_kind
from colonnade.format.growing import GrowingSchema, Kind


def is_signed(dtype: Any) -> bool:
    """Whether the core takes a number of this dtype as one with a sign."""
    return dtype_kind(dtype) in ("numpy", "masked") and dtype.kind != "u"


def row_reader(schema: GrowingSchema) -> _core.RowReader:
    """What reads single rows of plain objects. Times have their dtype; so have masked floats, which are not plain."""
    dtypes = [
        column.dtype if column.kind is Kind.TIME or (column.kind is Kind.MASKED and column.dtype.kind == "f") else None
        for column in schema.columns
    ]
    return _core.RowReader(schema.names, dtypes, [is_signed(column.dtype) for column in schema.columns])


def plain_columns(schema: GrowingSchema) -> _core.PlainColumns | None:
    """What takes batches of plain arrays; None where a column has another form than its array."""
    formats = []
    for column in schema.columns:
        if not isinstance(column.dtype, np.dtype):
            return None
        is_time = column.kind is Kind.TIME
        formats.append("" if is_time else memoryview(cast(Any, np.zeros(1, column.dtype))).format or "")
    return _core.PlainColumns(schema.names, formats, [column.dtype for column in schema.columns])
