"""A growing table's schema, and the place of every region in its segments. Readers and producers compute the same.

Does not depend on: files, the head, memory, who calls.

The contract
------------
1. A growing table is a folder: a ``head`` (`storage.log_head`) and **segments**. A segment is one file with room for
   ``capacity`` rows, a multiple of `STRIPE`. All of a column's rows in one segment stand side by side. The file has
   its whole size from the start and is sparse: memory comes with the rows.
2. `places` says where everything is, from the schema, the capacity, and the bytes of text for each ``str`` column.
   All are bytes from the start of the file. `read_state` of `format.growing_file` says what other programs see.
3. Row ``i`` of the table is row ``i - base`` of the segment. Rows below the head's ``committed`` never change again.
   What is beyond them is undefined, and may not even be memory: a reader never touches it.
4. **Values** are dense. A null slot has NaN, NaT or 0. ``validity`` has one bit a row, 1 where there is a value, as
   Arrow has it. The last byte of bits is shared by rows that are published and rows that are not: the producer
   replaces it in one store which keeps the published bits, so a reader masks by length and nothing else.
5. **Pandas buffers**: a byte for each boolean, a byte of ``mask`` for each row of a masked column (1: null), and
   int32 codes of categories (-1: null), beside Arrow's bits and indices (0 under a null).
6. **Text** (``str``): ``capacity + 1`` int64 offsets from 0, and the bytes in ``text``. A segment starts empty.
7. **Dictionary** of a category column: its size (u64), int64 offsets, the bytes. It only grows, and a new
   segment begins with a copy of the last one, so a code means the same in all segments from the first on. The entries
   that the published rows use are complete; read the size after ``committed``.
8. ``blocks`` are the columns that pandas holds as one array of shape (columns, rows): column ``k`` of a block is at
   ``at + k * stride``, and what pandas reads there is `ColumnPlaces.frame`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.core.alignment import align
from colonnade.dtype_kinds import dtype_kind
from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError, brief_repr
from colonnade.format.dtypes import decode_dtype, encode_dtype
from colonnade.format.record import from_json, to_json
from colonnade.format.stored_schema import StoredColumn, StoredSchema
from colonnade.format.stripes import LARGEST_PAGE, check_capacity
from colonnade.format.zones import arrow_zone
from colonnade.rules import fill_pattern

HUGE_PAGE = 2 << 20
MOST_CATEGORIES = 65_536
DICTIONARY_TEXT = 4 << 20


class Kind(Enum):
    """How a column is stored. The values describe the parts of a column in words."""

    INTEGER = "values, no nulls"
    FLOATING = "values with NaN for nulls, validity"
    TIME = "int64 values with NaT for nulls, validity"
    BOOLEAN = "a byte and a bit a row, no nulls"
    MASKED = "values, a mask, validity"
    MASKED_BOOLEAN = "a byte and a bit a row, a mask, validity"
    TEXT = "offsets and text, validity"
    CATEGORY = "codes, indices, a dictionary, validity"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``dtype`` is pandas', ``width`` are the bytes of a value (0: bits or text), ``arrow`` is Arrow's."""

    name: str
    dtype: Any
    kind: Kind
    width: int
    arrow: pa.DataType

    @property
    def nullable(self) -> bool:
        """Whether it may have nulls, and so has validity."""
        return self.kind not in (Kind.INTEGER, Kind.BOOLEAN)

    @property
    def fill(self) -> int:
        """The bits of a null slot."""
        return fill_pattern(self.arrow)


