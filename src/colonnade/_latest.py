"""The newest version of a name, at hand: for who asks often and seldom finds a new one.

Knows: that a name leads to a file, and which file it has open. Does not depend on: how a snapshot is opened.

Why one ``stat`` is enough: the snapshot is held open, so its inode is neither freed nor written again, and no other
file has its number. The name leads to that number: nothing was put. Times and sizes do not matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from colonnade.errors import NotFoundError
from colonnade.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd


class _Held:
    """A snapshot, and its frame once somebody asked for it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.frame: pd.DataFrame | None = None


class Latest:
    """The newest version of a table; made by `Store.latest`.

    Each time it is asked, it looks where the name leads, and opens what is new: a few microseconds where nothing is.
    All threads may ask, and so may forked children. It holds one version, and one descriptor: the last it was asked
    for, until it is asked again after the next put, or is collected itself.

    A table that was deleted stays what it was here until there is a newer one, so those who serve from it go on
    meanwhile, and a table put again from version 1 is picked up as any other.

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
        self._held: _Held | None = None
        self._lock = Lock()
        self._process = os.getpid()

    @property
    def snapshot(self) -> Snapshot:
        """The newest version; the same object until there is a newer one.

        Raises
        ------
        NotFoundError
            Where there has been no such table since the handle was made, or first asked.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.
        """
        return self._newest().snapshot

    @property
    def frame(self) -> pd.DataFrame:
        """The newest version as pandas: one frame for all who ask, so its arrays are read-only.

        For one to write to: ``latest.snapshot.to_pandas()``. Raises the same errors as `snapshot`.
        """
        held = self._newest()
        if held.frame is None:
            with self._alone():
                if held.frame is None:
                    held.frame = held.snapshot.to_pandas(writable=False)
        return held.frame

    def _newest(self) -> _Held:
        held = self._held
        if held is not None and self._is_newest(held):
            return held
        with self._alone():  # so many threads open it once, and none goes back to an older one
            held = self._held
            if held is not None and self._is_newest(held):
                return held
            try:
                self._held = newer = _Held(self._attach())
            except NotFoundError:
                if held is None or held.snapshot._place() is None:
                    raise
                return held  # deleted in this instant
            return newer

    def _is_newest(self, held: _Held) -> bool:
        """Whether the name leads to it, or to nothing. One that its user closed (its place is None) is opened again."""
        place = held.snapshot._place()
        try:
            found = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116 -- Path.stat takes longer
        except (FileNotFoundError, NotADirectoryError):
            return place is not None
        return place == (found.st_dev, found.st_ino)

    def _alone(self) -> Lock:
        if self._process != os.getpid():  # forked, maybe while a thread of the parent had the lock
            self._lock, self._process = Lock(), os.getpid()
        return self._lock

    def __repr__(self) -> str:
        held = self._held
        state = f"version {held.snapshot.version}" if held else "not asked yet"
        return f"<colonnade.Latest {self.name!r}: {state}>"
