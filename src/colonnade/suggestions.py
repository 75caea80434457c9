"""What an error about a name that is not there shows: the nearest names, and some of those that are.

Does not depend on: what is named.
"""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 20
# `difflib` compares each pair of letters: 10,000 names take 0.3 s, and a typing mistake is found among fewer.
_MOST = 5_000


def listed(name: object, options: Iterable[object], empty: str = "there are none") -> str:
    """Say ``did you mean 'delay'? There are: ...``, without the question where nothing is near."""
    options = list(options)
    if not options:
        return empty
    names = ", ".join(map(repr, options[:_SHOWN])) + (", ..." if len(options) > _SHOWN else "")
    near = _near(name, options)
    return f"did you mean {near}? There are: {names}" if near else f"there are: {names}"


def _near(label: object, names: list[object]) -> str:
    """The nearest names, as in ``'delay' or 'delta'``; empty where none is near."""
    if not isinstance(label, str):
        label = str(label)  # the label 1 for '1', and the other way round
    try:
        import difflib  # only an error needs it
    except ImportError:  # a process that gave its rights up may not read the library; its error is another one
        return ""
    texts: dict[str, object] = {}
    for name in names[:_MOST]:
        texts.setdefault(str(name).lower(), name)
    near = difflib.get_close_matches(label.lower(), texts, n=3, cutoff=0.6)
    # Suggest names whose last part is the same: 'nyc/flights' for 'flights'.
    near = near or [text for text in texts if text.rpartition("/")[2] == label.lower().rpartition("/")[2]][:3]
    return " or ".join(repr(texts[text]) for text in near)