@dataclass(frozen=True)
class GrowingSchema:
    """The columns of a growing table. ``index`` is the column that frames have as their index; its values ascend."""

    columns: tuple[Column, ...]
    index: str | None = None

    @classmethod
    def of(cls, dtypes: Iterable[tuple[Any, Any]], index: Any = None) -> GrowingSchema:
        """Make a schema of labels and dtypes.

        Raises
        ------
        UnsupportedTypeError
            For a dtype that cannot grow, naming the column.
        ValueError
            If there is no column, a label is repeated or is not a string, or the index is not a column of numbers or
            times.
        """
        columns = tuple(_column(name, dtype) for name, dtype in dtypes)
        names = [column.name for column in columns]
        if not columns:
            raise ValueError("a growing table needs at least one column")
        duplicates = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if duplicates:
            raise ValueError(f"columns of a growing table have different names; repeated: {duplicates}")
        if index is not None:
            column = columns[names.index(index)] if isinstance(index, str) and index in names else None
            is_number = column is not None and column.kind in (Kind.INTEGER, Kind.FLOATING, Kind.TIME)
            if column is None or not is_number or (column.kind is Kind.FLOATING and column.width < 4):
                raise ValueError(f"index={brief_repr(index)} must be a column of numbers or times; columns: {names}")
        return cls(columns, index)

    def encode(self) -> bytes:
        """Write it as JSON, as the head has it."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        columns = [StoredColumn(column.name, encode_dtype(column.dtype)) for column in self.columns]
        return to_json(StoredSchema(columns, self.index))

    @classmethod
    def decode(cls, text: bytes) -> GrowingSchema:
        """Invert `encode`.

        Raises
        ------
        CorruptSnapshotError
        """
        try:
            schema: StoredSchema = from_json(text, StoredSchema)
            return cls.of(((column.name, decode_dtype(column.dtype)) for column in schema.columns), schema.index)
        except (ValueError, RecursionError, UnsupportedTypeError) as error:
            raise CorruptSnapshotError(f"the head of a growing table has no valid schema: {error}") from error

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def row_bytes(self) -> int:
        """The bytes of a row of fixed width, roughly: what a capacity is computed from."""
        return sum(max(column.width, 1) + 8 * (column.kind is Kind.TEXT) for column in self.columns)

    @cached_property
    def has_text(self) -> bool:
        """Whether there is a ``str`` column."""
        return any(column.kind is Kind.TEXT for column in self.columns)

    def empty_frame(self) -> pd.DataFrame:
        """A frame of these columns without rows."""
        frame = pd.DataFrame({column.name: pd.array([], dtype=column.dtype) for column in self.columns})
        return frame if self.index is None else frame.set_index(self.index)

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of a segment, with pandas' metadata: PyArrow makes the same frame of it."""
        fields = [pa.field(column.name, column.arrow, nullable=column.nullable) for column in self.columns]
        metadata = pa.Schema.from_pandas(
            self.empty_frame(), preserve_index=None if self.index is None else True
        ).metadata
        return pa.schema(fields, metadata=metadata)


def _column(name: Any, dtype_like: Any) -> Column:
    if not isinstance(name, str):
        raise ValueError(f"columns of a growing table have strings as names, got {brief_repr(name)}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"column {name!r}: its name cannot be encoded as UTF-8") from error
    try:
        if dtype_like is None:  # to NumPy, float64
            raise TypeError
        dtype: Any = pd.api.types.pandas_dtype(dtype_like)
    except TypeError as error:
        raise UnsupportedTypeError(f"column {name!r}: {dtype_like!r} is not a dtype") from error
    kind = dtype_kind(dtype)
    if isinstance(dtype, np.dtype) and dtype.itemsize <= 8 and dtype.isnative and dtype.kind in "biufmM":
        if dtype.kind in "mM" and np.datetime_data(dtype) not in {(unit, 1) for unit in ("s", "ms", "us", "ns")}:
            raise _refuse(name, dtype)
        sort = {"b": Kind.BOOLEAN, "f": Kind.FLOATING, "m": Kind.TIME, "M": Kind.TIME}.get(dtype.kind, Kind.INTEGER)
        return Column(name, dtype, sort, 0 if dtype.kind == "b" else dtype.itemsize, pa.from_numpy_dtype(dtype))
    if kind == "datetimetz":
        return Column(name, dtype, Kind.TIME, 8, _zoned(name, dtype))
    if kind == "masked":
        if dtype.kind == "b":
            return Column(name, dtype, Kind.MASKED_BOOLEAN, 0, pa.bool_())
        if dtype.kind in "iuf":
            numpy = dtype.numpy_dtype
            return Column(name, dtype, Kind.MASKED, numpy.itemsize, pa.from_numpy_dtype(numpy))
    if kind == "string" and dtype.storage == "pyarrow":
        return Column(name, dtype, Kind.TEXT, 0, pa.large_string())
    if kind == "category" and not dtype.ordered and _has_text(dtype):
        return Column(name, pd.CategoricalDtype(), Kind.CATEGORY, 4, pa.dictionary(pa.int32(), pa.large_string()))
    raise _refuse(name, dtype)


def _zoned(name: str, dtype: pd.DatetimeTZDtype) -> pa.DataType:
    try:
        return pa.timestamp(dtype.unit, arrow_zone(dtype.tz))
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(f"column {name!r}: {error}") from error


def _has_text(dtype: Any) -> bool:
    return dtype.categories is None or not len(dtype.categories) or dtype.categories.inferred_type == "string"


def _refuse(name: str, dtype: Any) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"column {name!r}: {dtype} cannot grow; use bool, int8 to uint64, float16 to float64, datetime64 and "
        "timedelta64 of s, ms, us or ns, datetimes with a time zone, pandas' masked Int64, Float64 and boolean, str, "
        "or unordered categories of strings"
    )


# -- places ------------------------------------------------------------------------------------------------------------


class DictionaryPlaces(NamedTuple):
    """Where the dictionary of a category column is: its size (u64), ``MOST_CATEGORIES + 1`` offsets, and its text."""

    size: int
    offsets: int
    text: int


