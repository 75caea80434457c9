"""How an object gets its forms for people: plain text, Rich, HTML for notebooks.

Does not depend on: what is shown, how it is drawn. The part `display`, which knows both, is above all the classes that
are shown. So they do not import it: the package registers how to load it, and the first form that is asked for does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

_Shown = TypeVar("_Shown", bound=type)


class Renderable(Protocol):
    """A summary that gives plain text and HTML, and that Rich draws."""

    def to_text(self) -> str: ...

    def to_html(self) -> str: ...


_load: Callable[[], Callable[[object], Renderable]]


def register(load: Callable[[], Callable[[object], Renderable]]) -> None:
    """Say how to load the function that makes a summary of an object; ``load`` is called when one is shown."""
    global _load  # noqa: PLW0603 -- set once, by the package
    _load = load


def displayed(cls: _Shown) -> _Shown:
    """Give a class its forms for Rich and for notebooks, ``__rich__`` and ``_repr_html_``."""
    target: Any = cls
    target.__rich__ = _to_rich
    target._repr_html_ = _to_html
    return cls


def to_text(value: object) -> str:
    """Draw the summary of an object as plain text, for a repr of several lines. It needs no Rich."""
    return _load()(value).to_text()


def _to_rich(self: object) -> Renderable:
    return _load()(self)


def _to_html(self: object) -> str:
    return _load()(self).to_html()
