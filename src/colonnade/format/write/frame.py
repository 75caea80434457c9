"""A pandas frame, planned: its columns, its index, its labels, and all that makes it equal again.

Knows: frames and indexes. Does not depend on: files, places, how a column's bytes are laid out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.core.jobs import Job
from colonnade.errors import UnsupportedTypeError
from colonnade.format.dtypes import encode_dtype
from colonnade.format.labels import encode_scalar, index_freq, index_name
from colonnade.format.write.column import Column
from colonnade.format.write.pandas_column import pandas_column, plain_job
from colonnade.format.write.table import PANDAS_KEY, Child, TablePlan, group_blocks
from colonnade.interop import pandas as internals
from colonnade.interop.pyarrow import field_name, index_field_name, pandas_metadata
from colonnade.rules import family


class FrameParts:
    """Collects what one frame needs: columns, codes, nested tables; and complaints, to tell all at once."""

    def __init__(self, df: pd.DataFrame) -> None:
        self.df = df
        self.columns: list[Column] = []
        self.codes: list[Job] = []
        self.children: list[Child] = []
        self.complaints: list[str] = []

    def add(self, name: str, array: Any, what: str) -> Column | None:
        try:
            column = pandas_column(name, array)
        except UnsupportedTypeError as error:
            self.complaints.append(f"{what}: {error}")
            return None
        self.columns.append(column)
        return column

    def raise_complaints(self) -> None:
        if self.complaints:
            listed = "\n  ".join(self.complaints)
            raise UnsupportedTypeError(f"these columns cannot be stored, and nothing was:\n  {listed}")

    def row_index(self, index: pd.Index[Any], taken: Sequence[str]) -> tuple[dict[str, Any], list[Any]]:
        """The index's form, and the levels that became columns."""
        if isinstance(index, pd.RangeIndex):
            return range_form(index), [index]
        if isinstance(index, pd.MultiIndex):
            levels = [index.get_level_values(i) for i in range(index.nlevels)]
            for position, level in enumerate(levels):
                self._add_level(level, position, taken)
            return self.multi_with_codes(index), levels
        column = self._add_level(index, 0, taken)
        form = {"kind": "array", "name": index_name(index), "freq": index_freq(index)}
        if column is not None:
            form["column"] = column.array_form()
        return form, [index]

    def _add_level(self, level: pd.Index[Any], position: int, taken: Sequence[str]) -> Column | None:
        used = [*taken, *(column.name for column in self.columns[len(taken) :])]
        name = index_field_name(level, position, used)
        return self.add(name, internals.array_of_index(level), f"index level {position} ({level.name!r})")

    def code_region(self, codes: npt.NDArray[Any]) -> dict[str, Any]:
        job = plain_job(np.ascontiguousarray(codes))
        self.codes.append(job)
        return {"dtype": codes.dtype.name, "at": job.values}

    def multi_with_codes(self, index: pd.MultiIndex) -> dict[str, Any]:
        """A row MultiIndex: its codes are as long as the table, and stand in the body."""
        return {**self.multi(index), "codes": [self.code_region(np.asarray(codes)) for codes in index.codes]}

    def multi(self, index: pd.MultiIndex) -> dict[str, Any]:
        return {
            "kind": "multi",
            "levels": [self.labels(level) for level in index.levels],
            "names": [encode_scalar(name, "the name of an index level") for name in index.names],
        }

    def labels(self, index: pd.Index[Any]) -> dict[str, Any]:
        """Column labels, or the level of a MultiIndex: as JSON where that is exact, else as a nested table."""
        if isinstance(index, pd.RangeIndex):
            return range_form(index)
        if isinstance(index, pd.MultiIndex):
            return {**self.multi(index), "codes": [np.asarray(codes).tolist() for codes in index.codes]}
        if (
            family(index.dtype) == "string" and not index.hasnans and len(index) <= _JSON_LABELS
        ) or index.dtype == object:
            try:
                values = [encode_scalar(value, "a label") for value in index.tolist()]
            except UnsupportedTypeError:
                pass
            else:
                return {"kind": "list", "dtype": encode_dtype(index.dtype), "values": values, "name": index_name(index)}
        child = Child(plan_frame(pd.DataFrame(index=index)))
        self.children.append(child)
        return child.form()


# Strings up to here are read faster from JSON than from a nested table. Measured, opening a frame of so many columns:
# 100 in 100 us against 162 us, 1,000 in 169 us against 190 us, 3,000 in 272 us against 199 us, 10,000 in 634 us
# against 231 us.
_JSON_LABELS = 1_500


def range_form(index: pd.RangeIndex) -> dict[str, Any]:
    """Describe a RangeIndex."""
    return {"kind": "range", "range": [index.start, index.stop, index.step], "name": index_name(index)}


def _attrs(df: pd.DataFrame) -> dict[str, Any]:
    for key, value in df.attrs.items():
        try:
            same = json.loads(json.dumps({key: value})) == {key: value}
        except (TypeError, ValueError):
            same = False
        if not same:
            raise UnsupportedTypeError(
                f"df.attrs[{key!r}] is {value!r}, which JSON does not give back equal; "
                "change it, or remove it with df.attrs.pop"
            )
    return {str(key): value for key, value in df.attrs.items()}  # a key that is no string was refused above


def plan_frame(df: pd.DataFrame) -> TablePlan:
    """Plan a frame; its memory must stay as it is until the plan has run.

    Raises
    ------
    UnsupportedTypeError
        Naming every column that cannot be stored, and what it holds.
    """
    frame = FrameParts(df)
    arrays = internals.arrays_of(df)
    names = [field_name(label) for label in df.columns]
    for name, array, label in zip(names, arrays, df.columns, strict=True):
        frame.add(name, array, f"column {label!r}")
    index, levels = frame.row_index(df.index, names)
    frame.raise_complaints()
    data = frame.columns[: len(arrays)]
    for field, column in enumerate(frame.columns):
        if column.form is not None:
            column.form["field"] = field
    form: dict[str, Any] = {
        "arrays": [[position, column.form] for position, column in enumerate(data) if column.form is not None],
        "index": index,
        "index_fields": list(range(len(arrays), len(frame.columns))),
        "labels": frame.labels(df.columns),
        "attrs": _attrs(df),
        "unique_labels": not df.flags.allows_duplicate_labels,
    }
    fields = [pa.field(column.name, column.flat.type) for column in frame.columns]
    dtypes = [_Dtype(array) for array in arrays]
    written = pandas_metadata(df, dtypes, levels, fields)
    return TablePlan(
        len(df),
        frame.columns,
        fields,
        {} if written is None else {PANDAS_KEY: written},
        form,
        group_blocks(list(enumerate(data))),
        frame.codes,
        frame.children,
    )


class _Dtype:
    """What PyArrow's metadata writer looks at in a column; making a Series of each would take 10 us a column."""

    def __init__(self, array: Any) -> None:
        self.dtype = array.dtype
        self.cat = array
        self.name = None
