"""A cached handle to the newest version of a table, for callers that ask often while new versions are rare.

Why one ``stat`` is enough: the snapshot is held open, so its inode is neither freed nor written again, and no other
file has its number. If the name still leads to that number, nothing was put. Times and sizes do not matter.

Does not depend on: how a snapshot is read, how the kernel reports a put.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any

from colonnade import _core
from colonnade._attach import attach
from colonnade.arguments import seconds
from colonnade.errors import NotFoundError, WaitTimeoutError, brief_repr
from colonnade.log import logger
from colonnade.snapshot import Snapshot
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.os_errors import explained
from colonnade.storage.path_watch import PathWatch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Look:
    """One version as `Latest` serves it: its snapshot, its frame and what ``prepare=`` made of it belong together.

    Attributes
    ----------
    snapshot : Snapshot
        The version.
    prepared : object
        What ``prepare(snapshot)`` returned; None without it.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/look", pd.DataFrame({"n": [1]})).close()
    >>> look = cn.latest("docs/look").now()
    >>> look.version, look.frame["n"].tolist(), look.prepared
    (1, [1], None)
    >>> cn.delete("docs/look")
    """

    __slots__ = ("_frame", "inode", "log", "prepared", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.log = snapshot.log
        self.inode = (0, 0)
        if self.log is None:
            stat = os.fstat(snapshot.fileno())
            self.inode = stat.st_dev, stat.st_ino
        self.prepared: Any = None
        self._frame: dict[str, pd.DataFrame] = {}

    @property
    def version(self) -> int:
        """The version's number."""
        return self.snapshot.version

    @property
    def frame(self) -> pd.DataFrame:
        """The version as pandas: one frame for all callers, so its arrays are read-only."""
        if not self._frame:
            # Several threads may make one; `setdefault` chooses the one that all get, without a lock.
            self._frame.setdefault("", self.snapshot.to_pandas(writable=False))
        return self._frame[""]

    def __repr__(self) -> str:
        return f"<colonnade.Look at {self.snapshot.name!r} version {self.version}>"


def _which(snapshot: Snapshot) -> tuple[int, int]:
    return snapshot.identity, snapshot.version


