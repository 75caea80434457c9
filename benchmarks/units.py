"""Bytes and seconds as people read them: three digits and a unit.

Does not depend on: anything else of this project.
"""

from __future__ import annotations

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
_TIMES = ((1, "s"), (1e-3, "ms"), (1e-6, "us"))


def _in_units(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not value:
        return "0"
    scale, unit = next((row for row in units if abs(value) >= row[0]), units[-1])
    return f"{value / scale:#.3g}".rstrip(".") + f" {unit}"


def format_bytes(value: float) -> str:
    """A number of bytes in three digits."""
    return _in_units(value, _SIZES)


def format_seconds(value: float) -> str:
    """A time in three digits."""
    return _in_units(value, _TIMES)
