"""Which snapshot a piece of memory belongs to: the mappings that there are in this process.

Does not depend on: what is in a mapping.
"""

from typing import Any, NamedTuple
from weakref import ref

from colonnade._reference import Reference


class Source(NamedTuple):
    """A mapping of a snapshot, and which snapshot."""

    mapping: Any
    reference: Reference


# The mappings of this process, by identity. Those that are gone are removed when there are many, not by a callback of a
# weakref. A destructor of PyArrow may drop a mapping. If Python ended the thread in a callback there, the process would
# abort.
_sources: dict[tuple[int, Reference], ref[Any]] = {}
_FEW = 64
_most = _FEW


def remember_source(mapping: Any, reference: Reference) -> None:
    """Note which snapshot a new mapping is of."""
    global _most  # noqa: PLW0603 -- one limit for the whole process
    if len(_sources) >= _most:
        for key, reference_to_mapping in list(_sources.items()):
            if reference_to_mapping() is None and _sources.get(key) is reference_to_mapping:
                _sources.pop(key, None)
        _most = max(2 * len(_sources), _FEW)
    _sources[id(mapping), reference] = ref(mapping)


def source_of(address: int) -> Source | None:
    """The snapshot whose mapping an address is in; None where it is in none."""
    for (_, reference), reference_to_mapping in list(_sources.items()):
        mapping = reference_to_mapping()
        if mapping is not None and 0 <= address - mapping.address < len(mapping):
            return Source(mapping, reference)
    return None
