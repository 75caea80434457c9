"""A pandas frame, planned: its columns, its index, its labels, and all that makes it equal again.

Does not depend on: files, places, how a column's bytes are laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from colonnade.core.jobs import Job
from colonnade.core.regions import Region
from colonnade.dtype_kinds import dtype_kind
from colonnade.errors import UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.dtypes import encode_dtype
from colonnade.format.labels import encode_label, index_freq, index_name
from colonnade.format.write.column import Column, Places
from colonnade.format.write.fields import NamedTypes
from colonnade.format.write.index_levels import LevelRows
from colonnade.format.write.json_text import encode_json
from colonnade.format.write.kept_metadata import metadata_of
from colonnade.format.write.pandas_column import are_of_one_form, pandas_column, plain_job
from colonnade.format.write.table import (
    PANDAS_KEY,
    FrameLayoutPlan,
    MakeIndex,
    MakeLabels,
    NestedPlan,
    TablePlan,
    group_blocks,
    in_fields,
)
from colonnade.interop import pandas as internals
from colonnade.interop.pyarrow import field_names, index_field_name

# For what Arrow can hold, though not exactly.
_REMEDY = "\nTo store what Arrow makes of them, if it does, put colonnade.from_pandas(df) instead."


class FrameParts:
    """Collects what one frame needs: columns, codes, nested tables, and errors, which are reported all at once.

    ``names`` are those of the fields.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.columns: list[Column] = []
        self._fields: list[int] = []
        self.codes: list[Job] = []
        self.nested_plans: list[NestedPlan] = []
        self.errors: list[str] = []

    def add(self, fields: Sequence[int], plan: Callable[[str], Column], what: Callable[[int], str]) -> Column | None:
        """Plan the column of a field, or those of several; an error is kept for later, for ``what`` each field is.

        ``plan`` is called with the name of the first field.
        """
        try:
            column = plan(self.names[fields[0]])
        except UnsupportedTypeError as error:
            self.errors += [f"{what(field)}: {error}" for field in fields]
            return None
        self._fields += fields
        self.columns.append(column)
        return column

    def order(self) -> Sequence[int]:
        """The field of each column, as in `TablePlan`."""
        return () if self._fields == list(range(len(self.names))) else self._fields

    def raise_errors(self, remedy: str = "") -> None:
        """Raise one UnsupportedTypeError that names every column which cannot be stored, and the remedy."""
        if self.errors:
            lines = "\n  ".join(self.errors)
            raise UnsupportedTypeError(f"these columns cannot be stored exactly, and nothing was:\n  {lines}{remedy}")

    def row_index(self, index: pd.Index[Any]) -> tuple[MakeIndex, list[Any]]:
        """Return how the row index is read, and its levels that are stored as columns after those of the data."""
        if isinstance(index, pd.RangeIndex):
            layout = range_layout(index)
            return lambda _: layout, [index]
        if isinstance(index, pd.MultiIndex):
            rows_of_levels = [LevelRows.of(index, number) for number in range(index.nlevels)]
            for position, rows in enumerate(rows_of_levels):
                self._add_level(rows.level, position, rows.column)
            return self.multi_of_rows(index), [rows.level for rows in rows_of_levels]
        field = len(self.names)
        column = self._add_level(index, 0, partial(pandas_column, array=internals.array_of_index(index)))
        if column is None:  # `raise_errors` raises its error before the layout is needed
            return lambda _: range_layout(pd.RangeIndex(0)), [index]
        return column_index(column, field, index_name(index), index_freq(index)), [index]

    def _add_level(self, level: pd.Index[Any], position: int, plan: Callable[[str], Column]) -> Column | None:
        field = len(self.names)
        self.names.append(index_field_name(level, position, self.names))
        return self.add([field], plan, lambda _: f"index level {position} ({level.name!r})")

    def multi_of_rows(self, index: pd.MultiIndex) -> MakeIndex:
        """A MultiIndex of the rows: its codes are as long as the table, and stand in the body."""
        levels, names = self._levels(index, "the index"), _level_names(index)
        jobs = [plain_job(np.ascontiguousarray(codes)) for codes in index.codes]
        self.codes += jobs
        codes: list[tuple[Any, Region]] = [(job.keep.dtype.name, job.values) for job in jobs if job.values is not None]
        return lambda place: schema.MultiIndexOfRows(
            [make(place) for make in levels], [schema.Codes(dtype, place(region)) for dtype, region in codes], names
        )

    def labels(self, index: pd.Index[Any], values: list[Any]) -> MakeLabels:
        """How column labels are read: in the metadata itself where that is exact, else from a nested table.

        ``values`` are the labels as a list.
        """
        if isinstance(index, pd.MultiIndex):
            levels, names = self._levels(index, "the column labels"), _level_names(index)
            codes = [np.asarray(codes).tolist() for codes in index.codes]
            return lambda place: schema.MultiIndexOfLabels([make(place) for make in levels], codes, names)
        return self._level(index, values, "the column labels")

    def _levels(self, index: pd.MultiIndex, what: str) -> list[Callable[[Places], schema.Level]]:
        return [self._level(level, None, f"level {number} of {what}") for number, level in enumerate(index.levels)]

    def _level(self, index: pd.Index[Any], values: list[Any] | None, what: str) -> Callable[[Places], schema.Level]:
        if isinstance(index, pd.RangeIndex):
            layout = range_layout(index)
            return lambda _: layout
        list_layout = _list_layout(index, values)
        if list_layout is not None:
            return lambda _: list_layout
        try:
            pandas_column("", internals.array_of_index(index))
        except UnsupportedTypeError as error:
            raise UnsupportedTypeError(f"{what} cannot be stored, and nothing was: {error}") from error
        plan = NestedPlan(plan_frame(pd.DataFrame(index=index)))
        self.nested_plans.append(plan)
        return lambda place: place.table(plan)


