"""A cache of what was planned last: bounded, and for keys that say only in part whether an entry fits.

Does not depend on: what is planned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

# How many entries of one key are kept, and compared one by one.
_ENTRIES_OF_KEY = 8


class Recent(Generic[T]):
    """The entries that were added last. Any number of threads may use it, and signal handlers and forked children.

    An entry is not added while another call adds one: that may be of the same thread, below a signal handler or a
    finalizer, and would be waited for without end. The next call of its kind adds it.

    All entries together have a weight of at most ``most``. An entry with more than half of it is not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, list[tuple[int, T]]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def find(self, key: Hashable, fits: Callable[[T], bool]) -> T | None:
        """The entry of a key that fits; None if there is none."""
        for _, entry in self._entries.get(key, ()):
            if fits(entry):
                return entry
        return None

    def add(self, key: Hashable, entry: T, weight: int) -> None:
        """Add an entry and its weight, and drop the oldest ones."""
        if weight > self._most // 2 or not self._lock.acquire(blocking=False):
            return
        try:
            entries = [(weight, entry), *self._entries.pop(key, ())]
            self._entries[key] = entries[:_ENTRIES_OF_KEY]
            self._weight += weight - sum(each for each, _ in entries[_ENTRIES_OF_KEY:])
            while self._weight > self._most and self._entries:  # an interrupt may have left too large a weight
                _, oldest = self._entries.popitem(last=False)
                self._weight -= sum(each for each, _ in oldest)
        finally:
            self._lock.release()
