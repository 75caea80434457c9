"""The one formatter of tables: columns of texts, as aligned lines, as a Rich table, or fitted into a width.

`ls`, `top`, `usage`, `explain`, summaries and the command line all print their tables by it.

Does not depend on: what the rows are. Only `rich_table` uses Rich.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from colonnade.display.fitting import ELLIPSIS, cell_len, padded, shortened

if TYPE_CHECKING:
    from rich.table import Table

Justify = Literal["left", "right"]
GAP = 2  # blanks between columns
_NARROWEST = 8  # a column of texts, before the headings of numbers are wrapped too


class Column(NamedTuple):
    """A column of a table: its heading, its text of a row, and on which side the texts stand."""

    heading: str
    cell: Callable[[Any], str]
    justify: Justify = "left"


ELIDED = Column(ELLIPSIS, lambda _: ELLIPSIS)


def format_lines(columns: Sequence[Column], rows: Iterable[Any]) -> list[str]:
    """Align rows below their headings, one line each; nothing is cut."""
    texts = [[column.heading for column in columns], *([column.cell(row) for column in columns] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    return [_line(columns, line, widths).rstrip() for line in texts]


def _line(columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(texts, widths, columns, strict=True)
    return (" " * GAP).join(padded(text, width, column.justify) for text, width, column in cells)


def rich_table(columns: Sequence[Column], rows: Iterable[Any], room: int | None = None) -> Table:
    """Give the same table to Rich, which wraps what does not fit; no text is taken for markup.

    In a narrow ``room`` texts are wrapped, in a narrower one the headings of numbers too, but no number.
    """
    from rich.table import Table
    from rich.text import Text

    texts = [[column.cell(row) for column in columns] for row in rows]
    widths = [max(map(cell_len, cells), default=0) for cells in zip(*texts, strict=True)] or [0] * len(columns)
    fixed_widths = _fixed_widths(columns, widths, room)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, width in zip(columns, fixed_widths, strict=True):
        table.add_column(Text(column.heading), justify=column.justify, overflow="fold", width=width)
    for row in texts:
        table.add_row(*map(Text, row))
    return table


def _fixed_widths(columns: Sequence[Column], widths: Sequence[int], room: int | None) -> list[int | None]:
    """Give the widths that Rich may not change: those of numbers, if the room is too narrow for the whole table."""
    whole = [max(width, cell_len(column.heading)) for width, column in zip(widths, columns, strict=True)]
    gaps = GAP * (len(columns) - 1)
    if room is None or sum(whole) + gaps <= room:
        return [None] * len(columns)
    numbers = [column.justify == "right" and width > 0 for column, width in zip(columns, widths, strict=True)]
    least = [width if is_number else _NARROWEST for width, is_number in zip(whole, numbers, strict=True)]
    usable = whole if sum(least) + gaps <= room else widths
    return [width if is_number else None for width, is_number in zip(usable, numbers, strict=True)]


def fit_to_width(columns: Sequence[Column], rows: Sequence[Any], room: int) -> list[Column]:
    """Fit columns into a width: cells are cut; if that is not enough, `ELIDED` stands for the middle columns."""
    short = [with_short_cells(column) for column in columns]
    widths = [max(cell_len(text) for text in [column.heading, *map(column.cell, rows)]) for column in short]
    if sum(widths) + GAP * (len(widths) - 1) <= room:
        return short
    room -= 1  # the ellipsis
    head, tail = 0, len(short)
    while head < tail:
        at = head if head <= len(short) - tail else tail - 1  # one from the left, one from the right, and so on
        room -= widths[at] + GAP
        if room < 0 < head:
            break
        head, tail = (head + 1, tail) if at == head else (head, at)
    return [*short[:head], *([ELIDED] if head < tail else []), *short[tail:]]


def with_short_cells(column: Column, room: int | None = None) -> Column:
    """Cut the cells of a column, to ``room`` or to what `shortened` allows."""
    cut = shortened if room is None else lambda text: shortened(text, room)
    return Column(cut(column.heading), lambda row: cut(column.cell(row)), column.justify)
