"""The layout metadata: what the schema key ``colonnade`` of a stored file says, as types.

Writers make these structures and readers receive them; no other file knows how they are spelled. In the file they are
JSON. `encode` and `decode` are the only way there and back. Decoding checks every type, so a reader may rely on them;
numbers are checked further where they are used (`bounds`). The tables of ``docs/format.md`` are printed from the
docstrings and descriptions here.

Places are bytes from the start of the body. Does not depend on: pandas, PyArrow, memory, files.
"""

from functools import lru_cache
from typing import Annotated, Any, Literal

from colonnade.dtype_kinds import CodesType
from colonnade.errors import CorruptSnapshotError
from colonnade.format.record import Range, Record, from_json, to_json

METADATA_KEY = b"colonnade"

# Whether the file is long enough is checked where a view is made.
_MOST = 2**63 - 1
Count = Annotated[int, Range(_MOST, "count")]
Place = Annotated[int, Range(_MOST, "place")]
Number = Annotated[int, Range(_MOST, "number")]


# -- labels and names --------------------------------------------------------------------------------------------------


class TupleLabel(Record, kind="tuple"):
    """A tuple of labels."""

    items: list["Label"]


class FloatLabel(Record, kind="float"):
    """A float that JSON has no number for."""

    value: Literal["nan", "inf", "-inf"]


class NumpyLabel(Record, kind="numpy"):
    """A NumPy scalar of this dtype."""

    dtype: str
    value: bool | int | float | FloatLabel


Label = str | int | float | bool | None | TupleLabel | FloatLabel | NumpyLabel


# -- Python objects ----------------------------------------------------------------------------------------------------

Unit = Literal["s", "ms", "us", "ns"]


class Objects(Record):
    """Python objects: ``type`` for those that Arrow's type does not distinguish, ``missing`` for what stands for null.

    Times have their ``unit``, and a ``zone`` as in a zoned dtype. ``numpy`` are NumPy's scalars of the Arrow type.

    Objects that have no one Arrow type are taken apart, and ``parts`` describes each part. ``kinds`` is a struct with a
    field for each kind of objects, one of which is not null in each row; a field of type ``missing`` is of booleans,
    and marks rows with that kind of missing value. ``lists`` and ``tuples`` have a part for their items, and ``dicts``
    one for each key. ``pairs`` are dicts as lists of ``key`` and ``value``, which have a part each. A value is
    ``absent`` if its dict does not have the key.
    """

    type: Literal[
        "value", "tuple", "array", "UUID", "datetime", "Timestamp", "Timedelta", "numpy",
        "kinds", "missing", "lists", "tuples", "dicts", "pairs",
    ] = "value"  # fmt: skip
    missing: Literal["None", "nan", "NA", "NaT", "absent"] | None = None
    unit: Unit | None = None
    zone: str | None = None
    parts: list["Objects"] = []  # noqa: RUF012 -- nobody changes a record


# -- dtypes ------------------------------------------------------------------------------------------------------------


class StringDtype(Record, kind="string"):
    """``pandas.StringDtype``."""

    storage: Literal["pyarrow", "python"]
    na: Literal["nan", "NA"]


class ZonedDtype(Record, kind="zoned"):
    """``pandas.DatetimeTZDtype``; ``tz`` is Arrow's name of the zone, or a library and the name (``pytz:UTC``)."""

    unit: Unit
    tz: str


class IntervalDtype(Record, kind="interval"):
    """``pandas.IntervalDtype``."""

    subtype: str | ZonedDtype
    closed: Literal["left", "right", "both", "neither"]


class ArrowDtype(Record, kind="arrow"):
    """``pandas.ArrowDtype``; ``schema`` is a serialized Arrow schema of one field, in base64."""

    schema: str


Dtype = str | StringDtype | ZonedDtype | IntervalDtype | ArrowDtype


class StructureDtype(Record, kind="structure"):
    """A NumPy dtype of named fields."""

    names: list[str]
    formats: list["NumpyDtype"]
    offsets: list[Count]
    itemsize: Count
    titles: list[str | None] | None = None


