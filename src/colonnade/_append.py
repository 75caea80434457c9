"""Appends rows to a growing table.

Does not depend on: how readers see the rows, the bytes of a segment.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, Self

import pandas as pd
import pyarrow as pa

from colonnade import _core
from colonnade._append_arguments import schema_of
from colonnade._append_segments import SegmentWriter
from colonnade.errors import ColonnadeError, NotFoundError, ReentrantCallError
from colonnade.format.growing import GrowingSchema
from colonnade.format.write.growing import FrameColumns, Rows, rows_of
from colonnade.log import logger
from colonnade.storage import log_folder, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import Retention
from colonnade.storage.log_opening import open_log
from colonnade.storage.os_errors import explain_os_error, explained

_BETWEEN_LOOKS = 1.0  # seconds between two looks whether the table's folder is still there


def is_full(error: BaseException) -> bool:
    """Whether the file system has no room; not the store's capacity, whose error has looked for room already."""
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and not isinstance(error, ColonnadeError)


_forks = 0


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 -- one number of the process, which is its own after a fork
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


# Those that may be open. The end of the program closes them: their last rows are shown to other programs then, and a
# table on a disk is sound after the next start of the machine.
_appenders: weakref.WeakSet[Appender] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    with contextlib.ExitStack() as stack:  # one that fails, or an interrupt, does not keep the others open
        for appender in list(_appenders):
            stack.callback(appender.close)


