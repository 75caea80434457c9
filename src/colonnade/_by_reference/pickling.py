"""Plain tables by reference between processes, through the picklers that pools and queues use.

A pickler looks up in its table of types how to take an object apart. `by_reference` registers the three table types
there. It registers the types of processes too, so that new workers do the same and their results come back by
reference. A worker that exists already begins with the first frame that it receives. A table that would not come back
exactly as it was is pickled as usual: columns of Python objects, subclasses, data without an Arrow form. So is a table
for which there is no room.

If pickling fails after a table was written (another argument cannot be pickled), no process will receive it. So `dump`
of the picklers is wrapped, and removes what a failed call has written.

Does not depend on: files, when a segment in flight is removed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import multiprocessing.reduction
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from colonnade import _share
from colonnade._by_reference import remembered, tables
from colonnade._put import Writer
from colonnade._reference import Reference
from colonnade.errors import ColonnadeError
from colonnade.log import logger
from colonnade.sizes import parse_size
from colonnade.snapshot import Snapshot
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog

# Measured, through a pipe and read, pickled and by reference, in ms: 256 KiB 0.2 and 1.5, 1 MiB 1.8 and 2.1, 2 MiB
# 4.2 and 2.4, 16 MiB 79 and 6.
MIN_BYTES = 1 << 20

_LOKY = ("joblib.externals.loky.backend", "loky.backend")
_MISSING: Any = object()


class Sending(NamedTuple):
    """How a process sends: the store, the process group, the smallest size, and the libraries whose tables go so."""

    store: str
    group: str
    min_bytes: int
    libraries: tuple[str, ...]


# The last one is in force.
_sending: list[Sending] = []
# What was replaced, and the call that puts it back.
_undo: list[Callable[[], None]] = []


class by_reference:  # noqa: N801 -- a block, as contextlib.suppress is one
    """Pass plain tables between processes by reference, in a ``with`` block; `install` is permanent.

    This holds for frames of pandas and Polars and tables of PyArrow, as arguments and results, through
    `multiprocessing` (Pool, Process, Queue, Pipe), `concurrent.futures.ProcessPoolExecutor` and joblib (loky). The
    sender stores each table once; the receiver maps it, and may write to its frame. Nothing else changes: a table that
    cannot be sent so and come back exactly as it was is pickled as usual.

    Each pickle of a table can then be received once. To give one frame to many tasks, `share` it.

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
        self._sendings: list[Sending] = []

    def __enter__(self) -> by_reference:
        self._sendings.append(_begin_here(self._min_bytes))
        return self

    def __exit__(self, *_: object) -> None:
        sending = self._sendings.pop()
        position = max(at for at, other in enumerate(_sending) if other is sending)
        del _sending[position]
        if not _sending:
            _unregister()

    @staticmethod
    def install(min_bytes: int | str = MIN_BYTES) -> None:
        """Pass tables by reference from now on, and in the workers that this process starts.

        Call it after joblib and Polars are imported, if they are used, and in the parent of a pool.

        Parameters
        ----------
        min_bytes : int or str, default 1 MiB
            Smaller tables are pickled.

        Raises
        ------
        ValueError
            If ``min_bytes`` is not a size.
        StoreAccessError
            If the default store cannot be used.

        Examples
        --------
        >>> import colonnade as cn
        >>> cn.by_reference.install(min_bytes="16MiB")  # doctest: +SKIP
        """
        _begin_here(parse_size(min_bytes, "min_bytes"))


def _begin_here(min_bytes: int) -> Sending:
    if _sending:  # the results of a worker go to its parent's group
        store, group = _sending[-1][:2]
    else:
        store = os.path.abspath(paths.default_store())  # noqa: PTH100 -- links are not followed
        group = _share.begin_group(_writer(store))
    return _begin(Sending(store, group, min_bytes, tables.imported()))


def _writer(store: str) -> Writer:
    return Writer(Catalog.at(store, os.geteuid()))


def _begin(sending: Sending) -> Sending:
    _sending.append(sending)
    for name in sending.libraries:
        import_module(name)
    reducers = dict.fromkeys(tables.types(), _reduce_table)
    for pickler in _picklers():
        for kind, reduce in [*reducers.items(), *((process, _reduce_process) for process in pickler.processes)]:
            if pickler.reducers.get(kind) is not reduce:
                _replace_reducer(pickler.reducers, kind, reduce)
        dump = getattr(pickler.owner, "dump")  # noqa: B009 -- of a class here, of a module there
        if not hasattr(dump, "removes_what_failed"):
            _undo.append(_Restore(pickler.owner, vars(pickler.owner).get("dump", _MISSING)).undo)
            pickler.owner.dump = _remove_on_failure(dump)
    return sending


