"""Memory that was looked at, and whether it holds the same bytes now.

Where the kernel can watch memory (`src/core/write_watch.h`), nobody reads it: to look at 528 MB again takes 0.2 ms.
Elsewhere, and for the first and the last bytes of a stretch, which are not whole pages, a hash decides: 528 MB take 25
ms.

One page may belong to several stretches that are watched, and the kernel reports a store to it once. So whoever gets
the report marks all others whose memory overlaps.

Does not depend on: what is in the memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

from colonnade import _core
from colonnade.core.alignment import align

# In bytes: to watch less takes as long as to hash it.
_WATCHED = 256 << 10


class Stretch(NamedTuple):
    """A run of memory."""

    address: int
    size: int

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size

    def bytes(self) -> Any:
        """The memory, as a buffer; whoever owns it must keep it."""
        return (ctypes.c_char * self.size).from_address(self.address)


class Memory:
    """Stretches of memory that were looked at. Not to be used by two threads at once."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._parts = _Seen([], [])
        self._is_overlapped = False
        self.differs(stretches)
        _looked_at.add(self)

    def differs(self, stretches: Sequence[Stretch]) -> bool:
        """Whether these may hold other bytes than those that were looked at last; now they are looked at.

        What is watched must be where it was. What is hashed may have moved.
        """
        state, is_written = _look(stretches)
        if is_written:
            for memory in list(_looked_at):
                if memory is not self and _overlap(memory._parts.watched_parts, state.watched_parts):
                    memory._is_overlapped = True
        differs = is_written or self._is_overlapped or state != self._parts
        self._parts, self._is_overlapped = state, False
        return differs


class _Seen(NamedTuple):
    """What was seen: which pages are watched, and the size and the hash of all other bytes."""

    watched_parts: list[Stretch]
    hashes: list[tuple[int, int]]


_looked_at: WeakSet[Memory] = WeakSet()


def _overlap(some: Sequence[Stretch], others: Sequence[Stretch]) -> bool:
    """Whether two lists of stretches may have a page in common."""
    page = _core.page_size()
    ends = iter(sorted((each.address // page, align(each.end, page) // page) for each in others))
    first, last = next(ends, (0, 0))
    for start, end in sorted((each.address // page, align(each.end, page) // page) for each in some):
        while last <= start:
            first, last = next(ends, (end, end + 1))
        if first < end:
            return True
    return False


def _look(stretches: Iterable[Stretch]) -> tuple[_Seen, bool]:
    """Look at memory: which parts are watched and which are hashed, and whether a watched page was written to."""
    state, is_written = _Seen([], []), False
    for stretch in stretches:
        rest = [stretch]
        pages = _whole_pages(stretch)
        if pages.size >= _WATCHED:
            with contextlib.suppress(OSError):  # memory that cannot be watched
                is_written |= _watch_of_this_process().written(*pages)
                state.watched_parts.append(pages)
                rest = [
                    Stretch(stretch.address, pages.address - stretch.address),
                    Stretch(pages.end, stretch.end - pages.end),
                ]
        state.hashes.extend((each.size, _core.hash_bytes(each.bytes()) if each.size else 0) for each in rest)
    return state, is_written


def _whole_pages(stretch: Stretch) -> Stretch:
    page = _core.page_size()
    start = align(stretch.address, page)
    return Stretch(start, max(stretch.end // page * page - start, 0))


# The watch of this process: a list of one, or none where the kernel has none; None before it was asked for.
_watch: list[_core.WriteWatch] | None = None


def _watch_of_this_process() -> _core.WriteWatch:
    global _watch  # noqa: PLW0603 -- one for the process, which a forked child must not use
    if _watch is None:
        _watch = []
        _watch.append(_core.WriteWatch())
    if not _watch:
        raise OSError("the kernel watches no memory")
    return _watch[0]


def _in_child() -> None:
    global _watch  # noqa: PLW0603 -- as above
    _watch = None
    _looked_at.clear()


os.register_at_fork(after_in_child=_in_child)