class Appender:
    """Appends rows to a growing table; a context manager.

    Made by `colonnade.appender`. Threads may share it. A forked child may not use it. The end of a program closes its
    appenders; a process that is killed does not close them, nor does a child of `multiprocessing`.

    Examples
    --------
    >>> import colonnade as cn
    >>> with cn.appender("docs/appender", {"x": "int64"}) as log:
    ...     log.append({"x": [1, 2, 3]}), log.row(x=4)
    (3, 4)
    >>> cn.delete("docs/appender")
    """

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        schema: GrowingSchema | None,
        retention: Retention | None,
        *,
        shared: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._forks = _forks
        self._is_writing = False
        self._is_closed = False
        # Whether what it knows of the table may be wrong: something was begun and not finished. The next turn looks.
        self._is_stale = False
        self._shared = shared
        self._catalog = catalog
        self._root = catalog.directory.root
        self._process = os.getpid()
        with explained(self._root, f"appending to {name!r}"):
            self._log = open_log(catalog, paths.check_name(name), schema, retention, shared=shared)
            try:
                self._look_at = time.monotonic() + _BETWEEN_LOOKS
                self._frame_columns = FrameColumns(self._log.schema)
                self._segments = SegmentWriter(self._log)
                if shared:
                    self._log.unlock()
            except BaseException:
                self._log.drop()
                raise
        _appenders.add(self)
        self._start_direct()

    @property
    def name(self) -> str:
        """The name of the table."""
        return self._log.name

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return self._log.schema.arrow

    @property
    def num_rows(self) -> int:
        """How many rows were ever appended, by all appenders of the table."""
        return self._log.published

    def append(self, data: Any) -> int:
        """Append a batch of rows: all of them at once, or none.

        Parameters
        ----------
        data : DataFrame, mapping of columns to arrays, or Arrow data
            The rows. Their columns are the table's, in any order. Values must fit exactly, but for floats, which are
            rounded to the column's type, but not to infinity. Times of a column with a zone must have one.

        Returns
        -------
        int
            How many rows the table has then.

        Raises
        ------
        ValueError, UnsupportedTypeError, InvalidDataError
            The rows do not fit the columns; or the appender is closed.
        NotFoundError
            The table was deleted.
        StoreFullError
            There is no room. After each of these errors, no row was appended.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/batches", {"x": "int64", "s": "str"}) as log:
        ...     log.append({"s": ["a", "b"], "x": [1, 2]})
        2
        >>> cn.delete("docs/batches")
        """
        if isinstance(data, pd.DataFrame):
            data = self._frame_columns.of(data)
        if self._forks != _forks:
            raise self._is_forked()
        direct, total = self._segments.direct, None
        if direct is not None:
            with contextlib.suppress(OSError):  # the other way makes room, or says what is wrong
                total = direct.batch(data)
        if total == 0:
            total = self._append_long(data)
        if total is not None:
            return self._finished(total)
        columns = self._segments.plain
        plain = None if columns is None else columns.batch(data)
        if plain is not None:
            return self._turn(self._append, plain, len(plain))
        rows = rows_of(self._log.schema, data)
        return self._turn(self._append, rows, rows.num_rows)

    def row(self, /, **values: Any) -> int:
        """Append one row, given as keywords.

        Numbers, booleans, text, NumPy's datetimes of the column's unit, and None for nulls take about a microsecond.
        Whatever else a column can take is converted as in `append`.

        Parameters
        ----------
        **values
            The value of each column, by its name.

        Returns
        -------
        int
            How many rows the table has then.

        Raises
        ------
        ValueError, UnsupportedTypeError, InvalidDataError, NotFoundError, StoreFullError
            As in `append`.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/rows", {"x": "int64", "s": "str"}) as log:
        ...     log.row(x=1, s="a"), log.row(x=2, s=None)
        (1, 2)
        >>> cn.delete("docs/rows")
        """
        if self._forks != _forks:
            raise self._is_forked()
        direct = self._segments.direct
        if direct is not None:
            try:  # as in `append`, without a block: the processor's caches are cold in a program that seldom appends
                total = direct.row(values)
            except OSError:
                total = None
            if total is not None:
                return self._finished(total)
        rows = rows_of(self._log.schema, {name: [value] for name, value in values.items()})
        return self._turn(self._append, rows, 1)

    def _append_long(self, data: Any) -> int | None:
        """Append plain arrays during which other threads run; None where there is more to be asked."""
        with self._lock:
            direct = self._segments.direct
            # A signal handler may be here, within a turn that has begun: `_turn` refuses it.
            if self._is_writing or direct is None or not direct.is_started:
                return None
            try:
                self._is_writing = True  # first: as in `_turn`
                self._is_stale = True
                total = direct.long_batch(data)
                self._is_stale = False
            except BaseException as error:
                self._take_back_if_possible()
                if is_full(error) and not self._is_stale and self._log.free_room():
                    return None
                if isinstance(error, OSError):
                    raise explain_os_error(error, self._root, f"rows of {self.name!r}") from error
                raise
            finally:
                self._is_writing = False
                self._start_direct()
            return total

    def _start_direct(self) -> None:
        """Let the core write rows by one call, which checks only that the table was not deleted."""
        direct = self._segments.direct
        if direct is not None and not (self._is_stale or self._is_closed or self._shared):
            direct.start()

    def _finished(self, total: int) -> int:
        """Do what may be late, if it is time for it; ``total`` rows are published."""
        segments, now = self._segments, time.monotonic()
        if segments.full_segments or now >= self._look_at or (total >= segments.show_from and now >= segments.show_at):
            with self._lock:
                direct = segments.direct
                # It is not started if another thread has closed the appender. `_is_writing` is set if a signal handler
                # is here, and the code that it interrupted is writing.
                if direct is not None and direct.is_started and not self._is_writing:
                    self._turn(self._afterwards)
        return total

    def flush(self) -> None:
        """Show all rows to programs that read the segments as Arrow files. Readers of Colonnade see them already.

        Raises
        ------
        StoreFullError
            There is no room to show them; all rows are appended.
        """
        if self._forks != _forks:
            raise self._is_forked()
        with explained(self._root, f"flushing {self.name!r}"):
            self._turn(self._show_all)

    def _show_all(self) -> None:
        self._segments.finish_segments()
        self._segments.show()

    def close(self) -> None:
        """Show all rows, and let others append; twice is once."""
        if self._process != os.getpid():  # before the lock, which a thread of the parent may have had at the fork
            return
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True  # first: as in `_turn`
            self._log.words.stop_direct()
            in_order = False
            try:
                # By a signal handler within an append: there is nothing to show, and `Log.publish` refuses then.
                if not was_closed and not self._is_writing and not self._log.is_deleted:
                    in_order = self._quietly(self._wait_for_turn, self._look_again, self._show_all)
            finally:
                self._log.close(in_order=in_order)  # also if an interrupt ended the first call before it
                self._segments.use(None)  # it keeps the last segment mapped

    def _remove_if_new_and_empty(self) -> None:
        """Remove the table if this appender has made it and there are no rows."""
        if self._log.is_new and not self._log.published:
            with contextlib.suppress(OSError, ColonnadeError):  # the error that led here is the one to raise
                log_folder.remove(self._catalog, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"this appender of {self.name!r} belongs to process {self._process}: it can be neither pickled nor copied. "
            "Let each process make its own: appender(name, shared=True)"
        )

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self.num_rows:,} rows"
        return f"<colonnade.Appender of {self.name!r}: {state}>"

    # -- the steps -----------------------------------------------------------------------------------------------------

    def _is_forked(self) -> RuntimeError:
        """The error of a forked child, which must not ask for a lock that a thread of its parent may have."""
        return RuntimeError(
            f"this appender of {self.name!r} belongs to process {self._process}, and this is a forked child of it; "
            "append there, or open an appender of its own here once that one is closed"
        )

    def _turn(self, step: Callable[..., None], *arguments: Any) -> int:
        """Take a step while nobody else writes: no signal handler, no other thread, no other process.

        A signal handler may raise between any two calls. So what must be undone is undone by a ``with`` of a lock, by
        an assignment, or by a call of C that comes first; and whatever was interrupted is stale, not broken.
        """
        with self._lock:
            if self._is_writing:
                raise ReentrantCallError(f"a signal handler or a finalizer appends to {self.name!r} within an append")
            try:
                self._is_writing = True  # first: a signal handler that appends now is refused, and starts nothing
                self._log.words.stop_direct()
                self._begin_turn()
                self._is_stale = True
                step(*arguments)
                self._is_stale = False
                return self._log.committed
            except BaseException:
                if self._is_stale:
                    self._take_back_if_possible()
                raise
            finally:
                self._is_writing = False
                if not self._shared:
                    self._start_direct()
                elif not self._is_closed:
                    try:
                        self._log.unlock()
                    except OSError as error:  # the next turn has it still, and tries again; its rows are appended
                        logger.warning("%s stays locked: %s", self.name, str(error))

    def _begin_turn(self) -> None:
        if self._is_closed:
            raise ValueError(f"this appender of {self.name!r} is closed; make another one")
        with explained(self._root, f"appending to {self.name!r}"):
            self._wait_for_turn()
            if self._log.is_deleted:
                raise NotFoundError(f"the growing table {self.name!r} was deleted; make another appender to begin anew")
            self._look_again()

    def _wait_for_turn(self) -> None:
        if self._shared:
            self._log.wait_for_lock()

    def _look_again(self) -> None:
        """See what is there now, if other producers have written meanwhile or something was not finished."""
        if (self._shared and self._log.begin_turn()) or self._is_stale:
            self._take_back()

    def _append(self, rows: Rows | _core.GrowingBatch, count: int) -> None:
        if not count:
            return
        with explained(self._root, f"{count:,} rows of {self.name!r}"):
            try:
                self._segments.write(rows, count)
            except OSError as error:
                if not is_full(error) or not self._log.free_room():
                    raise
                self._take_back()
                self._segments.write(rows, count)
        self._afterwards()

    def _take_back(self) -> None:
        """Undo whatever was begun and not published."""
        self._is_stale = True
        self._segments.take_back()
        self._is_stale = False

    def _take_back_if_possible(self) -> None:
        """The same after an error, which is the one to raise. What fails here is left to the next turn."""
        if not self._is_closed:  # by a signal handler: another producer may have the lock
            with contextlib.suppress(OSError, ColonnadeError, MemoryError):
                self._take_back()

    # What may be late. The rows are published by then, so nothing of it raises.

    def _afterwards(self) -> None:
        self._quietly(self._notice_removal, self._segments.finish_segments, self._segments.show_now_and_then)

    def _quietly(self, *steps: Callable[[], None]) -> bool:
        """Do all of this; whether nothing failed."""
        for step in steps:
            try:
                step()
            except (OSError, ColonnadeError, MemoryError) as error:
                # Its text: a handler that keeps the record would keep the error's frames, and the segment mapped.
                logger.warning(
                    "%s: rows are appended, and %s; the next append or appender tries it again", self.name, str(error)
                )
                return False
        return True

    def _notice_removal(self) -> None:
        """See now and then whether somebody has removed the store by other means, so that no rows are lost silently."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _BETWEEN_LOOKS
            self._log.notice_removal()


def append(catalog: Catalog, name: str, data: Any) -> int:
    """Append one batch of rows; a frame makes the table if it is not there."""
    is_new = isinstance(data, pd.DataFrame) and not log_folder.is_there(catalog, paths.check_name(name))
    with Appender(catalog, name, schema_of(None, data, None) if is_new else None, None) as appender:
        try:
            return appender.append(data)
        except BaseException:
            appender._remove_if_new_and_empty()
            raise
