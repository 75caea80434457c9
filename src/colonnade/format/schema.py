"""The layout metadata: what the schema key ``colonnade`` of a stored file says, as types.

Writers make these structures and readers receive them; no other file knows how they are spelled. In the file they are
JSON. `encode` and `decode` are the only way there and back. Decoding checks every type, so a reader may rely on them;
numbers are checked further where they are used (`bounds`). The tables of ``docs/format.md`` are printed from the
docstrings and descriptions here.

Places are bytes from the start of the body. Does not depend on: pandas, PyArrow, memory, files.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from colonnade.errors import CorruptSnapshotError
from colonnade.rules import CodesType

METADATA_KEY = b"colonnade"

# Whether the file has so many bytes is checked where a view is made.
Count = Annotated[int, Meta(ge=0, le=2**63 - 1, title="count")]
Place = Annotated[int, Meta(ge=0, le=2**63 - 1, title="place")]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1, title="number")]


class _Kind(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """One of several kinds; the key ``kind`` says which."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A structure without a kind: only it may stand where it stands."""


# -- labels and names --------------------------------------------------------------------------------------------------


class TupleLabel(_Kind, frozen=True, tag="tuple"):
    """A tuple of labels."""

    items: list[Label]


class FloatLabel(_Kind, frozen=True, tag="float"):
    """A float that JSON has no number for."""

    value: Literal["nan", "inf", "-inf"]


class NumpyLabel(_Kind, frozen=True, tag="numpy"):
    """A NumPy scalar of this dtype."""

    dtype: str
    value: bool | int | float | FloatLabel


Label = str | int | float | bool | None | TupleLabel | FloatLabel | NumpyLabel


# -- Python objects ----------------------------------------------------------------------------------------------------

Unit = Literal["s", "ms", "us", "ns"]


class Objects(_Part, frozen=True, omit_defaults=True):
    """Python objects: ``type`` for those that Arrow's type does not tell apart, ``missing`` for what stands for null.

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
    parts: list[Objects] = []


# -- dtypes ------------------------------------------------------------------------------------------------------------


class StringDtype(_Kind, frozen=True, tag="string"):
    """``pandas.StringDtype``."""

    storage: Literal["pyarrow", "python"]
    na: Literal["nan", "NA"]


class ZonedDtype(_Kind, frozen=True, tag="zoned"):
    """``pandas.DatetimeTZDtype``; ``tz`` is Arrow's name of the zone, or a library and the name (``pytz:UTC``)."""

    unit: Unit
    tz: str


class IntervalDtype(_Kind, frozen=True, tag="interval"):
    """``pandas.IntervalDtype``."""

    subtype: str | ZonedDtype
    closed: Literal["left", "right", "both", "neither"]


class ArrowDtype(_Kind, frozen=True, tag="arrow"):
    """``pandas.ArrowDtype``; ``schema`` is a serialized Arrow schema of one field, in base64."""

    schema: str


Dtype = str | StringDtype | ZonedDtype | IntervalDtype | ArrowDtype


class StructureDtype(_Kind, frozen=True, tag="structure"):
    """A NumPy dtype of named fields."""

    names: list[str]
    formats: list[NumpyDtype]
    offsets: list[Count]
    itemsize: Count
    titles: list[str | None] | None = None


class SubarrayDtype(_Kind, frozen=True, tag="subarray"):
    """A field of a structure that is an array itself."""

    base: NumpyDtype
    shape: list[Count]


NumpyDtype = str | StructureDtype | SubarrayDtype


# -- columns -----------------------------------------------------------------------------------------------------------


class Values(_Kind, frozen=True, tag="values"):
    """A view: numbers, booleans as bytes, datetimes (zoned too), timedeltas, periods."""

    dtype: Dtype
    at: Place


class Masked(_Kind, frozen=True, tag="masked"):
    """A masked array of two views. The mask has one byte a row: 1 where the value is null."""

    dtype: Dtype
    values: Place
    mask: Place


class Categories(_Part, frozen=True):
    """The Arrow dictionary of the column's field, read as an index of this dtype."""

    dtype: Dtype
    name: Label = None
    freq: str | None = None
    objects: Objects | None = None


class Categorical(_Kind, frozen=True, tag="categorical"):
    """Codes are a view; the categories are the field's Arrow dictionary."""

    codes: Place
    dtype: CodesType
    ordered: bool
    categories: Categories
    field: Number


class Interval(_Kind, frozen=True, tag="interval"):
    """Both ends are views."""

    dtype: IntervalDtype
    left: Place
    right: Place


class Wrapped(_Kind, frozen=True, tag="wrapped"):
    """The Arrow array itself, which pandas wraps; ``dtype`` is null for a ``pandas.ArrowDtype`` of the field's type."""

    dtype: StringDtype | None
    field: Number


class Converted(_Kind, frozen=True, tag="converted"):
    """The Arrow array, converted when the table is opened; without ``objects`` as PyArrow does."""

    dtype: Dtype
    field: Number
    objects: Objects | None = None


ColumnLayout = Values | Masked | Categorical | Interval | Wrapped | Converted


class Run(_Part, frozen=True):
    """Columns that stand side by side in the frame too."""

    first: Number
    count: Count


class Block(_Part, frozen=True):
    """Columns of one dtype, as one array of shape (columns, rows); ``stride`` bytes from one column to the next."""

    dtype: str | ZonedDtype
    at: Place
    stride: Count
    columns: Run | list[Number]


