"""Python objects that have no one Arrow type: taken apart into parts that have one, and joined again.

1. Objects of several kinds become a struct with one field for each kind, named by the type: ``{int, str}``. Each row
   has a value in one of the fields. One kind of missing values is null, and others have a field of booleans.
2. Lists and tuples become lists of whatever their items become, and dicts of strings structs of whatever their values
   become. A key that a dict does not have is one more kind of missing value. Other dicts become lists of pairs.

Arrow has a type for the first, the union. But PyArrow has no pandas form for it and does not write it to Parquet, and
Polars and DuckDB refuse a table that has one (``docs/decisions/0015-objects-of-several-types.md``).

Does not depend on: which Arrow type objects of one kind have (`objects`, which is an argument here).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Hashable, Sequence
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import UnsupportedTypeError
from colonnade.format.schema import Objects, invalid

ObjectArray = npt.NDArray[np.object_]
Encode = Callable[[ObjectArray], tuple[Any, Objects]]
Decode = Callable[[pa.Array, Objects], ObjectArray]

Missing = Literal["None", "nan", "NA", "NaT", "absent"]


class Absent:
    """The type of what stands for a key that a dict has not."""


ABSENT = Absent()

# What stands for null, by its type. NaN is a float among others.
MISSING: dict[type, tuple[Missing, Any]] = {
    Absent: ("absent", ABSENT),
    type(None): ("None", None),
    type(pd.NA): ("NA", pd.NA),
    type(pd.NaT): ("NaT", pd.NaT),
    float: ("nan", np.nan),
}
MISSING_VALUES = dict(MISSING.values())

# A frame of one dict for each row has some keys; dicts with more of them are tables themselves.
_MOST_KEYS = 256
# The most kinds of objects in a column, each of which is a field of a struct.
_MOST_KINDS = 64


def object_array(values: Sequence[Any]) -> ObjectArray:
    """An array of these objects; NumPy would take containers apart."""
    return np.fromiter(values, object, len(values))


# ---- Several kinds ---------------------------------------------------------------------------------------------------


# The types of which one Arrow type cannot have all values: they have units, zones or dtypes.
_DIVIDED = frozenset({pd.Timestamp, dt.datetime, pd.Timedelta, np.ndarray})


def kind_of(value: Any) -> Any:
    """A key that is equal for objects of one kind: their type, and what else one Arrow type cannot have several of."""
    type_ = type(value)
    if type_ is pd.Timestamp or type_ is dt.datetime:
        return type_, getattr(value, "unit", None), id(value.tzinfo)
    if type_ is pd.Timedelta:
        return type_, value.unit
    return (type_, value.dtype) if type_ is np.ndarray else type_


def encode_kinds(values: ObjectArray, encode: Encode) -> tuple[pa.Array, Objects]:
    """Convert objects of several kinds to a struct.

    Raises
    ------
    UnsupportedTypeError
        If a kind has no Arrow type, or there is just one.
    """
    cells = values.tolist()
    kind_of_cell: list[Any] = list(map(type, cells))
    if not _DIVIDED.isdisjoint(kind_of_cell):
        kind_of_cell = list(map(kind_of, cells))
    numbers: dict[Hashable, int] = {kind: number for number, kind in enumerate(dict.fromkeys(kind_of_cell))}
    kinds = np.fromiter(map(numbers.__getitem__, kind_of_cell), np.intp, len(kind_of_cell))
    if not 1 < len(numbers) <= _MOST_KINDS:
        raise UnsupportedTypeError(f"it holds objects of {len(numbers)} kinds")
    null = _null_kind(numbers, values, kinds)
    fields: list[pa.Array] = []
    names: list[str] = []
    parts: list[Objects] = []
    for kind, number in numbers.items():
        if kind == null:
            continue
        rows = kinds == number
        type_: Any = kind[0] if isinstance(kind, tuple) else kind
        if type_ in MISSING and type_ is not float:
            array, part = pa.array(np.ones(int(rows.sum()), bool)), Objects("missing", missing=MISSING[type_][0])
        else:
            array, part = encode(values[rows])
        if array.null_count:
            raise UnsupportedTypeError(f"it holds a {type_.__qualname__} that Arrow takes for null, such as NaN")
        fields.append(_spread(array, rows))
        names.append(_unused(_field_name(type_), names))
        parts.append(part)
    mask = None if null is None else pa.array(kinds == numbers[null])
    missing = None if null is None else MISSING[null][0]
    return pa.StructArray.from_arrays(fields, names, mask=mask), Objects("kinds", missing=missing, parts=parts)


def _null_kind(numbers: dict[Hashable, int], values: ObjectArray, kinds: npt.NDArray[np.intp]) -> Any:
    """The type of missing values that is null in Arrow; None if none is missing."""
    for type_ in MISSING:
        if type_ is not float and type_ in numbers:
            return type_
    has_nan_alone = float in numbers and all(map(math.isnan, values[kinds == numbers[float]]))
    return float if has_nan_alone else None


def _field_name(type_: type) -> str:
    return f"numpy_{np.dtype(type_).name}" if issubclass(type_, np.generic) else type_.__qualname__.removesuffix("Type")


def _unused(name: str, names: Sequence[str]) -> str:
    """A name that no other field has, also for readers that ignore upper and lower case."""
    names_in_lower_case = {other.lower() for other in names}
    candidates = chain([name], (f"{name}_{number}" for number in range(2, len(names) + 3)))
    return next(candidate for candidate in candidates if candidate.lower() not in names_in_lower_case)


def _spread(array: Any, rows: npt.NDArray[np.bool_]) -> pa.Array:
    """An array as long as ``rows``, with the values where these are true, and null elsewhere."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    extension = array.type if isinstance(array.type, pa.BaseExtensionType) else None
    storage = array.storage if extension is not None else array
    places = pa.array(np.cumsum(rows) - 1, mask=~rows)
    spread = storage.take(places) if len(storage) else pa.nulls(len(rows), storage.type)
    return spread if extension is None else pa.ExtensionArray.from_storage(extension, spread)


