"""pandas dtypes as the layout metadata has them, and back.

A dtype is its name, except for the few whose name does not say all. Does not depend on: memory, files.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.dtype_kinds import dtype_kind
from colonnade.format import schema
from colonnade.format.zones import decode_zone, encode_zone

# NumPy's dtypes that pandas holds in blocks, except Python objects, by their names.
PLAIN_DTYPES = {
    name: np.dtype(name)
    for name in (
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"float{bits}" for bits in (16, 32, 64)),
        *(f"{kind}64[{unit}]" for kind in ("datetime", "timedelta") for unit in ("s", "ms", "us", "ns")),
    )
}


def encode_dtype(dtype: Any) -> schema.Dtype:
    """Give a dtype its form in the layout metadata: its name, where that says all."""
    kind = dtype_kind(dtype)
    if kind == "string":
        return schema.StringDtype(dtype.storage, "NA" if dtype.na_value is pd.NA else "nan")
    if kind == "datetimetz":
        return schema.ZonedDtype(dtype.unit, encode_zone(dtype.tz))
    if kind == "interval":
        return schema.IntervalDtype(encode_plain_dtype(dtype.subtype), dtype.closed)
    if kind == "arrow":
        field = pa.schema([pa.field("", dtype.pyarrow_dtype)])
        return schema.ArrowDtype(base64.b64encode(field.serialize()).decode())
    return _name_of(dtype) if isinstance(dtype, np.dtype) else str(dtype)


# NumPy's units of times that pandas rounds to nanoseconds, or takes for so many seconds.
_ROUNDED_UNITS = {"M": ("ps", "fs", "as"), "m": ("ps", "fs", "as", "M", "Y")}


def is_rounded(dtype: np.dtype[Any]) -> bool:
    """Whether pandas makes other times of those of a NumPy dtype, or of one of its fields."""
    if dtype.fields is not None:
        return any(is_rounded(field[0]) for field in dtype.fields.values())
    return dtype.base.kind in "mM" and np.datetime_data(dtype.base)[0] in _ROUNDED_UNITS[dtype.base.kind]


@lru_cache(256)
def _name_of(dtype: np.dtype[Any]) -> str:
    """The name of a NumPy dtype, which NumPy takes 5 us to make."""
    return str(dtype)


def encode_plain_dtype(dtype: Any) -> str | schema.ZonedDtype:
    """Give the dtype of a block, or of an interval's ends, its form in the layout metadata."""
    layout = encode_dtype(dtype)
    assert isinstance(layout, (str, schema.ZonedDtype))
    return layout


def decode_dtype(layout: schema.Dtype) -> Any:
    """Invert `encode_dtype`; CorruptSnapshotError for what it does not make."""
    try:
        return _decoded(layout)
    except MemoryError:
        raise
    except Exception as error:  # pandas and PyArrow fail in many ways
        raise schema.invalid(f"no dtype: {layout!r} ({error})") from error


def _decoded(layout: schema.Dtype) -> Any:
    if isinstance(layout, str):
        return _named(layout)
    if isinstance(layout, schema.StringDtype):
        return _string(layout.storage, layout.na)
    if isinstance(layout, schema.ZonedDtype):
        return _zoned(layout.unit, layout.tz)
    if isinstance(layout, schema.IntervalDtype):
        return pd.IntervalDtype(_decoded(layout.subtype), layout.closed)
    return pd.ArrowDtype(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(layout.schema))).field(0).type)


@lru_cache(256)
def _named(name: str) -> Any:
    # pandas asks all its own dtypes first, which takes 20 us.
    return PLAIN_DTYPES[name] if name in PLAIN_DTYPES else pd.api.types.pandas_dtype(name)


@lru_cache(16)
def _string(storage: str, na: str) -> pd.StringDtype:
    make: Any = pd.StringDtype
    dtype: pd.StringDtype = make(storage, na_value=pd.NA if na == "NA" else np.nan)
    return dtype


@lru_cache(256)
def _zoned(unit: str, tz: str) -> Any:
    make: Any = pd.DatetimeTZDtype
    return make(unit, decode_zone(tz))
