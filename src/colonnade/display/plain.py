"""A summary as plain lines of text: the repr of what is longer than a line, wherever Rich is not installed or used.

Does not depend on: Rich, what is summarised.
"""

from __future__ import annotations

from collections.abc import Iterator

from colonnade.display.fitting import one_line
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import Column, format_lines


def draw(summary: Summary) -> Iterator[str]:
    """Write the whole summary; nothing is cut, and no line has characters that move the cursor."""
    yield f"{one_line(summary.kind)} {one_line(summary.title)}"
    yield from map(one_line, summary.lines)
    if summary.facts:
        yield "   ".join(f"{one_line(label)} {one_line(fact)}" for label, fact in summary.facts.items())
    yield from map(one_line, summary.remarks)
    for listing in summary.listings:
        yield ""
        yield from _listing(listing)


def _listing(listing: Listing) -> Iterator[str]:
    if listing.rows or listing.wide:
        yield from format_lines([*map(_on_one_line, listing.columns)], listing.rows)
    yield one_line(listing.caption)


def _on_one_line(column: Column) -> Column:
    return Column(one_line(column.heading), lambda row: one_line(column.cell(row)), column.justify)
