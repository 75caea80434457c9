"""``sort_by=``: a table's rows in the order of some columns, before it is stored.

The sort is stable: rows with equal values keep their order. Nulls come last. It makes a sorted copy of the whole
table. Does not depend on: how a table is written.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.errors import NotATableError, NotFoundError, UnsupportedTypeError
from colonnade.format.write.plan import frame_of, is_mapping
from colonnade.interop import pandas as internals
from colonnade.interop.arrow import arrow_table
from colonnade.interop.dictionaries import check_joinable
from colonnade.interop.wrappers import is_polars_frame, is_polars_series, unwrapped
from colonnade.suggestions import listed


def sort(data: Any, by: list[Any] | Literal[True]) -> Any:
    """Make a sorted copy of a frame, a Series or Arrow data. True: by the row index of pandas.

    Polars sorts its own: it has an order for types that PyArrow has none for, such as its enumerations.

    The default index starts anew, because row numbers would no longer be a range; any other index moves with its rows.

    Raises
    ------
    NotFoundError
        There is no such column.
    NotATableError
        It is an array, or has no row index to sort by.
    UnsupportedTypeError
        Its values have no order, as numbers beside text.
    """
    data = unwrapped(data)
    if is_mapping(data):
        data = frame_of(data)
    if isinstance(data, (pd.DataFrame, pd.Series)):
        return _sorted_pandas(data, by)
    if by is True:
        raise NotATableError("sort_by=True is the row index of pandas, which this data has not; name the columns")
    if is_polars_series(data):
        return _sorted_polars(data.to_frame(), by).to_series()
    if is_polars_frame(data):
        return _sorted_polars(data, by)
    if not (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")):
        raise NotATableError(f"sort_by={by!r} is for tables; sort a {type(data).__name__} before you put it")
    table = _without_views(arrow_table(data))
    _check(by, table.column_names)
    for column in table.columns:
        check_joinable(column.chunks)
    try:
        return table.take(pc.sort_indices(table, [(name, "ascending") for name in by]))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UnsupportedTypeError(f"sort_by={by!r}: PyArrow cannot sort this table ({error})") from error


def _sorted_polars(frame: Any, by: Any) -> Any:
    from colonnade.interop.polars import sort_frame  # it is a frame of Polars, so Polars is there

    _check(by, frame.columns)
    return sort_frame(frame, by)


def _without_views(table: pa.Table) -> pa.Table:
    """Text and bytes as Arrow's kernels take them: ``take`` has no form for views."""
    fields = [field.with_type(_OFFSETS[field.type]) if field.type in _OFFSETS else field for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


_OFFSETS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _sorted_pandas(data: Any, by: list[Any] | Literal[True]) -> Any:
    # pandas makes a RangeIndex of any column that counts up, so only the default index has nothing to lose.
    frame = data.to_frame() if isinstance(data, pd.Series) else data
    for label, array in zip(frame.columns, internals.arrays_of(frame), strict=True):
        if isinstance(array.dtype, pd.ArrowDtype):
            check_joinable(internals.arrow_of(array).chunks, f"column {label!r}: ")
    index = data.index
    anew = isinstance(index, pd.RangeIndex) and index.name is None and (index.start, index.step) == (0, 1)
    try:
        if by is True:
            return data.sort_index(kind="stable")
        if isinstance(data, pd.Series):
            _check(by, [data.name])
            return data.sort_values(kind="stable", ignore_index=anew)
        _check(by, [*data.columns, *(name for name in data.index.names if name is not None)])
        return data.sort_values(by, kind="stable", ignore_index=anew)
    except TypeError as error:
        raise UnsupportedTypeError(f"sort_by={by!r}: these values have no order ({error})") from error


def _check(by: list[Any], labels: list[Any]) -> None:
    for label in by:
        if labels.count(label) != 1:
            raise NotFoundError(
                f"sort_by={label!r}: {labels.count(label) or 'no'} columns have this name; {listed(label, labels)}"
            )
