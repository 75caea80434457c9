"""Calls that take longer than a client waits for an answer: a thread runs each, and whoever asks again waits on.

Does not depend on: Flight, what is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Generic, NamedTuple, TypeVar

# Whoever asks in the first second of a call gets another one: it may find what was not there when the first one began.
_SHORT = 1.0

_Result = TypeVar("_Result")


class NotYetError(Exception):
    """The call runs on. The client is to ask again, and the service handles it."""


class _Call(NamedTuple, Generic[_Result]):
    """A call that runs, and since when."""

    began: float
    future: Future[_Result]


class LongCalls(Generic[_Result]):
    """The calls that run, by what was asked. All methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[Hashable, list[_Call[_Result]]] = {}  # the oldest one first

    def result(self, question: Hashable, function: Callable[[], _Result], patience: float | None) -> _Result:
        """Call a function, or wait for the oldest call that runs for the same question.

        It gives what the function gives, and raises what it raises.

        Raises
        ------
        NotYetError
            After ``patience`` seconds.
        """
        with self._lock:
            calls = self._calls.get(question)
            if calls is None or time.monotonic() - calls[0].began < _SHORT:
                call = self._begin(question, function)
            else:
                call = calls[0]
        if not wait([call.future], patience).done:
            raise NotYetError
        try:
            return call.future.result()
        finally:
            del call  # an error's traceback leads here, and from here to the error

    def _begin(self, question: Hashable, function: Callable[[], _Result]) -> _Call[_Result]:
        call: _Call[_Result] = _Call(time.monotonic(), Future())
        # A daemon: a process that is told to end does not wait for what nobody will read.
        thread = threading.Thread(target=self._run, args=(question, call, function), name="colonnade-call", daemon=True)
        thread.start()  # it removes the call when the lock is free
        self._calls.setdefault(question, []).append(call)
        return call

    def _run(self, question: Hashable, call: _Call[_Result], function: Callable[[], _Result]) -> None:
        try:
            result = function()
        except BaseException as error:  # it is raised in the threads that wait
            self._end(question, call)
            call.future.set_exception(error)
        else:
            self._end(question, call)
            call.future.set_result(result)
        del call  # an error's traceback leads here, and from here to the error

    def _end(self, question: Hashable, call: _Call[_Result]) -> None:
        with self._lock:
            calls = self._calls[question]
            calls.remove(call)
            if not calls:
                del self._calls[question]
