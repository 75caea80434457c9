"""Bugs of PyArrow 26, where results must not equal PyArrow's: each with its reason and a test for it."""

import collections
import dataclasses
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
from pandas.core.arrays.arrow.extension_types import ArrowIntervalType


@dataclasses.dataclass(frozen=True)
class Bug:
    """``hits`` says of a table or a frame, and the options of its conversion, whether the bug touches it."""

    reason: str
    hits: Callable


def bugs_that_hit(data, options):
    kind = pa.Table if isinstance(data, pa.Table) else pd.DataFrame
    return [bug for bug in PYARROW_BUGS[kind].values() if bug.hits(data, options)]


def inside(type_, is_that):
    """Whether a type is of a kind, or holds one that is."""
    if is_that(type_):
        return True
    if isinstance(type_, pa.BaseExtensionType):
        return inside(type_.storage_type, is_that)
    if pa.types.is_dictionary(type_):
        return inside(type_.value_type, is_that)
    if pa.types.is_run_end_encoded(type_):
        return False
    return any(inside(type_.field(i).type, is_that) for i in range(type_.num_fields))


def _is_list_view(type_):
    return pa.types.is_list_view(type_) or pa.types.is_large_list_view(type_)


def _is_dictionary_of_extension(type_):
    return pa.types.is_dictionary(type_) and isinstance(type_.value_type, pa.BaseExtensionType)


def _columns_of_one_name(table, options):
    types = collections.defaultdict(list)
    for field in table.schema:
        types[field.name].append(field.type)
    return any(type_ != several[0] for several in types.values() for type_ in several)


def _no_chunks_of_list_views(table, options):
    return any(not column.num_chunks and inside(column.type, _is_list_view) for column in table.columns)


def _list_views_at_an_offset(table, options):
    chunks = [chunk for column in table.columns for chunk in column.chunks if inside(column.type, _is_list_view)]
    return any(chunk.offset and chunk.buffers()[0] is not None for chunk in chunks)


def _dictionaries_of_extension_types(table, options):
    return any(inside(field.type, _is_dictionary_of_extension) for field in table.schema)


def _types_without_blocks_of_their_own(table, options):
    mapper = options.get("types_mapper")
    without = (
        isinstance(field.type, pa.BaseExtensionType) or pa.types.is_run_end_encoded(field.type)
        for field in table.schema
    )
    return options.get("split_blocks", False) and any(
        so and not _has_dtype(field.type, mapper) for field, so in zip(table.schema, without, strict=True)
    )  # fmt: skip


def _has_dtype(type_, mapper):
    if mapper is not None and _given(mapper, type_):
        return True
    return isinstance(type_, pa.BaseExtensionType) and _given(type(type_).to_pandas_dtype, type_)


def _given(dtype_of, type_):
    try:
        return dtype_of(type_) is not None
    except Exception:  # which is compared, too
        return False


def _empty_zoned_intervals(table, options):
    zoned = [
        column.chunks
        for column in table.columns
        if isinstance(column.type, ArrowIntervalType) and getattr(column.type.subtype, "tz", None) is not None
    ]
    return any(not len(chunk) for chunks in zoned for chunk in chunks)


def _cells_on_their_way_to(df, options, is_that):
    """The cells of object columns for which the schema has a type of the kind."""
    for field in _schema(options):
        if is_that(field.type) and field.name in df.columns and df[field.name].dtype == object:
            yield from df[field.name]


def _schema(options):
    return options["schema"] if isinstance(options.get("schema"), pa.Schema) else []


def _list_views_on_their_way_to_lists(df, options):
    dtypes = ((field.type, getattr(df.dtypes.get(field.name), "pyarrow_dtype", None)) for field in _schema(options))
    return any(given is not None and _is_list_view(given) and expected != given for expected, given in dtypes)


def _null_pairs_on_their_way_to_maps(df, options):
    return any(isinstance(cell, list) and None in cell for cell in _cells_on_their_way_to(df, options, pa.types.is_map))


def _keys_of_no_field_on_their_way_to_structs(df, options):
    cells = _cells_on_their_way_to(df, options, pa.types.is_struct)
    return any(isinstance(cell, dict) and not all(isinstance(key, str) for key in cell) for cell in cells)


def _arrow_scalars_on_their_way_to_dictionaries(df, options):
    return any(isinstance(cell, pa.Scalar) for cell in _cells_on_their_way_to(df, options, pa.types.is_dictionary))


PYARROW_BUGS = {
    pa.Table: {
        "columns of one name": Bug(
            "columns are told apart by their names, so that all of one name get the pandas dtype of the last", _columns_of_one_name
        ),
        "no chunks of list views": Bug("the process is aborted: a ChunkedArray is made of no chunks and no type", _no_chunks_of_list_views),
        "list views at an offset": Bug(
            "the cast to lists takes the bitmap as if it began with the slice, so that lists are null which are not, and past its end any are",
            _list_views_at_an_offset,
        ),
        "dictionaries of extension types": Bug(
            "one chunk can be read, but none and several cannot: dictionaries of them are neither built nor unified", _dictionaries_of_extension_types
        ),
        "types without blocks of their own": Bug(
            "with split_blocks, run ends are not implemented and an extension type that names no pandas dtype is a KeyError; "
            "without, both are read, as what they hold",
            _types_without_blocks_of_their_own,
        ),
        "empty zoned intervals": Bug("pandas takes the bounds of a chunk without rows for objects", _empty_zoned_intervals),
    },
    pd.DataFrame: {
        "list views on their way to lists": Bug("offsets that lead nowhere come of views that overlap or are not in order", _list_views_on_their_way_to_lists),
        "null pairs on their way to maps": Bug("the process is aborted by a None where a map wants a pair", _null_pairs_on_their_way_to_maps),
        "keys of no field on their way to structs": Bug("a SystemError for a dict with a key that is not a string", _keys_of_no_field_on_their_way_to_structs),
        "Arrow scalars on their way to dictionaries": Bug("the process is aborted by a pyarrow.Scalar in a cell", _arrow_scalars_on_their_way_to_dictionaries),
    },
}  # fmt: skip
