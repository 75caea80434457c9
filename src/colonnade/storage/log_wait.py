"""Tasks wait until growing tables grow: one thread waits for all of them. Threads use `LogReader.wait`.

Does not depend on: what is done with new rows.

A waiter sleeps on two words of the head: the number of rows, and the state, which says that the table was deleted. The
kernel compares both with what the waiter has seen, so no growth is missed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from colonnade import _core
from colonnade.storage.log_head import COMMITTED, STATE
from colonnade.storage.log_reader import LogReader

if TYPE_CHECKING:
    import asyncio

_WORD = 0xFFFF_FFFF
_DAY = 86_400.0
# The kernel takes 128 words at once: two for each table, and the bell.
_MOST_TABLES = 60
_LOOKED_EVERY = 0.005


def _words(reader: LogReader, rows: int) -> list[tuple[_core.SharedWords, int, int]]:
    return [(reader.words, COMMITTED, rows & _WORD), (reader.words, STATE, reader.words.load(STATE) & _WORD)]


async def wait_in_task(reader: LogReader, rows: int, wakers: list[Callable[[], None]]) -> None:
    """The same for a task, until it is cancelled, or what it adds to ``wakers`` meanwhile is called, by any thread."""
    import asyncio  # a program with an event loop has imported it; others save 20 ms

    item = _Item(reader, rows, asyncio.get_running_loop(), asyncio.Event())
    waiting = _waiting
    waiting.add(item)
    wakers.append(item.wake)
    try:
        await item.event.wait()
    finally:
        wakers.remove(item.wake)
        waiting.remove(item)


class _Item(NamedTuple):
    reader: LogReader
    rows: int
    loop: asyncio.AbstractEventLoop
    event: asyncio.Event

    @property
    def is_due(self) -> bool:
        return self.reader.committed != self.rows or self.reader.is_deleted

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self.loop.call_soon_threadsafe(self.event.set)


class _Waiting:
    """All tasks that wait, of all event loops, and the thread that waits for them while there are any."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a task that is collected within the block leaves it from there
        self._bell = _core.Bell()
        self._items: dict[int, _Item] = {}
        self._thread: threading.Thread | None = None

    def add(self, item: _Item) -> None:
        with self._lock:
            self._items[id(item.event)] = item
            if self._thread is None or not self._thread.is_alive():  # an interrupt may have come before its start
                self._thread = threading.Thread(target=self._run, name="colonnade-growth", daemon=True)
                self._thread.start()
        self._bell.ring()

    def remove(self, item: _Item) -> None:
        with self._lock:
            self._items.pop(id(item.event), None)
        self._bell.ring()

    def _run(self) -> None:
        while True:
            rung = self._bell.value
            with self._lock:
                items = list(self._items.values())
                if not items:
                    self._thread = None
                    return
            due = [item for item in items if item.is_due]
            for item in due:
                with self._lock:
                    self._items.pop(id(item.event), None)
                item.wake()
            if due:
                continue
            words = [word for item in items[:_MOST_TABLES] for word in _words(item.reader, item.rows)]
            _core.wait_for_words(words, self._bell, rung, _LOOKED_EVERY if len(items) > _MOST_TABLES else _DAY)


_waiting = _Waiting()


def _in_child() -> None:
    global _waiting  # noqa: PLW0603 -- the thread of the parent is not there
    _waiting = _Waiting()


os.register_at_fork(after_in_child=_in_child)
