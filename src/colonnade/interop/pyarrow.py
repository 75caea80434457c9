"""The ``pandas`` schema metadata, written and read by PyArrow itself; and PyArrow's conversion of what is left to it.

Knows: PyArrow's ``pandas_compat`` module, the parts that ``Table.from_pandas`` and ``Table.to_pandas`` are made of.
Does not depend on: how the table is stored, how bytes are moved.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.pandas_compat as compat


def field_name(label: Any) -> str:
    """The Arrow name of a column label, as PyArrow writes it."""
    return str(compat._column_name_to_strings(label))


def index_field_name(level: Any, position: int, taken: Sequence[str]) -> str:
    """The Arrow name of an index level, as PyArrow writes it."""
    return str(compat._index_level_name(level, position, list(taken)))


def pandas_metadata(
    df: Any, columns: Sequence[Any], index_levels: Sequence[Any], fields: Sequence[pa.Field]
) -> bytes | None:
    """Make the metadata for a frame whose columns and stored index levels became ``fields``, in that order.

    None where PyArrow has no words for the labels; Arrow readers then get plain columns.
    """
    names = [field.name for field in fields[: len(columns)]]
    stored = iter(fields[len(columns) :])
    descriptors = [
        compat._get_range_index_descriptor(level) if level is df.index and _is_range(level) else next(stored).name
        for level in index_levels
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what PyArrow loses is kept by the layout metadata
            written = compat.construct_metadata(
                [*columns, *(level for level, d in zip(index_levels, descriptors, strict=True) if isinstance(d, str))],
                df,
                [compat._column_name_to_strings(label) for label in df.columns],
                index_levels,
                descriptors,
                None,
                [field.type for field in fields],
                column_field_names=names,
            )
    except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None
    return bytes(written[b"pandas"])


def _is_range(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


@dataclass(frozen=True, slots=True)
class Head:
    """All of a frame but its columns: what is left of the table, the index, and what the metadata says.

    ``types`` are the distinct types of the columns, and ``kinds`` says which of them each column has.
    """

    table: pa.Table
    types: list[pa.DataType]
    kinds: npt.NDArray[np.intp]
    index: Any
    columns: list[dict[str, Any]]
    column_indexes: list[dict[str, Any]]
    attrs: dict[str, Any]

    def labels(self) -> Any:
        """The column labels, as a pandas index."""
        compat._check_data_column_metadata_consistency(self.columns)
        return compat._deserialize_column_index(self.table, self.columns, self.column_indexes)

    def positions(self, kind: int) -> npt.NDArray[np.intp]:
        """The columns of one type."""
        return np.flatnonzero(self.kinds == kind)


def read_head(table: pa.Table, *, ignore_metadata: bool, types_mapper: Callable[[pa.DataType], Any] | None) -> Head:
    """Take index and attributes from a table."""
    metadata = table.schema.pandas_metadata  # an error where it is broken, ignored or not: as PyArrow has it
    if metadata is None or ignore_metadata:
        return Head(table, *_distinct_types(table), pd.RangeIndex(table.num_rows), [], [], {})
    columns = metadata["columns"]
    table = compat._add_any_metadata(table, metadata)
    table, index = compat._reconstruct_index(table, metadata["index_columns"], columns, types_mapper)
    told = columns, metadata.get("column_indexes", []), metadata.get("attributes", {})
    return Head(table, *_distinct_types(table), index, *told)


def _distinct_types(table: pa.Table) -> tuple[list[pa.DataType], npt.NDArray[np.intp]]:
    types = table.schema.types
    numbers: dict[Any, int] = {}
    try:
        kinds = [numbers.setdefault(type_, len(numbers)) for type_ in types]
    except TypeError:  # extension types written in Python may have no hash
        return types, np.arange(len(types))
    return list(numbers), np.array(kinds, np.intp)


def extension_dtypes(
    head: Head,
    *,
    types_mapper: Callable[[pa.DataType], Any] | None,
    strings_to_categorical: bool,
    categories: Sequence[str],
) -> dict[int, Any]:
    """The dtypes that are not NumPy's, by position.

    In PyArrow's order: the mapper, Arrow's extension types, the metadata, and ``str`` for strings. PyArrow's own
    function goes by name, and of columns of one name all get the dtype of the last; it also takes 10 ms for 10,000
    columns.
    """
    schema = head.table.schema
    found: dict[int, Any] = {}

    def give(dtypes: Sequence[Any], but: Sequence[str] = ()) -> None:
        for kind, dtype in enumerate(dtypes):
            if dtype is not None:
                for position in head.positions(kind).tolist():
                    if not but or schema.names[position] not in but:
                        found.setdefault(position, dtype)

    if types_mapper is not None:
        give([types_mapper(type_) for type_ in head.types])
    give([_extension_dtype(type_) for type_ in head.types])
    for told in head.columns:
        name = told.get("field_name", told["name"])
        positions = schema.get_all_field_indices(name) if isinstance(name, str) else []
        if positions and all(position in found for position in positions):
            continue
        dtype = _told_dtype(told["numpy_type"])
        is_string = isinstance(dtype, pd.StringDtype)
        if dtype is None or (is_string and (strings_to_categorical or name in categories)):
            continue
        for position in positions:
            if not (is_string and pa.types.is_dictionary(head.types[head.kinds[position]])):
                found.setdefault(position, dtype)
    if not strings_to_categorical:
        give([pd.StringDtype(na_value=np.nan) if _is_text(type_) else None for type_ in head.types], categories)
    return found


def _extension_dtype(type_: pa.DataType) -> Any:
    if not isinstance(type_, pa.BaseExtensionType):
        return None
    try:
        return type_.to_pandas_dtype()
    except NotImplementedError:
        return None


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_))


def _told_dtype(numpy_type: str) -> Any:
    if numpy_type in compat._pandas_supported_numpy_types:
        return None
    dtype = pd.api.types.pandas_dtype(numpy_type)
    return dtype if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "__from_arrow__") else None


def encoded_columns(head: Head, categories: Sequence[str], *, strings: bool) -> set[int]:
    """The columns that PyArrow is asked to make categorical: those named, and maybe all strings."""
    schema = head.table.schema
    found = {position for name in categories for position in schema.get_all_field_indices(name)}
    for kind, type_ in enumerate(head.types):
        if strings and (_is_text(type_) or _is_binary(type_)):
            found.update(head.positions(kind).tolist())
    return found


def from_extension(dtype: Any, column: pa.ChunkedArray) -> Any:
    """What an extension dtype makes of an Arrow column."""
    if not hasattr(dtype, "__from_arrow__"):
        raise ValueError(f"{dtype!r} cannot hold {column.type}: it has no __from_arrow__")
    return dtype.__from_arrow__(column)


def zoned_dtype(type_: pa.TimestampType, unit: str) -> Any:
    """The dtype of a zoned timestamp."""
    return compat.make_datetimetz(unit, type_.tz)


def convert_columns(
    table: pa.Table, options: dict[str, Any], categories: Sequence[str] | None
) -> list[tuple[Any, Any]]:
    """Convert a table's columns as PyArrow does: (array, positions) of each block."""
    return [
        compat._reconstruct_block(item, return_block=False)
        for item in pa.lib.table_to_blocks(options, table, categories, [])
    ]


