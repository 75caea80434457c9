"""`watch`: each new version of a name, as it comes. A thread or an event loop waits for it.

A Watch keeps only the identity of the last snapshot, so that superseded segments can be reused.
Does not depend on: how the kernel reports a put, how a snapshot is opened.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from colonnade._waits import Waits
from colonnade.arguments import seconds
from colonnade.errors import ColonnadeError, NotFoundError, WaitTimeoutError
from colonnade.snapshot import Snapshot
from colonnade.storage.directory import Directory
from colonnade.storage.os_errors import explain_os_error, explained
from colonnade.storage.path_watch import PathWatch

if TYPE_CHECKING:
    from colonnade.storage.log_reader import LogReader, Look


class _Given(NamedTuple):
    identity: int
    version: int


class Watch(Waits):
    """Each new version of a table, as a Snapshot; made by `Store.watch`.

    It is an iterator, for ``for`` and ``async for``, and a context manager that closes it. It first gives the version
    that exists now, if there is one, so that nothing is missed between an `open` and the watch. Then it waits, and
    gives the newest version each time; versions that were superseded meanwhile are skipped. For a growing table it
    gives all rows each time the table has grown. It keeps one descriptor open, and no snapshot. One thread or task at a
    time may wait; make a watch for each. It also works in a forked child.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> for n in (1, 2, 3):
    ...     cn.put("docs/watch", pd.DataFrame({"n": [n]})).close()
    >>> with cn.watch("docs/watch", timeout=0.1) as watch:
    ...     next(watch)
    ...     next(watch)
    Traceback (most recent call last):
      ...
    colonnade.errors.WaitTimeoutError: no new version of 'docs/watch' within 0.1 seconds; ...
    >>> cn.delete("docs/watch")
    """

    _kind = "watch"

    def __init__(
        self, directory: Directory, name: str, attach: Callable[[], Snapshot], timeout: float | None = None
    ) -> None:
        if timeout is not None:
            timeout = seconds(timeout, "timeout")
        self._directory = directory
        self._attach = attach
        self._timeout = None if timeout == math.inf else timeout
        self._last: _Given | None = None
        super().__init__(name)
        self._open()

    def _open(self) -> None:
        with explained(self._directory.root, f"watching {self.name!r}"):
            self._path_watch: PathWatch | None = PathWatch(self._directory, self.name)  # None: closed
        self._unsure = False
        # The growing table that the name leads to: its rows are waited for, and the path is not.
        self._log: LogReader | None = None
        # Makes a snapshot of it. It is kept because an import that does nothing takes 6 us where caches are cold.
        self._snapshot_of: Callable[[LogReader, Look], Snapshot] | None = None

    # -- waiting -------------------------------------------------------------------------------------------------------

    def __next__(self) -> Snapshot:
        """Wait for the next version.

        Raises
        ------
        WaitTimeoutError
            No version came within ``timeout=`` seconds. Another call goes on waiting.
        NotFoundError
            The table was deleted since the last version, and not put again.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.
        StopIteration
            The watch was closed.
        """
        until = None if self._timeout is None else time.monotonic() + self._timeout
        self._check_alone()
        try:
            self._waiting = True
            while (path_watch := self._path_watch) is not None:  # held meanwhile: another thread may close
                rung = self._bell.value
                snapshot = self._newer(path_watch)
                if snapshot is not None:
                    return snapshot
                seconds_left = None if until is None else until - time.monotonic()
                if seconds_left is not None and seconds_left <= 0:
                    raise self._timed_out()
                if self._path_watch is None:
                    break
                if self._log is not None and self._last is not None:
                    snapshot = self._wait_for_growth(self._log, self._last.version, rung, seconds_left)
                    if snapshot is not None:
                        return snapshot
                else:
                    with explained(self._directory.root, f"watching {self.name!r}"):
                        path_watch.wait(seconds_left)
        finally:
            self._waiting = False
        raise StopIteration

    def _wait_for_growth(self, log: LogReader, rows: int, rung: int, seconds_left: float | None) -> Snapshot | None:
        """Wait for rows, and give them; None where the table must be looked at anew."""
        try:  # no `with`: the processor's caches are cold after a wait, and a call takes some microseconds
            look = log.wait(rows, self._bell, rung, math.inf if seconds_left is None else seconds_left)
        except OSError as error:
            raise explain_os_error(error, self._directory.root, f"watching {self.name!r}") from error
        if look is None or look.stop == rows or self._snapshot_of is None:
            return None
        snapshot = self._snapshot_of(log, look)
        self._last = _Given(log.identity, look.stop)  # last: where an interrupt comes first, it is given the next time
        return snapshot

    async def __anext__(self) -> Snapshot:
        """Wait for the next version, while the event loop does other things; raises the same errors."""
        import asyncio  # a program with an event loop has imported it; others save 20 ms

        self._check_alone()
        try:
            self._waiting = True
            async with asyncio.timeout(self._timeout):
                while (path_watch := self._path_watch) is not None:
                    snapshot = self._newer(path_watch)
                    if snapshot is not None:
                        return snapshot
                    if self._path_watch is None:
                        break
                    if self._log is not None and self._last is not None:
                        from colonnade.storage.log_wait import wait_in_task

                        await wait_in_task(self._log, self._last.version, self._wakers)
                    else:
                        await _readable(path_watch)
        except TimeoutError:
            raise self._timed_out() from None
        finally:
            self._waiting = False
        raise StopAsyncIteration

    def _check_alone(self) -> None:
        if self._process != os.getpid() and self._path_watch is not None:
            self._open()  # the parent reads the events of the descriptor that it shares
        super()._check_alone()

    def _timed_out(self) -> WaitTimeoutError:
        state = f"it is at version {self._last.version}" if self._last else "there is no such table"
        return WaitTimeoutError(
            f"no new version of {self.name!r} within {self._timeout} seconds; {state}. Ask again to go on waiting"
        )

    # -- looking -------------------------------------------------------------------------------------------------------

    def _newer(self, path_watch: PathWatch) -> Snapshot | None:
        """The newest version, where it is not the one given last. Looks only if there may be another."""
        if self._log is not None and self._last is not None:
            if not self._log.is_deleted:
                return None if self._log.committed == self._last.version else self._look()
            self._log, self._snapshot_of, self._unsure = None, None, True
        unsure, self._unsure = self._unsure, True  # so a thread that is interrupted here looks again the next time
        if not path_watch.news() and not unsure:
            self._unsure = False
            return None
        try:
            snapshot = self._look()
        except ColonnadeError:
            self._unsure = False  # said once
            raise
        self._unsure = False
        return snapshot

    def _look(self) -> Snapshot | None:
        try:
            if self._log is None or self._snapshot_of is None:
                snapshot = self._attach()
            else:
                snapshot = self._snapshot_of(self._log, self._log.look())
        except NotFoundError:
            if self._last is None:
                return None  # it is waited for
            last, self._last = self._last, None
            raise NotFoundError(
                f"{self.name!r} was deleted while it was watched, after version {last.version}; "
                "ask again to wait for its next put"
            ) from None
        new, log = _Given(snapshot.identity, snapshot.version), snapshot.log
        if log is not self._log:
            self._snapshot_of = None if log is None else _snapshot_of_growing()
        if new == self._last:
            self._log = log
            snapshot.close()
            return None
        self._last, self._log = new, log  # last: where an interrupt comes first, it is given the next time
        return snapshot

    # -- its life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the loop that waits for it, from any thread, task or signal handler, and close the descriptor."""
        path_watch, self._path_watch = self._path_watch, None
        self._end_waits()
        if path_watch is not None:
            with contextlib.suppress(OSError):  # the kernel takes it
                path_watch.interrupt()  # by a forked child: its parent is woken too, and goes on

    def __repr__(self) -> str:
        state = (
            "closed"
            if self._path_watch is None
            else f"at version {self._last.version}"
            if self._last
            else "no version yet"
        )
        return f"<colonnade.Watch {self.name!r}: {state}>"


def _snapshot_of_growing() -> Callable[[LogReader, Look], Snapshot]:
    from colonnade.growing_snapshot import GrowingSnapshot  # programs without growing tables do without it

    return GrowingSnapshot.at


async def _readable(path_watch: PathWatch) -> None:
    import asyncio  # as above

    loop = asyncio.get_running_loop()
    has_events = asyncio.Event()
    loop.add_reader(path_watch.fileno(), has_events.set)
    try:
        await has_events.wait()
    finally:
        loop.remove_reader(path_watch.fileno())