class SubarrayDtype(Record, kind="subarray"):
    """A field of a structure that is an array itself."""

    base: "NumpyDtype"
    shape: list[Count]


NumpyDtype = str | StructureDtype | SubarrayDtype


# -- columns -----------------------------------------------------------------------------------------------------------


class Values(Record, kind="values"):
    """A view: numbers, booleans as bytes, datetimes (zoned too), timedeltas, periods."""

    dtype: Dtype
    at: Place


class Masked(Record, kind="masked"):
    """A masked array of two views. The mask has one byte a row: 1 where the value is null."""

    dtype: Dtype
    values: Place
    mask: Place


class Categories(Record):
    """The Arrow dictionary of the column's field, read as an index of this dtype."""

    dtype: Dtype
    name: Label = None
    freq: str | None = None
    objects: Objects | None = None


class Categorical(Record, kind="categorical"):
    """Codes are a view; the categories are the field's Arrow dictionary."""

    codes: Place
    dtype: CodesType
    ordered: bool
    categories: Categories
    field: Number


class Interval(Record, kind="interval"):
    """Both ends are views."""

    dtype: IntervalDtype
    left: Place
    right: Place


class Wrapped(Record, kind="wrapped"):
    """The Arrow array itself, which pandas wraps; ``dtype`` is null for a ``pandas.ArrowDtype`` of the field's type."""

    dtype: StringDtype | None
    field: Number


NullKind = Literal["None", "nan", "NA", "NaT"]


class Nulls(Record):
    """Which missing values the nulls of a column are: one byte a row, a place in ``kinds``, or -1 for no null."""

    kinds: list[NullKind]
    at: Place


class Converted(Record, kind="converted"):
    """The Arrow array, converted when the table is opened; without ``objects`` as PyArrow does."""

    dtype: Dtype
    field: Number
    objects: Objects | None = None
    nulls: Nulls | None = None


ColumnLayout = Values | Masked | Categorical | Interval | Wrapped | Converted


class Run(Record):
    """Columns that stand side by side in the frame too."""

    first: Number
    count: Count


class Block(Record):
    """Columns of one dtype, as one array of shape (columns, rows); ``stride`` bytes from one column to the next."""

    dtype: str | ZonedDtype
    at: Place
    stride: Count
    columns: Run | list[Number]


# -- indexes -----------------------------------------------------------------------------------------------------------


class RangeIndex(Record, kind="range"):
    """``pandas.RangeIndex``."""

    start: int
    stop: int
    step: int
    name: Label = None


class ListIndex(Record, kind="list"):
    """Labels that stand in the metadata itself."""

    values: list[Label]
    dtype: Literal["object"] | StringDtype
    name: Label = None


class ColumnIndex(Record, kind="column"):
    """A column whose values are the labels."""

    column: ColumnLayout
    name: Label = None
    freq: str | None = None


class NestedTable(Record, kind="table"):
    """The row index of a nested table: a whole file of ``size`` bytes at ``at``."""

    at: Place
    size: Count


class Codes(Record):
    """Codes of one level of a MultiIndex, a view as long as the table."""

    dtype: CodesType
    at: Place


Level = RangeIndex | ListIndex | NestedTable


class MultiIndexOfRows(Record, kind="multi"):
    """``pandas.MultiIndex`` of the rows: its codes stand in the body."""

    levels: list[Level]
    codes: list[Codes]
    names: list[Label]


class MultiIndexOfLabels(Record, kind="multi"):
    """``pandas.MultiIndex`` of the column labels: its codes are lists."""

    levels: list[Level]
    codes: list[list[int]]
    names: list[Label]


RowIndex = RangeIndex | ColumnIndex | MultiIndexOfRows
LabelIndex = RangeIndex | ListIndex | NestedTable | MultiIndexOfLabels


class Key(Record):
    """A hash index over key columns: ``size`` bytes at ``at``, behind the body.

    Without fields and bytes: the key is the row index, a range.
    """

    fields: list[Number]
    at: Place
    size: Count


