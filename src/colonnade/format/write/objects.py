"""Columns of Python objects as Arrow arrays, of which `format.read.objects` makes the very same objects again.

PyArrow infers one Arrow type for all objects of a column. What differs from that type is converted without a word: the
time of a datetime beside a date, the zone of a datetime, a tuple, a key that a dict has not. So a column is stored only
if what `to_objects` returns is equal, types included; otherwise `to_arrow` raises. `Objects`, a part of the layout
metadata, records what Arrow's type does not say.

How that is known, from the cheapest to the dearest:

1. The core lists the distinct types of the objects. A column has one type, and perhaps one kind of missing value.
2. Of most types every value has exactly one form in Arrow (`_INFERRED`), or has one in a type chosen here.
3. Containers are made again and compared.

Does not depend on: frames, memory, how Arrow arrays are laid out.
"""

from __future__ import annotations

import datetime as dt
import decimal
import marshal
import uuid
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade import _core
from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.format.labels import NUMPY_TYPES
from colonnade.format.object_parts import (
    ABSENT,
    MISSING,
    ObjectArray,
    encode_absent,
    encode_dicts,
    encode_items,
    encode_kinds,
    kind_of,
)
from colonnade.format.read.objects import in_zone, restore, timestamp_objects, utc_datetimes
from colonnade.format.same import same, time_details
from colonnade.format.schema import Objects, Unit
from colonnade.format.write.null_kinds import has_numbers
from colonnade.format.zones import decode_zone, encode_zone
from colonnade.interop import pyarrow as pyarrow_internals

# Arrow's files have 64 levels of types at most.
MAX_LEVELS = 60


def to_arrow(values: ObjectArray) -> tuple[pa.Array | pa.ChunkedArray, Objects]:
    """Convert objects, shape (rows,), to an Arrow array that `to_objects` converts back exactly.

    Raises
    ------
    UnsupportedTypeError
        If there is no such array. The message says what the objects are.
    """
    types = _core.types_of(values)
    if not {list, tuple, dict}.isdisjoint(types) and _core.nests_deeper(values.tolist(), MAX_LEVELS + 1):
        # PyArrow ends the process at circular ones.
        raise UnsupportedTypeError(f"it holds lists or dicts in each other to more than {MAX_LEVELS} levels")
    array, objects = _encode(values, types)
    if objects.parts and _levels(array.type) > MAX_LEVELS:
        raise UnsupportedTypeError(f"it holds lists or dicts that need more than {MAX_LEVELS} levels of Arrow types")
    return array, objects


def _levels(type_: pa.DataType) -> int:
    return 1 + max((_levels(type_.field(number).type) for number in range(type_.num_fields)), default=0)


def _encode(values: ObjectArray, types: list[type] | None = None) -> tuple[pa.Array | pa.ChunkedArray, Objects]:
    types = _core.types_of(values) if types is None else types
    if type(ABSENT) in types:
        return encode_absent(values, _encode)
    of_values = [type_ for type_ in types if type_ not in MISSING]
    if len(of_values) > 1 or (not of_values and len(types) > 1 and set(types) != {float, type(None)}):
        return _by_kinds(values)
    if not of_values:
        if float not in types:
            return pa.nulls(len(values)), Objects(missing=MISSING[types[0]][0] if types else None)
        # NaN is a value here, and None is null, so both come back.
        return pa.array(values, pa.float64(), from_pandas=False), Objects(missing="None")
    type_ = of_values[0]
    convert = _CONVERT.get(type_)
    if convert is None:
        raise UnsupportedTypeError(f"it holds objects of type {_type_name(type_)}, which Arrow would change")
    if len(types) > 2 or (float in types and has_numbers(values)):
        return _by_kinds(values)
    try:
        array, objects = convert(values)
    except UnsupportedTypeError:
        if len({kind_of(value) for value in values if type(value) is type_}) > 1:
            return _by_kinds(values)
        raise
    except _ARROW_ERRORS as error:
        reason = str(error).splitlines()[0]
        raise UnsupportedTypeError(f"it holds {_type_name(type_)}, and Arrow has no type for it ({reason})") from error
    if not array.null_count:
        return array, objects
    nulls = _core.types_of(values[array.is_null().to_numpy(zero_copy_only=False)])
    if type_ in nulls:
        raise UnsupportedTypeError(f"it holds a {_type_name(type_)} that Arrow takes for null, such as NaN")
    return array, objects.replaced(missing=MISSING[nulls[0]][0])


