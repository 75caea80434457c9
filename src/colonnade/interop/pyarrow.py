"""The only file that uses PyArrow's private modules and functions.

These are the parts that ``Table.to_pandas`` and ``Table.from_pandas`` are made of (``pyarrow.pandas_compat``, and
``pyarrow.lib``), so what this package leaves to PyArrow is done by PyArrow's own code: the ``pandas`` schema metadata,
indexes, labels, and the conversion of Python objects.
Does not depend on: how a table is stored, how bytes are moved.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from json.encoder import encode_basestring_ascii
from typing import Any

import pyarrow as pa

from colonnade.interop.pandas_options import PandasOptions
from colonnade.interop.process_end import finished_before_exit
from colonnade.interop.pyarrow_calls import with_threads_or_without
from colonnade.interop.versions import require

require("pyarrow", pa.__version__)

import pyarrow.pandas_compat as compat  # noqa: E402 -- after the check of the version

# ---- Names and metadata ----------------------------------------------------------------------------------------------


def field_name(label: Any) -> str:
    """The Arrow name of a column label, as PyArrow writes it; its repr where that fails, as for lists."""
    try:
        return str(compat._column_name_to_strings(label))
    except (UnicodeDecodeError, TypeError):
        return repr(label)


def field_names(labels: Sequence[Any]) -> list[str]:
    """The Arrow names of column labels. Text is its own name, which takes a tenth of the time."""
    return list(labels) if set(map(type, labels)) <= {str} else list(map(field_name, labels))


def index_field_name(level: Any, position: int, names: Sequence[str]) -> str:
    """The Arrow name of an index level, as PyArrow writes it."""
    try:
        return str(compat._index_level_name(level, position, list(names)))
    except (UnicodeDecodeError, TypeError):
        return repr(level.name)


def pandas_metadata(
    df: Any,
    columns: Sequence[tuple[Any, Sequence[int]]],
    index_levels: Sequence[Any],
    fields: Sequence[tuple[str, pa.DataType]],
) -> bytes | None:
    """Make the metadata for a frame whose columns and stored index levels became ``fields``, (name, type) of each.

    ``columns`` are (column, the fields that it stands for): PyArrow takes 15 us to describe one, and columns of one
    dtype differ in the name alone. None if PyArrow cannot describe the labels; Arrow readers then see plain columns.
    """
    count = df.shape[1]
    firsts = [fields[numbers[0]] for _, numbers in columns]
    names = [name for name, _ in firsts]
    remaining = iter(fields[count:])
    descriptors = [
        compat._get_range_index_descriptor(level) if level is df.index and _is_range(level) else next(remaining)[0]
        for level in index_levels
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the layout metadata keeps what PyArrow's metadata loses
            metadata = compat.construct_metadata(
                [
                    *(column for column, _ in columns),
                    *(level for level, d in zip(index_levels, descriptors, strict=True) if isinstance(d, str)),
                ],
                df,
                names,
                index_levels,
                descriptors,
                None,
                [type_ for _, type_ in (*firsts, *fields[count:])],
                column_field_names=names,
            )
    except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None
    text = bytes(metadata[b"pandas"])
    return text if len(columns) == count else _for_each_field(text, columns, fields)


def _for_each_field(
    text: bytes, columns: Sequence[tuple[Any, Sequence[int]]], fields: Sequence[tuple[str, pa.DataType]]
) -> bytes:
    """The metadata with a description of each field, made of that of the first of a column's fields."""
    metadata = json.loads(text)
    descriptors = metadata["columns"]
    entries: dict[int, str] = {}
    for entry, (_, numbers) in zip(descriptors, columns, strict=False):
        # All but the name is encoded once: to encode a dict of each field would take ten times as long.
        rest = json.dumps({key: value for key, value in entry.items() if key not in ("name", "field_name")})[1:]
        for number in numbers:
            name = encode_basestring_ascii(fields[number][0])
            entries[number] = f'{{"name": {name}, "field_name": {name}, {rest}'
    levels = [json.dumps(entry) for entry in descriptors[len(columns) :]]
    parts = {key: json.dumps(value) for key, value in metadata.items() if key != "columns"}
    parts["columns"] = f"[{', '.join([*(entries[number] for number in range(len(entries))), *levels])}]"
    return f"{{{', '.join(f'{json.dumps(key)}: {parts[key]}' for key in metadata)}}}".encode()