def categories_of(dictionary: pa.Array, options: dict[str, Any]) -> Any:
    """What PyArrow gives as the categories of a dictionary."""
    empty = pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), dictionary)
    (item,) = pa.lib.table_to_blocks(options, pa.table([empty], [""]), None, [])
    return item["dictionary"]


def take_columns(table: pa.Table, options: dict[str, Any]) -> list[pa.ChunkedArray]:
    """Take the columns out of a table, which is not to be used any more: what a column holds then goes with it.

    Only PyArrow's own conversion can do that. Columns of extension dtypes it passes on as they are, so all are called
    that.
    """
    columns: list[pa.ChunkedArray] = [None] * table.num_columns
    items = pa.lib.table_to_blocks({**options, "self_destruct": True}, table, None, table.column_names)
    for item in items:
        columns[int(item["placement"][0])] = item["py_array"]
    return columns


@dataclass(frozen=True, slots=True)
class Parts:
    """What ``Table.from_pandas`` takes a frame apart into: columns, and stored index levels after them."""

    names: list[str]
    column_names: list[Any]
    field_names: list[str]
    descriptors: list[Any]
    levels: list[Any]
    columns: list[Any]
    fields: list[pa.Field | None]

    def table(self, df: Any, arrays: Sequence[Any], schema: pa.Schema | None, preserve_index: bool | None) -> pa.Table:
        """Make the table of the arrays that the columns became."""
        types = [array.type for array in arrays]
        if schema is None:
            schema = pa.schema([pa.field(name, type_) for name, type_ in zip(self.names, types, strict=True)])
        metadata = compat.construct_metadata(
            *(self.columns, df, self.column_names, self.levels, self.descriptors, preserve_index, types),
            column_field_names=self.field_names,
        )
        return pa.Table.from_arrays(list(arrays), schema=schema.with_metadata({**(schema.metadata or {}), **metadata}))


def take_apart(df: Any, schema: pa.Schema | None, preserve_index: bool | None, columns: Sequence[Any] | None) -> Parts:
    """Take a frame apart as PyArrow does; its errors are PyArrow's."""
    names, column_names, field_names, _, descriptors, levels, data, fields = compat._get_columns_to_convert(
        df, schema, preserve_index, columns
    )
    return Parts(names, column_names, field_names, descriptors, levels, data, fields)


def to_arrow(column: Any, field: pa.Field | None, safe: bool) -> Any:
    """Convert one column as PyArrow does."""
    try:
        return pa.array(column, type=None if field is None else field.type, from_pandas=True, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        error.args += (f"Conversion failed for column {column.name} with type {column.dtype}",)
        raise