class Latest:
    """The newest version of a table; made by `Store.latest`.

    Each access looks where the name leads, which takes a few microseconds, and opens the table if there is a new
    version. All threads and forked children may use the handle. It keeps one version open, with one descriptor, until
    it opens the next one or is collected. It can be pickled; the copy looks up the name by itself.

    For a growing table it gives the newest rows. Each access reads one number, and making a frame takes the same time
    for any number of rows.

    Two accesses may see two versions. If you need several things of one version, take them from one `now`.

    If the table is deleted, the handle keeps the last version until there is a newer one, so that a server can go on
    meanwhile. A table that is put again, from version 1, is picked up like any other.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/latest", pd.DataFrame({"n": [1]})).close()
    >>> table = cn.latest("docs/latest", prepare=lambda snapshot: int(snapshot.to_pandas()["n"].sum()))
    >>> table.frame is table.frame
    True
    >>> cn.put("docs/latest", pd.DataFrame({"n": [2]})).close()
    >>> look = table.now()
    >>> look.version, look.prepared, len(look.frame)
    (2, 2, 1)
    >>> cn.delete("docs/latest")
    """

    def __init__(self, catalog: Catalog, name: str, prepare: Callable[[Snapshot], Any] | None = None) -> None:
        self.name = name
        self._catalog = catalog
        if prepare is not None and not callable(prepare):
            raise TypeError(f"prepare must be a function of a Snapshot, got {brief_repr(prepare)}")
        self._prepare = prepare
        self._path = os.fspath(paths.path_of(catalog.directory.root, paths.Entry(name, None)))
        where = paths.locate(name)
        self._live = os.fspath(catalog.directory.root.joinpath(*where.folders, where.live))
        self._look: Look | None = None
        self._preparing = False
        self._reopen: Callable[[], Snapshot] | None = None  # opens a growing table again
        self._failed_version: tuple[int, int] | None = None  # the version whose `prepare` failed
        self._lock = RLock()
        self._process = os.getpid()

    def now(self) -> Look:
        """Look once: the newest version, its frame and what ``prepare=`` made of it.

        While a thread prepares a newer version, the others are given the one before.

        Returns
        -------
        Look
            The same object until there is a newer version.

        Raises
        ------
        NotFoundError
            If the handle has found no such table yet.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.
        Exception
            What ``prepare=`` raises, once for each version: the version before is served from then on. If there is none
            before, each time.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> table = cn.latest("docs/now")
        >>> cn.put("docs/now", pd.DataFrame({"n": [1]})).close()
        >>> table.now().version, table.now() is table.now()
        (1, True)
        >>> cn.delete("docs/now")
        """
        look = self._look
        if look is not None and self._is_newest(look):
            return look
        return self._renewed(wait=look is None or self._prepare is None)

    def wait(self, timeout: float | None = None) -> Look:
        """Wait for a version that this handle has not given yet; a new handle gives the version that exists now.

        Parameters
        ----------
        timeout : float, optional
            How many seconds to wait. By default for ever.

        Returns
        -------
        Look
            The new version.

        Raises
        ------
        WaitTimeoutError
            No new version came in time.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/wait", pd.DataFrame({"n": [1]})).close()
        >>> table = cn.latest("docs/wait")
        >>> table.wait(timeout=10).version
        1
        >>> cn.put("docs/wait", pd.DataFrame({"n": [2]})).close()
        >>> table.wait(timeout=10).version
        2
        >>> cn.delete("docs/wait")
        """
        until = None if timeout is None else time.monotonic() + seconds(timeout, "timeout")
        before = self._look
        with explained(self._catalog.directory.root, f"watching {self.name!r}"):
            path_watch, bell = PathWatch(self._catalog.directory, self.name), _core.Bell()
        try:
            while True:
                path_watch.news()  # before the look: nothing that comes after it is missed
                look = self._look_if_any()
                if look is not None and (before is None or _which(look.snapshot) != _which(before.snapshot)):
                    return look
                seconds_left = None if until is None else until - time.monotonic()
                if seconds_left is not None and seconds_left <= 0:
                    state = f"it is at version {before.version}" if before else "there is no such table"
                    raise WaitTimeoutError(f"no new version of {self.name!r} within {timeout} seconds; {state}")
                if look is not None and look.log is not None:
                    look.log.wait(look.version, bell, 0, math.inf if seconds_left is None else seconds_left)
                else:
                    path_watch.wait(seconds_left)
        finally:
            path_watch.interrupt()

    def _look_if_any(self) -> Look | None:
        try:
            return self._renewed(wait=True)
        except NotFoundError:
            return None

    @property
    def snapshot(self) -> Snapshot:
        """The newest version; the same object until there is a newer one. Raises the errors of `now`."""
        return self.now().snapshot

    @property
    def frame(self) -> pd.DataFrame:
        """The newest version as pandas: one frame for all callers, so its arrays are read-only.

        For a frame to write to, use ``latest.snapshot.to_pandas()``. Raises the errors of `now`.
        """
        return self.now().frame

    @property
    def prepared(self) -> Any:
        """What ``prepare=`` made of the newest version. Raises the errors of `now`."""
        return self.now().prepared

    @property
    def version(self) -> int:
        """The number of the newest version. Raises the errors of `now`."""
        return self.now().version

    @property
    def age(self) -> timedelta:
        """How long ago the newest version was put. Raises the errors of `now`."""
        return datetime.now(UTC) - self.snapshot.created

    def locate(self, keys: Any) -> int | npt.NDArray[np.int64]:
        """Find rows of the newest version by key, as `Snapshot.locate` does.

        Parameters
        ----------
        keys : scalar or array
            As in `Snapshot.locate`.

        Returns
        -------
        int or numpy.ndarray of int64
            The position of the first row of each key; -1 where there is none.

        Raises
        ------
        ColonnadeError, TypeError
            As `Snapshot.locate`, and the errors of `now`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/keys", pd.DataFrame({"user": [12, 7], "city": ["Oslo", "Rome"]}), key="user").close()
        >>> cn.latest("docs/keys").locate(7)
        1
        >>> cn.delete("docs/keys")
        """
        return self.snapshot.locate(keys)

    def rows(self, keys: Any) -> pd.DataFrame:
        """Take all rows of some keys from the newest version, as `Snapshot.rows` does.

        Parameters
        ----------
        keys : scalar or array
            As in `Snapshot.locate`.

        Returns
        -------
        pandas.DataFrame
            A pandas.Series of a table that was put as one.

        Raises
        ------
        ColonnadeError, TypeError
            As `Snapshot.locate`, and the errors of `now`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/keyed", pd.DataFrame({"user": [12, 7], "city": ["Oslo", "Rome"]}), key="user").close()
        >>> cn.latest("docs/keyed").rows(7)["city"].tolist()
        ['Rome']
        >>> cn.delete("docs/keyed")
        """
        return self.snapshot.rows(keys)

    def _renewed(self, *, wait: bool) -> Look:
        lock = self._alone()  # several threads then open it once, and none goes back to an older one
        lock_states: list[bool] = []
        try:
            # One call of C: an interrupt comes before it is locked, or after the list says so.
            lock_states.extend(map(lock.acquire, (wait,)))
            if not lock_states[0]:
                assert self._look is not None
                return self._look  # another thread prepares the next one
            look = self._look
            if look is not None and (self._preparing or self._is_newest(look)):
                return look
            if self._preparing:
                raise RuntimeError(f"prepare= of latest({self.name!r}) asks for the version that it prepares")
            try:
                snapshot = self._attach()
            except NotFoundError:
                if look is None or look.snapshot.closed:
                    raise
                return look  # deleted in this instant
            if look is not None and not look.snapshot.closed and _which(snapshot) == self._failed_version:
                snapshot.close()
                return look
            newer = Look(snapshot)
            if self._prepare is not None:
                newer.prepared = self._run_prepare(self._prepare, snapshot, look)
            self._look = newer
            return newer
        finally:
            if lock_states and lock_states[0]:  # without a call, after which an interrupt could come
                lock.release()

    def _run_prepare(self, prepare: Callable[[Snapshot], Any], snapshot: Snapshot, current: Look | None) -> Any:
        self._preparing = True
        try:
            return prepare(snapshot)
        except Exception as error:
            if current is not None:
                self._failed_version = _which(snapshot)
                error.add_note(
                    f"prepare= of latest({self.name!r}) failed for version {snapshot.version}; "
                    f"version {current.version} is served until there is a newer one"
                )
                logger.error("prepare= of %r failed for version %d", self.name, snapshot.version, exc_info=error)
            raise
        finally:
            self._preparing = False

    def _attach(self) -> Snapshot:
        log = None if self._look is None else self._look.log
        if log is not None and self._reopen is not None and not log.is_deleted:
            return self._reopen()
        snapshot = attach(self._catalog, self.name)
        if snapshot.log is not None:
            from colonnade.growing_versions import open_growing

            # Kept, because an import that does nothing takes 6 us where the processor's caches are cold.
            self._reopen = partial(open_growing, snapshot.log, None)
        return snapshot

    def _is_newest(self, look: Look) -> bool:
        """Whether the name leads to it, or to nothing at all. If the caller has closed it, it is opened again."""
        if look.snapshot.closed:
            return False
        if look.log is not None:
            return look.log.is_at(look.version)
        try:
            stat = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116 -- Path.stat takes longer
        except (FileNotFoundError, NotADirectoryError):
            return not os.path.exists(self._live)  # noqa: PTH110 -- as above
        return look.inode == (stat.st_dev, stat.st_ino)

    def _alone(self) -> RLock:
        if self._process != os.getpid():  # forked, maybe while a thread of the parent had the lock
            self._lock, self._process, self._preparing = RLock(), os.getpid(), False
        return self._lock

    def __reduce__(self) -> tuple[Any, ...]:
        return Latest, (self._catalog, self.name, self._prepare)

    def __repr__(self) -> str:
        look = self._look
        state = f"version {look.version}" if look else "not asked yet"
        return f"<colonnade.Latest {self.name!r}: {state}>"
