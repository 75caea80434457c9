"""`cache` keeps the frames of a function in the store: one process computes a frame, and all processes read it.

A call looks for its table first. If there is none, or its lifetime is over, it waits until it is alone with this key
(`storage.one_at_a_time`), looks again, and computes. The processes that waited find the table then. If the computing
process is killed, the kernel wakes the next one, which computes. If the function raises, its caller gets the exception
and nothing is stored.

Does not depend on: how arguments become a key, how one process at a time is arranged.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from types import CellType, CodeType, MethodType
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade._argument_key import NoKeyError, full_name, key_of
from colonnade._names import Names
from colonnade.errors import CorruptSnapshotError, NotFoundError, StoreFullError
from colonnade.lifetimes import whole_seconds
from colonnade.log import logger
from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog
from colonnade.storage.one_at_a_time import alone

P = ParamSpec("P")
R = TypeVar("R")

FOLDER = "cache"
_LONGEST = 120  # letters of a function's name in the names of its tables

# What a function may return: the name of its library's type, and how a stored one is opened.
_KINDS: dict[str, Callable[[Snapshot], Any]] = {
    "pandas": lambda snapshot: snapshot.to_pandas(),
    "polars": lambda snapshot: snapshot.to_polars(),
    "pyarrow": lambda snapshot: snapshot.to_arrow(),
    "numpy": lambda snapshot: snapshot.to_numpy(),
}


class CachedFunction(Generic[P, R]):
    """A function whose results are kept in a store; made by `cache`.

    ``__wrapped__`` is the function itself, which keeps nothing.
    """

    __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
        store: Names,
        catalog: Callable[[], Catalog],
        ttl: float | str | timedelta | None,
        ignore: Sequence[str],
    ) -> None:
        if isinstance(function, CachedFunction):
            raise TypeError(f"{function!r} is cached already")
        if not hasattr(function, "__qualname__"):
            raise TypeError(f"{function!r} has no name, and its results need one; cache a function that calls it")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is asynchronous; cache the function that computes, and run it in a thread")
        functools.update_wrapper(self, function)
        self._signature = inspect.signature(function)
        names = [ignore] if isinstance(ignore, str) else list(ignore)
        if unknown := [name for name in names if name not in self._signature.parameters]:
            raise ValueError(f"ignore={names!r}: the function has no parameter {unknown[0]!r}")
        self._store = store
        self._catalog = catalog
        self._ttl = whole_seconds(ttl) or None
        self._ignore = frozenset(names)
        self._folder, self._code = _name_of(function), _code_of(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        key = self._key(args, kwargs)
        name = f"{self._folder}/{key}"
        snapshot = self._find(name)
        if snapshot is None:
            directory = self._catalog().directory
            directory.prepare()
            running, task = _running.tables, (os.fspath(directory.root), name)
            if task in running:
                raise RecursionError(
                    f"{self.__wrapped__!r} calls itself with the same arguments, and would wait for itself"
                )
            try:
                running.add(task)
                with alone(directory, key):
                    snapshot = self._find(name)  # another process may have computed it meanwhile
                    if snapshot is None:
                        return cast(R, self._compute(name, args, kwargs))
            finally:
                running.discard(task)
        return cast(R, self._open(snapshot))

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        call = self._signature.bind(*args, **kwargs)
        call.apply_defaults()
        values = {name: value for name, value in call.arguments.items() if name not in self._ignore}
        return key_of(values, self._folder, self._code)

    def _find(self, name: str) -> Snapshot | None:
        """The stored result; None if there is none, or its time is over, or it is damaged."""
        try:
            snapshot = self._store.open(name)
        except (NotFoundError, CorruptSnapshotError):
            return None
        if snapshot.expires is not None and snapshot.expires <= datetime.now(UTC):
            snapshot.close()
            return None
        return snapshot

    def _open(self, snapshot: Snapshot) -> Any:
        with snapshot:
            return _KINDS[snapshot.meta["returns"]](snapshot)

    def _compute(self, name: str, args: Any, kwargs: Any) -> Any:
        value = self.__wrapped__(*args, **kwargs)
        kind = _kind_of(value)
        if kind is None:
            raise TypeError(
                f"{self.__wrapped__!r} returned a {type(value).__name__}; what is cached is a frame or a Series of "
                "pandas or Polars, a PyArrow table or a NumPy array"
            )
        try:
            snapshot = self._store.put(
                name, value, ttl=self._ttl, meta={"function": self._folder.partition("/")[2], "returns": kind}
            )
        except StoreFullError as error:
            logger.warning("the result of %s was not kept: %s", self._folder, error)
            return value
        return self._open(snapshot)  # the callers that come later get the same

    def clear(self) -> None:
        """Delete all results of this function, also those of earlier forms of it."""
        for name in [table.name for table in self._store.ls(f"{self._folder}/*")]:
            try:
                self._store.delete(name)
            except NotFoundError:
                continue  # another process did

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        return str(self.__wrapped__.__qualname__)  # found by its name, as a function is

    def __repr__(self) -> str:
        return f"<colonnade.cache of {self.__wrapped__!r}>"


class _Running(threading.local):
    """The tables that this thread computes, each with its store: to wait for itself would be for ever."""

    def __init__(self) -> None:
        self.tables: set[tuple[str, str]] = set()


_running = _Running()


def _kind_of(value: Any) -> str | None:
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return "pandas"
    if isinstance(value, pa.Table):
        return "pyarrow"
    if isinstance(value, np.ndarray):
        return "numpy"
    polars = sys.modules.get("polars")
    return "polars" if polars is not None and isinstance(value, (polars.DataFrame, polars.Series)) else None


def _name_of(function: Callable[..., Any]) -> str:
    """The folder of a function's tables."""
    text = re.sub(r"[^A-Za-z0-9_.-]", "-", full_name(function))
    return f"{FOLDER}/{text.lstrip('.')[-_LONGEST:].lstrip('.')}"


def _code_of(function: Callable[..., Any]) -> str:
    """What the function does, as text: changed code has results of its own.

    For a script its file is a part of it; a cell of a notebook has no file, and another file name in every session. Two
    functions that an enclosing function makes have one code, and differ in the values that they take from it.
    """
    inner = inspect.unwrap(function)
    code: CodeType | None = getattr(inner, "__code__", None)
    if code is None:
        return ""
    file = code.co_filename if function.__module__ in ("__main__", "__mp_main__") else ""
    place = os.path.abspath(file) if os.path.isfile(file) else ""  # noqa: PTH100, PTH113 -- links are not followed
    free_variables = _keys_of_enclosed(code.co_freevars, getattr(inner, "__closure__", None) or ())
    return blake2b(f"{place} {_text_of(code)} {free_variables}".encode(), digest_size=16).hexdigest()


def _keys_of_enclosed(names: Sequence[str], cells: Sequence[CellType]) -> list[str]:
    """The keys of the values that a function takes from the one around it, where they have one.

    They are as they are now, so a list that the function itself appends to does not change its key. A connection or a
    function has no key, and is left out.
    """
    keys = []
    for name, cell in zip(names, cells, strict=True):
        with contextlib.suppress(NoKeyError, ValueError):  # a cell without a value yet, as of the function itself
            keys.append(key_of({name: cell.cell_contents}))
    return keys


def _text_of(code: CodeType) -> str:
    constants = [_text_of(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"
