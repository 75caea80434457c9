"""What people see in a terminal: tables fitted to it or complete in a pipe, JSON, one-line errors.

Knows: terminals. Does not depend on: stores, commands.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Justify = Literal["left", "right"]


class Column(NamedTuple):
    """A column of a printed table: its heading, what it has of a row, and on which side that stands."""

    heading: str
    cell: Callable[[Any], str]
    justify: Justify = "left"


GAP = 2  # blanks between columns
ELIDED = Column("…", lambda _: "…")
_WIDEST = 32  # a cell of a terminal's `show`


def print_line(text: str = "") -> None:
    """Print a line of the result."""
    print(text)  # noqa: T201 -- that is what a command is for


def complain(error: Exception) -> None:
    """Print an error as one line (or as many as its message has) to stderr."""
    # An OSError's own text starts with its number.
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    named = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    lines = f"colonnade: {named}{said}".split("\n")  # a message may list columns below each other
    print("\n".join(map(one_line, lines)), file=sys.stderr)  # noqa: T201 -- the same


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print_line(json.dumps(_for_json(value), indent=2, allow_nan=False))


def _for_json(value: Any) -> Any:
    """What JSON can hold of a value: NaN and infinity are null, times are ISO 8601, bytes are hexadecimal."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _for_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_for_json(item) for item in value]
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
    return str(value)


def print_table(columns: Sequence[Column], rows: Iterable[Any]) -> None:
    """Print rows under headings; only a terminal wraps what does not fit."""
    if not sys.stdout.isatty():
        cells = [[column.cell(row) for column in columns] for row in rows]
        _print_plain(columns, [[column.heading for column in columns], *cells])
        return
    console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[Column], rows: Iterable[Any]) -> Table:
    """The rows under headings, for any Rich console: no text is taken for markup."""
    from rich.table import Table  # noqa: PLC0415 -- not for a pipe
    from rich.text import Text  # noqa: PLC0415 -- the same

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column.heading), justify=column.justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.cell(row)) for column in columns))
    return table


def console() -> Console:
    """A Rich console that takes text as it is."""
    from rich.console import Console  # noqa: PLC0415 -- not for a pipe

    return Console(markup=False, highlight=False, emoji=False)


def _print_plain(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len  # noqa: PLC0415 -- not for --help and --json

    widths = [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]
    for line in lines:
        padded = []
        for column, text, width in zip(columns, line, widths, strict=True):
            blanks = " " * (width - cell_len(text))
            padded.append(text + blanks if column.justify == "left" else blanks + text)
        print_line((" " * GAP).join(padded).rstrip())


def fit_to_width(columns: Sequence[Column], rows: Sequence[Any], room: int) -> list[Column]:
    """Fit columns into a width: cells shortened, and `ELIDED` in place of the middle ones if there is no room."""
    from rich.cells import cell_len  # noqa: PLC0415 -- not for a pipe

    short = [with_short_cells(column) for column in columns]
    widths = [max(cell_len(text) for text in [column.heading, *map(column.cell, rows)]) for column in short]
    if sum(widths) + GAP * (len(widths) - 1) <= room:
        return short
    room -= 1  # the ellipsis
    head, tail = 0, len(short)
    while head < tail:
        at = head if head <= len(short) - tail else tail - 1  # in turn, from the left and from the right
        room -= widths[at] + GAP
        if room < 0 < head:
            break
        head, tail = (head + 1, tail) if at == head else (head, at)
    return [*short[:head], *([ELIDED] if head < tail else []), *short[tail:]]


def with_short_cells(column: Column, room: int = _WIDEST) -> Column:
    """The column, and no cell of it is wider than ``room``."""
    heading, cell, justify = column
    return Column(shortened(heading, room), lambda row: shortened(cell(row), room), justify)


def shortened(text: str, room: int = _WIDEST) -> str:
    """A text that is no wider than ``room``."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 -- not for a pipe

    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"


def one_line(value: Any) -> str:
    """A value on one line, and without what would move a terminal's cursor."""
    if value is None:
        return "null"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(value))


def counted(count: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_part(shown: int, total: int) -> str:
    """How many of how many."""
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,}"


_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def format_age(created: datetime) -> str:
    """How long ago something was made, in its largest unit."""
    seconds = int((datetime.now(UTC) - created).total_seconds())
    return next((f"{seconds // unit}{name}" for unit, name in _AGES if seconds >= unit), "0s")
