"""What commands print: tables fitted to a terminal or complete in a pipe, JSON, errors.

Does not depend on: stores, commands.
"""

from __future__ import annotations

import io
import json
import math
import select
import sys
from collections.abc import Iterable, Sequence
from datetime import date, time
from typing import TYPE_CHECKING, Any

from colonnade.display.table import Column, format_lines, rich_table
from colonnade.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def print_line(text: str = "") -> None:
    """Print a line of the result, without what would move the terminal's cursor: a path may contain it."""
    print(printable(text))  # noqa: T201 -- a command prints its result


def has_reader() -> bool:
    """Whether somebody can still read what is printed: False for a pipe, a socket or a terminal that was closed."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except io.UnsupportedOperation:  # no file of the system
        return True
    return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def print_error(error: Exception) -> None:
    """Print an error to stderr, without what would move the terminal's cursor."""
    # The text of an OSError starts with its number.
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    file = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    print(f"colonnade: {printable(file + message)}", file=sys.stderr)  # noqa: T201 -- the same


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print_line(json.dumps(for_json(value), indent=2, allow_nan=False))


def for_json(value: Any) -> Any:
    """Convert to what JSON can hold: NaN and infinity become null, times ISO 8601, bytes hexadecimal."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): for_json(item) for key, item in value.items()}
        case list() | tuple():
            return [for_json(item) for item in value]
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
    return str(value)


def print_table(columns: Sequence[Column], rows: Iterable[Any]) -> None:
    """Print rows under headings; only a terminal wraps what does not fit."""
    if sys.stdout.isatty():
        terminal = console()
        terminal.print(rich_table(columns, rows, terminal.width))
        return
    for line in format_lines(columns, rows):
        print_line(line)


def console() -> Console:
    """Give a Rich console that prints text as it is."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)