# What PyArrow raises for objects that have no Arrow type.
_ARROW_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError, SystemError, LookupError)


def _by_kinds(values: ObjectArray) -> tuple[pa.Array | pa.ChunkedArray, Objects]:
    try:
        return encode_kinds(values, _encode)
    except _ARROW_ERRORS as error:
        if isinstance(error, UnsupportedTypeError):
            raise
        raise UnsupportedTypeError(f"it holds objects of several types ({str(error).splitlines()[0]})") from error


def _type_name(type_: type) -> str:
    return type_.__qualname__ if type_.__module__ == "builtins" else f"{type_.__module__}.{type_.__qualname__}"


Conversion = tuple[Any, Objects]


def _inferred(values: ObjectArray) -> Conversion:
    """For types of which every value is exact in the Arrow type that PyArrow infers."""
    return pa.array(values, from_pandas=True), Objects()


def _uuids(values: ObjectArray) -> Conversion:
    return pa.array(values, pa.uuid(), from_pandas=True), Objects("UUID")


def _integers(values: ObjectArray) -> Conversion:
    try:
        return _inferred(values)
    except OverflowError:
        return pa.array(values, pa.uint64(), from_pandas=True), Objects()


def _numpy_scalars(values: ObjectArray) -> Conversion:
    present = np.fromiter((isinstance(value, np.generic) for value in values), bool, len(values))
    (type_,) = {type(value) for value in values[present]}
    numbers: npt.NDArray[Any] = np.zeros(len(values), np.dtype(type_))
    numbers[present] = values[present]
    return pa.array(numbers, mask=~present), Objects("numpy")


def _decimals(values: ObjectArray) -> Conversion:
    """Equal decimals may have more zeros behind the point: a column has one scale."""
    array = pa.array(values, from_pandas=True)
    if any(value.is_signed() and not value for value in values if type(value) is decimal.Decimal):
        raise UnsupportedTypeError("it holds a decimal -0, and Arrow's decimals have only one zero")
    return array, Objects()


def _times(values: ObjectArray) -> Conversion:
    present = [value for value in values if type(value) is dt.time]
    if any(value.tzinfo is not None for value in present):
        raise UnsupportedTypeError("it holds a time of day with a zone, and Arrow's have none")
    _refuse_folds(present)
    return _inferred(values)


def _datetimes(values: ObjectArray) -> Conversion:
    present = [value for value in values if type(value) is dt.datetime]
    zone = _common_zone(present)
    if zone is None:
        _refuse_folds(present)
        return pa.array(values, pa.timestamp("us"), from_pandas=True), Objects("datetime", unit="us")
    array = pa.array(values, pa.timestamp("us", "UTC"), from_pandas=True)
    instants = [value for value in utc_datetimes(array) if value is not None]
    if not all(type(value) is dt.datetime for value in instants):  # a number stands for what no datetime can be
        raise UnsupportedTypeError("it holds a datetime that is before the year 1 or after the year 9999 in UTC")
    has_every_time = decode_zone(zone).utcoffset(None) is not None and not any(value.fold for value in present)
    datetimes = (in_zone(value, decode_zone(zone)) for value in instants)
    if not has_every_time and any(
        one != other or time_details(one) != time_details(other) for one, other in zip(present, datetimes, strict=True)
    ):
        raise UnsupportedTypeError(_NO_SUCH_TIME)
    name = pyarrow_internals.zone_name(decode_zone(zone))
    return array.cast(pa.timestamp("us", name)), Objects("datetime", unit="us", zone=zone)


_NO_SUCH_TIME = (
    "it holds a time that its time zone does not have, with this offset from UTC; "
    "with pytz, use zone.localize(time) and not time.replace(tzinfo=zone)"
)


def _refuse_folds(values: list[Any]) -> None:
    if any(value.fold for value in values):
        raise UnsupportedTypeError("it holds a time with fold=1 and no zone, and Arrow does not keep the fold")


def _common_zone(values: list[Any]) -> str | None:
    """The zone of datetimes or timestamps, as it is recorded; None if they have none."""
    zones: dict[int, Any] = {id(zone): zone for zone in (value.tzinfo for value in values)}
    names = {None if zone is None else encode_zone(zone) for zone in zones.values()}
    if len(names) != 1:
        zone_names = " and ".join(sorted("none" if name is None else name for name in names))
        raise UnsupportedTypeError(
            f"its times have different zones ({zone_names}); convert them to one, as with tz_convert"
        )
    (name,) = names
    return name


