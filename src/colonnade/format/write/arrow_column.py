"""One Arrow column, planned for the pandas dtype that it is to be read as.

Does not depend on: files, places, tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from colonnade.core.jobs import PandasBuffer
from colonnade.core.regions import Region
from colonnade.dtype_kinds import CodesType, codes_dtype, dtype_kind
from colonnade.errors import UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.dtypes import encode_dtype, encode_plain_dtype
from colonnade.format.write.column import Column, Flat, MakeLayout, one_null
from colonnade.format.write.flatten import flatten, widen_strings
from colonnade.interop import pyarrow_calls
from colonnade.interop.dictionaries import with_one_dictionary
from colonnade.interop.nested_types import replaced
from colonnade.rules import Reading, rule_for


def chunks_of(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """The chunks of a column, or the one array."""
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


def _to_bytes(column: Column, _: Any) -> Column:
    buffer = Region(column.job.rows)
    column = column.with_job(pandas_kind=PandasBuffer.BYTES, pandas_element="uint8", pandas_buffer=buffer)
    return replace(column, block=("bool", buffer))


def _to_values(column: Column, dtype: Any) -> Column:
    values = column.job.values
    assert values is not None
    if dtype_kind(dtype) == "period":
        return replace(column, make_layout=values_layout(dtype, values))
    return replace(column, block=(encode_plain_dtype(dtype), values))


def values_layout(dtype: Any, values: Region) -> MakeLayout:
    """The layout of a column that is a view and stands in no block."""
    dtype_layout = encode_dtype(dtype)
    return lambda place, _: schema.Values(dtype_layout, place(values))


def _to_float64(column: Column, dtype: Any) -> Column:
    buffer = Region(column.job.rows * 8)
    column = column.with_job(
        element=column.flat.type.to_pandas_dtype().__name__,
        pandas_kind=PandasBuffer.FLOAT64,
        pandas_element="float64",
        pandas_buffer=buffer,
    )
    return replace(column, block=(encode_plain_dtype(dtype), buffer))


def _to_masked(column: Column, dtype: Any) -> Column:
    values, mask = column.job.values, Region(column.job.rows)
    if pt.is_boolean(column.flat.type):
        values = Region(column.job.rows)
        column = column.with_job(pandas_kind=PandasBuffer.BYTES, pandas_element="uint8", pandas_buffer=values)
    assert values is not None
    return replace(column.with_job(mask=mask), make_layout=masked_layout(dtype, values, mask))


def masked_layout(dtype: Any, values: Region, mask: Region) -> MakeLayout:
    """The layout of a masked array."""
    dtype_layout = encode_dtype(dtype)
    return lambda place, _: schema.Masked(dtype_layout, place(values), place(mask))


def _to_wrapped(column: Column, dtype: Any) -> Column:
    dtype_layout = None if dtype_kind(dtype) == "arrow" else encode_dtype(dtype)
    assert dtype_layout is None or isinstance(dtype_layout, schema.StringDtype)
    return replace(column, make_layout=lambda _, field: schema.Wrapped(dtype_layout, field))


def _to_converted(column: Column, dtype: Any) -> Column:
    return replace(column, reading=Reading.CONVERTED, make_layout=converted_layout(dtype))


def converted_layout(dtype: Any, objects: schema.Objects | None = None) -> MakeLayout:
    """The layout of a column that is converted when the table is opened; without ``objects`` by PyArrow."""
    dtype_layout = encode_dtype(dtype)
    return lambda _, field: schema.Converted(dtype_layout, field, objects)


def objects_layout(objects: schema.Objects, kinds: Sequence[schema.NullKind], codes: Region) -> MakeLayout:
    """The layout of a column of objects of which several stand for null; ``codes`` say which one does in each row."""
    return lambda place, field: schema.Converted("object", field, objects, schema.Nulls(list(kinds), place(codes)))


def _to_codes(column: Column, dtype: Any) -> Column:
    dictionary = column.one_row.dictionary
    if _has_nulls(dictionary) or not _is_unique(dictionary, dtype):
        return _to_converted(column, dtype)  # as PyArrow: an error, or null categories, for this column alone
    element = column.one_row.type.index_type.to_pandas_dtype().__name__
    column = column.with_job(element=element)
    codes_type, codes = codes_dtype(len(dictionary)), column.job.values
    if column.job.bitmap is not None or element != codes_type:
        codes = Region(column.job.rows * np.dtype(codes_type).itemsize)
        column = column.with_job(pandas_kind=PandasBuffer.CODES, pandas_element=codes_type, pandas_buffer=codes)
    assert codes is not None
    categories = schema.Categories(encode_dtype(_categories_dtype(dtype, column.one_row)))
    ordered = bool(column.one_row.type.ordered)
    return replace(column, make_layout=categorical_layout(codes, codes_type, categories, ordered=ordered))


def _has_nulls(dictionary: pa.Array) -> bool:
    """Whether pandas takes a value for missing, as it does NaN."""
    is_null = dictionary.is_null(nan_is_null=pt.is_floating(dictionary.type))
    return bool(pc.any(is_null).as_py())


def _is_unique(dictionary: pa.Array, dtype: Any) -> bool:
    try:
        return len(dictionary.unique()) == len(dictionary)
    except pa.ArrowNotImplementedError:
        pass
    try:
        return len(set(dictionary.to_pylist())) == len(dictionary)
    except TypeError:  # of structures, as intervals are
        categories = getattr(dtype, "categories", None)  # which pandas has seen to be unique
        return categories is not None and len(categories) == len(dictionary)


def _categories_dtype(dtype: Any, one_row: pa.Array) -> Any:
    """The dtype of the categories: that of ``dtype`` where it has them, because a dictionary has only their storage."""
    categories = getattr(dtype, "categories", None)
    return (pyarrow_calls.to_pandas(one_row).cat.categories if categories is None else categories).dtype


def categorical_layout(
    codes: Region, codes_type: CodesType, categories: schema.Categories, *, ordered: bool
) -> MakeLayout:
    """The layout of a categorical."""
    return lambda place, field: schema.Categorical(place(codes), codes_type, ordered, categories, field)


_READINGS: dict[Reading, Callable[[Column, Any], Column]] = {
    Reading.VALUES: _to_values,
    Reading.BYTES: _to_bytes,
    Reading.FLOAT64: _to_float64,
    Reading.CODES: _to_codes,
    Reading.MASKED: _to_masked,
    Reading.STRING: _to_wrapped,
    Reading.ARROW: _to_wrapped,
    Reading.CONVERTED: _to_converted,
}


def arrow_column(data: pa.ChunkedArray, dtype: Any) -> Column:
    """Plan one Arrow column that pandas is to read as ``dtype``.

    Raises
    ------
    UnsupportedTypeError
    """
    original_type, data = data.type, _without_views_in_dictionaries(data)
    type_ = data.type
    dictionary = None
    if pt.is_dictionary(type_):
        data = with_one_dictionary(data)
        if data.type != type_ and dtype_kind(dtype) == "arrow":
            raise UnsupportedTypeError(f"its chunks have more categories together than {type_} can number")
        type_ = data.type
        dictionary = data.chunk(0).dictionary if data.num_chunks else pa.array([], type_.value_type)
        type_, dictionary = _plain_dictionary(type_, dictionary, keep=dtype_kind(dtype) == "arrow")
    chunks = chunks_of(data)
    # pandas' own dtypes want 64-bit offsets; an ArrowDtype keeps the type it names.
    widens = pt.is_string(type_) and dtype_kind(dtype) != "arrow"
    flat = widen_strings(type_, chunks) if widens else flatten(type_, chunks)
    if dictionary is not None:
        flat = replace(flat, type=type_)
    one_row = flat.one_row if flat.one_row is not None else one_null(flat.type, dictionary)
    reading = _reading(flat, original_type if dtype_kind(dtype) == "arrow" else type_, dtype, data.null_count > 0)
    if reading is Reading.MASKED and pt.is_floating(type_) and pc.any(pc.is_nan(data)).as_py():
        reading = Reading.CONVERTED  # pandas masks NaN as well
    came_as_views = pt.is_string_view(type_) or pt.is_binary_view(type_)
    column = Column(flat, one_row, reading, came_as_views=came_as_views)
    return _READINGS[column.reading](column, dtype)


def _without_views_in_dictionaries(data: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with plain text instead of text views in its inner dictionaries.

    Polars makes such views, and PyArrow cannot convert them.
    """
    if not data.type.num_fields:
        return data
    type_ = replaced(data.type, _without_view)
    if type_ == data.type:
        return data
    try:
        return data.cast(type_)
    except pa.ArrowNotImplementedError:
        return data


