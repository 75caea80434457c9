"""One Arrow column, planned, for the pandas dtype that it is to be read as.

Knows: Arrow types, the rules. Does not depend on: files, places, tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.core.jobs import Job, PandasBuffer
from colonnade.core.regions import Region
from colonnade.format.dtypes import encode_dtype
from colonnade.format.write.column import Column, Flat, one_null
from colonnade.format.write.flatten import flatten, widen_strings
from colonnade.rules import Reading, codes_dtype, family, rule_for


def chunks_of(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    """The chunks of a column, or the one array."""
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]


def _to_bytes(column: Column, _: Any) -> None:
    job = _only_job(column)
    job.pandas_kind, job.pandas_element, job.pandas_buffer = PandasBuffer.BYTES, "uint8", Region(job.rows)
    column.block = ("bool", job.pandas_buffer)


def _to_values(column: Column, dtype: Any) -> None:
    job = _only_job(column)
    assert job.values is not None
    column.block = (encode_dtype(dtype), job.values)
    if family(dtype) == "period":
        column.block, column.form = None, column.array_form()


def _to_float64(column: Column, dtype: Any) -> None:
    job = _only_job(column)
    job.element = column.flat.type.to_pandas_dtype().__name__
    job.pandas_kind, job.pandas_element, job.pandas_buffer = PandasBuffer.FLOAT64, "float64", Region(job.rows * 8)
    column.block = (encode_dtype(dtype), job.pandas_buffer)


def _to_masked(column: Column, dtype: Any) -> None:
    job = _only_job(column)
    held = job.values
    if pt.is_boolean(column.flat.type):
        job.pandas_kind, job.pandas_element, job.pandas_buffer = PandasBuffer.BYTES, "uint8", Region(job.rows)
        held = job.pandas_buffer
    job.mask = Region(job.rows)
    column.form = {"kind": "masked", "dtype": encode_dtype(dtype), "values": held, "mask": job.mask}


def _to_wrapped(column: Column, dtype: Any) -> None:
    column.form = {"kind": "wrapped", "dtype": encode_dtype(dtype)}


def _to_converted(column: Column, dtype: Any) -> None:
    column.reading = Reading.CONVERTED
    column.block, column.form = None, {"kind": "converted", "dtype": encode_dtype(dtype)}


def _to_codes(column: Column, dtype: Any) -> None:
    dictionary = column.one_row.dictionary
    if dictionary.null_count or len(dictionary.unique()) != len(dictionary):
        _to_converted(column, dtype)  # as PyArrow: an error, or null categories, but on open and for this column alone
        return
    job = _only_job(column)
    job.element = column.one_row.type.index_type.to_pandas_dtype().__name__
    codes = codes_dtype(len(dictionary))
    if job.bitmap is not None or job.element != codes:
        width = np.dtype(codes).itemsize
        job.pandas_kind, job.pandas_element, job.pandas_buffer = PandasBuffer.CODES, codes, Region(job.rows * width)
    column.form = {
        "kind": "categorical",
        "codes": job.pandas_buffer or job.values,
        "dtype": codes,
        "ordered": bool(column.one_row.type.ordered),
        "categories": {
            "dtype": encode_dtype(column.one_row.to_pandas().cat.categories.dtype),
            "freq": None,
            "name": None,
        },
    }


def _only_job(column: Column) -> Job:
    (job,) = column.flat.jobs
    return job


_PANDAS_BUFFERS: dict[Reading, Callable[[Column, Any], None]] = {
    Reading.VALUES: _to_values,
    Reading.BYTES: _to_bytes,
    Reading.FLOAT64: _to_float64,
    Reading.CODES: _to_codes,
    Reading.MASKED: _to_masked,
    Reading.STRING: _to_wrapped,
    Reading.ARROW: _to_wrapped,
    Reading.CONVERTED: _to_converted,
}


def arrow_column(name: str, data: pa.ChunkedArray, dtype: Any) -> Column:
    """Plan one Arrow column that pandas is to read as ``dtype``."""
    type_ = data.type
    dictionary = None
    if pt.is_dictionary(type_):
        data = data.unify_dictionaries()
        dictionary = data.chunk(0).dictionary if data.num_chunks else pa.array([], type_.value_type)
        type_, dictionary = _plain_dictionary(type_, dictionary, keep=family(dtype) == "arrow")
    chunks = chunks_of(data)
    # pandas' own dtypes want 64-bit offsets; an ArrowDtype keeps the type it names.
    widened = pt.is_string(type_) and family(dtype) != "arrow"
    flat = widen_strings(type_, chunks) if widened else flatten(type_, chunks)
    if dictionary is not None:
        flat.type = type_
    one_row = flat.one_row if flat.one_row is not None else one_null(flat.type, dictionary)
    column = Column(name, flat, one_row, _reading(flat, type_, dtype, data.null_count > 0))
    _PANDAS_BUFFERS[column.reading](column, dtype)
    return column


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
    narrowed = reading is Reading.MASKED and flat.type != pa.from_numpy_dtype(dtype.numpy_dtype)
    # Python objects cannot be stored, be they many or few.
    return Reading.CONVERTED if recast or narrowed or reading is Reading.REPEATED else reading
