"""Stores, and the default store's functions. Every method delegates.

Knows: that a put is plan, lay out, write, publish; and that an open is attach. Must not know: how any of these is done.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from colonnade.conversion import trim_pool
from colonnade.errors import ColonnadeError, CorruptSnapshotError, NotFoundError, StoreAccessError
from colonnade.layout.seal import Seal
from colonnade.snapshot import Snapshot
from colonnade.store import check as checking
from colonnade.store import paths
from colonnade.store.catalog import Catalog, Freed
from colonnade.store.check import Problem
from colonnade.store.segment import Draft, Segment, check_room, explain_os_error

if TYPE_CHECKING:
    import pandas as pd

    from colonnade.convert.stored.tables import LaidOut

# Up to here a table is built in memory and written at once: a thousand small writes cost more than one copy.
_SMALL = 1 << 20


class TableInfo(NamedTuple):
    """One line of `Store.ls`; ``nbytes`` is the file's size, ``created`` is in UTC."""

    name: str
    version: int
    rows: int
    columns: int
    nbytes: int
    created: datetime


class Store:
    """A directory of named tables, shared by every process that names it.

    Parameters
    ----------
    path : str or path-like, optional
        The directory, made on the first put. Shared memory (below ``/dev/shm``) or a disk. By default
        ``$COLONNADE_STORE``, else ``/dev/shm/colonnade-<uid>``.
    durable : bool, default False
        Have file and directory on the disk before a put returns. Without it, a power failure may lose the newest
        versions.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> store = Store(tempfile.mkdtemp())
    >>> store.put("prices/eurusd", pd.DataFrame({"bid": [1.08, 1.09]}))
    <colonnade.Snapshot 'prices/eurusd' version 1: 2 rows x 1 columns, ... bytes>
    >>> store.get("prices/eurusd")["bid"].max()
    np.float64(1.09)
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, durable: bool = False) -> None:
        self._is_default = path is None
        root = paths.default_store() if path is None else Path(path)
        self._catalog = Catalog(Path(os.path.abspath(root)), durable=durable)  # noqa: PTH100 -- and follow no link

    @property
    def path(self) -> Path:
        """The directory."""
        return self._catalog.root

    def put(self, name: str, data: Any, *, keep: int = 1, expect_version: int | None = None) -> Snapshot:
        """Store a table under a name, as its next version.

        The columns are copied once, from where they stand into the store, by all processors; the source must not
        change until this returns. Readers of older versions are not disturbed.

        Parameters
        ----------
        name : str
            ``/``-separated parts of ``[A-Za-z0-9._-]``, no part starting with a dot.
        data : pandas DataFrame or Series, or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
            A Series is stored as a frame of one column; a Polars LazyFrame is collected; a stream is read to its end
            first.
        keep : int, default 1
            How many versions keep a name, this one included: ``open(name, version=n)`` finds them.
        expect_version : int, optional
            Store only if the name is at this version (0: does not exist).

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        InvalidNameError, NotATableError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError
            The store is as it was.
        """
        from colonnade.convert.stored.tables import lay_out  # noqa: PLC0415 -- pandas is imported when it is needed
        from colonnade.neighbours.ingest import plan  # noqa: PLC0415 -- the same

        paths.check_name(name)
        if type(keep) is not int or keep < 1:
            raise ValueError(f"keep={keep!r}: it is a whole number from 1, for the newest version is always kept")
        self._prepare()
        if expect_version is not None:
            self._catalog.expect(name, expect_version)  # before any byte moves; it is decided under the lock
        laid = lay_out(plan(data))
        try:
            check_room(self.path, laid.size)
            with Draft(self.path) as draft:
                seal = _write(laid, draft)
                seal = self._catalog.publish(
                    name,
                    draft,
                    seal,
                    lambda final: draft.write(laid.seal_at, final.pack()),
                    keep=keep,
                    expect=expect_version,
                )
                return Snapshot(self.path, name, Segment(paths.current(self.path, name), draft.reopen()), seal)
        except ColonnadeError:
            raise
        except OSError as error:
            raise explain_os_error(error, self.path, f"a table of {laid.size:,} bytes") from error

    def open(self, name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
        """Attach a table: its newest version, or one that ``keep=`` retained. Its size does not matter.

        ``validate="full"`` reads all of it first, for producers that are not trusted; see `Snapshot.validate`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
        """
        if validate not in (None, "full"):
            raise ValueError(f"validate={validate!r}: it is 'full', or None to trust the table's values")
        segment, seal = self._catalog.attach(paths.check_name(name), version)
        snapshot = Snapshot(self.path, name, segment, seal)
        if validate is not None:
            try:
                snapshot.validate()
            except BaseException:
                snapshot.close()
                raise
        return snapshot

    def get(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: Iterable[Any] | None = None,
        writable: bool = True,
        validate: Literal["full"] | None = None,
    ) -> pd.DataFrame:
        """Open a table as pandas: zero-copy, writable, private to this process.

        The same as ``open(name, version=version, validate=validate).to_pandas(columns=columns, writable=writable)``;
        see `Snapshot.to_pandas`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
        """
        with self.open(name, version=version, validate=validate) as snapshot:
            return snapshot.to_pandas(columns=columns, writable=writable)

    def exists(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return self._catalog.current_version(paths.check_name(name)) > 0

    def ls(self) -> list[TableInfo]:
        """List the newest versions, by name. Files that are no snapshots are left out; `check` names them.

        Raises
        ------
        StoreAccessError
            Where the store is a file, or may not be read.
        """
        return sorted(self._infos())

    def _infos(self) -> Iterator[TableInfo]:
        for entry in self._catalog.entries():
            if entry.version is None:
                with (
                    contextlib.suppress(NotFoundError, CorruptSnapshotError, StoreAccessError),
                    self.open(entry.name) as snap,
                ):
                    yield TableInfo(snap.name, snap.version, snap.num_rows, snap.num_columns, snap.nbytes, snap.created)

    def delete(self, name: str) -> None:
        """Remove a table and all its versions. Who has it open keeps it.

        Raises
        ------
        NotFoundError, InvalidNameError
        """
        self._catalog.delete(paths.check_name(name))

    def gc(self) -> Freed:
        """Remove what killed writers left and empty folders. Safe at any time, whatever else runs."""
        return self._catalog.gc()

    def check(self) -> list[Problem]:
        """Look at everything in the store, values included, and list what is not as it should be.

        Reads every byte; an empty list is a clean store.
        """

        def look_inside(entry: paths.Entry) -> None:
            with self.open(entry.name, version=entry.version) as snapshot:
                snapshot.validate()

        return list(checking.check(self.path, look_inside))

    def _prepare(self) -> None:
        self._catalog.prepare()
        # Anybody may make a directory in /dev/shm: one that waits there under our name is not our store.
        if self._is_default and (owner := self.path.stat().st_uid) != os.geteuid():
            raise StoreAccessError(
                errno.EPERM,
                f"{self.path} belongs to user {owner}; set {paths.STORE_VARIABLE} to a directory of your own",
            )

    def __repr__(self) -> str:
        return f"<colonnade.Store {str(self.path)!r}>"


def _write(laid: LaidOut, draft: Draft) -> Seal:
    """Write a table into a draft; the seal still lacks the version."""
    plan = laid.plan
    seal = Seal(0, int.from_bytes(os.urandom(8), "little"), time.time_ns(), plan.rows, len(plan.columns), laid.size)
    if laid.size <= _SMALL:
        memory = np.zeros(laid.size, np.uint8)
        laid.write_to_memory(memory, seal.pack())
        draft.write(0, memory.data)
    else:
        os.ftruncate(draft.fd, laid.size)
        laid.write_to_file(draft.fd, draft.write, seal.pack())
    return seal


@cache
def _store_of(_named: str | None, _uid: int) -> Store:
    return Store()


def _default() -> Store:
    # Asked at each call, for the environment may change and a process its user; made once for each answer.
    return _store_of(os.environ.get(paths.STORE_VARIABLE), os.getuid())


def put(name: str, data: Any, *, keep: int = 1, expect_version: int | None = None) -> Snapshot:
    """Store a table in the default store; see `Store.put`.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/put", pd.DataFrame({"x": [1, 2, 3]})).num_rows
    3
    >>> cn.delete("docs/put")
    """
    return _default().put(name, data, keep=keep, expect_version=expect_version)


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


def open(name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
    """Attach a table of the default store; see `Store.open`."""
    return _default().open(name, version=version, validate=validate)


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