def _without_view(type_: pa.DataType) -> pa.DataType:
    if not pt.is_dictionary(type_) or type_.value_type not in _TEXT_OF_VIEWS:
        return type_
    return pa.dictionary(type_.index_type, _TEXT_OF_VIEWS[type_.value_type], type_.ordered)


_TEXT_OF_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def _plain_dictionary(
    type_: pa.DictionaryType, dictionary: pa.Array, *, keep: bool
) -> tuple[pa.DictionaryType, pa.Array]:
    """Strings as pandas wraps them, and no extension types, which PyArrow cannot read back in a dictionary."""
    if isinstance(dictionary, pa.ExtensionArray):
        dictionary = dictionary.storage
    if pt.is_string_view(dictionary.type) or (pt.is_string(dictionary.type) and not keep):
        dictionary = dictionary.cast(pa.large_string())
    return pa.dictionary(type_.index_type, dictionary.type, type_.ordered), dictionary


def _reading(flat: Flat, type_: pa.DataType, dtype: Any, nulls: bool) -> Reading:
    reading = rule_for(flat.type, dtype, nulls).reading
    recast = reading is Reading.ARROW and flat.type != type_
    narrows = reading is Reading.MASKED and flat.type != pa.from_numpy_dtype(dtype.numpy_dtype)
    # Python objects cannot be stored, be they many or few.
    return Reading.CONVERTED if recast or narrows or reading is Reading.REPEATED else reading