# -- indexes -----------------------------------------------------------------------------------------------------------


class RangeIndex(_Kind, frozen=True, tag="range"):
    """``pandas.RangeIndex``."""

    start: int
    stop: int
    step: int
    name: Label = None


class ListIndex(_Kind, frozen=True, tag="list"):
    """Labels that stand in the metadata itself."""

    values: list[Label]
    dtype: Literal["object"] | StringDtype
    name: Label = None


class ColumnIndex(_Kind, frozen=True, tag="column"):
    """A column whose values are the labels."""

    column: ColumnLayout
    name: Label = None
    freq: str | None = None


class NestedTable(_Kind, frozen=True, tag="table"):
    """The row index of a nested table: a whole file of ``size`` bytes at ``at``."""

    at: Place
    size: Count


class Codes(_Part, frozen=True):
    """Codes of one level of a MultiIndex, a view as long as the table."""

    dtype: CodesType
    at: Place


Level = RangeIndex | ListIndex | NestedTable


class MultiIndexOfRows(_Kind, frozen=True, tag="multi"):
    """``pandas.MultiIndex`` of the rows: its codes stand in the body."""

    levels: list[Level]
    codes: list[Codes]
    names: list[Label]


class MultiIndexOfLabels(_Kind, frozen=True, tag="multi"):
    """``pandas.MultiIndex`` of the column labels: its codes are lists."""

    levels: list[Level]
    codes: list[list[int]]
    names: list[Label]


RowIndex = RangeIndex | ColumnIndex | MultiIndexOfRows
LabelIndex = RangeIndex | ListIndex | NestedTable | MultiIndexOfLabels


class Key(_Part, frozen=True):
    """A hash index over key columns: ``size`` bytes at ``at``, behind the body."""

    fields: list[Number]
    at: Place
    size: Count


class Views(_Part, frozen=True):
    """The text of a field in Arrow's view layout: 16 bytes a row at ``at``, behind the body."""

    field: Number
    at: Place


class Series(_Part, frozen=True):
    """A Series was put: the table's one column. ``name`` is its name; ``labelled``: the column's label is."""

    name: Label = None
    labelled: bool = False


# -- the whole ---------------------------------------------------------------------------------------------------------


class FrameLayout(_Kind, frozen=True, tag="frame"):
    """What was put as a table."""

    rows: Annotated[Count, Meta(description="the number of rows; equal to the record batch's")]
    blocks: list[Block]
    columns: Annotated[
        list[tuple[Number, ColumnLayout]], Meta(description="position and layout of each column that is in no block")
    ]
    index: Annotated[RowIndex, Meta(description="the row index")]
    index_fields: Annotated[
        list[Number | None],
        Meta(description="the field of the Arrow schema of each index level; null for a level that has none"),
    ]
    labels: Annotated[LabelIndex, Meta(description="the column labels")]
    attrs: Annotated[str, Meta(description="`DataFrame.attrs` as the text of a JSON document; empty for none")]
    unique_labels: Annotated[bool, Meta(description="whether the frame refuses duplicate labels")]
    key: Annotated[Key | None, Meta(description="the key index, by which rows are looked up; null for none")] = None
    series: Annotated[Series | None, Meta(description="whether a Series was put; null for a frame")] = None
    meta: Annotated[str, Meta(description="what `meta=` gave, as the text of a JSON object; empty for none")] = ""
    views: Annotated[list[Views], Meta(description="the columns of text that have views beside their offsets")] = []


class ArrayLayout(_Kind, frozen=True, tag="array"):
    """What was put as a NumPy array, or as bytes: these are `|u1` of one axis."""

    rows: Annotated[Count, Meta(description="the number of rows of the record batch")]
    dtype: Annotated[NumpyDtype, Meta(description="NumPy's text (`dtype.str`: `<f8`, `<M8[10ms]`), or a structure")]
    shape: Annotated[list[Count], Meta(description="the lengths of the axes; `[]` for none")]
    order: Annotated[Literal["C", "F"], Meta(description="`F` where the first axis runs fastest")]
    at: Annotated[Place, Meta(description="the place of the first element")]
    meta: Annotated[str, Meta(description="as that of a frame")] = ""


TableLayout = FrameLayout | ArrayLayout

_encoder = msgspec.json.Encoder()
_decoder: Any = msgspec.json.Decoder(TableLayout)


def encode(layout: TableLayout) -> bytes:
    """Write the layout metadata as JSON."""
    return _encoder.encode(layout)


def decode(text: bytes) -> TableLayout:
    """Read the layout metadata; every type in it is checked.

    Raises
    ------
    CorruptSnapshotError
        Naming the key that is wrong.
    """
    try:
        layout: TableLayout = _decoder.decode(text)
    except MemoryError:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise invalid(str(error)) from error
    return layout


def with_meta(layout: TableLayout, meta: str) -> TableLayout:
    """The same layout metadata with the text of a user's own metadata."""
    return msgspec.structs.replace(layout, meta=meta)


def with_views(layout: TableLayout, views: list[Views]) -> TableLayout:
    """The same layout metadata of a table with the places of views."""
    return msgspec.structs.replace(layout, views=views)


def invalid(reason: str) -> CorruptSnapshotError:
    """The error of a layout metadata that cannot be right."""
    return CorruptSnapshotError(f"invalid layout metadata (schema key 'colonnade'): {reason}")