class Views(Record):
    """The text of a field in Arrow's view layout: 16 bytes a row at ``at``, behind the body."""

    field: Number
    at: Place


class Series(Record):
    """The table is a Series of one column, with this ``name``; ``labelled``: its name is the label of the column."""

    name: Label = None
    labelled: bool = False


# -- the whole ---------------------------------------------------------------------------------------------------------


class FrameLayout(Record, kind="frame"):
    """What was put as a table."""

    rows: Annotated[Count, "the number of rows; equal to the record batch's"]
    blocks: list[Block]
    columns: Annotated[list[tuple[Number, ColumnLayout]], "position and layout of each column that is in no block"]
    index: Annotated[RowIndex, "the row index"]
    index_fields: Annotated[
        list[Number | None],
        "the field of the Arrow schema of each index level; null for a level that has none",
    ]
    labels: Annotated[LabelIndex, "the column labels"]
    attrs: Annotated[str, "`DataFrame.attrs` as the text of a JSON document; empty for none"]
    unique_labels: Annotated[bool, "whether the frame refuses duplicate labels"]
    key: Annotated[Key | None, "the key index, by which rows are looked up; null for none"] = None
    series: Annotated[Series | None, "whether a Series was put; null for a frame"] = None
    meta: Annotated[str, "what `meta=` gave, as the text of a JSON object; empty for none"] = ""
    views: Annotated[list[Views], "the columns of text that have views beside their offsets"] = []  # noqa: RUF012 -- nobody changes a record


class ArrayLayout(Record, kind="array"):
    """What was put as a NumPy array, or as bytes: these are `|u1` of one axis."""

    rows: Annotated[Count, "the number of rows of the record batch"]
    dtype: Annotated[NumpyDtype, "NumPy's text (`dtype.str`: `<f8`, `<M8[10ms]`), or a structure"]
    shape: Annotated[list[Count], "the lengths of the axes; `[]` for none"]
    order: Annotated[Literal["C", "F"], "`F` where the first axis runs fastest"]
    at: Annotated[Place, "the place of the first element"]
    meta: Annotated[str, "as that of a frame"] = ""


TableLayout = FrameLayout | ArrayLayout

# Nearly every table has these, so what checks them is made now, and the first open of a process takes 0.1 ms less.
for _record in (FrameLayout, Block, Run, RangeIndex, ListIndex, StringDtype):
    _record.prepare()


def encode(layout: TableLayout) -> bytes:
    """Write the layout metadata as JSON."""
    return to_json(layout)


def decode(text: bytes) -> TableLayout:
    """Read the layout metadata; every type in it is checked.

    Raises
    ------
    CorruptSnapshotError
        Naming the key that is wrong.
    """
    return decode_kept(text)[0]


def decode_kept(text: bytes) -> tuple[TableLayout, dict[str, Any]]:
    """The layout metadata, and a dictionary for what a reader computes from it alone.

    A new version of a table often has the very text of the one before. So the results of the last texts are kept, if
    they are short: files whose texts are equal get the same objects. Nobody changes them.

    Raises
    ------
    CorruptSnapshotError
    """
    return _decode_once(text) if len(text) <= _LONGEST_KEPT else _decode(text)


_LONGEST_KEPT = 1 << 16


def _decode(text: bytes) -> tuple[TableLayout, dict[str, Any]]:
    try:
        layout: TableLayout = from_json(text, TableLayout)
    except MemoryError:
        raise
    except (ValueError, RecursionError) as error:
        raise invalid(str(error)) from error
    return layout, {}


_decode_once = lru_cache(64)(_decode)


def with_meta(layout: TableLayout, meta: str) -> TableLayout:
    """The same layout metadata with the text of a user's own metadata."""
    return layout.replaced(meta=meta)


def with_views(layout: TableLayout, views: list[Views]) -> TableLayout:
    """The same layout metadata of a table with the places of views."""
    return layout.replaced(views=views)


def invalid(reason: str) -> CorruptSnapshotError:
    """The error of a layout metadata that cannot be right."""
    return CorruptSnapshotError(f"invalid layout metadata (schema key 'colonnade'): {reason}")
