"""What is new in a store: `watch`, `latest`, and `cache` for results that are computed once.

Does not depend on: how the verbs work. Each method imports what it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from colonnade._verbs.base import StoreBase
from colonnade.errors import NotFoundError
from colonnade.storage import paths

if TYPE_CHECKING:
    from colonnade._cache import CachedFunction
    from colonnade._follow import Follow
    from colonnade._latest import Latest
    from colonnade._watch import Watch
    from colonnade.snapshot import Snapshot

P = ParamSpec("P")
R = TypeVar("R")


class Following(StoreBase):
    """The verbs that give what is newest."""

    def watch(self, name: str, *, timeout: float | None = None) -> Watch:
        """Wait for each new version of a table: an iterator of Snapshots, for ``for`` and ``async for``.

        The present version comes first. Then each put wakes the waiting thread or task, within a millisecond, and it
        gets the newest version, never a backlog. If there is no such table yet, the watch waits for it, and for its
        folders and the store.

        A table that is deleted raises NotFoundError once, if no other was put by then. Asked again, the watch waits for
        the next put, whose versions begin at 1 again. A watch keeps no snapshot open; the variable
        of a loop does, until it gets the next one.

        Parameters
        ----------
        name : str
            The table.
        timeout : float, optional
            How many seconds to wait for each version; after that, WaitTimeoutError. 0 looks and does not wait.

        Returns
        -------
        Watch
            ``close()``, from any thread or signal handler, ends its loop. It holds one descriptor; all watches of a
            process share one inotify instance.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.
        StoreAccessError
            If the store cannot be watched.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/prices", pd.DataFrame({"bid": [1.08]})).close()
        >>> for snapshot in cn.watch("docs/prices"):
        ...     print(snapshot.version, snapshot.to_pandas()["bid"].max())
        ...     if snapshot.version == 2:
        ...         break
        ...     cn.put("docs/prices", pd.DataFrame({"bid": [1.09]})).close()
        1 1.08
        2 1.09
        >>> cn.delete("docs/prices")
        """
        from colonnade._watch import Watch

        return Watch(self._catalog.directory, paths.check_name(name), lambda: self.open(name), timeout)

    def follow(
        self, name: str, *, start: Literal["now", "first"] | int = "now", timeout: float | None = None
    ) -> Follow:
        """Wait for the new rows of a growing table: an iterator of Snapshots of them, for ``for`` and ``async for``.

        Each row is given once, in order. A step gives all rows that came since the last one: ``to_pandas``,
        ``to_arrow`` and ``to_polars`` are views of the table's memory, so nothing is copied. A batch wakes the waiting
        thread within some tens of microseconds. The producer does not know its followers, and none can disturb it.

        Parameters
        ----------
        name : str
            The growing table.
        start : "now", "first" or int, default "now"
            Begin with the rows that come from now on; with the oldest row that is retained; or with the row of this
            number, as `Follow.position` gave it.
        timeout : float, optional
            How many seconds to wait for new rows; after that, WaitTimeoutError. 0 looks and does not wait.

        Returns
        -------
        Follow
            ``position`` is the number of the next row. ``close()``, from any thread or signal handler, ends its loop.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
            As in `open`.
        RowsDroppedError
            In the loop, if rows were dropped before they were given. The next step goes on with the oldest row.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/ticks", {"bid": "float64"}) as log:
        ...     ticks = cn.follow("docs/ticks", start="first")
        ...     _ = log.append({"bid": [1.08, 1.09]})
        ...     next(ticks).to_pandas()["bid"].tolist()
        [1.08, 1.09]
        >>> cn.delete("docs/ticks")
        """
        from colonnade._follow import Follow
        from colonnade.storage.log_reader import find_log

        log = find_log(self._catalog, paths.check_name(name))
        if log is None:
            raise self._no_log(name)
        return Follow(log, start, timeout)

    def _no_log(self, name: str) -> NotFoundError:
        if self._catalog.current_version(name):
            return NotFoundError(
                f"{name!r} is a table that was put, and follow() gives the new rows of growing tables: use watch(), or "
                "make a growing table under another name with appender()"
            )
        return self._catalog.not_found(name, None)

    def latest(self, name: str, *, prepare: Callable[[Snapshot], Any] | None = None) -> Latest:
        """Make a handle whose ``.frame`` is always that of the newest version; asking costs one ``stat``.

        It is for programs that serve look-ups from a table that another process replaces again and again. While a table
        is deleted, the handle keeps the last version. If there has been none, it raises NotFoundError.

        Parameters
        ----------
        name : str
            The table.
        prepare : callable, optional
            Called with the Snapshot of each new version before it is served, by the thread that sees it first; what it
            returns is ``.prepared``. Meanwhile the other threads get the version before. If it raises, that
            thread gets the error, it is logged, and the version before is served until there is a newer one.

        Returns
        -------
        Latest
            The handle; it opens nothing before it is asked.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> prices = cn.latest("docs/prices", prepare=lambda snapshot: snapshot.to_pandas()["bid"].max())
        >>> for bid in (1.08, 1.09):
        ...     cn.put("docs/prices", pd.DataFrame({"bid": [bid]})).close()
        ...     look = prices.now()
        ...     print(look.version, float(look.prepared), len(look.frame))
        1 1.08 1
        2 1.09 1
        >>> cn.delete("docs/prices")
        """
        from colonnade._latest import Latest

        return Latest(self._catalog, paths.check_name(name), prepare)

    @overload
    def cache(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
    @overload
    def cache(
        self, *, ttl: float | str | timedelta | None = None, ignore: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
    def cache(
        self,
        function: Callable[P, R] | None = None,
        *,
        ttl: float | str | timedelta | None = None,
        ignore: Sequence[str] = (),
    ) -> Any:
        """Keep the frames that a function returns, for all processes: a decorator.

        For each set of arguments the function runs once, in one process; the others wait and open its result, without a
        copy. If that process is killed, another one runs it. An exception is not kept. The tables have names below
        ``cache/``, one folder a function: `ls` shows them, and each may be deleted at any time.

        Parameters
        ----------
        function : callable
            It returns a frame or a Series of pandas or Polars, a PyArrow table or a NumPy array.
        ttl : float (seconds), timedelta or str, optional
            How long a result is used, as in `put`: ``"15min"``, ``"1d"``. By default until it is deleted.
        ignore : sequence of str, optional
            Parameters that do not change the result: ``["connection", "self"]``.

        Returns
        -------
        CachedFunction
            The function; ``.clear()`` deletes what it has kept. Its key consists of its module and name, its code (but
            not that of functions it calls) and its arguments: plain values, containers, dataclasses, classes, arrays
            and frames. Such values that it takes from a function around it belong to the key too, as they are when it
            is decorated; global variables do not.

        Raises
        ------
        TypeError
            When it is called: if an argument has no stable key, or the function returns something else.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> @cn.cache(ttl="1d")
        ... def squares(n):
        ...     print("computing")
        ...     return pd.DataFrame({"x": [i * i for i in range(n)]})
        >>> int(squares(4)["x"].sum()), int(squares(n=4)["x"].sum())
        computing
        (14, 14)
        >>> squares.clear()
        """
        from colonnade._cache import CachedFunction

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            return CachedFunction(function, self, lambda: self._catalog, ttl, ignore)

        return decorate if function is None else decorate(function)