def _timestamps(values: ObjectArray) -> Conversion:
    present = [value for value in values if type(value) is pd.Timestamp]
    unit, zone = _common_unit(present), _common_zone(present)
    # pandas takes 20 us for a Timestamp of a zone.
    instants = np.array([value.asm8 if type(value) is pd.Timestamp else None for value in values], f"M8[{unit}]")
    array = pa.array(instants)
    if zone is None:
        _refuse_folds(present)
        return array, Objects("Timestamp", unit=unit)
    tz = decode_zone(zone)
    # Instants are exact. A fold need not be: `replace(fold=1)` sets it for times that exist once.
    if any(pd.Timestamp(value.asm8, tz="UTC").tz_convert(tz).fold != 1 for value in present if value.fold):
        raise UnsupportedTypeError("it holds a time with fold=1 that exists once in its time zone")
    objects = Objects("Timestamp", unit=unit, zone=zone)
    if zone.startswith("pytz:"):  # which has an object for each offset of a zone, and any of them may be set
        datetimes = timestamp_objects(array, objects)[array.is_valid().to_numpy(zero_copy_only=False)]
        if any(one.utcoffset() != other.utcoffset() for one, other in zip(present, datetimes, strict=True)):
            raise UnsupportedTypeError(_NO_SUCH_TIME)
    return array.view(pa.timestamp(unit, pyarrow_internals.zone_name(tz))), objects


def _timedeltas(values: ObjectArray) -> Conversion:
    unit = _common_unit([value for value in values if type(value) is pd.Timedelta])
    return pa.array(pd.Series(values, dtype=f"m8[{unit}]")), Objects("Timedelta", unit=unit)


def _common_unit(values: list[Any]) -> Unit:
    units: set[Unit] = {value.unit for value in values}
    if len(units) != 1:
        raise UnsupportedTypeError(
            f"its times have different units ({' and '.join(sorted(units))}); convert them to one with .as_unit"
        )
    (unit,) = units
    return unit


def _containers(
    kind: Literal["value", "tuple"], by_parts: Callable[[ObjectArray], Conversion]
) -> Callable[[ObjectArray], Conversion]:
    """As PyArrow infers their type, if they come back from that; else by their parts."""

    def convert(values: ObjectArray) -> Conversion:
        objects = Objects(kind)
        if not _is_plain(values.tolist()):
            return by_parts(values)
        try:
            array = _nested(values)
            if not _is_exact(values, array.type):
                _check_same(values, array, objects)
        except _ARROW_ERRORS:
            return by_parts(values)
        return array, objects

    return convert


# What may be left to PyArrow inside of containers. It ends the process at some others, such as a list of a
# `numpy.datetime64` and a `numpy.int64`, and none of them would come back.
_PLAIN = frozenset(
    {type(None), str, bytes, bool, int, float, decimal.Decimal, dt.date, dt.time, dt.datetime, dt.timedelta}
)


def _is_plain(containers: list[Any]) -> bool:
    return _PLAIN.issuperset(set(_core.leaf_types(containers)) - MISSING.keys())


# Of these types every value is exact in the Arrow type that PyArrow infers for it.
_EXACT: dict[type, Callable[[pa.DataType], bool]] = {
    str: pt.is_string,
    bytes: pt.is_binary,
    bool: pt.is_boolean,
    int: pt.is_integer,
    float: pt.is_float64,
    dt.date: pt.is_date32,
}


def _is_exact(values: ObjectArray, arrow_type: pa.DataType) -> bool:
    """Whether the types alone prove that containers come back: they have scalars, of one exact type for each place.

    False proves nothing. Lists of two integers take 9 ms of 100,000 so; made again and compared they take 200 ms.
    """
    names = [field.name for field in arrow_type] if pt.is_struct(arrow_type) else []
    inner: list[Any] = [field.type for field in arrow_type] if names else [getattr(arrow_type, "value_type", None)]
    if len(set(names)) < len(names):
        return False
    types_of_places = _core.types_inside(values.tolist(), list(MISSING), names)
    if not types_of_places:
        return False
    return all(
        _is_exact_in([type_ for type_ in types if type_ is not type(None)], arrow_type_)
        for types, arrow_type_ in zip(types_of_places, inner, strict=True)
    )