def decode_kinds(array: pa.Array, objects: Objects, decode: Decode) -> ObjectArray:
    """Invert `encode_kinds`; None where the struct is null."""
    values: ObjectArray = np.empty(len(array), object)
    counts = np.zeros(len(array), np.intp)
    is_null = array.is_null().to_numpy(zero_copy_only=False)
    for child, part in _parts_of(array, objects):
        rows = ~(child.is_null().to_numpy(zero_copy_only=False) | is_null)
        counts += rows
        if part.type == "missing" and part.missing is not None:
            values[rows] = MISSING_VALUES[part.missing]
        elif rows.any():
            values[rows] = decode(child.filter(pa.array(rows)), part)
    if not np.array_equal(counts, ~is_null):
        raise invalid("a row of objects of several kinds does not have one value")
    return values


def _parts_of(array: Any, objects: Objects) -> list[tuple[pa.Array, Objects]]:
    if not pa.types.is_struct(array.type) or array.type.num_fields != len(objects.parts):
        raise invalid(f"objects of {len(objects.parts)} parts are {array.type} for Arrow")
    return [(array.field(number), part) for number, part in enumerate(objects.parts)]


def encode_absent(values: ObjectArray, encode: Encode) -> tuple[pa.Array, Objects]:
    """Convert values of which some are `ABSENT`, which is null if no other value is."""
    rows = np.fromiter((value is not ABSENT for value in values), bool, len(values))
    array, objects = encode(values[rows])
    if array.null_count:
        return encode_kinds(values, encode)
    return _spread(array, rows), objects.replaced(missing="absent")


# ---- Containers ------------------------------------------------------------------------------------------------------


def encode_items(values: ObjectArray, kind: Literal["lists", "tuples"], encode: Encode) -> tuple[pa.Array, Objects]:
    """Convert lists or tuples, some of which may be missing, by their items."""
    type_ = list if kind == "lists" else tuple
    present = np.fromiter((type(value) is type_ for value in values), bool, len(values))
    containers = values[present].tolist()
    items, objects = encode(object_array(list(chain.from_iterable(containers))))
    array = _lists_of(items, [len(container) for container in containers])
    return _spread(array, present), Objects(kind, parts=[objects])


def _lists_of(items: Any, lengths: list[int]) -> pa.Array:
    if isinstance(items, pa.ChunkedArray):
        items = items.combine_chunks()
    return pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), items)


def encode_dicts(values: ObjectArray, encode: Encode) -> tuple[pa.Array, Objects]:
    """Convert dicts, some of which may be missing, by their values."""
    present = np.fromiter((type(value) is dict for value in values), bool, len(values))
    dicts = values[present].tolist()
    keys = list(dict.fromkeys(chain.from_iterable(dicts)))
    if all(type(key) is str for key in keys) and len(keys) <= _MOST_KEYS:
        columns = [encode(object_array([each.get(key, ABSENT) for each in dicts])) for key in keys]
        fields = [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array, _ in columns]
        array = pa.StructArray.from_arrays(fields, keys) if keys else pa.array(dicts, pa.struct([]))
        return _spread(array, present), Objects("dicts", parts=[objects for _, objects in columns])
    pairs = [encode(object_array(list(chain.from_iterable(part)))) for part in (dicts, map(dict.values, dicts))]
    entries = [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array, _ in pairs]
    array = _lists_of(pa.StructArray.from_arrays(entries, ["key", "value"]), [len(each) for each in dicts])
    return _spread(array, present), Objects("pairs", parts=[objects for _, objects in pairs])


def decode_items(array: pa.Array, objects: Objects, decode: Decode) -> list[Any]:
    """Invert `encode_items`; anything may stand where a list is null."""
    if len(objects.parts) != 1:
        raise invalid(f"items of {len(objects.parts)} parts")
    (part,) = objects.parts
    items, places = _items_of(array, decode, part)
    make: Any = list if objects.type == "lists" else tuple
    return [make(items[start:end]) for start, end in places]


def decode_dicts(array: pa.Array, objects: Objects, decode: Decode) -> list[Any]:
    """Invert `encode_dicts`; anything may stand where a dict is null."""
    if objects.type == "dicts":
        names = [field.name for field in array.type]
        columns = [decode(child, part).tolist() for child, part in _parts_of(array, objects)]
        rows = zip(*columns, strict=True) if columns else [()] * len(array)
        return [{name: value for name, value in zip(names, row, strict=True) if value is not ABSENT} for row in rows]
    entries, places = _items_of(array, lambda child, _: child, objects)
    keys, values = [decode(child, part).tolist() for child, part in _parts_of(entries, objects)]
    return [dict(zip(keys[start:end], values[start:end], strict=True)) for start, end in places]


def _items_of(array: Any, decode: Callable[[pa.Array, Objects], Any], part: Objects) -> tuple[Any, Any]:
    """The items of all lists, and where each list begins and ends in them."""
    if not pa.types.is_large_list(array.type):
        raise invalid(f"lists of Python objects are {array.type} for Arrow")
    offsets = array.offsets.to_numpy().tolist()
    first = offsets[0]
    items = decode(array.values.slice(first, offsets[-1] - first), part)
    return (items.tolist() if isinstance(items, np.ndarray) else items), pairwise(at - first for at in offsets)
