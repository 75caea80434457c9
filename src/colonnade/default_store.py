"""The default store's methods, as functions.

Knows: which store is the default one. Does not depend on: what a method does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from colonnade.core.buffers import trim_pool
from colonnade.snapshot import Snapshot
from colonnade.storage import paths
from colonnade.store import Store, TableInfo

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from colonnade._allocate import DraftTable
    from colonnade._latest import Latest
    from colonnade._watch import Watch
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.usage import Usage


@cache
def _store_of(_named: str | None, _uid: int) -> Store:
    return Store()


def _default() -> Store:
    # Asked at each call, for the environment may change and a process its user; made once for each answer.
    return _store_of(os.environ.get(paths.STORE_VARIABLE), os.getuid())


def put(
    name: str,
    data: Any,
    *,
    keep: int = 1,
    expect_version: int | None = None,
    ttl: float | timedelta | None = None,
) -> Snapshot:
    """Store a table in the default store; see `Store.put`.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/put", pd.DataFrame({"x": [1, 2, 3]})).num_rows
    3
    >>> cn.delete("docs/put")
    """
    return _default().put(name, data, keep=keep, expect_version=expect_version, ttl=ttl)


def share(data: Any) -> Snapshot:
    """Share a table in the default store without a name, while this process holds the Snapshot; see `Store.share`.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd, pickle
    >>> with cn.share(pd.DataFrame({"x": [1, 2, 3]})) as shared:
    ...     len(pickle.dumps(shared)) < 400
    True
    """
    return _default().share(data)


def load(
    name: str,
    source: Any,
    *,
    query: str | None = None,
    format: str | None = None,
    progress: bool = True,
    keep: int = 1,
    expect_version: int | None = None,
    ttl: float | timedelta | None = None,
) -> Snapshot:
    """Store what a file, a folder of files or a database has in the default store; see `Store.load`."""
    options: dict[str, Any] = {"keep": keep, "expect_version": expect_version, "ttl": ttl}
    return _default().load(name, source, query=query, format=format, progress=progress, **options)


def dump(name: str, path: str | os.PathLike[str], *, version: int | None = None, progress: bool = True) -> None:
    """Write a table of the default store to a file; see `Store.dump`."""
    _default().dump(name, path, version=version, progress=progress)


def get(
    name: str,
    *,
    version: int | None = None,
    columns: Iterable[Any] | None = None,
    writable: bool = True,
    validate: Literal["full"] | None = None,
) -> pd.DataFrame:
    """Open a table of the default store as pandas; see `Store.get`.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> snapshot = cn.put("docs/get", pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "c"]}))
    >>> df = cn.get("docs/get", columns=["x"])
    >>> df["x"] += 1                        # private to this frame
    >>> int(df["x"].sum()), int(cn.get("docs/get")["x"].sum())
    (9, 6)
    >>> cn.delete("docs/get")
    """
    return _default().get(name, version=version, columns=columns, writable=writable, validate=validate)


@contextlib.contextmanager
def allocate(
    name: str,
    schema: Mapping[Any, Any],
    rows: int,
    *,
    nulls: bool = True,
    keep: int = 1,
    expect_version: int | None = None,
    ttl: float | timedelta | None = None,
) -> Iterator[DraftTable]:
    """Make a table of the default store to be filled in place; see `Store.allocate`.

    Examples
    --------
    >>> import colonnade as cn
    >>> with cn.allocate("docs/allocate", {"x": "float64", "s": ["a", "b", "c"]}, rows=3) as draft:
    ...     draft["x"][:] = 1.5
    >>> cn.get("docs/allocate")["x"].sum()
    np.float64(4.5)
    >>> cn.delete("docs/allocate")
    """
    options: dict[str, Any] = {"nulls": nulls, "keep": keep, "expect_version": expect_version, "ttl": ttl}
    with _default().allocate(name, schema, rows, **options) as draft:
        yield draft


def open(name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
    """Attach a table of the default store; see `Store.open`."""
    return _default().open(name, version=version, validate=validate)


def sql(query: str, *, params: Any = None, external_access: bool = False) -> duckdb.DuckDBPyRelation:
    """Query tables of the default store by their names, with DuckDB; see `Store.sql`.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/sql", pd.DataFrame({"x": [1, 2, 3]})).close()
    >>> cn.sql('select sum(x) from "docs/sql"').fetchall()
    [(6,)]
    >>> cn.delete("docs/sql")
    """
    return _default().sql(query, params=params, external_access=external_access)


def watch(name: str, *, timeout: float | None = None) -> Watch:
    """Wait for each new version of a table of the default store; see `Store.watch`."""
    return _default().watch(name, timeout=timeout)


def latest(name: str) -> Latest:
    """Have the newest version of a table of the default store at hand; see `Store.latest`."""
    return _default().latest(name)


def exists(name: str) -> bool:
    """Whether the default store has a table of this name."""
    return _default().exists(name)


def ls() -> list[TableInfo]:
    """List the default store's tables; see `Store.ls`."""
    return _default().ls()


def delete(name: str) -> None:
    """Remove a table of the default store; see `Store.delete`."""
    _default().delete(name)


def gc() -> Freed:
    """Clean the default store (see `Store.gc`), and free the memory that `to_pandas` keeps for its next frame."""
    return _default().gc()._replace(memory=trim_pool())


def check() -> list[Problem]:
    """Check the default store; see `Store.check`."""
    return _default().check()


def usage() -> Usage:
    """See what occupies the default store's memory, and who holds it; see `Store.usage`."""
    return _default().usage()
