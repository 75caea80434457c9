"""pandas dtypes as JSON, and back.

Knows: pandas' public dtypes.
Does not depend on: memory, files. A dtype is its name, but for the few whose name does not
say all.
"""

from __future__ import annotations

import base64
from datetime import UTC
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.errors import UnsupportedTypeError
from colonnade.interop import pyarrow as pyarrow_internals
from colonnade.rules import family


def encode_dtype(dtype: Any) -> Any:
    """A dtype as a string or a small dictionary."""
    kind = family(dtype)
    if kind == "string":
        return {"string": dtype.storage, "na": "NA" if dtype.na_value is pd.NA else "nan"}
    if kind == "datetimetz":
        # Python has two UTCs, and pandas tells them apart where it compares intervals.
        return {"unit": dtype.unit, "tz": None if dtype.tz is UTC else zone_name(dtype)}
    if kind == "interval":
        return {"interval": encode_dtype(dtype.subtype), "closed": dtype.closed}
    if kind == "arrow":
        schema = pa.schema([pa.field("", dtype.pyarrow_dtype)])
        return {"arrow": base64.b64encode(schema.serialize()).decode()}
    return str(dtype)


def decode_dtype(form: Any) -> Any:
    """Invert `encode_dtype`."""
    if isinstance(form, str):
        return _named(form)
    if "string" in form:
        return pd.StringDtype(form["string"], na_value=pd.NA if form["na"] == "NA" else np.nan)
    if "tz" in form:
        return _zoned(form["unit"], form["tz"])
    if "interval" in form:
        return pd.IntervalDtype(decode_dtype(form["interval"]), form["closed"])
    return pd.ArrowDtype(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(form["arrow"]))).field(0).type)


@lru_cache(256)
def _named(name: str) -> Any:
    return pd.api.types.pandas_dtype(name)


@lru_cache(256)
def _zoned(unit: str, tz: str | None) -> Any:
    make: Any = pd.DatetimeTZDtype
    return make(unit, UTC if tz is None else pyarrow_internals.zone_of_name(tz))


def zone_name(dtype: pd.DatetimeTZDtype) -> str:
    """Arrow's name of a time zone; UnsupportedTypeError where that names another zone, or none."""
    try:
        name = pyarrow_internals.zone_name(dtype.tz)
        same = bool(_zoned(dtype.unit, name) == dtype)
    except (ValueError, pa.ArrowException):
        same = False
    if not same:
        raise UnsupportedTypeError(
            f"the time zone {dtype.tz!r} has no name that Arrow knows; convert it with .tz_convert('Area/City')"
        )
    return name
