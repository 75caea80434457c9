"""A summary: a title, facts, tables of texts, remarks.

Knows: what is on a summary, and who draws it. Does not depend on: what it is about, HTML, terminals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colonnade.display.fitting import Column

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of texts; ``caption`` says what it has, and how much of it is shown.

    ``below`` are second headings, smaller; ``wide``: where there is no room, its middle columns are left out (else its
    cells are wrapped); ``folded``: a notebook shows the caption alone until it is clicked.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    below: Sequence[str] = ()
    wide: bool = False
    folded: bool = False


@dataclass(slots=True)
class Summary:
    """What is shown of an object; ``lines`` are facts that need no word before them.

    Every text is taken as it is: who draws it escapes it.
    """

    kind: str
    title: str
    lines: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def to_html(self) -> str:
        """For a notebook."""
        from colonnade.display.html import draw  # noqa: PLC0415 -- a terminal has no need of it

        return draw(self)

    _repr_html_ = to_html

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from colonnade.display.terminal import draw  # noqa: PLC0415 -- a notebook has no need of it

        return draw(self, options.max_width)
