"""Sizes in bytes, as people write and read them.

Does not depend on: what is measured.
"""

from __future__ import annotations

import re

from colonnade.arguments import integer
from colonnade.errors import brief_repr

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def parse_size(text: object, what: str) -> int:
    """Bytes, of a number or a text like ``256MiB`` or ``1.5GiB``; ValueError for anything else."""
    pattern = r"\s*(\d{1,20})(\.\d{1,20})?\s*([KMGT]i?B?|B?)\s*"
    whole = int(text) if isinstance(text, float) and text.is_integer() else integer(text)  # 1e9 is a whole number
    match = re.fullmatch(pattern, text if isinstance(text, str) else str(whole), re.IGNORECASE | re.ASCII)
    number, fraction, unit = match.groups() if match else ("", None, "")
    if not number or (fraction and not unit.upper().rstrip("B")):
        raise ValueError(
            f"{what} is {brief_repr(text)}; it must be a number of bytes, or one with a unit, as in '1.5GiB'"
        )
    power = "BKMGT".index((unit or "B")[0].upper())
    one: int = (1024 if "i" in unit.lower() or len(unit) == 1 else 1000) ** power
    return int(number) * one + round(float(fraction or 0) * one)


def format_size(nbytes: int) -> str:
    """A size in binary units."""
    # No blank inside, so that programs which split a line at blanks get whole cells.
    return next((f"{nbytes / unit:.1f}{name}" for unit, name in _UNITS if nbytes >= unit), f"{nbytes}B")
