"""A stable key of a function's arguments: the same in every process, equal for equal values, else different.

`hash` differs from process to process, and pickles of equal values may differ. So each value is written out: a name for
its type, and its content; what is contained is written the same way. A type that is not in the table has no key, and
that is an error: to guess would give one call the result of another. Does not depend on: functions, stores.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import struct
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.errors import UnsupportedTypeError
from colonnade.interop import pandas as pandas_internals
from colonnade.interop.arrow import arrow_table
from colonnade.interop.dictionaries import check_joinable
from colonnade.interop.process_end import finished_before_exit
from colonnade.interop.wrappers import is_lazy
from colonnade.snapshot import Snapshot


class NoKeyError(TypeError):
    """A value of a type that has no stable key."""


def key_of(values: Mapping[str, Any], *what: str) -> str:
    """The key of named values, as 32 letters; ``what`` goes in too.

    Raises
    ------
    NoKeyError
        Naming the argument.
    """
    whole = blake2b(digest_size=16)
    for text in what:
        whole.update(_written("what", text.encode()))
    for name, value in sorted(values.items()):
        try:
            whole.update(_written("argument", name.encode(), _encode(value)))
        except (NoKeyError, UnsupportedTypeError, RecursionError) as error:
            reason = "it contains itself, or too many levels" if isinstance(error, RecursionError) else str(error)
            raise NoKeyError(f"the argument {name!r} has no stable key: {reason}") from None
    return whole.hexdigest()


def _written(kind: str, *parts: bytes) -> bytes:
    """A type's name and its parts, each with its length, so that no two lists of parts are written alike."""
    return b"".join(struct.pack("<Q", len(part)) + part for part in (kind.encode(), *parts))


def _items(values: Iterable[Any]) -> list[bytes]:
    return [_encode(value) for value in values]


def _encode(value: Any) -> bytes:
    kind = type(value)
    name = full_name(kind)
    for base in kind.__mro__:
        write = _WRITERS.get(base)
        if write is not None:
            return _written(name, *write(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return _written(name, *_items(fields))
    if isinstance(value, type):
        if "<" in value.__qualname__:
            raise NoKeyError(f"the class {value.__qualname__} is not of a module, so other processes do not know it")
        return _written(name, full_name(value).encode())
    if hasattr(value, "__arrow_c_stream__") and not is_lazy(value):
        return _written(name, *_arrow(value))
    raise NoKeyError(f"a {name} has none. Pass plain values, frames or arrays, or leave the argument out by ignore=")


def full_name(item: type | Callable[..., Any]) -> str:
    """The module and name of a class or a function.

    The main script is ``__mp_main__`` in a child that `multiprocessing` starts. Both processes must find one name.
    """
    module = "__main__" if item.__module__ == "__mp_main__" else item.__module__
    return f"{module}.{item.__qualname__}"


def _number(value: Any) -> list[bytes]:
    return [repr(value).encode()]


def _float(value: float) -> list[bytes]:
    return [b"nan" if math.isnan(value) else struct.pack("<d", value)]


def _array(value: npt.NDArray[Any]) -> list[bytes]:
    if value.dtype.hasobject:
        return [str(value.shape).encode(), *_items(value.ravel().tolist())]
    return [str(value.dtype.descr).encode(), str(value.shape).encode(), np.ascontiguousarray(value).tobytes()]


def _numpy_scalar(value: np.generic) -> list[bytes]:
    return _array(np.asarray(value))


def _arrow(value: Any) -> list[bytes]:
    table = arrow_table(value.to_frame() if hasattr(value, "to_frame") else value)
    for column in table.columns:
        check_joinable(column.chunks)
    table = table.combine_chunks()
    sink = pa.BufferOutputStream()
    with finished_before_exit:
        writer = pa.ipc.new_stream(sink, table.schema)
        with writer:
            writer.write_table(table)
        del writer
    return [blake2b(sink.getvalue(), digest_size=32).digest()]


def _index(value: pd.Index[Any]) -> list[bytes]:
    names = _items(value.names)
    if isinstance(value, pd.MultiIndex):
        return [*names, *_items(pandas_internals.levels_of(value))]
    return [*names, *_array_of_pandas(value)]


def _array_of_pandas(values: Any) -> list[bytes]:
    dtype = str(values.dtype)
    if isinstance(values.dtype, pd.CategoricalDtype):
        ordered = str(values.dtype.ordered)
        codes = values.codes if isinstance(values, pd.CategoricalIndex) else values.cat.codes
        return [ordered.encode(), *_index(values.dtype.categories), *_array(np.asarray(codes))]
    if isinstance(values.dtype, np.dtype) and not values.dtype.hasobject:
        return [dtype.encode(), *_array(values.to_numpy())]
    missing = values.isna()
    return [dtype.encode(), *_items(None if is_na else value for value, is_na in zip(values, missing, strict=True))]


def _series(value: pd.Series[Any]) -> list[bytes]:
    return [_encode(value.name), _encode(value.index), *_array_of_pandas(value)]


def _frame(value: pd.DataFrame) -> list[bytes]:
    columns = [_written("column", *_array_of_pandas(value.iloc[:, at])) for at in range(value.shape[1])]
    return [_encode(value.columns), _encode(value.index), *columns]


def _mapping(value: Mapping[Any, Any]) -> list[bytes]:
    return sorted(_written("item", _encode(key), _encode(item)) for key, item in value.items())


_WRITERS: dict[type, Callable[[Any], list[bytes]]] = {
    type(None): lambda _: [],
    type(...): lambda _: [],
    enum.Enum: lambda value: [value.name.encode()],
    bool: _number,
    int: _number,
    float: _float,
    complex: lambda value: [*_float(value.real), *_float(value.imag)],
    str: lambda value: [value.encode("utf-8", "surrogatepass")],
    bytes: lambda value: [value],
    bytearray: lambda value: [bytes(value)],
    tuple: _items,
    list: _items,
    set: lambda value: sorted(_items(value)),
    frozenset: lambda value: sorted(_items(value)),
    dict: _mapping,
    range: lambda value: [repr(value).encode()],
    slice: lambda value: _items((value.start, value.stop, value.step)),
    datetime.timedelta: _number,
    datetime.date: _number,
    datetime.time: _number,
    datetime.timezone: _number,
    zoneinfo.ZoneInfo: lambda value: [str(value.key).encode()],
    decimal.Decimal: _number,
    fractions.Fraction: _number,
    uuid.UUID: lambda value: [value.bytes],
    pathlib.PurePath: lambda value: [str(value).encode("utf-8", "surrogateescape")],
    np.generic: _numpy_scalar,
    np.dtype: _number,
    np.ndarray: _array,
    pd.Timestamp: _number,
    pd.Timedelta: lambda value: [str(value.value).encode(), value.unit.encode()],
    pd.Period: _number,
    pd.Interval: lambda value: [value.closed.encode(), *_items((value.left, value.right))],
    type(pd.NA): lambda _: [],
    type(pd.NaT): lambda _: [],
    pd.Index: _index,
    pd.Series: _series,
    pd.DataFrame: _frame,
    Snapshot: lambda value: [str(value.identity).encode()],
}
