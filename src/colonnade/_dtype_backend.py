"""``to_pandas(dtype_backend=, types_mapper=)``: a stored table with other dtypes than those it was put with.

It is the conversion from Arrow, as ``pandas.read_parquet(dtype_backend=)`` and PyArrow's ``to_pandas(types_mapper=)``
have it. Does not depend on: files, how a conversion is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from colonnade.conversion.to_pandas import to_pandas
from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.format.read.file import StoredFile
from colonnade.format.read.index import read_labels
from colonnade.format.read.projection import Projection
from colonnade.format.read.table import as_put

TypesMapper = Callable[[pa.DataType], Any]

_NULLABLE = {
    **{getattr(pa, dtype.name.lower())(): dtype for dtype in (
        pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(),
        pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(), pd.Float32Dtype(), pd.Float64Dtype(),
    )},
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
    pa.string_view(): pd.StringDtype(),
}  # fmt: skip

_BACKENDS: dict[str, TypesMapper] = {"numpy_nullable": _NULLABLE.get, "pyarrow": pd.ArrowDtype}


def mapper_of(dtype_backend: str | None, types_mapper: Any) -> TypesMapper | None:
    """Check the two options, of which one may be given, and make a mapper of them; None for none.

    Raises
    ------
    ValueError, TypeError
    """
    if types_mapper is not None and not callable(types_mapper):
        way_out = "; give its get method" if isinstance(types_mapper, Mapping) else ""
        raise TypeError(f"types_mapper must be a function of an Arrow type, got {brief_repr(types_mapper)}{way_out}")
    if dtype_backend is None:
        return cast(TypesMapper | None, types_mapper)
    if types_mapper is not None:
        raise ValueError("give dtype_backend= or types_mapper=, not both")
    if dtype_backend not in _BACKENDS:
        raise ValueError(
            f"dtype_backend must be one of {', '.join(map(repr, _BACKENDS))} or None, got {dtype_backend!r}"
        )
    return _BACKENDS[dtype_backend]


def read_mapped(file: StoredFile, table: pa.Table, columns: list[Any] | None, mapper: TypesMapper) -> Any:
    """Convert a stored table; ``table`` is its Arrow form, whose values were looked at.

    Raises
    ------
    NotFoundError, UnsupportedTypeError
    """
    if file.array is not None:
        raise UnsupportedTypeError("dtype_backend= and types_mapper= are for tables; this is an array, see to_numpy()")
    labels = read_labels(file)
    projection = Projection.of(labels, columns)
    order = projection.order
    if order is not None:
        index = [field for field in file.frame.index_fields if field is not None]
        data = [field for field in range(table.num_columns) if field not in index]
        table = table.select([*(data[position] for position in order.tolist()), *index])
    try:
        frame = to_pandas(_without_labels(table), types_mapper=mapper)
    except (NotImplementedError, ValueError, TypeError) as error:
        if mapper not in _BACKENDS.values() and not isinstance(error, pa.ArrowException):
            raise  # it may be the caller's function that failed
        raise UnsupportedTypeError(
            f"pandas cannot hold this table ({error}); use to_arrow(), or name columns="
        ) from error
    frame.columns = projection.labels(labels)
    return as_put(file, frame, columns)


def _without_labels(table: pa.Table) -> pa.Table:
    """The table without the dtypes of its labels, of which PyArrow does not know all: the file has the labels."""
    metadata = table.schema.pandas_metadata
    if not metadata or "column_indexes" not in metadata:
        return table
    plain = json.dumps({**metadata, "column_indexes": []})
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": plain})
