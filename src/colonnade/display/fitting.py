"""Texts for people: one line each, of a known width; counts and ages in words.

Does not depend on: Rich, terminals, tables, stores.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

from colonnade.errors import printable

ELLIPSIS = "…"
_WIDEST = 32  # a cell of a terminal's `show`


def one_line(value: Any) -> str:
    """Write a value on one line, without characters that would move a terminal's cursor."""
    if value is None:
        return "null"
    return printable(str(value)).replace("\n", r"\n")


def cell_len(text: str) -> int:
    """Count the cells of a terminal that a text takes: East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def shortened(text: str, room: int = _WIDEST) -> str:
    """Cut a text to a width; an ellipsis stands for what was cut."""
    if cell_len(text) <= room:
        return text
    signs, width = [], 0
    for sign in text:
        width += _cells(sign)
        if width > room - 1:
            break
        signs.append(sign)
    return "".join(signs) + ELLIPSIS


def padded(text: str, width: int, justify: str) -> str:
    """Fill a text with blanks up to a width; ``justify`` is the side where the text goes."""
    blanks = " " * (width - cell_len(text))
    return blanks + text if justify == "right" else text + blanks


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Write a number of things in words."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def format_part(count: int, total: int, noun: str) -> str:
    """Write a part of a number of things, as in "5 of 20 rows"."""
    return counted(total, noun) if count == total else f"{count:,} of {counted(total, noun)}"


_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def format_age(time: datetime) -> str:
    """Write how long ago something was created, in the largest unit."""
    seconds = int((datetime.now(UTC) - time).total_seconds())
    return next((f"{seconds // unit}{name}" for unit, name in _AGES if seconds >= unit), "0s")
