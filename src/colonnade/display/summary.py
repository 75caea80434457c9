"""A summary of an object, for people: a title, facts, tables of texts, remarks.

Does not depend on: what is summarised, HTML, terminals. `base` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from colonnade.display.table import Column


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of texts.

    Attributes
    ----------
    caption : str
        What the table lists, and how much of it is shown.
    columns, rows
        As `table.format_lines` takes them.
    below : sequence of str
        Second headings, in smaller type.
    wide : bool
        Where there is no room, middle columns are left out. Otherwise cells are wrapped.
    folded : bool
        A notebook shows only the caption until it is clicked.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    below: Sequence[str] = ()
    wide: bool = False
    folded: bool = False


@dataclass(slots=True)
class Summary:
    """What is shown of an object. ``lines`` are facts that need no label.

    Every text is plain; it is escaped when it is drawn.
    """

    kind: str
    title: str
    lines: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