def _replace_reducer(reducers: dict[Any, Any], kind: type, reduce: Callable[[Any], Any]) -> None:
    before = reducers.get(kind, _MISSING)
    reducers[kind] = reduce
    _undo.append(partial(_put_back, reducers, kind, before))


def _put_back(reducers: dict[Any, Any], kind: type, before: Any) -> None:
    if before is _MISSING:
        reducers.pop(kind, None)
    else:
        reducers[kind] = before


class _Restore(NamedTuple):
    """Puts back the ``dump`` of a class or module, or removes it if there was none."""

    owner: Any
    dump: Any

    def undo(self) -> None:
        if self.dump is _MISSING:
            del self.owner.dump
        else:
            self.owner.dump = self.dump


def _unregister() -> None:
    while _undo:
        _undo.pop()()
    remembered.forget()


class _Pickler(NamedTuple):
    """A pickler that is imported: its table of types, the types of its processes, and the owner of its ``dump``."""

    reducers: dict[Any, Any]
    processes: list[type]
    owner: Any


def _picklers() -> Iterator[_Pickler]:
    contexts: Any = multiprocessing.context
    pickler: Any = multiprocessing.reduction.ForkingPickler
    processes = [contexts.Process, contexts.SpawnProcess, contexts.ForkServerProcess]
    yield _Pickler(pickler._extra_reducers, processes, pickler)
    for package in _LOKY:
        reduction, process = (sys.modules.get(f"{package}.{name}") for name in ("reduction", "process"))
        if reduction is not None and process is not None:
            processes = [process.LokyProcess, process.LokyInitMainProcess]
            yield _Pickler(reduction._dispatch_table, processes, reduction)


# -- the sender's side -------------------------------------------------------------------------------------------------


class _Written(threading.local):
    """What the calls of ``dump`` that run in this thread have written; the innermost call is the last."""

    def __init__(self) -> None:
        self.calls: list[list[Reference]] = []


_written_tables = _Written()


def _remove_on_failure(dump: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a pickler's ``dump``: if it raises, remove the segments that it has written."""

    def wrapped(*args: Any, **options: Any) -> Any:
        references: list[Reference] = []
        _written_tables.calls.append(references)
        try:
            value = dump(*args, **options)
        except BaseException:
            for reference in references:
                with contextlib.suppress(ColonnadeError, OSError):
                    _share.withdraw(reference, spare=True)
            raise
        finally:
            _written_tables.calls.pop()
        if _written_tables.calls:  # a pickle in a pickle, which may still fail
            _written_tables.calls[-1].extend(references)
        return value

    wrapped.removes_what_failed = True  # type: ignore[attr-defined]  # functions may have attributes
    return wrapped


def _reduce_table(table: Any) -> Any:
    sending = _sending[-1] if _sending else None
    if sending is not None:
        kind = tables.kind_of(table)
        if kind.nbytes(table) >= sending.min_bytes:
            try:
                message = _send(sending, kind, table)
            except (ColonnadeError, OSError) as error:
                message = None  # no Arrow form, no room, no store: nothing of it is left, and it is pickled
                logger.debug("a %s is pickled, not sent by reference: %s", kind.name, error)
            if message is not None:
                return message
    return table.__reduce_ex__(pickle.DEFAULT_PROTOCOL)


def _send(sending: Sending, kind: tables.Kind, table: Any) -> Any:
    if not kind.may_go(table):
        return None
    message = remembered.send(_writer(sending.store), sending.group, kind, table)
    if message is None:
        return None
    reference, way_back = message
    if _written_tables.calls:
        _written_tables.calls[-1].append(reference)
    return _receive, (reference, kind.name, way_back, sending)


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
    _share.join_group(_writer(sending.store), sending.group)
    _begin(sending)


def _receive(reference: Reference, name: str, way_back: Any, sending: Sending) -> Any:
    if not _sending and multiprocessing.parent_process() is not None:
        _begin_as_child(sending)  # a worker that was started before its parent began

    def read(snapshot: Snapshot) -> Any:
        return tables.KINDS[name].read(snapshot, way_back)

    return _share.receive(reference, read)
