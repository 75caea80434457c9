"""Chunks of a column joined, with one dictionary for all of them.

Does not depend on: pandas, files, how a column is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.errors import UnsupportedTypeError


def concatenated(arrays: Sequence[pa.Array], memory_pool: pa.MemoryPool | None = None, what: str = "") -> pa.Array:
    """Copy arrays of one type into one.

    Raises
    ------
    UnsupportedTypeError
        As `check_joinable`.
    """
    check_joinable(arrays, what)
    return pa.concat_arrays(arrays, memory_pool=memory_pool)


def combined(column: pa.ChunkedArray) -> pa.Array:
    """All chunks of a column as one array; copied if there are several.

    Raises
    ------
    UnsupportedTypeError
        As `check_joinable`.
    """
    if column.num_chunks == 1:
        return column.chunk(0)
    check_joinable(column.chunks)
    return column.combine_chunks()


def check_joinable(arrays: Sequence[pa.Array], what: str = "") -> None:
    """Refuse several arrays with dictionaries of half floats: PyArrow 26 makes other numbers of them.

    The error begins with ``what``.

    Raises
    ------
    UnsupportedTypeError
    """
    if len(arrays) > 1 and _has_half_dictionary(arrays[0].type):
        raise UnsupportedTypeError(
            f"{what}chunks of {arrays[0].type} cannot be joined, because PyArrow makes other numbers of half floats in "
            "dictionaries; cast these to float32"
        )


def _has_half_dictionary(type_: pa.DataType) -> bool:
    if isinstance(type_, pa.BaseExtensionType):
        return _has_half_dictionary(type_.storage_type)
    if pt.is_dictionary(type_):
        return pt.is_float16(type_.value_type) or _has_half_dictionary(type_.value_type)
    return any(_has_half_dictionary(type_.field(number).type) for number in range(type_.num_fields))


def with_one_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same rows, whose chunks share one dictionary. Indices of a type that is too small become int32.

    PyArrow refuses nulls, lists and others among the values, and makes integers of half floats (PyArrow 26).
    """
    if column.num_chunks < 2:
        return column
    if not pt.is_float16(column.type.value_type):
        try:
            return pa.chunked_array(map(_with_small_indices, column.chunks), column.type).unify_dictionaries()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            pass
    return _united(column)


def _with_small_indices(array: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same array, with 0 under each null: PyArrow 26 follows those indices too, past the end of its memory."""
    if not array.null_count:
        return array
    indices = array.indices
    new_indices = pa.array(indices.fill_null(0).to_numpy(), indices.type, mask=indices.is_null().to_numpy(False))
    return pa.DictionaryArray.from_arrays(new_indices, array.dictionary, ordered=array.type.ordered)


def _united(column: pa.ChunkedArray) -> pa.ChunkedArray:
    dictionaries = [chunk.dictionary for chunk in column.chunks]
    values = pa.concat_arrays(dictionaries)
    numbers = pa.array(np.arange(len(values), dtype=np.int32))
    storage = values.storage if isinstance(values, pa.ExtensionArray) else values
    if not pt.is_dictionary(storage.type):
        try:
            codes = storage.dictionary_encode()  # a null among the values is a null index from now on
        except pa.ArrowNotImplementedError:
            pass  # values that occur twice stay so
        else:
            numbers = codes.indices
            values = codes.dictionary if storage is values else values.type.wrap_array(codes.dictionary)
    index_type = column.type.index_type
    if len(values) > 1 << (index_type.bit_width - pt.is_signed_integer(index_type)):
        index_type = pa.int32()
    starts = accumulate(map(len, dictionaries), initial=0)
    chunks = []
    for start, dictionary, chunk in zip(starts, dictionaries, column.chunks, strict=False):
        indices = numbers.slice(start, len(dictionary)).take(chunk.indices).cast(index_type)
        chunks.append(pa.DictionaryArray.from_arrays(indices, values, ordered=column.type.ordered))
    return pa.chunked_array(chunks)
