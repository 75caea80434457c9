"""The ``pandas`` schema metadata, written and read by PyArrow itself; and PyArrow's own conversion, for what is left to it.

Knows: PyArrow's ``pandas_compat`` module, the parts that ``Table.from_pandas`` and ``Table.to_pandas`` are made of.
Must not know: how the table is stored, how bytes are moved.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
            warnings.simplefilter("ignore", UserWarning)  # what PyArrow loses is kept by the second reading
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
    """All of a frame but its columns: what is left of the table, the index, and what the metadata says."""

    table: pa.Table
    index: Any
    columns: list[dict[str, Any]]
    column_indexes: list[dict[str, Any]]
    attrs: dict[str, Any]

    def labels(self) -> Any:
        """The column labels, as a pandas index."""
        compat._check_data_column_metadata_consistency(self.columns)
        return compat._deserialize_column_index(self.table, self.columns, self.column_indexes)


def read_head(table: pa.Table, *, ignore_metadata: bool, types_mapper: Callable[[pa.DataType], Any] | None) -> Head:
    """Take index and attributes from a table."""
    metadata = None if ignore_metadata else table.schema.pandas_metadata
    if metadata is None:
        return Head(table, pd.RangeIndex(table.num_rows), [], [], {})
    columns = metadata["columns"]
    table = compat._add_any_metadata(table, metadata)
    table, index = compat._reconstruct_index(table, metadata["index_columns"], columns, types_mapper)
    return Head(table, index, columns, metadata.get("column_indexes", []), metadata.get("attributes", {}))


def extension_dtypes(
    head: Head,
    *,
    types_mapper: Callable[[pa.DataType], Any] | None,
    strings_to_categorical: bool,
    categories: Sequence[str],
) -> dict[int, Any]:
    """The dtypes that are not NumPy's, by position.

    In PyArrow's order: the mapper, Arrow's extension types, the metadata, and ``str`` for strings. PyArrow's own function
    goes by name, and of columns of one name all get the dtype of the last; it also takes 10 ms for 10,000 columns.
    """
    schema = head.table.schema
    types = schema.types
    found: dict[int, Any] = {}
    if types_mapper is not None:
        mapped = ((position, types_mapper(type_)) for position, type_ in enumerate(types))
        found = {position: dtype for position, dtype in mapped if dtype is not None}
    kinds = {type_: _default_dtype(type_) for type_ in set(types)}
    for position, type_ in enumerate(types):
        if position not in found and kinds[type_] is not None and isinstance(type_, pa.BaseExtensionType):
            found[position] = kinds[type_]
    for told in head.columns:
        dtype = _told_dtype(told["numpy_type"])
        if dtype is None:
            continue
        name = told.get("field_name", told["name"])
        is_string = isinstance(dtype, pd.StringDtype)
        if is_string and (strings_to_categorical or name in categories):
            continue
        for position in schema.get_all_field_indices(name):
            if position not in found and not (is_string and pa.types.is_dictionary(types[position])):
                found[position] = dtype
    if not strings_to_categorical and not all(dtype is None for dtype in kinds.values()):
        names = schema.names if categories else None
        for position, type_ in enumerate(types):
            if (
                position not in found
                and kinds[type_] is not None
                and (names is None or names[position] not in categories)
            ):
                found[position] = kinds[type_]
    return found


def _default_dtype(type_: pa.DataType) -> Any:
    if isinstance(type_, pa.BaseExtensionType):
        try:
            return type_.to_pandas_dtype()
        except NotImplementedError:
            return None
    is_text = pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    return pd.StringDtype(na_value=np.nan) if is_text else None


def _told_dtype(numpy_type: str) -> Any:
    if numpy_type in compat._pandas_supported_numpy_types:
        return None
    dtype = pd.api.types.pandas_dtype(numpy_type)
    return dtype if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "__from_arrow__") else None


def encoded_columns(head: Head, categories: Sequence[str], *, strings: bool) -> set[int]:
    """The columns that PyArrow is asked to make categorical: those named, and maybe all strings."""
    schema = head.table.schema
    named = {position for name in categories for position in schema.get_all_field_indices(name)}
    if not strings:
        return named
    return named | {position for position, type_ in enumerate(schema.types) if _is_text_or_bytes(type_)}


def _is_text_or_bytes(type_: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_string(type_)
        or kinds.is_large_string(type_)
        or kinds.is_string_view(type_)
        or kinds.is_binary(type_)
        or kinds.is_large_binary(type_)
    )


def from_extension(dtype: Any, column: pa.ChunkedArray) -> Any:
    """What an extension dtype makes of an Arrow column."""
    if not hasattr(dtype, "__from_arrow__"):
        raise ValueError(f"{dtype} cannot be made from Arrow data: it has no __from_arrow__")
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