def _is_exact_in(types: list[type], arrow_type: pa.DataType | None) -> bool:
    if arrow_type is None or isinstance(arrow_type, pa.BaseExtensionType):
        return False
    if not types:
        return bool(pt.is_null(arrow_type))
    return len(types) == 1 and types[0] in _EXACT and bool(_EXACT[types[0]](arrow_type))


def _nested(values: ObjectArray) -> Any:
    """Containers as PyArrow converts them: a missing one is null, and a NaN inside of one is a value."""
    cells = values.tolist()
    if set(_core.types_of(values)) & MISSING.keys():
        cells = [None if type(cell) in MISSING else cell for cell in cells]
    return pa.array(cells)


def _arrays(values: ObjectArray) -> Conversion:
    dtypes = {value.dtype for value in values if type(value) is np.ndarray}
    if len(dtypes) > 1:  # PyArrow 26 ends the process at some of these
        dtype_names = " and ".join(sorted(map(str, dtypes)))
        raise UnsupportedTypeError(f"its arrays have different dtypes ({dtype_names}); convert them to one with astype")
    (dtype,) = dtypes
    if dtype.kind == "O":
        items = [value.tolist() for value in values if type(value) is np.ndarray]
        if _core.nests_deeper(items, MAX_LEVELS + 1) or not _is_plain(items):
            raise UnsupportedTypeError(
                "it holds arrays of objects that are not all str, bytes, numbers or times of Python, or lists of these"
            )
    array = _nested(values)
    # PyArrow copies numbers bit for bit, so these need no comparison.
    if not (dtype.kind in "iuf" and dtype.isnative and array.type.value_type == pa.from_numpy_dtype(dtype)):
        _check_same(values, array, Objects("array"))
    return array, Objects("array")


_CONVERT: dict[type, Callable[[ObjectArray], Conversion]] = {
    **dict.fromkeys((str, bytes, bool, float, dt.date, dt.timedelta), _inferred),
    uuid.UUID: _uuids,
    int: _integers,
    decimal.Decimal: _decimals,
    dt.time: _times,
    dt.datetime: _datetimes,
    pd.Timestamp: _timestamps,
    pd.Timedelta: _timedeltas,
    list: _containers("value", lambda values: encode_items(values, "lists", _encode)),
    dict: _containers("value", lambda values: encode_dicts(values, _encode)),
    tuple: _containers("tuple", lambda values: encode_items(values, "tuples", _encode)),
    np.ndarray: _arrays,
    **dict.fromkeys(NUMPY_TYPES.values(), _numpy_scalars),
}

# How many rows are made again and compared at a time.
_STEP = 1 << 14


def _check_same(values: ObjectArray, array: Any, objects: Objects) -> None:
    """Raise UnsupportedTypeError with the first row that would come back as another object."""
    fast = not _has_buffers(array.type)
    for start in range(0, len(values), _STEP):
        originals, copies = values[start : start + _STEP].tolist(), restore(array[start : start + _STEP], objects)
        if fast and _same_bytes(originals, copies):
            continue
        for row, (one, other) in enumerate(zip(originals, copies, strict=True), start):
            if type(one) not in MISSING and not same(one, other):
                raise UnsupportedTypeError(
                    f"row {row} holds {brief_repr(one)}, which would come back as {brief_repr(other)}"
                )


def _same_bytes(originals: list[Any], copies: list[Any]) -> bool:
    """Whether ``marshal`` writes both in the same way: True proves that they are the same, False proves nothing.

    It writes plain containers exactly, types included, and takes a tenth of the time that `same` takes. Objects that
    give a buffer are written as bytes; so no copy may hold bytes (`_has_buffers`).
    """
    try:
        return marshal.dumps(originals, 2) == marshal.dumps(copies, 2)
    except ValueError:  # other objects
        return False


def _has_buffers(type_: pa.DataType) -> bool:
    """Whether objects of an Arrow type, or parts of them, give a buffer, as bytes do."""
    if isinstance(type_, pa.BaseExtensionType) or pt.is_binary(type_) or pt.is_large_binary(type_):
        return True
    return any(_has_buffers(type_.field(i).type) for i in range(type_.num_fields))
