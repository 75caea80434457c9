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
from dataclasses import dataclass, fields
from datetime import tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.interop.pandas import range_index
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


def index_field_name(level: Any, position: int, taken: Sequence[str]) -> str:
    """The Arrow name of an index level, as PyArrow writes it."""
    try:
        return str(compat._index_level_name(level, position, list(taken)))
    except (UnicodeDecodeError, TypeError):
        return repr(level.name)


def pandas_metadata(
    df: Any, columns: Sequence[tuple[Any, Sequence[int]]], index_levels: Sequence[Any], fields: pa.Schema
) -> bytes | None:
    """Make the metadata for a frame whose columns and stored index levels became ``fields``, in that order.

    ``columns`` are (column, the fields that it stands for): PyArrow takes 15 us to describe one, and columns of one
    dtype differ in the name alone. None if PyArrow cannot describe the labels; Arrow readers then see plain columns.
    """
    firsts = [fields.field(numbers[0]) for _, numbers in columns]
    names = [field.name for field in firsts]
    level_fields = [fields.field(number) for number in range(df.shape[1], len(fields))]
    stored = iter(level_fields)
    descriptors = [
        compat._get_range_index_descriptor(level) if level is df.index and _is_range(level) else next(stored).name
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
                [field.type for field in (*firsts, *level_fields)],
                column_field_names=names,
            )
    except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None
    text = bytes(metadata[b"pandas"])
    if len(columns) == df.shape[1]:
        return text
    return _for_each_field(text, [numbers for _, numbers in columns], fields.names)