def _is_range(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


def range_descriptor(index: Any) -> Any:
    """What the metadata records of a RangeIndex."""
    return compat._get_range_index_descriptor(index)


def with_any_metadata(table: pa.Table, metadata: dict[str, Any]) -> pa.Table:
    """The table with the time zones that its metadata records; the same table if there are none."""
    return compat._add_any_metadata(table, metadata)


def check_metadata(columns: Sequence[dict[str, Any]]) -> None:
    """Raise PyArrow's error if the metadata of the columns contradict each other."""
    compat._check_data_column_metadata_consistency(columns)


def column_labels(table: pa.Table, columns: Sequence[dict[str, Any]], column_indexes: Sequence[dict[str, Any]]) -> Any:
    """The labels of the columns, as an index of pandas."""
    return compat._deserialize_column_index(table, columns, column_indexes)


def split_index(
    table: pa.Table, index_columns: Sequence[Any], columns: Sequence[dict[str, Any]], types_mapper: Any
) -> tuple[pa.Table, Any]:
    """Split a table into its columns and its index."""
    split: tuple[pa.Table, Any] = compat._reconstruct_index(table, index_columns, columns, types_mapper)
    return split


def is_numpy_name(name: str) -> bool:
    """Whether a dtype that the metadata records is one of NumPy's."""
    return name in compat._pandas_supported_numpy_types


# ---- Time zones ------------------------------------------------------------------------------------------------------


def zone_name(zone: tzinfo) -> str:
    """Arrow's name of a time zone; ValueError if it has none."""
    return str(pa.lib.tzinfo_to_string(zone))


def zone_of_name(name: str) -> tzinfo:
    """The time zone of one of Arrow's names, a ``zoneinfo.ZoneInfo`` where possible."""
    zone: tzinfo = pa.lib.string_to_tzinfo(name, prefer_zoneinfo=True)
    return zone


def zoned_dtype(type_: pa.TimestampType, unit: str) -> Any:
    """The pandas dtype of a zoned timestamp."""
    return compat.make_datetimetz(unit, type_.tz)


# ---- Table.to_pandas -------------------------------------------------------------------------------------------------


def _for_pyarrow(options: PandasOptions, **changes: bool) -> dict[str, Any]:
    """The options as ``table_to_blocks`` takes them; it calls the memory pool ``pool``."""
    values = {name: getattr(options, name) for name in PandasOptions.names()}
    return {**values, "pool": values.pop("memory_pool"), **changes}


def from_extension(dtype: Any, column: pa.ChunkedArray) -> Any:
    """The array that an extension dtype makes of an Arrow column."""
    if not hasattr(dtype, "__from_arrow__"):
        raise ValueError(f"{dtype!r} cannot hold {column.type}: it has no __from_arrow__")
    return dtype.__from_arrow__(column)


_THREADED_VALUES = 10_000


def convert_columns(table: pa.Table, options: PandasOptions) -> list[tuple[Any, Any]]:
    """Convert a table's columns as PyArrow does: (array, positions) of each block."""
    # Not split: PyArrow 26 cannot split extension types. Of few values, waiting for a thread takes most of the time.
    threads = bool(options.use_threads) and table.num_rows * table.num_columns >= _THREADED_VALUES
    blocks = _blocks_of(table, options, options.category_names(), use_threads=threads, split_blocks=False)
    return [compat._reconstruct_block(block, return_block=False) for block in blocks]


def _blocks_of(table: pa.Table, options: PandasOptions, categories: Any, *, use_threads: bool, **changes: bool) -> Any:
    def convert(threads: bool) -> Any:
        return pa.lib.table_to_blocks(_for_pyarrow(options, use_threads=threads, **changes), table, categories, [])

    with finished_before_exit:
        return with_threads_or_without(use_threads, convert)


def check_convertible(table: pa.Table, options: PandasOptions) -> None:
    """Raise PyArrow's error if pandas cannot hold one of a table's types; no value is converted."""
    _blocks_of(table.slice(0, 0), options, None, use_threads=False, zero_copy_only=False, split_blocks=False)


def categories_of(dictionary: pa.Array, options: PandasOptions) -> Any:
    """The categories that PyArrow makes of a dictionary."""
    empty = pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), dictionary)
    # With threads, a thread of PyArrow's is awaited even for one column.
    (block,) = _blocks_of(pa.table([empty], [""]), options, None, use_threads=False)
    return block["dictionary"]


def take_columns(table: pa.Table, options: PandasOptions) -> list[pa.ChunkedArray]:
    """Take the columns out of a table, which must not be used afterwards: deleting a column then frees its memory.

    Only PyArrow's own conversion can do that. It passes columns of extension dtypes on as they are, so it is told that
    all columns are such.
    """
    columns: list[pa.ChunkedArray] = [None] * table.num_columns
    with finished_before_exit:
        blocks = pa.lib.table_to_blocks(_for_pyarrow(options, self_destruct=True), table, None, table.column_names)
    for block in blocks:
        columns[int(block["placement"][0])] = block["py_array"]
    return columns


# ---- Table.from_pandas -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrameParts:
    """What ``Table.from_pandas`` takes a frame apart into: its columns, followed by the index levels it stores."""

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


def take_apart(
    df: Any, schema: pa.Schema | None, preserve_index: bool | None, columns: Sequence[Any] | None
) -> FrameParts:
    """Take a frame apart as PyArrow does; its errors are PyArrow's."""
    names, column_names, field_names, _, descriptors, levels, data, arrow_fields = compat._get_columns_to_convert(
        df, schema, preserve_index, columns
    )
    return FrameParts(names, column_names, field_names, descriptors, levels, data, arrow_fields)


def to_arrow(array: Any, column: Callable[[], Any], field: pa.Field | None, safe: bool) -> Any:
    """Convert one column's array as PyArrow does; ``column`` returns what PyArrow's errors name."""
    try:
        return pa.array(array, type=None if field is None else field.type, from_pandas=True, safe=safe)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        series = column()
        error.args += (f"Conversion failed for column {series.name} with type {series.dtype}",)
        raise
