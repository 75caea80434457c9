"""The summary of an object, chosen by its type, and its forms: plain text, HTML, Rich.

Does not depend on: what a summary says, how a form is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING

from colonnade._names import Tables
from colonnade.display import explanation, html, plain, snapshot, store, usage
from colonnade.display.summary import Summary
from colonnade.explanation import Explanation
from colonnade.snapshot import Snapshot
from colonnade.storage.usage import Usage
from colonnade.store import Store

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType


@singledispatch
def summary_of(value: object) -> Summary:
    """Give the summary of an object of one of the types below.

    Raises
    ------
    TypeError
        For any other object.
    """
    raise TypeError(f"a {type(value).__name__} has no summary")


summary_of.register(Explanation, explanation.summary)
summary_of.register(Snapshot, snapshot.summary)
summary_of.register(Store, store.summary)
summary_of.register(Tables, store.listing)
summary_of.register(Usage, usage.summary)


@dataclass(frozen=True, slots=True)
class Rendering:
    """The forms of a summary; each is drawn when it is asked for."""

    summary: Summary

    def to_text(self) -> str:
        """Draw plain text, for reprs and for terminals without Rich."""
        return "\n".join(plain.draw(self.summary))

    def to_html(self) -> str:
        """Draw HTML, for a notebook."""
        return html.draw(self.summary)

    _repr_html_ = to_html

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from colonnade.display import terminal

        return terminal.draw(self.summary, options.max_width)


def render(value: object) -> Rendering:
    """Make the summary of an object, ready to be drawn."""
    return Rendering(summary_of(value))
