"""The memory that Dask counts for a worker: what is private to its process.

Does not depend on: tables.

Dask counts the resident set. Pages of a shared table count for every worker that reads them, though there is one copy
for all: two workers limited to 900 MiB that read one table of 1 GiB are killed again and again (tried). Here pages that
are shared with other processes or with a file do not count. A page of a frame that a task has written to is private,
and counts.

Dask has no setting for this. Two internals are replaced: the method with which a worker reads its memory, and the
callback with which a nanny reads its worker's. Both are checked first: a version of Dask without them is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import psutil

from colonnade.errors import ColonnadeError

_MONITOR = "memory_monitor"


def private_bytes(process: int | None = None) -> int:
    """The bytes of memory that are private to a process; by default to this one."""
    info = psutil.Process(process).memory_info()
    return max(int(info.rss) - int(info.shared), 0)


def count_private_memory(worker: Any) -> None:
    """Let a worker count private memory only: to spill, to pause, and to report it.

    Raises
    ------
    ColonnadeError
        If this version of Dask has other internals.
    """
    monitor: Any = getattr(worker, "monitor", None)
    if not callable(getattr(monitor, "get_process_memory", None)):
        raise _unsupported("Worker.monitor.get_process_memory")
    monitor.get_process_memory = private_bytes


def count_private_memory_of_worker(nanny: Any) -> None:
    """Let a nanny end its worker for private memory only.

    Raises
    ------
    ColonnadeError
        If this version of Dask has other internals.
    """
    callbacks = getattr(nanny, "periodic_callbacks", None)
    manager = getattr(nanny, "memory_manager", None)
    if not isinstance(callbacks, dict) or manager is None or not callable(getattr(manager, _MONITOR, None)):
        raise _unsupported("Nanny.periodic_callbacks")
    callback = callbacks.get(_MONITOR)
    if callback is None:
        return  # it has no limit
    if not hasattr(callback, "callback") or not hasattr(manager, "memory_terminate_fraction"):
        raise _unsupported("Nanny.memory_manager")
    callback.callback = partial(_look, nanny, manager, partial(manager.memory_monitor, nanny))


def _look(nanny: Any, manager: Any, look: Callable[[], None]) -> None:
    """Act as the nanny would, but only if the worker's private memory is above the limit."""
    process = getattr(getattr(nanny, "process", None), "process", None)
    pid = getattr(process, "pid", None)
    if pid is not None:
        try:
            if private_bytes(pid) <= manager.memory_limit * manager.memory_terminate_fraction:
                return
        except psutil.Error:
            return  # it has just ended
    look()


def _unsupported(what: str) -> ColonnadeError:
    return ColonnadeError(
        f"colonnade.dask does not know this version of Dask, distributed {version('distributed')}: it has no {what}. "
        "Install a version that is supported (2026.8), or register Colonnade(count_private_memory=False)"
    )