def _level_names(index: pd.MultiIndex) -> list[schema.Label]:
    return [encode_label(name, "the name of an index level") for name in index.names]


def _list_layout(index: pd.Index[Any], values: list[Any] | None) -> schema.ListIndex | None:
    is_short = dtype_kind(index.dtype) == "string" and not index.hasnans and len(index) <= _JSON_LABELS
    if not is_short and index.dtype != object:
        return None
    try:
        label_layouts = [encode_label(value, "a label") for value in (index.tolist() if values is None else values)]
    except UnsupportedTypeError:
        return None
    dtype: Any = encode_dtype(index.dtype)
    return schema.ListIndex(label_layouts, dtype, index_name(index))


def column_index(column: Column, field: int, name: schema.Label, freq: str | None) -> MakeIndex:
    """How a row index is read that is one column."""
    return lambda place: schema.ColumnIndex(column.layout(place, field), name, freq)


# Strings up to here are read faster from JSON than from a nested table. Measured, opening a frame of n columns:
# 100 in 100 us against 162 us, 1,000 in 169 us against 190 us, 3,000 in 272 us against 199 us, 10,000 in 634 us
# against 231 us.
_JSON_LABELS = 1_500


def range_layout(index: pd.RangeIndex) -> schema.RangeIndex:
    """Describe a RangeIndex."""
    return schema.RangeIndex(index.start, index.stop, index.step, index_name(index))


def encode_attrs(attrs: Mapping[Any, Any]) -> str:
    """``DataFrame.attrs`` as JSON; UnsupportedTypeError for what would not come back equal."""
    return encode_json(attrs, "df.attrs", "change it, or remove it with df.attrs.pop")


def plan_frame(df: pd.DataFrame) -> TablePlan:
    """Plan a frame; its memory must stay as it is until the plan has run.

    Raises
    ------
    UnsupportedTypeError
        Naming every column that cannot be stored, and what it holds.
    """
    labels = internals.labels_of(df.columns)
    frame = FrameParts(field_names(labels))
    arrays = internals.columns_of_blocks(df, are_of_one_form)
    for positions, array in arrays:
        frame.add(positions, partial(pandas_column, array=array), lambda position: f"column {labels[position]!r}")
    make_index, levels = frame.row_index(df.index)
    frame.raise_errors(_REMEDY)
    make_labels = frame.labels(df.columns, labels)
    data = [(positions, column) for (positions, _), column in zip(arrays, frame.columns, strict=False)]
    order = frame.order()
    types = in_fields(order, [[column.flat.type] * column.count for column in frame.columns])
    dtypes = [(_Dtype(array), positions) for positions, array in arrays]
    fields = NamedTypes(frame.names, types)
    pandas_metadata_text = metadata_of(df, dtypes, levels, fields)
    return TablePlan(
        len(df),
        tuple(frame.columns),
        fields,
        {} if pandas_metadata_text is None else {PANDAS_KEY: pandas_metadata_text},
        FrameLayoutPlan(
            rows=len(df),
            columns=tuple((at[0], at[0], column) for at, column in data if column.block is None),
            index=make_index,
            index_fields=tuple(range(len(labels), len(frame.names))),
            labels=make_labels,
            attrs=encode_attrs(df.attrs),
            unique_labels=not df.flags.allows_duplicate_labels,
        ),
        order,
        group_blocks(data),
        tuple(frame.codes),
        tuple(frame.nested_plans),
    )


class _Dtype:
    """What PyArrow's metadata writer looks at in a column; making a Series of each would take 10 us."""

    def __init__(self, array: Any) -> None:
        self.dtype = array.dtype
        self.cat = array
        self.name = None