class ColumnPlaces(NamedTuple):
    """Where a column is in a segment, in bytes from the start of the file; None where it has no such region.

    ``values``: Arrow's values; bits of booleans, indices of categories. ``pandas``: the bytes of booleans, the codes
    of categories.
    """

    values: int | None
    validity: int | None
    pandas: int | None
    mask: int | None
    offsets: int | None
    text: int | None
    dictionary: DictionaryPlaces | None

    @property
    def frame(self) -> int | None:
        """What pandas reads as values: the pandas buffer where there is one; None for text."""
        return self.values if self.pandas is None else self.pandas


class PandasBlock(NamedTuple):
    """Columns of one dtype, by their numbers in the schema, that pandas holds as one array of shape (columns, rows)."""

    dtype: Any
    at: int
    stride: int
    numbers: tuple[int, ...]


class Places(NamedTuple):
    """Where everything is in a segment: columns by number, blocks, and the file's parts.

    The body, which Arrow's buffers stand in, is from ``body`` to ``footers``. ``size`` is the whole file's.
    """

    capacity: int
    text_bytes: int
    columns: tuple[ColumnPlaces, ...]
    blocks: tuple[PandasBlock, ...]
    messages: int
    body: int
    footers: int
    size: int


class Frame(NamedTuple):
    """The sizes of what stands around a body: `format.growing_envelope` measures them."""

    start: int
    messages: int
    footers: int
    end: int


def arrange(table: GrowingSchema, capacity: int, text_bytes: int, frame: Frame) -> Places:
    """Give every region its place: blocks first, each on the largest page (a huge one where it has as much)."""
    check_capacity(capacity, text_bytes)
    messages = frame.start
    body = align(messages + frame.messages, LARGEST_PAGE)
    room = _Room(body)
    frames: dict[int, int] = {}
    blocks = []
    for dtype, numbers in _block_columns(table):
        stride = capacity * max(table.columns[numbers[0]].width, 1)
        at = room.take(stride * len(numbers), stride >= HUGE_PAGE)
        blocks.append(PandasBlock(dtype, at, stride, tuple(numbers)))
        frames |= {number: at + row * stride for row, number in enumerate(numbers)}
    columns = tuple(
        _column_places(column, capacity, text_bytes, frames.get(number), room)
        for number, column in enumerate(table.columns)
    )
    footers = align(room.at, LARGEST_PAGE)
    # The footer's length must be aligned to 8: it stands 10 bytes before the end.
    size = align(footers + frame.footers + frame.end + 6, 8) - 6
    return Places(capacity, text_bytes, columns, tuple(blocks), messages, body, footers, size)


def _block_columns(table: GrowingSchema) -> Iterator[tuple[Any, list[int]]]:
    by_dtype: dict[Any, list[int]] = {}
    for number, column in enumerate(table.columns):
        if column.kind in (Kind.INTEGER, Kind.FLOATING, Kind.TIME, Kind.BOOLEAN):
            by_dtype.setdefault(column.dtype, []).append(number)
    yield from by_dtype.items()


class _Room:
    def __init__(self, at: int) -> None:
        self.at = at

    def take(self, size: int, huge: bool = False) -> int:
        at = align(self.at, HUGE_PAGE if huge else LARGEST_PAGE)
        self.at = at + size
        return at


def _column_places(column: Column, capacity: int, text_bytes: int, frame: int | None, room: _Room) -> ColumnPlaces:
    bits, kind = capacity // 8, column.kind
    values = pandas = mask = offsets = text = dictionary = None
    is_boolean = kind in (Kind.BOOLEAN, Kind.MASKED_BOOLEAN)
    if is_boolean or kind is Kind.CATEGORY:
        pandas = room.take(capacity * max(column.width, 1)) if frame is None else frame
        values = room.take(bits if is_boolean else capacity * column.width)
    elif kind is not Kind.TEXT:
        values = room.take(capacity * column.width) if frame is None else frame
    if kind in (Kind.MASKED, Kind.MASKED_BOOLEAN):
        mask = room.take(capacity)
    validity = room.take(bits) if column.nullable else None
    if kind is Kind.TEXT:
        offsets, text = room.take(8 * (capacity + 1)), room.take(text_bytes)
    if kind is Kind.CATEGORY:
        size, starts = room.take(8), room.take(8 * (MOST_CATEGORIES + 1))
        dictionary = DictionaryPlaces(size, starts, room.take(DICTIONARY_TEXT))
    return ColumnPlaces(values, validity, pandas, mask, offsets, text, dictionary)


@lru_cache(64)
def stored_schema(text: bytes) -> GrowingSchema:
    """`GrowingSchema.decode`, remembered."""
    return GrowingSchema.decode(text)
