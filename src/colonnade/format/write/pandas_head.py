"""What pandas makes of an Arrow table: dtypes, labels, index names and attrs, found out with the table's first row.

PyArrow cannot follow all metadata that it writes: labels of a categorical or a period, an ArrowDtype of lists, a
dictionary of intervals. And metadata may be anything, because other programs write it. Then a part of the metadata is
left out, as little as possible, so that whatever is stored can be read. Does not depend on: files, places, how a column
is stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.format.write.arrow_check import check_sample
from colonnade.format.write.column import one_null
from colonnade.interop import pyarrow_calls

PANDAS_KEY = b"pandas"
# Errors that say nothing of the table: no memory, or a file or a module that cannot be opened.
_OF_THE_MACHINE = (MemoryError, OSError, ImportError)


@dataclass(frozen=True, slots=True)
class Head:
    """A table whose metadata can be followed, and what pandas makes of its first row."""

    table: pa.Table
    frame: pd.DataFrame


def head_of(table: pa.Table) -> Head:
    """Find out what pandas makes of a table.

    With a row, if there is one: of none PyArrow 26 refuses intervals of zoned datetimes. A null in that row makes
    another dtype, but no other than the whole column gets for having a null.
    """
    names = table.column_names
    sample = table.slice(0, 1)
    check_sample(sample)
    if not table.num_rows:
        sample = _with_chunks(sample)
    metadata = parsed_metadata(table.schema)
    if len(set(names)) < len(names):
        # PyArrow goes by names, and would read all columns of one name as the dtype of the last.
        sample = sample.rename_columns([str(position) for position in range(len(names))])
        if (by_position := _by_position(metadata, names)) is not None:
            frame = _converted(sample, by_position)
            if frame is not None:
                return Head(_with_metadata(table, metadata), frame)
        metadata = None
    frame = _converted(sample, metadata)
    if frame is None:
        metadata, frame = _weaker(sample, metadata)
    if sample.column_names != names:
        frame.columns = pd.Index(names)
    return Head(_with_metadata(table, metadata), frame)


def _by_position(metadata: dict[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    """The metadata with the position of each column as its name; None where they do not tell all columns apart."""
    if metadata is None:
        return None
    entries, index = _dicts(metadata.get("columns")), metadata.get("index_columns") or []
    levels = [name for name in index if isinstance(name, str)]
    if [entry.get("field_name") for entry in entries] != list(names) or any(names.count(name) != 1 for name in levels):
        return None
    columns = [{**entry, "field_name": str(position)} for position, entry in enumerate(entries)]
    by_position = [str(names.index(level)) if isinstance(level, str) else level for level in index]
    return {**metadata, "columns": columns, "index_columns": by_position}


def _with_chunks(table: pa.Table) -> pa.Table:
    """A table without rows whose columns have a chunk each: PyArrow 26 ends the process for list views without one."""
    for field, column in enumerate(table.columns):
        if not column.num_chunks:
            chunk = one_null(column.type).slice(0, 0)
            table = table.set_column(field, table.schema.field(field), pa.chunked_array([chunk]))
    return table


def parsed_metadata(schema: pa.Schema) -> dict[str, Any] | None:
    """The ``pandas`` metadata; None where there is none, or it is no JSON object."""
    try:
        metadata = schema.pandas_metadata
    except (ValueError, RecursionError):  # no JSON, or no text
        return None
    return metadata if isinstance(metadata, dict) else None


def _with_metadata(table: pa.Table, metadata: dict[str, Any] | None) -> pa.Table:
    return table.replace_schema_metadata(None if metadata is None else {PANDAS_KEY: json.dumps(metadata)})


def _converted(sample: pa.Table, metadata: dict[str, Any] | None) -> pd.DataFrame | None:
    """The sample as pandas; None where PyArrow fails, or where index and columns are not what the metadata says."""
    try:
        frame: pd.DataFrame = pyarrow_calls.to_pandas(_with_metadata(sample, metadata), use_threads=False)
        levels = index_fields(sample, metadata, sample.num_rows)
    except _OF_THE_MACHINE:
        raise
    except Exception:  # PyArrow and pandas fail in many ways where metadata make no sense
        return None
    fields = [field for field in levels if field is not None]
    is_whole = len(set(fields)) == len(fields) and frame.shape[1] == sample.num_columns - len(fields)
    if not is_whole or len(fields) > frame.index.nlevels:
        return None
    if frame.columns.inferred_type == "boolean":
        names = [name for field, name in enumerate(sample.column_names) if field not in fields]
        frame.columns = _booleans(names, frame.columns)
    return frame


def _booleans(names: list[str], labels: pd.Index[Any]) -> pd.Index[Any]:
    """Labels of booleans, by the names of their fields: PyArrow 26 takes every text for True."""
    if not {"True", "False"}.issuperset(names):
        return labels
    return pd.Index([name == "True" for name in names], dtype=labels.dtype, name=labels.name)


def index_fields(table: pa.Table, metadata: dict[str, Any] | None, rows: int) -> list[int | None]:
    """The field of each index level, in the order of the levels; None for a level that is a range, which has none.

    As PyArrow, a range of another length than the table is left out, and columns that are not there.
    """
    levels: list[int | None] = []
    for descriptor in (metadata or {}).get("index_columns") or []:
        if isinstance(descriptor, str):
            field = table.schema.get_field_index(descriptor)
            levels += [field] if field >= 0 else []
        elif len(range(descriptor["start"], descriptor["stop"], descriptor["step"])) == rows:
            levels.append(None)
    return levels if any(field is not None for field in levels) else []


def _is_convertible(column: pa.ChunkedArray) -> bool:
    try:
        pyarrow_calls.to_pandas(pa.table([column], [""]), use_threads=False)
    except _OF_THE_MACHINE:
        raise
    except Exception:  # as above
        return False
    return True


def _weaker(sample: pa.Table, metadata: dict[str, Any] | None) -> tuple[dict[str, Any] | None, pd.DataFrame]:
    """The most of the metadata that can be followed, and what pandas makes of the sample then.

    Columns that PyArrow cannot convert are objects for it, and get their array afterwards where there is one.
    """
    arrays: dict[int, Any] = {}
    for field, column in enumerate(sample.columns):
        if not _is_convertible(column):
            arrays[field] = _array_of(column)
            sample = sample.set_column(field, sample.column_names[field], pa.nulls(sample.num_rows))
    if metadata is not None:
        columns = []
        for entry in _dicts(metadata.get("columns")):
            usable, new_arrays = _usable(sample, entry, arrays.keys())
            columns.append(usable)
            arrays |= new_arrays
        for part in _parts({**metadata, "columns": columns}):
            frame = _converted(sample, part)
            if frame is not None:
                whole = _with_arrays(frame, index_fields(sample, part, sample.num_rows), arrays)
                if whole is not None:
                    return part, whole
    frame = _converted(sample, None)
    assert frame is not None  # each column can be converted, and there is no metadata
    whole = _with_arrays(frame, [], arrays)
    assert whole is not None  # there is no MultiIndex
    return None, whole


def _parts(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Metadata without what may be wrong, the best first: the labels' types go before the index."""
    plain_labels = {**metadata, "column_indexes": []}
    yield metadata
    yield plain_labels
    yield {**metadata, "index_columns": []}
    yield {**plain_labels, "index_columns": []}


