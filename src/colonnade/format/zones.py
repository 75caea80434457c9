"""Time zones as text, so that a reader gets the zone of the same library: pandas distinguishes them in some places.

Arrow's name says which zone it is, but not whether it is one of ``zoneinfo``, pytz or dateutil, and Python itself has
two of UTC. The text is Arrow's name for ``zoneinfo`` and for fixed offsets of ``datetime.timezone``; for the others the
library stands before it: ``datetime:UTC``, ``pytz:Europe/Paris``, ``dateutil:Europe/Paris``.
Does not depend on: dtypes, memory, files.
"""

from __future__ import annotations

import importlib
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any

import pyarrow as pa

from colonnade.errors import UnsupportedTypeError

_UTC = "datetime:UTC"


def encode_zone(zone: tzinfo) -> str:
    """A time zone as text.

    Raises
    ------
    UnsupportedTypeError
        If Arrow has no name for it, or one that means another zone.
    """
    if zone is UTC:
        return _UTC
    from colonnade.interop import pyarrow as pyarrow_internals

    try:
        name = pyarrow_internals.zone_name(zone)
        library = type(zone).__module__.partition(".")[0]
        text = f"{library}:{name}" if library in _LIBRARIES else name
        copy = decode_zone(text)
        # pytz has an object for each offset of a zone, and all have the zone's name.
        same = str(copy) == str(zone) and (type(copy) is type(zone) or library == "pytz")
    except (ValueError, LookupError, OSError, pa.ArrowException):
        same = False
    if not same:
        raise UnsupportedTypeError(
            f"the time zone {zone!r} has no name that Arrow knows; convert it with .tz_convert('Area/City')"
        )
    return text


def arrow_zone(zone: tzinfo) -> str:
    """Arrow's name of a time zone that `encode_zone` takes; UnsupportedTypeError for others."""
    from colonnade.interop import pyarrow as pyarrow_internals

    encode_zone(zone)
    return pyarrow_internals.zone_name(zone)


@lru_cache(256)
def decode_zone(text: str) -> tzinfo:
    """Invert `encode_zone`. Where the library is not installed, the zone of ``zoneinfo``, which is equal to pandas.

    Raises
    ------
    ValueError, LookupError, pyarrow.ArrowException
        If there is no such zone.
    """
    if text == _UTC:
        return UTC
    from colonnade.interop import pyarrow as pyarrow_internals

    library, _, name = text.partition(":")
    if library not in _LIBRARIES:
        return pyarrow_internals.zone_of_name(text)
    try:
        return _LIBRARIES[library](name)
    except ImportError:
        return pyarrow_internals.zone_of_name(name)


def _pytz(name: str) -> tzinfo:
    pytz: Any = importlib.import_module("pytz")
    if name[0] in "+-":
        minutes = int(name[1:3]) * 60 + int(name[4:6])
        return pytz.FixedOffset(-minutes if name[0] == "-" else minutes)
    return pytz.timezone(name)


def _dateutil(name: str) -> tzinfo:
    tz: Any = importlib.import_module("dateutil.tz")
    zone: tzinfo | None = tz.UTC if name == "UTC" else tz.gettz(name)
    if zone is None:
        raise ValueError(f"dateutil knows no time zone {name!r}")
    return zone


_LIBRARIES = {"pytz": _pytz, "dateutil": _dateutil}
