"""Keys of a table: the memory of key columns, and values that are looked up in the same form.

A key column is compared byte by byte, so its type has one byte form for each value: integers, times, decimals, text,
bytes and categories have. Floats have not (-0.0 equals 0.0, NaN equals nothing).

Does not depend on: how rows are found, files, names.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from colonnade import _core
from colonnade.core.key_index import KeyColumn
from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.interop import pandas as pandas_internals
from colonnade.interop.dictionaries import combined

_FIXED = (pt.is_integer, pt.is_temporal, pt.is_decimal, pt.is_fixed_size_binary)
# Text and bytes, and the type of their offsets.
_TEXT = {
    pt.is_string: np.int32,
    pt.is_binary: np.int32,
    pt.is_large_string: np.int64,
    pt.is_large_binary: np.int64,
}
# Values of these kinds are compared with each other; a key of another kind is an error, not a key that is absent.
_KINDS = {
    "numbers": (pt.is_integer, pt.is_floating, pt.is_decimal),
    "text": (pt.is_string, pt.is_large_string, pt.is_string_view),
    "bytes": (pt.is_binary, pt.is_large_binary, pt.is_binary_view, pt.is_fixed_size_binary),
    "dates": (pt.is_date,),
    "times of day": (pt.is_time,),
    "datetimes": (pt.is_timestamp,),
    "durations": (pt.is_duration,),
}


def check_key_type(name: str, arrow_type: pa.DataType) -> None:
    """Raise UnsupportedTypeError for a column that cannot be part of a key."""
    if not _can_be_key(_plain(arrow_type)):
        raise UnsupportedTypeError(
            f"column {name!r} cannot be a key: it is {arrow_type}. Integers, times, decimals, text, bytes and "
            "categories can; convert the column before you put the table"
        )


# What types decide is kept: the first look-up of a new version takes 30 us less. Not of extension types, which may have
# no hash.
@lru_cache(64)
def _can_be_key(plain: pa.DataType) -> bool:
    return any(fits(plain) for fits in (*_FIXED, *_TEXT))


@lru_cache(64)
def _offset_type(arrow_type: pa.DataType) -> Any:
    """The type of the offsets of text and bytes; None for values of a fixed width."""
    return next((offset_type for is_text, offset_type in _TEXT.items() if is_text(arrow_type)), None)


def _plain(arrow_type: pa.DataType) -> pa.DataType:
    """The type whose bytes are compared."""
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _plain(arrow_type.storage_type)
    return arrow_type.index_type if pt.is_dictionary(arrow_type) else arrow_type


def key_column(array: pa.Array) -> KeyColumn:
    """The memory of a column of a type that `check_key_type` allows; only validity is copied."""
    if isinstance(array.type, pa.BaseExtensionType):
        return key_column(array.storage)
    if pt.is_dictionary(array.type):
        return key_column(array.indices)
    rows, first = len(array), array.offset
    valid = np.asarray(array.is_valid()).view(np.uint8) if array.null_count else np.empty(0, np.uint8)
    buffers = array.buffers()
    offset_type = _offset_type(array.type)
    if offset_type is not None:
        offsets = _bytes_of(buffers[1]).view(offset_type)[first : first + rows + 1]
        if not rows:
            offsets = np.zeros(1, offset_type)
        return KeyColumn(_bytes_of(buffers[2]), 0, offsets, valid)
    width = array.type.byte_width
    return KeyColumn(_bytes_of(buffers[1])[first * width : (first + rows) * width], width, valid=valid)


def _bytes_of(buffer: pa.Buffer | None) -> npt.NDArray[np.uint8]:
    return np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.empty(0, np.uint8)


def looked_up(values: Any, name: str, column: pa.Array) -> KeyColumn:
    """Values in the form of a key column; a value that the column's type cannot hold counts as null: it is nowhere.

    Raises
    ------
    TypeError
        The values are of another kind than the column.
    """
    arrow_type = column.type
    if isinstance(arrow_type, pa.BaseExtensionType):
        values = _arrow_values(values, arrow_type.storage_type)
        if isinstance(values.type, pa.BaseExtensionType):
            if values.type != arrow_type:
                key, other = map(_with_frequency, (arrow_type, values.type))
                raise TypeError(f"the key {name!r} is {key}, the values to look up are {other}")
            values = values.storage
        return looked_up(values, name, column.storage)
    if type(values) is list and len(values) == 1:
        one = one_key(arrow_type).column(values[0])
        if one is not None:
            return one
    if pt.is_dictionary(arrow_type):
        probes = _in_type(_arrow_values(values, arrow_type.value_type), name, arrow_type.value_type)
        codes = pc.index_in(probes, value_set=column.dictionary, skip_nulls=True)
        return key_column(codes.cast(arrow_type.index_type))
    return key_column(keys_in_type(values, name, arrow_type))


def keys_in_type(values: Any, name: str, arrow_type: pa.DataType) -> pa.Array:
    """Values to look up in the type of the key ``name``, null where it does not hold them.

    Raises
    ------
    TypeError
        The values are of another kind.
    """
    return _in_type(_arrow_values(values, arrow_type), name, arrow_type)


class OneKey:
    """Makes the key column of a single integer or text, without Arrow's conversions: most look-ups ask for one key."""

    __slots__ = ("_dtype", "_is_text", "_least", "_most")

    def __init__(self, arrow_type: pa.DataType) -> None:
        self._is_text = pt.is_large_string(arrow_type) or pt.is_string(arrow_type)
        self._dtype = np.dtype(arrow_type.to_pandas_dtype()) if pt.is_integer(arrow_type) else None
        self._least, self._most = (0, -1) if self._dtype is None else _limits(arrow_type)

    def column(self, value: Any) -> KeyColumn | None:
        """The column of one value; None where Arrow must convert it."""
        if type(value) is int:
            if self._dtype is None or not self._least <= value <= self._most:
                return None
            return KeyColumn(np.array((value,), self._dtype).view(np.uint8), self._dtype.itemsize)
        if type(value) is str and self._is_text:
            text = np.frombuffer(value.encode(errors="surrogatepass"), np.uint8)
            return KeyColumn(text, 0, np.array([0, len(text)], np.int64))
        return None


