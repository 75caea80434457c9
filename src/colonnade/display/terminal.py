"""A summary in a terminal, drawn by Rich. Imported only when Rich asks for one.

Does not depend on: what is summarised.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from colonnade.display.fitting import one_line
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import Column, fit_to_width, rich_table, with_short_cells

_WIDEST = 24  # a cell of a table that shows all its columns


def draw(summary: Summary, width: int) -> Iterator[RenderableType]:
    """Draw the whole summary, no wider than the terminal."""
    yield Text.assemble((one_line(summary.kind), "dim"), " ", (one_line(summary.title), "bold"))
    yield from map(Text, map(one_line, summary.lines))
    if summary.facts:
        yield _facts(summary.facts, width)
    for remark in summary.remarks:
        yield Text(one_line(remark), style="yellow")
    for listing in summary.listings:
        yield Text()
        yield Group(*_listing(listing, width))


def _facts(facts: dict[str, str], width: int) -> Text:
    """Draw facts in as few lines as there is room for; a fact that fits a line of its own is not broken."""
    lines = [Text()]
    for label, fact in facts.items():
        piece = Text.assemble((one_line(label), "dim"), " ", one_line(fact))
        if lines[-1] and lines[-1].cell_len + 3 + piece.cell_len > width:
            lines.append(Text())
        if lines[-1]:
            lines[-1].append("   ")
        lines[-1].append_text(piece)
    return Text("\n").join(lines)


def _listing(listing: Listing, width: int) -> Iterator[RenderableType]:
    if listing.rows or listing.wide:
        columns = [*map(_on_one_line, listing.columns)]
        if listing.wide:
            columns = fit_to_width(columns, listing.rows, width)
        else:  # the last column has sentences, and is wrapped
            columns[:-1] = [with_short_cells(column, _WIDEST) for column in columns[:-1]]
        yield rich_table(columns, listing.rows)
    yield Text(one_line(listing.caption), style="dim")


def _on_one_line(column: Column) -> Column:
    return Column(one_line(column.heading), lambda row: one_line(column.cell(row)), column.justify)
