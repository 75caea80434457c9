"""Lets short calls of other libraries finish before the process ends.

Python before 3.14 ends a daemon thread where it asks for the GIL while the interpreter is ending, and unwinds its
frames. PyArrow asks for the GIL in destructors, of readers, writers and streams, and a destructor that is unwound ends
the whole process by SIGABRT. So a thread makes such calls in a block, and the end of the process waits for them.

1. A thread counts itself first and looks then whether the end has begun. The end is marked first, and looks then
   whether anybody is counted. Each step is one step of the interpreter. So the end waits for the thread, or the thread
   sees the end.
2. A thread that sees the end stays where it is, as all threads do in Python 3.14.
3. Nobody waits for more than `LONGEST` seconds: what runs at exit may itself wait for such a thread.

Does not depend on: which calls they are.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time

LONGEST = 0.5  # seconds
_PAUSE = 1e-3


class _Finished:
    """The calls that are to be finished. Any thread enters it by ``with``, also within another one of its calls."""

    __slots__ = ("_calls", "_ends_in", "_given_up")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without calls; also in a forked child, which has none of its parent's other threads."""
        self._calls: list[None] = []
        self._ends_in: int | None = None  # the thread that ends the process
        self._given_up = False

    def __enter__(self) -> None:
        self._calls.append(None)
        if self._ends_in is not None:
            self._stay()

    def __exit__(self, *_: object) -> None:
        if self._calls:  # it forked within the call
            self._calls.pop()

    def _stay(self) -> None:
        if self._given_up or self._ends_in == threading.get_ident():
            return
        self._calls.pop()
        time.sleep(LONGEST)
        self._given_up = True
        self._calls.append(None)

    def end(self) -> None:
        """Let no more calls begin, and wait for those that run."""
        self._ends_in = threading.get_ident()
        deadline = time.monotonic() + LONGEST
        while self._calls and time.monotonic() < deadline:
            time.sleep(_PAUSE)


finished_before_exit = _Finished()

if sys.version_info < (3, 14):
    atexit.register(finished_before_exit.end)
    os.register_at_fork(after_in_child=finished_before_exit.begin)