def _dicts(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _usable(sample: pa.Table, entry: dict[str, Any], numbers: Collection[int]) -> tuple[dict[str, Any], dict[int, Any]]:
    """What the metadata says of a column, if that can be followed; else that it is of no particular dtype.

    pandas does not know its own names of nested ArrowDtypes: such a column gets an array, by its field, unless its
    number is among those of fields that have one already.
    """
    name = entry.get("field_name")
    field = sample.schema.get_field_index(name) if isinstance(name, str) else -1
    new_arrays: dict[int, Any] = {}
    if field >= 0 and field not in numbers:
        alone = {"index_columns": [], "column_indexes": [], "columns": [entry], "pandas_version": "3.0.0"}
        if _converted(sample.select([field]), alone) is not None:
            return entry, new_arrays
        if str(entry.get("numpy_type")).endswith("[pyarrow]"):
            new_arrays = {field: pd.arrays.ArrowExtensionArray(sample.column(field))}
    return {**entry, "pandas_type": "object", "numpy_type": "object", "metadata": None}, new_arrays


def _array_of(data: pa.ChunkedArray) -> Any:
    """The array of a column that PyArrow cannot convert, but pandas can hold; None where it has no such type.

    Times in a zone that is not known here are read in UTC: that is how Arrow stores them. A dictionary of intervals is
    a categorical, and one of structures is objects: PyArrow makes Python dicts of the values of both, and then looks
    for a hash of them.
    """
    if pa.types.is_timestamp(data.type):
        return pyarrow_calls.to_pandas(data.cast(pa.timestamp(data.type.unit, "UTC"))).array
    if not pa.types.is_dictionary(data.type):
        return None
    values = data.type.value_type
    if isinstance(values, pa.BaseExtensionType) and data.num_chunks:
        try:
            categories = pd.Index(values.to_pandas_dtype().__from_arrow__(data.chunk(0).dictionary))
            return pd.Categorical.from_codes([-1] * len(data), categories, ordered=data.type.ordered)
        except (AttributeError, NotImplementedError, ValueError, TypeError, pa.ArrowException):
            pass
    return np.empty(len(data), object)


def _with_arrays(frame: pd.DataFrame, levels: Sequence[int | None], arrays: Mapping[int, Any]) -> pd.DataFrame | None:
    """The frame with arrays in the place of columns, by field.

    None where one is a level of a MultiIndex, which has no place for it.
    """
    result = frame.copy(deep=False)
    index = {field for field in levels if field is not None}
    data = [field for field in range(frame.shape[1] + len(index)) if field not in index]
    for field, array in arrays.items():
        if array is None:
            continue
        if field in data:
            result.isetitem(data.index(field), array)
        elif len(levels) == 1 and frame.index.nlevels == 1:
            result.index = pd.Index(array, name=frame.index.name)
        else:
            return None
    return result
