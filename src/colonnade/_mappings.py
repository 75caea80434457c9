"""Which snapshot a piece of memory belongs to: the mappings that there are in this process.

Does not depend on: what is in a mapping.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from colonnade._reference import Reference


class Source(NamedTuple):
    """A mapping of a snapshot, and which snapshot."""

    mapping: Any
    reference: Reference


# The mappings that there are, by their identity in this process; a mapping that is dropped takes its entry away.
_sources: WeakValueDictionary[tuple[int, Reference], Any] = WeakValueDictionary()


def remember_source(mapping: Any, reference: Reference) -> None:
    """Note which snapshot a new mapping is of."""
    _sources[id(mapping), reference] = mapping


def source_of(address: int) -> Source | None:
    """The snapshot whose mapping an address is in; None where it is in none."""
    for (_, reference), mapping in list(_sources.items()):
        if 0 <= address - mapping.address < len(mapping):
            return Source(mapping, reference)
    return None
