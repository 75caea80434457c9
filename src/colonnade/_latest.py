"""A cached handle to the newest version of a table, for callers that ask often while new versions are rare.

Why one ``stat`` is enough: the snapshot is held open, so its inode is neither freed nor written again, and no other
file has its number. If the name still leads to that number, nothing was put. Times and sizes do not matter.

Does not depend on: how a snapshot is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from colonnade.errors import NotFoundError
from colonnade.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd


class _Opened:
    """A snapshot, where its file is, and its frame once somebody asked for it."""

    def __init__(self, snapshot: Snapshot) -> None:
        stat = os.fstat(snapshot.fileno())
        self.snapshot = snapshot
        self.inode = stat.st_dev, stat.st_ino
        self.frame: pd.DataFrame | None = None


class Latest:
    """The newest version of a table; made by `Store.latest`.

    Each access looks where the name leads, and opens the table if it is new; if it is not, that takes a few
    microseconds. All threads may ask, and forked children too. The handle holds one version and one descriptor: the
    last one it was asked for, until it is asked again after the next put, or is collected.

    If the table is deleted, the handle keeps the last version until there is a newer one, so that a server can go on
    meanwhile. A table that is put again, from version 1, is picked up like any other.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/latest", pd.DataFrame({"n": [1]})).close()
    >>> table = cn.latest("docs/latest")
    >>> table.frame is table.frame
    True
    >>> cn.put("docs/latest", pd.DataFrame({"n": [2]})).close()
    >>> int(table.frame["n"].sum()), table.snapshot.version
    (2, 2)
    >>> cn.delete("docs/latest")
    """

    def __init__(self, name: str, path: Path, attach: Callable[[], Snapshot]) -> None:
        self.name = name
        self._path = os.fspath(path)
        self._attach = attach
        self._opened: _Opened | None = None
        self._lock = RLock()
        self._process = os.getpid()

    @property
    def snapshot(self) -> Snapshot:
        """The newest version; the same object until there is a newer one.

        Raises
        ------
        NotFoundError
            If the handle has found no such table yet.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.
        """
        return self._newest().snapshot

    @property
    def frame(self) -> pd.DataFrame:
        """The newest version as pandas: one frame for all callers, so its arrays are read-only.

        For a frame to write to, use ``latest.snapshot.to_pandas()``. Raises the same errors as `snapshot`.
        """
        opened = self._newest()
        if opened.frame is None:
            with self._alone():
                if opened.frame is None:
                    opened.frame = opened.snapshot.to_pandas(writable=False)
        return opened.frame

    def locate(self, keys: Any) -> Any:
        """Find rows of the newest version by key; see `Snapshot.locate`."""
        return self.snapshot.locate(keys)

    def rows(self, keys: Any) -> pd.DataFrame:
        """All rows of some keys in the newest version; see `Snapshot.rows`."""
        return self.snapshot.rows(keys)

    def _newest(self) -> _Opened:
        opened = self._opened
        if opened is not None and self._is_newest(opened):
            return opened
        with self._alone():  # so many threads open it once, and none goes back to an older one
            opened = self._opened
            if opened is not None and self._is_newest(opened):
                return opened
            try:
                self._opened = newer = _Opened(self._attach())
            except NotFoundError:
                if opened is None or opened.snapshot.closed:
                    raise
                return opened  # deleted in this instant
            return newer

    def _is_newest(self, opened: _Opened) -> bool:
        """Whether the name leads to it, or to nothing. If the caller has closed it, it is opened again."""
        if opened.snapshot.closed:
            return False
        try:
            stat = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116 -- Path.stat takes longer
        except (FileNotFoundError, NotADirectoryError):
            return True
        return opened.inode == (stat.st_dev, stat.st_ino)

    def _alone(self) -> RLock:
        if self._process != os.getpid():  # forked, maybe while a thread of the parent had the lock
            self._lock, self._process = RLock(), os.getpid()
        return self._lock

    def __repr__(self) -> str:
        opened = self._opened
        state = f"version {opened.snapshot.version}" if opened else "not asked yet"
        return f"<colonnade.Latest {self.name!r}: {state}>"