def _for_each_field(text: bytes, fields_of: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    """The metadata with a description of each field, made of that of the first of a column's fields."""
    metadata = json.loads(text)
    described = metadata["columns"]
    entries: dict[int, Any] = {}
    for entry, numbers in zip(described, fields_of, strict=False):
        for number in numbers:
            entries[number] = {**entry, "name": names[number], "field_name": names[number]}
    metadata["columns"] = [entries[number] for number in range(len(entries))] + described[len(fields_of) :]
    return json.dumps(metadata).encode()


def _is_range(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PandasOptions:
    """The options of ``pyarrow.Table.to_pandas``, with PyArrow's names and defaults.

    Values are used as PyArrow uses them: any object that has a truth value may stand for a bool.
    """

    memory_pool: Any = None
    categories: Any = None
    strings_to_categorical: bool = False
    zero_copy_only: bool = False
    integer_object_nulls: bool = False
    date_as_object: bool = True
    timestamp_as_object: bool = False
    use_threads: bool = True
    deduplicate_objects: bool = True
    ignore_metadata: bool = False
    safe: bool = True
    split_blocks: bool = False
    self_destruct: bool = False
    maps_as_pydicts: str | None = None
    types_mapper: Callable[[pa.DataType], Any] | None = None
    coerce_temporal_nanoseconds: bool = False

    def __post_init__(self) -> None:
        if self.maps_as_pydicts is not None and not isinstance(self.maps_as_pydicts, str):
            raise TypeError(f"maps_as_pydicts must be 'lossy', 'strict' or None, got {self.maps_as_pydicts!r}")

    @classmethod
    def names(cls) -> list[str]:
        """The names of all options."""
        return [option.name for option in fields(cls)]

    def flags(self) -> frozenset[str]:
        """The names of the options that are on and change which dtype a column gets."""
        return frozenset(
            name
            for name in (
                "integer_object_nulls",
                "date_as_object",
                "timestamp_as_object",
                "coerce_temporal_nanoseconds",
            )
            if getattr(self, name)
        )

    def category_names(self) -> Sequence[str]:
        """The columns that become categorical."""
        return self.categories or ()


def _for_pyarrow(options: PandasOptions, **changes: bool) -> dict[str, Any]:
    """The options as ``table_to_blocks`` takes them; it calls the memory pool ``pool``."""
    values = {name: getattr(options, name) for name in PandasOptions.names()}
    return {**values, "pool": values.pop("memory_pool"), **changes}


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """All of a frame except its rows, and what decides how its columns are read.

    It depends on the schema and the options alone, unless ``is_complete`` is False: then the table had to be changed
    first. ``types`` are the distinct types of the columns that are not part of the index, and ``kinds`` are the number
    of each column's type. ``extension_dtypes`` are the dtypes that are not NumPy's, by position; ``encoded`` are the
    columns that PyArrow must make categorical. ``index_columns`` are PyArrow's descriptors of the index, None if there
    is no metadata, and ``columns`` its descriptors of all columns.
    """

    types: list[pa.DataType]
    kinds: npt.NDArray[np.intp]
    labels: Any
    attrs: dict[str, Any]
    extension_dtypes: dict[int, Any]
    encoded: set[int]
    columns: list[dict[str, Any]]
    index_columns: list[Any] | None
    is_complete: bool

    def positions(self, kind: int) -> npt.NDArray[np.intp]:
        """The columns of one type."""
        return np.flatnonzero(self.kinds == kind)

    def split(self, table: pa.Table, options: PandasOptions) -> tuple[pa.Table, Any]:
        """Split a table of this schema into its columns and its index."""
        return _split(table, self.index_columns, self.columns, options)


def read_head(table: pa.Table, options: PandasOptions) -> tuple[Head, pa.Table, Any]:
    """Read the head of a table; also returns its columns and its index.

    The steps, and so the errors, are in PyArrow's order.
    """
    metadata = table.schema.pandas_metadata  # raises if it is broken, even if it is ignored: as PyArrow does
    columns: list[dict[str, Any]] = []
    column_indexes: list[dict[str, Any]] = []
    attrs: dict[str, Any] = {}
    index_columns = None
    whole = table
    if metadata is not None and not options.ignore_metadata:
        columns, column_indexes = metadata["columns"], metadata.get("column_indexes", [])
        attrs = metadata.get("attributes", {})
        index_columns = metadata["index_columns"]
        whole = compat._add_any_metadata(table, metadata)
    rest, index = _split(whole, index_columns, columns, options)
    columns_by_type = _ColumnsByType(rest)
    extension_dtypes = _extension_dtypes(columns_by_type, columns, options)
    encoded = _encoded_columns(columns_by_type, options)
    compat._check_data_column_metadata_consistency(columns)
    labels = compat._deserialize_column_index(rest, columns, column_indexes)
    types, kinds = columns_by_type.types, columns_by_type.kinds
    is_complete = whole is table
    head = Head(types, kinds, labels, attrs, extension_dtypes, encoded, columns, index_columns, is_complete)
    return head, rest, index


_RANGE = ("start", "stop", "step", "kind", "name")


def _split(
    table: pa.Table, index_columns: list[Any] | None, columns: list[dict[str, Any]], options: PandasOptions
) -> tuple[pa.Table, Any]:
    if index_columns is None:
        return table, range_index(range(table.num_rows), None)
    if len(index_columns) == 1 and isinstance(index_columns[0], dict):
        start, stop, step, kind, name = (index_columns[0].get(key, 0) for key in _RANGE)
        is_plain = type(start) is type(stop) is type(step) is int and step and kind == "range"
        if is_plain and isinstance(name, str | None) and len(range(start, stop, step)) == table.num_rows:
            return table, range_index(range(start, stop, step), name)
    split: tuple[pa.Table, Any] = compat._reconstruct_index(table, index_columns, columns, options.types_mapper)
    return split


class _ColumnsByType:
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


def _extension_dtypes(table: _ColumnsByType, columns: list[dict[str, Any]], options: PandasOptions) -> dict[int, Any]:
    """The dtypes that are not NumPy's, by position.

    In PyArrow's order: the mapper, Arrow's extension types, the metadata, and ``str`` for strings. PyArrow's own
    function uses names, so that all columns of one name get the dtype of the last; it also takes 10 ms for 10,000
    columns.
    """
    schema = table.schema
    dtypes: dict[int, Any] = {}

    def assign(dtype_of_each_type: Sequence[Any], excluded: Sequence[str] = ()) -> None:
        for kind, dtype in enumerate(dtype_of_each_type):
            if dtype is not None:
                for position in table.positions(kind):
                    if not excluded or schema.names[position] not in excluded:
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
    if numpy_type in compat._pandas_supported_numpy_types:
        return None
    dtype = pd.api.types.pandas_dtype(numpy_type)
    return dtype if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "__from_arrow__") else None


def _encoded_columns(table: _ColumnsByType, options: PandasOptions) -> set[int]:
    """The columns that the options make categorical: those that are named, and perhaps all strings."""
    positions = {position for name in options.category_names() for position in table.schema.get_all_field_indices(name)}
    for kind, type_ in enumerate(table.types):
        if options.strings_to_categorical and (_is_text(type_) or _is_binary(type_)):
            positions.update(table.positions(kind))
    return positions


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


class FrameHead:
    """The names and the metadata of frames that agree in labels, dtypes and the kind of their index."""

    __slots__ = ("_last", "_rest", "_schema", "has_index_column", "labels", "types")

    def __init__(self, df: Any, table: pa.Table, *, is_described: bool) -> None:
        """Take them from the table that a frame became; ``is_described``: its index is a RangeIndex in metadata."""
        schema = table.schema
        self.labels = df.columns.view()
        self.types: list[pa.DataType] = schema.types
        self.has_index_column = len(self.types) > df.shape[1]
        self._schema = schema.remove_metadata()
        self._last = df.index if is_described else None, schema
        # What comes after the descriptor of the index, which says how many rows there are.
        self._rest = b""
        if is_described:
            text, described = schema.metadata[b"pandas"], _described(df.index)
            self._rest = text[len(described) :] if text.startswith(described) else b""

    def table(self, arrays: Sequence[Any], index: Any) -> pa.Table | None:
        """Make the table of the arrays that a frame's columns became; None if they have other types."""
        if [array.type for array in arrays] != self.types:
            return None
        last, schema = self._last
        if last is not None and last is not index and not _is_same_range(last, index):
            if not self._rest:
                return None
            schema = self._schema.with_metadata({b"pandas": _described(index) + self._rest})
            self._last = index, schema
        return pa.Table.from_arrays(list(arrays), schema=schema)


def _is_same_range(index: Any, other: Any) -> bool:
    return (index.start, index.stop, index.step) == (other.start, other.stop, other.step)


def _described(index: Any) -> bytes:
    """How PyArrow's metadata begins, for a RangeIndex."""
    return json.dumps({"index_columns": [compat._get_range_index_descriptor(index)]})[:-1].encode()


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
        named = column()
        error.args += (f"Conversion failed for column {named.name} with type {named.dtype}",)
        raise