@lru_cache(64)
def one_key(arrow_type: pa.DataType) -> OneKey:
    """What makes key columns of single values for columns of a type."""
    return OneKey(arrow_type)


def _arrow_values(values: Any, arrow_type: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return combined(values)
    if isinstance(values, pa.Array):
        return values
    if _core.nests_deeper(values, 1):  # PyArrow ends the process at circular ones
        raise TypeError(f"a key is {arrow_type}, and the values to look up are lists, tuples or mappings")
    try:
        if isinstance(values, np.ndarray) and values.dtype.kind == "M" and pt.is_timestamp(arrow_type):
            values = pd.Series(values)  # PyArrow makes dates of datetime64[D]
        return pa.array(values, from_pandas=True)
    except OverflowError:  # integers that no column holds together
        if not pt.is_integer(arrow_type):
            if _kind(arrow_type) == "numbers":
                return pa.nulls(len(values), arrow_type)
            raise TypeError(f"a key is {arrow_type}, and the values to look up are integers") from None
        least, greatest = _limits(arrow_type)
        return pa.array(
            [value if value is None or least <= value <= greatest else None for value in values], arrow_type
        )
    except (pa.ArrowException, TypeError, ValueError, SystemError) as error:
        # PyArrow knows lists of neither periods nor datetime64[D]; pandas does.
        with contextlib.suppress(TypeError, ValueError):  # the error that led here says more
            if isinstance(values, list) and (series := pd.Series(values)).dtype != object:
                return _arrow_values(series, arrow_type)
        raise TypeError(f"a key is {arrow_type}, and the values to look up have no Arrow type: {error}") from error


def _with_frequency(arrow_type: pa.DataType) -> str:
    """A type's name; the type of pandas' periods does not tell their frequency in it."""
    frequency = getattr(arrow_type, "freq", None)
    return f"{arrow_type}, {frequency}" if frequency else str(arrow_type)


def _in_type(values: pa.Array, name: str, arrow_type: pa.DataType) -> pa.Array:
    """The values as a type, null where they are not exactly representable in it."""
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type == arrow_type:
        return values
    if pt.is_float16(values.type):  # Arrow's kernels compare none
        values = values.cast(pa.float32())
    if pt.is_null(values.type):
        return values.cast(arrow_type)
    if _kind(values.type) != _kind(arrow_type) or _zoned(values.type) != _zoned(arrow_type):
        raise TypeError(f"the key {name!r} is {arrow_type}, the values to look up are {values.type}")
    if pt.is_integer(values.type) and pt.is_integer(arrow_type):
        limits = np.iinfo(arrow_type.to_pandas_dtype())
        smallest, largest = _limits(values.type)
        low, high = max(smallest, limits.min), min(largest, limits.max)
        fits = pc.and_(
            pc.greater_equal(values, pa.scalar(low, values.type)), pc.less_equal(values, pa.scalar(high, values.type))
        )
        return pc.cast(pc.if_else(fits, values, pa.scalar(None, values.type)), arrow_type)
    numbers = pc.cast(values, arrow_type, safe=False)
    same = pc.equal(pc.cast(numbers, values.type, safe=False), values)
    return pc.if_else(same, numbers, pa.scalar(None, arrow_type))


def _limits(arrow_type: pa.DataType) -> tuple[int, int]:
    limits = np.iinfo(arrow_type.to_pandas_dtype())
    return int(limits.min), int(limits.max)


def _kind(arrow_type: pa.DataType) -> str:
    return next((kind for kind, tests in _KINDS.items() if any(test(arrow_type) for test in tests)), str(arrow_type))


def _zoned(arrow_type: pa.DataType) -> bool:
    return pt.is_timestamp(arrow_type) and arrow_type.tz is not None


def key_parts(keys: Any, names: list[str]) -> tuple[list[Any], int | None]:
    """(the values of each part of the keys, how many keys; None for one key by itself).

    Keys of one column are a scalar or an array. Keys of several are a tuple, or a list of tuples, a MultiIndex, a frame
    or a mapping of names to arrays, or to the parts of one key.
    """
    if len(names) == 1 and not isinstance(keys, (pd.DataFrame, dict)):
        if pd.api.types.is_scalar(keys) or isinstance(keys, (bytes, pa.Scalar)):
            return [[keys.as_py() if isinstance(keys, pa.Scalar) else keys]], None
        values = keys if hasattr(keys, "__len__") else _listed(keys)
        return [values], len(values)
    if isinstance(keys, tuple):
        if len(keys) != len(names):
            raise TypeError(f"a key of this table is a tuple of {', '.join(names)}; got {brief_repr(keys)}")
        return [[part] for part in keys], None
    if isinstance(keys, (pd.DataFrame, dict)):
        labels = {str(label): label for label in keys}
        missing = [name for name in names if name not in labels]
        if missing:
            raise TypeError(
                f"the keys of this table have the parts {', '.join(names)}; {', '.join(missing)} is missing"
            )
        parts: list[Any] = [keys[labels[name]] for name in names]
        if all(map(pd.api.types.is_scalar, parts)):
            return [[part] for part in parts], None
    elif isinstance(keys, pd.MultiIndex):
        parts = list(pandas_internals.levels_of(keys))
    else:
        items = [keys] if pd.api.types.is_scalar(keys) else keys if hasattr(keys, "__len__") else _listed(keys)
        parts = _parts_of_tuples(items, names) if len(items) else [[] for _ in names]
    if len(parts) != len(names) or not all(map(_is_array, parts)) or len({len(part) for part in parts}) > 1:
        raise TypeError(f"the keys of this table have the parts {', '.join(names)}, each of the same length")
    return parts, len(parts[0])


def _parts_of_tuples(keys: Any, names: list[str]) -> list[list[Any]]:
    try:
        parts = [list(part) for part in zip(*keys, strict=True)]
    except (TypeError, ValueError):  # numbers, or keys of several lengths
        parts = []
    if len(parts) != len(names) or not _is_array(next(iter(keys))):
        wrong = next(key for key in keys if not _is_array(key) or len(key) != len(names))
        raise TypeError(f"a key of this table is a tuple of {', '.join(names)}; got {brief_repr(wrong)}")
    return parts


def _is_array(values: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, (str, bytes))


def _listed(keys: Any) -> list[Any]:
    if not isinstance(keys, Iterable) or isinstance(keys, io.IOBase):
        raise TypeError(f"keys are values, or an array or a list of them, got {brief_repr(keys)}")
    return list(keys)
