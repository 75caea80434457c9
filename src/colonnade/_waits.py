"""What `watch` and `follow` share: one thread or task waits in them, and any other thread or task may end the wait.

Does not depend on: what is waited for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NoReturn, Self

from colonnade import _core


class Waits(ABC):
    """An iterator that waits, for ``for`` and ``async for``; a context manager that closes it.

    The subclass sets ``_waiting`` while it waits, and resets it in a ``finally``. A context manager would not do: an
    interrupt at the start of its ``__exit__`` would leave the flag set for ever.
    """

    _kind: str  # the word for it in messages

    def __init__(self, name: str) -> None:
        self.name = name
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._waiting = False
        self._bell = _core.Bell()
        self._wakers: list[Callable[[], None]] = []  # of the task that waits

    def _check_alone(self) -> None:
        """Raise RuntimeError if another thread or task of this process waits; a forked child begins anew."""
        if self._process != os.getpid():
            self._begin()
        if self._waiting:
            raise RuntimeError(
                f"this {self._kind} of {self.name!r} is being waited for already; make one for each thread or task"
            )

    def _end_waits(self) -> None:
        self._bell.ring()
        for wake in list(self._wakers):
            wake()

    @abstractmethod
    def close(self) -> None:
        """End the loop that waits for it, from any thread, task or signal handler."""

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"this {self._kind} of {self.name!r} belongs to its process: it can be neither pickled nor copied. "
            "Let each process make its own"
        )
