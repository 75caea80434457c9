"""Plain tables that travel by reference between processes, through the picklers that pools and queues use.

Knows: `multiprocessing`'s and loky's picklers, which tables go by reference.
Does not depend on: files; when a segment that
was sent is removed.

A pickler asks its table of types how to take an object apart. `by_reference` puts the three table types there, and the
types of processes, so that a worker that is started meanwhile begins the same way and its results travel likewise. A
worker that was there before begins with the first frame that it receives. Whatever cannot go by reference, and come
back exactly as it was, is pickled as ever: columns of Python objects, subclasses, what Arrow has no form for, what
there is no room for.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import multiprocessing.process
import multiprocessing.reduction
import pickle
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from colonnade._by_reference import tables
from colonnade.errors import ColonnadeError
from colonnade.sizes import parse_size

if TYPE_CHECKING:
    from colonnade._share import Unnamed
    from colonnade.snapshot import Snapshot

# Measured, through a pipe and read, pickled and by reference, in ms: 256 KiB 0.2 and 1.5, 1 MiB 1.8 and 2.1, 2 MiB
# 4.2 and 2.4, 16 MiB 79 and 6.
MIN_BYTES = 1 << 20

_LOKY = ("joblib.externals.loky.backend", "loky.backend")
_MISSING: Any = object()


class Sending(NamedTuple):
    """How a process sends: through which store, in which process group, from which size on, of which libraries."""

    store: str
    group: str
    min_bytes: int
    libraries: tuple[str, ...]


# The last one is in force.
_sending: list[Sending] = []
# What the picklers' tables held before: (table, type, reducer).
_before: list[tuple[dict[Any, Any], type, Any]] = []


class by_reference:  # noqa: N801 -- a block, as contextlib.suppress is one
    """Let plain tables travel by reference between processes, in a ``with`` block; `install` is for good.

    Frames of pandas and Polars and tables of PyArrow, as arguments and results: through `multiprocessing` (Pool,
    Process, Queue, Pipe), `concurrent.futures.ProcessPoolExecutor` and joblib (loky). Each is stored once by whoever
    sends it, and mapped by whoever receives it, which may write to its frame. Nothing else changes: what cannot be sent
    so, and given back exactly as it was, is pickled as ever.

    Pickled bytes are then good for one receiver. To give one frame to many tasks, `share` it.

    Parameters
    ----------
    min_bytes : int or str, default 1 MiB
        Smaller tables are pickled.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> from concurrent.futures import ProcessPoolExecutor
    >>> df = pd.DataFrame({"x": range(1_000_000)})
    >>> with cn.by_reference(min_bytes="1MiB"), ProcessPoolExecutor(1) as pool:
    ...     int(pool.submit(pd.DataFrame.sum, df).result()["x"])
    499999500000
    """

    def __init__(self, min_bytes: int | str = MIN_BYTES) -> None:
        self._min_bytes = parse_size(min_bytes, "min_bytes")
        self._begun: list[Sending] = []

    def __enter__(self) -> by_reference:
        self._begun.append(_begin_here(self._min_bytes))
        return self

    def __exit__(self, *_: object) -> None:
        ended = self._begun.pop()
        at = max(index for index, sending in enumerate(_sending) if sending is ended)
        del _sending[at]
        if not _sending:
            _unregister()

    @staticmethod
    def install(min_bytes: int | str = MIN_BYTES) -> None:
        """Let tables travel by reference from now on, and in the workers that this process starts.

        To be called after joblib and Polars are imported, where they are used, and in the parent of a pool.

        Raises
        ------
        ValueError, StoreAccessError
        """
        _begin_here(parse_size(min_bytes, "min_bytes"))


def _begin_here(min_bytes: int) -> Sending:
    from colonnade.store import Store  # noqa: PLC0415 -- api imports what this needs

    if _sending:  # a worker's results go to its parent's process group
        store, group = _sending[-1][:2]
    else:
        store = str(Store().path)
        group = Store(store)._sharing().begin_process_group()
    return _begin(Sending(store, group, min_bytes, tables.imported()))


def _begin(sending: Sending) -> Sending:
    _sending.append(sending)
    for name in sending.libraries:
        import_module(name)
    reducers = dict.fromkeys(tables.types(), _reduce_table)
    for table, processes in _picklers():
        for kind, reduce in [*reducers.items(), *((process, _reduce_process) for process in processes)]:
            if table.get(kind) is not reduce:
                _before.append((table, kind, table.get(kind, _MISSING)))
                table[kind] = reduce
    return sending


def _unregister() -> None:
    while _before:
        table, kind, reduce = _before.pop()
        if reduce is _MISSING:
            table.pop(kind, None)
        else:
            table[kind] = reduce


def _picklers() -> Iterator[tuple[dict[Any, Any], list[type]]]:
    """The picklers' own tables, of those that are imported, and the processes that each starts."""
    contexts: Any = multiprocessing.context
    pickler: Any = multiprocessing.reduction.ForkingPickler
    yield pickler._extra_reducers, [contexts.Process, contexts.SpawnProcess, contexts.ForkServerProcess]
    for package in _LOKY:
        reduction, process = (sys.modules.get(f"{package}.{name}") for name in ("reduction", "process"))
        if reduction is not None and process is not None:
            yield reduction._dispatch_table, [process.LokyProcess, process.LokyInitMainProcess]


# -- the sender's side -------------------------------------------------------------------------------------------------


def _reduce_table(table: Any) -> Any:
    sending = _sending[-1] if _sending else None
    if sending is not None:
        kind = tables.kind_of(table)
        if kind.nbytes(table) >= sending.min_bytes:
            try:
                sent = _send(sending, kind, table)
            except (ColonnadeError, OSError):
                sent = None  # no form for it, no room, no store: nothing of it is left, and it is pickled
            if sent is not None:
                return sent
    return table.__reduce_ex__(pickle.DEFAULT_PROTOCOL)


def _send(sending: Sending, kind: tables.Kind, table: Any) -> Any:
    from colonnade.format.write.plan import plan  # noqa: PLC0415 -- the same
    from colonnade.format.write.table import lay_out  # noqa: PLC0415 -- the same
    from colonnade.store import Store  # noqa: PLC0415 -- api imports what this needs

    if not kind.may_travel(table):
        return None
    planned = plan(table)
    exactly = kind.way_back(table, planned)
    if exactly is None:
        return None
    laid = lay_out(planned)
    sharing = Store(sending.store)._sharing()
    if not sharing.has_room(laid.size):
        return None
    return _receive, (sharing.send(laid, sending.group), kind.name, exactly, sending)


def _reduce_process(process: Any) -> Any:
    make, arguments, *rest = process.__reduce_ex__(2)
    if not _sending:
        return make, arguments, *rest
    return _make_process, (_sending[-1], make, arguments), *rest


# -- the receiver's side -----------------------------------------------------------------------------------------------


def _make_process(sending: Sending, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    _begin_as_child(sending)
    return make(*arguments)


def _begin_as_child(sending: Sending) -> None:
    from colonnade.store import Store  # noqa: PLC0415 -- api imports what this needs

    Store(sending.store)._sharing().join_process_group(sending.group)
    _begin(sending)


def _receive(reference: Unnamed, name: str, exactly: Any, sending: Sending) -> Any:
    if not _sending and multiprocessing.parent_process() is not None:
        _begin_as_child(sending)  # a worker that was started before its parent began

    def read(snapshot: Snapshot) -> Any:
        return tables.KINDS[name].read(snapshot, exactly)

    return reference.sharing().receive(reference, read)
