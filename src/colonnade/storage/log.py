"""The producer's side of a growing table: the lock, the head, segments that follow each other, publication.

Does not depend on: how rows are written into a segment, what users call.

The rules of a producer
-----------------------
1. It has the lock (`log_head`, 7) before it writes anything, and sees then that the name still leads to this head.
2. It recovers what the last producer left: entries of which no row was published are dropped, files that no entry names
   are removed, and counts are taken anew from the rows below ``committed``.
3. Pages come before stores (`log_segment`). What fails leaves the head as it was: nothing is published.
4. Rows are written behind ``committed`` only. Then one store publishes them, over any number of segments.
5. After that come the things that may be late: states for other programs, retention.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from pathlib import Path
from typing import Any, cast

from colonnade import _core
from colonnade.errors import CorruptSnapshotError, LogBusyError
from colonnade.format.growing import GrowingSchema, stored_schema
from colonnade.storage import log_folder, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import (
    COMMITTED,
    ENTRIES,
    ENTRY_SIZE,
    FIRST,
    NO_BASE,
    PRODUCER,
    RETENTION,
    RING,
    SEGMENTS,
    STATE,
    TURNS,
    Entry,
    HeadReader,
    LogState,
    Retention,
)
from colonnade.storage.log_lock import NEXT, UNLOCKED, WRITING, try_lock, unlock
from colonnade.storage.log_retention import Retiring, dispensable
from colonnade.storage.log_room import Room
from colonnade.storage.log_segment import LogSegment

_LONGEST_TURN = 5.0  # seconds


class Log:
    """A growing table, locked for writing. `log_opening` makes it; `close` it, or `drop` it after an error."""

    schema: GrowingSchema
    retention: Retention
    first: int

    def __init__(self, catalog: Catalog, name: str, mode: int, folder: int) -> None:
        self.name = name
        self._catalog = catalog
        self._room = Room(catalog, mode)
        self._retiring = Retiring(catalog)
        self._segment: LogSegment | None = None
        self._process = os.getpid()
        self._turns = 0
        self.is_new = False
        self._folder = _core.Descriptor.duplicate(folder)
        self._descriptor = _core.Descriptor(paths.HEAD, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        # Lets other producers append. One call of C, before which no signal handler runs.
        self.unlock = functools.partial(fcntl.fcntl, self._descriptor, fcntl.F_OFD_SETLK, UNLOCKED)
        fd = self._descriptor.fileno()
        self._head = _core.Mapping.of_draft(fd, max(os.fstat(fd).st_size, 1))
        data = memoryview(cast(Any, self._head)).toreadonly()
        self._reader = HeadReader(data, log_folder.path_of(catalog.directory.root, name) / paths.HEAD)
        self.words = _core.HeadWords(self._head, COMMITTED, STATE, LogState.DELETED)

    # -- opening -------------------------------------------------------------------------------------------------------

    def is_opened(self, schema: GrowingSchema | None, retention: Retention | None, *, shared: bool) -> bool:
        """Lock it and begin; False if the name leads to another table, or to none.

        Raises
        ------
        LogBusyError
            Another producer has it locked.
        ValueError, CorruptSnapshotError
            As `begin`.
        """
        if shared:
            self.wait_for_lock()
        elif not self.lock():
            raise busy(self.name, self._reader)
        if not self._leads_here():
            self.drop()
            return False
        self.begin(schema, retention)
        if not self._leads_here():  # its state may have been "deleted", and this one has stored "open" over it
            self._store(STATE, LogState.DELETED)
            self.drop()
            return False
        return True

    def begin(self, schema: GrowingSchema | None, retention: Retention | None) -> None:
        """Compare the schema, take over the retention, and recover; the lock must be held.

        Raises
        ------
        ValueError
            The table has another schema.
        CorruptSnapshotError
            The machine was started again while it was open, so rows may be lost; or the head is damaged.
        """
        name, reader, fd = self.name, self._reader, self._descriptor.fileno()
        self.schema = stored_schema(reader.constants.schema_text)
        if schema is not None and schema != self.schema:
            raise ValueError(
                f"the growing table {name!r} has other columns: {_text_of(self.schema)}; given were "
                f"{_text_of(schema)}. Append to it without a schema, or use another name"
            )
        if reader.read().state == LogState.OPEN and reader.constants.boot_id != boot_id() and not _core.in_memory(fd):
            raise CorruptSnapshotError(
                f"the growing table {name!r} was not closed before the machine was started again, so its last rows may "
                "not be on the disk; delete it, or copy its segments, which other programs can read"
            )
        self.retention = reader.retention
        if retention is not None:
            self.retention = retention
            for place, limit in enumerate(retention):
                self._store(RETENTION + 8 * place, limit)
        self.recover()

    def _leads_here(self) -> bool:
        """Whether the name leads to this table."""
        try:
            with log_folder.open_folder(self._catalog, self.name) as now:
                return os.path.samestat(os.fstat(now), os.fstat(self._folder.fileno()))
        except log_folder.NONE:
            return False

    def recover(self) -> None:
        """Drop what was begun and not published, by the last producer or by an append that failed.

        Raises
        ------
        OSError, CorruptSnapshotError
        """
        head = self._reader.read()
        turns = self.words.load(TURNS) + 1
        self._store(TURNS, turns)
        self._store(PRODUCER, os.getpid())
        self._store(PRODUCER + 8, time.time_ns())
        if not self.is_deleted:
            self._store(STATE, LogState.OPEN)
        segments = head.segments
        while segments and ((entry := self._reader.entry(segments - 1)) is None or entry.base >= head.committed > 0):
            segments -= 1
        if head.committed == 0:
            segments = 0
        self._store(SEGMENTS, segments)
        self._segments = segments
        self.committed = head.committed
        self.first = head.first
        self._entries = list(self._reader.read().entries)
        files = {paths.log_segment(entry.base, entry.number) for entry in self._entries}
        for file in os.listdir(self._folder.fileno()):
            if file != paths.HEAD and file not in files and file.lstrip(".")[:20].isdigit():
                os.unlink(file, dir_fd=self._folder.fileno())
        self._segment = None
        if self._entries:
            self._segment = self._open(self._entries[-1])
        self._turns = turns

    def _open(self, entry: Entry) -> LogSegment:
        try:
            return LogSegment.open(self.schema, entry, self._folder.fileno())
        except FileNotFoundError as error:
            if self.is_deleted:  # meanwhile
                raise
            raise CorruptSnapshotError(
                f"the growing table {self.name!r} has lost {error.filename}, which its head lists; delete the table"
            ) from error

    def _store(self, at: int, value: int) -> None:
        self.words.store(at, value)

    # -- turns of shared producers -------------------------------------------------------------------------------------

    def lock(self) -> bool:
        """Lock it for writing without waiting; also if it is locked by this object already."""
        return try_lock(self._descriptor)

    def wait_for_lock(self) -> None:
        """Wait for the turn of other producers that share the table, which takes microseconds.

        Raises
        ------
        LogBusyError
            One of them does not share it, or is stopped.
        """
        deadline = time.monotonic() + _LONGEST_TURN
        try:
            self._wait(NEXT, deadline, 1e-3)
            self._wait(WRITING, deadline, 1e-4)
        finally:
            unlock(self._descriptor, NEXT)
        # Whoever has the lock now is named to others.
        if self.words.load(PRODUCER) != os.getpid():
            self._store(PRODUCER, os.getpid())

    @property
    def published(self) -> int:
        """How many rows the head counts, now."""
        return self.words.load(COMMITTED)

    def _wait(self, byte: int, deadline: float, longest: float) -> None:
        pause = 2e-5
        while not try_lock(self._descriptor, byte):
            if time.monotonic() > deadline:
                raise busy(self.name, self._reader)
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def begin_turn(self) -> bool:
        """Say that this producer writes now; whether another one has written since, or was killed while it did.

        Then the answer is the same until `recover` has been called.
        """
        turns = self.words.load(TURNS)
        is_behind = turns != self._turns
        self._store(TURNS, turns + 1)
        if not is_behind:
            self._turns = turns + 1
        return is_behind

    @property
    def committed(self) -> int:
        """How many rows were published, as this producer knows; another one that shares the table may have more."""
        return self.words.published

    @committed.setter
    def committed(self, rows: int) -> None:
        self.words.published = rows

    # -- segments ------------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> int:
        """The number that no other growing table has."""
        return self._reader.constants.identity

    @property
    def segment(self) -> LogSegment | None:
        """The last segment; None before the first one."""
        return self._segment

    def predecessor(self) -> tuple[LogSegment, int] | None:
        """Open the last segment but one; it and how many rows it has. None if there is only one."""
        if len(self._entries) < 2:
            return None
        before, last = self._entries[-2:]
        return self._open(before), last.base - before.base

    @property
    def is_deleted(self) -> bool:
        """Whether somebody has deleted the table meanwhile."""
        return self.words.is_deleted

    def notice_removal(self) -> None:
        """Mark the table as deleted if its folder was removed, by other means than this library's.

        Raises
        ------
        OSError
        """
        if os.fstat(self._folder.fileno()).st_nlink == 0:
            self._say_deleted()

    def _say_deleted(self) -> None:
        """Mark the table as deleted, and wake readers that wait for rows."""
        self._store(STATE, LogState.DELETED)
        _core.wake_word(self._head, COMMITTED)

    def make(self, base: int, text_bytes: int, nbytes: int) -> LogSegment:
        """Make the next segment, whose first row is ``base``; nobody looks for it before `enter`.

        ``text_bytes`` is the least room for the text of each column, and ``nbytes`` is the size of the rows that are
        about to be written.

        Raises
        ------
        StoreFullError
            The rows would pass the store's capacity.
        OSError
            ENOSPC if the file system is full; nothing has changed then.
        """
        if self._entries and self._segments - self._entries[0].number >= ENTRIES:
            raise ValueError(
                f"the growing table {self.name!r} has {ENTRIES:,} segments, which is as many as can be retained; "
                "retain fewer rows: appender(..., retain=)"
            )
        capacity = self._room.rows(self.schema, self.retention, nbytes)
        text = self._room.text_bytes(self.schema, capacity, text_bytes)
        entry = Entry(self._segments, base, capacity, time.time_ns(), text)
        name = paths.log_segment(base, entry.number)
        with self._room.draft(capacity * self.schema.row_bytes) as draft:
            segment = LogSegment.make(self.schema, entry, draft)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder.fileno())  # of a producer that was killed
            draft.place(self._folder.fileno(), name)
            draft.unlock()
        return segment

    def free_room(self) -> bool:
        """Free what may go in a file system that is full, such as spares; whether there was anything."""
        return self._room.free()

    def enter(self, segment: LogSegment) -> None:
        """Write the entry of a segment: readers look there for the rows from its base on, which must be there."""
        entry = segment.entry
        at = RING + entry.number % ENTRIES * ENTRY_SIZE
        self._store(at, NO_BASE)
        for place, value in ((at + 8, entry.capacity), (at + 16, entry.began_ns), (at + 24, entry.text_bytes)):
            self._store(place, value)
        self._store(at, entry.base)
        self._segments += 1
        self._store(SEGMENTS, self._segments)
        before = self._entries[-1] if self._entries else None
        self._entries.append(entry)
        self._segment = segment
        if before is not None and before.base == entry.base:  # all of its rows are in the new one
            self._entries.remove(before)
            with contextlib.suppress(OSError):
                os.unlink(paths.log_segment(before.base, before.number), dir_fd=self._folder.fileno())

    def publish(self, rows: int) -> None:
        """Make the first ``rows`` rows visible, and wake who waits for them.

        Raises
        ------
        ValueError
            It was closed meanwhile, so another producer may have the lock.
        """
        if self._descriptor.fileno() < 0:
            raise ValueError(f"the appender of {self.name!r} was closed within an append; no row of it was appended")
        self.words.publish(rows)

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self, *, in_order: bool) -> None:
        """Drop the lock; twice is once. ``in_order``: it has the lock, and every row is shown to other programs."""
        if self._descriptor.fileno() < 0:
            return
        if in_order:
            self._store(STATE, LogState.CLOSED)
            with contextlib.suppress(OSError):  # the rows are there, whether this can be seen or not
                if not self._leads_here():  # deleted meanwhile
                    self._say_deleted()
        self.drop()

    def drop(self) -> None:
        """Drop the lock, and close what is open; twice is once."""
        self._segment = None
        # Closing would not be enough: a mapping keeps the open file, and so does a forked child.
        if self._process == os.getpid() and self._descriptor.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.unlock()
        self._descriptor.close()
        self._folder.close()

    # -- retention -----------------------------------------------------------------------------------------------------

    def retain(self) -> None:
        """Drop the oldest segments that the retention does not need any more; they become spares."""
        folder = self._folder.fileno()
        count = dispensable(self._entries, self.committed, self.retention, folder)
        if not count:
            return
        self.first = self._entries[count].base
        self._store(FIRST, self.first)
        old_entries, self._entries = self._entries[:count], self._entries[count:]
        self._room.has_spares |= self._retiring.retire(old_entries, folder)


def busy(name: str, reader: HeadReader) -> LogBusyError:
    """The error of a growing table that another producer has locked."""
    pid = reader.producer
    if pid == os.getpid():
        return LogBusyError(
            f"this process (pid {pid}) has an appender of {name!r} open already; use that one, or close it first"
        )
    command = ""
    with contextlib.suppress(OSError):
        command = f", {Path(f'/proc/{pid}/comm').read_text().strip()}"
    return LogBusyError(
        f"process {pid}{command} appends to {name!r}; one producer writes at a time. End it or its appender, "
        "or let all of them use appender(..., shared=True)"
    )


def boot_id() -> bytes:
    """The kernel's number of this start of the machine; zeros where it does not say."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except OSError:
        return bytes(16)


def _text_of(schema: GrowingSchema) -> str:
    return ", ".join(f"{column.name!r}: {column.dtype}" for column in schema.columns)
