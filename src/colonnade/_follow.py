"""`follow`: the rows that are appended to a growing table, as they come. A thread or an event loop waits for them.

Does not depend on: how rows are read, how the kernel reports growth.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal

from colonnade._waits import Waits
from colonnade.arguments import seconds, whole_number
from colonnade.errors import WaitTimeoutError, brief_repr
from colonnade.growing_snapshot import GrowingSnapshot
from colonnade.storage.log_reader import LogReader, Look, rows_missed
from colonnade.storage.log_wait import wait_in_task
from colonnade.storage.os_errors import explain_os_error


class Follow(Waits):
    """The new rows of a growing table, each once, as Snapshots; made by `Store.follow`.

    It is an iterator, for ``for`` and ``async for``, and a context manager that closes it. Each step gives all rows
    that came since the last one; if there are none it waits, and a batch wakes it within some tens of microseconds. The
    rows are views of the table's memory: nothing is copied. One thread or task at a time may wait for it.

    Examples
    --------
    >>> import colonnade as cn
    >>> with cn.appender("docs/followed", {"x": "int64"}) as log:
    ...     _ = log.append({"x": [1, 2]})
    ...     with cn.follow("docs/followed", start="first") as follow:
    ...         for new in follow:
    ...             print(new.to_pandas()["x"].tolist(), follow.position)
    ...             if follow.position == 3:
    ...                 break
    ...             _ = log.append({"x": [3]})
    [1, 2] 2
    [3] 3
    >>> cn.delete("docs/followed")
    """

    _kind = "follow"

    def __init__(
        self, log: LogReader, start: Literal["now", "first"] | int = "now", timeout: float | None = None
    ) -> None:
        limit = None if timeout is None else seconds(timeout, "timeout")
        self._timeout = None if limit == math.inf else limit
        super().__init__(log.name)
        self._log = log
        self._closed = False
        look = log.look()
        if start == "now":
            self._position = look.stop
        elif start == "first":
            self._position = look.first
        else:
            self._position = _row(start)
            if not 0 <= self._position <= look.stop:
                raise ValueError(f"start={self._position:,} is not a row of {log.name!r}: it has {look.stop:,} so far")

    @property
    def position(self) -> int:
        """The number of the next row: ``follow(name, start=position)`` goes on here, in another process too."""
        return self._position

    @property
    def behind(self) -> int:
        """How many rows there are now that were not given yet."""
        return max(self._log.committed - self._position, 0)

    def __next__(self) -> GrowingSnapshot:
        """Wait for new rows.

        Raises
        ------
        WaitTimeoutError
            None came within ``timeout=`` seconds. Another call goes on waiting.
        RowsDroppedError
            Rows were dropped by retention before they were given. Another call goes on with the oldest row there is.
        NotFoundError
            The table was deleted, and all its rows were given.
        CorruptSnapshotError, StoreAccessError
            As `Store.open`.
        StopIteration
            It was closed.
        """
        until = math.inf if self._timeout is None else time.monotonic() + self._timeout
        self._check_alone()
        try:
            self._waiting = True
            while True:
                rung = self._bell.value
                if self._closed:
                    break
                seconds_left = max(until - time.monotonic(), 0)
                try:  # no `with`: the processor's caches are cold after a wait, and a call takes some microseconds
                    look = self._log.wait(self._position, self._bell, rung, seconds_left)
                except OSError as error:
                    raise explain_os_error(error, self._log.root, f"following {self.name!r}") from error
                new = self._newer(look)
                if new is not None:
                    return new
                if not seconds_left:
                    raise self._timed_out()
        finally:
            self._waiting = False
        raise StopIteration

    async def __anext__(self) -> GrowingSnapshot:
        """Wait for new rows, while the event loop does other things; raises the same errors."""
        import asyncio  # a program with an event loop has imported it; others save 20 ms

        self._check_alone()
        try:
            self._waiting = True
            async with asyncio.timeout(self._timeout):
                while not self._closed:
                    new = self._newer(None)
                    if new is not None:
                        return new
                    await wait_in_task(self._log, self._position, self._wakers)
        except TimeoutError:
            raise self._timed_out() from None
        finally:
            self._waiting = False
        raise StopAsyncIteration

    def _newer(self, look: Look | None) -> GrowingSnapshot | None:
        """The rows that were not given yet, if there are any; None: look at the table first."""
        deleted = False
        if look is None:
            deleted = self._log.is_deleted
            look = self._log.look()
        if look.first > self._position:
            error = rows_missed(self.name, self._position, look)
            self._position = look.first  # last: after an interrupt while the error is made, the next call raises it
            raise error
        if look.stop > self._position:
            new = GrowingSnapshot(self._log.table, self._position, look.stop, self._log, look)
            self._position = look.stop  # last: where an error or an interrupt comes first, they are given the next time
            return new
        if deleted:
            raise self._log.deleted()
        return None

    def _timed_out(self) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"no new row of {self.name!r} within {self._timeout} seconds; it has {self._position:,}. "
            "Ask again to go on waiting"
        )

    def close(self) -> None:
        """End the loop that waits for it, from any thread, task or signal handler."""
        self._closed = True
        self._end_waits()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at row {self._position:,}"
        return f"<colonnade.Follow {self.name!r}: {state}>"


def _row(start: Any) -> int:
    if isinstance(start, str):
        raise ValueError(f"start must be 'now', 'first' or the number of a row, got {brief_repr(start)}")
    return whole_number(start, "start")
