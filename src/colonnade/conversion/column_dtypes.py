"""Which dtypes the columns of an Arrow table get that are not NumPy's, and which columns become categorical.

Does not depend on: values, the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.interop.pandas_options import PandasOptions
from colonnade.interop.pyarrow import is_numpy_name


class ColumnsByType:
    """The distinct types of a table's columns, and which columns have each."""

    def __init__(self, table: pa.Table) -> None:
        self.schema = table.schema
        self.types: list[pa.DataType] = table.schema.types
        numbers: dict[Any, int] = {}
        try:
            self.kinds = np.array([numbers.setdefault(type_, len(numbers)) for type_ in self.types], np.intp)
        except TypeError:  # an extension type that is written in Python may have no hash
            self.kinds = np.arange(len(self.types))
        else:
            self.types = list(numbers)

    def positions(self, kind: int) -> list[int]:
        positions: list[int] = np.flatnonzero(self.kinds == kind).tolist()
        return positions


def find_extension_dtypes(
    table: ColumnsByType, columns: Sequence[dict[str, Any]], options: PandasOptions
) -> dict[int, Any]:
    """The dtypes that are not NumPy's, by position.

    In PyArrow's order: the mapper, Arrow's extension types, the metadata, and ``str`` for strings. PyArrow's own
    function uses names, so that all columns of one name get the dtype of the last; it also takes 10 ms for 10,000
    columns.
    """
    schema = table.schema
    dtypes: dict[int, Any] = {}

    def assign(dtype_of_each_type: Sequence[Any], exceptions: Sequence[str] = ()) -> None:
        for kind, dtype in enumerate(dtype_of_each_type):
            if dtype is not None:
                for position in table.positions(kind):
                    if not exceptions or schema.names[position] not in exceptions:
                        dtypes.setdefault(position, dtype)

    categories = options.category_names()
    if options.types_mapper is not None:
        assign([options.types_mapper(type_) for type_ in table.types])
    assign([_extension_dtype(type_) for type_ in table.types])
    for column in columns:
        name = column.get("field_name", column["name"])
        positions = schema.get_all_field_indices(name) if isinstance(name, str) else []
        if positions and all(position in dtypes for position in positions):
            continue
        dtype = _recorded_dtype(column["numpy_type"])
        is_string = isinstance(dtype, pd.StringDtype)
        if dtype is None or (is_string and (options.strings_to_categorical or name in categories)):
            continue
        for position in positions:
            if not (is_string and pa.types.is_dictionary(table.types[table.kinds[position]])):
                dtypes.setdefault(position, dtype)
    if not options.strings_to_categorical:
        assign([pd.StringDtype(na_value=np.nan) if _is_text(type_) else None for type_ in table.types], categories)
    return dtypes


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


def _recorded_dtype(numpy_type: str) -> Any:
    """The extension dtype that the metadata names; None for NumPy's."""
    if is_numpy_name(numpy_type):
        return None
    dtype = pd.api.types.pandas_dtype(numpy_type)
    return dtype if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "__from_arrow__") else None


def find_encoded_columns(table: ColumnsByType, options: PandasOptions) -> set[int]:
    """The columns that the options make categorical: those that are named, and perhaps all strings."""
    positions = {position for name in options.category_names() for position in table.schema.get_all_field_indices(name)}
    for kind, type_ in enumerate(table.types):
        if options.strings_to_categorical and (_is_text(type_) or _is_binary(type_)):
            positions.update(table.positions(kind))
    return positions
