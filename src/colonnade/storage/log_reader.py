"""A growing table as a reader sees it: its head, and the segments that hold its rows, open and checked.

Does not depend on: how a column is read, who asks.

A `LogReader` belongs to one folder, that is to one identity: a table that is deleted and made again is another one.
All readers of a process share it. It holds descriptors: of the folder, and of each segment that the last look saw.
A `Look` holds the segments of its rows, so it can be read for ever, whatever retention drops later: files are
neither shortened nor written below ``committed``, and a dropped segment is written again only when no process has it
open or mapped.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any, NamedTuple, cast
from weakref import WeakValueDictionary

from colonnade import _core
from colonnade.errors import CorruptSnapshotError, NotFoundError, RowsDroppedError, StoreAccessError
from colonnade.format.growing import GrowingSchema, Places, stored_schema
from colonnade.format.growing_envelope import places
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import COMMITTED, FIRST, SEGMENTS, STATE, Entry, Head, HeadReader, LogState
from colonnade.storage.os_errors import explained

# A segment that is gone was dropped since the head was read; so often in a row it is damage.
_TRIES = 100


class OpenSegment:
    """A segment that is open for reading. Its descriptor is closed when nobody has the object any more."""

    def __init__(self, table: GrowingSchema, entry: Entry, descriptor: _core.Descriptor, owner: int) -> None:
        self.entry = entry
        self.owner = owner
        self.places: Places = places(table, entry.capacity, entry.text_bytes)
        self._descriptor = descriptor
        self._mapping: _core.Mapping | None = None
        # What readers have made of it and may use again: it does not change while the segment is there.
        self.cache: dict[Any, Any] = {}

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._descriptor.fileno()

    @property
    def mapping(self) -> _core.Mapping:
        """The whole file, shared and read-only; mapped once for the process."""
        if self._mapping is None:
            self._mapping = _core.Mapping(self.fd, self.places.size, False)
        return self._mapping


class Part(NamedTuple):
    """Rows ``start`` to ``stop`` of the table, which a segment holds."""

    segment: OpenSegment
    start: int
    stop: int


class Look(NamedTuple):
    """What there was at one instant: rows ``first`` to ``stop``, and the segments that hold them.

    ``cache`` is what readers have made of these segments and may use again for more rows of them. ``segment_count`` is
    how many segments were ever begun up to the last one that has rows, and ``end`` the row up to which that has room.
    """

    first: int
    stop: int
    segments: tuple[OpenSegment, ...]
    cache: dict[str, Any]
    segment_count: int
    end: int

    def parts(self, start: int, stop: int) -> list[Part]:
        """The rows from ``start`` to ``stop``, by segment; these must be rows of the look."""
        result: list[Part] = []
        number, end = len(self.segments), stop
        while end > start:  # from the last one on: new rows are in few of many segments
            number -= 1
            segment = self.segments[number]
            begin = max(segment.entry.base, start)
            if begin < end:
                result.append(Part(segment, begin, end))
                end = begin
        result.reverse()
        return result


class LogTable(NamedTuple):
    """Which growing table it is, wherever it is opened: store, name, the user whose it is, and its random number."""

    store: str
    name: str
    owner: int
    identity: int
    columns: int
    row_bytes: int
    created_ns: int


class LogReader:
    """One growing table, as all readers of this process see it; made by `open_log`."""

    def __init__(self, catalog: Catalog, name: str, folder: _core.Descriptor) -> None:
        self.name = name
        self.root = catalog.directory.root
        where = paths.locate(name)
        self.path = self.root.joinpath(*where.folders, where.live)
        self._catalog = catalog
        self._folder = folder
        head = self.path / paths.HEAD
        # O_NONBLOCK: a planted pipe must not stop the reader.
        with _core.Descriptor(paths.HEAD, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder.fileno()) as fd:
            stat = os.fstat(fd)
            self._check_owner(stat.st_uid)
            if stat.st_size == 0:
                raise CorruptSnapshotError(f"{head} is empty; delete the table and append anew")
            self.words = _core.SharedWords(fd, stat.st_size)
        self.owner = stat.st_uid
        self.created_ns = stat.st_ctime_ns
        self._place = (stat.st_dev, stat.st_ino)
        self._reader = HeadReader(memoryview(cast(Any, self.words)), head, self.words.load)
        self.schema = stored_schema(self._reader.constants.schema_text)
        self.schema_text = self._reader.constants.schema_text
        self.identity = self._reader.constants.identity
        self.table = LogTable(
            os.fspath(self.root),
            name,
            self.owner,
            self.identity,
            len(self.schema.columns),
            self.schema.row_bytes,
            self.created_ns,
        )
        self._growth = _core.Growth(self.words, COMMITTED, FIRST, SEGMENTS, STATE, LogState.DELETED)
        self._look = Look(0, 0, (), {}, 0, 0)
        # What readers make for all of this process, as their shared range.
        self.cache: dict[str, Any] = {}

    @property
    def committed(self) -> int:
        """How many rows were ever published, now."""
        return self.words.load(COMMITTED)

    @property
    def is_deleted(self) -> bool:
        """Whether it was deleted. It can still be read."""
        return self.words.load(STATE) == LogState.DELETED

    def is_at(self, rows: int) -> bool:
        """Whether it is not deleted and has ``rows`` rows, as when it was looked at."""
        load = self.words.load
        return load(COMMITTED) == rows and load(STATE) != LogState.DELETED

    @property
    def is_there(self) -> bool:
        """Whether the name still leads here."""
        if self.is_deleted:
            return False
        try:
            stat = os.stat(self.path / paths.HEAD, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (stat.st_dev, stat.st_ino) == self._place

    def head(self) -> Head:
        """Look at the head; every number of it is checked.

        Raises
        ------
        CorruptSnapshotError
        """
        return self._reader.read()

    def producer(self) -> int:
        """The process that wrote last; it may be gone."""
        return self._reader.producer

    def look(self, newest: int | None = None) -> Look:
        """See what there is now, and open the segments that are new.

        ``newest``: only so many rows are wanted, and the segments before them need not be opened. The look has these
        rows at least, or all that there are.

        Raises
        ------
        CorruptSnapshotError, StoreAccessError
        """
        look = self._look
        if look.stop == self.words.load(COMMITTED):
            return look
        newer = self._newer(look, self._growth.rows(look.first, look.segment_count, look.end))
        if newer is not None:
            return newer
        for attempt in range(_TRIES):
            head = self.head()
            entries = head.entries if newest is None else head.newest(newest)
            open_segments = {segment.entry: segment for segment in self._look.segments}
            try:
                segments = tuple(open_segments.get(entry) or self.open_segment(entry) for entry in entries)
            except (FileNotFoundError, OtherSizeError) as error:
                if self.is_deleted:
                    raise self.deleted() from None
                if attempt == _TRIES - 1:
                    raise CorruptSnapshotError(
                        f"the growing table {self.name!r} is damaged: {error}; delete it and append anew"
                    ) from error
                if attempt:
                    time.sleep(1e-3)
                continue  # retention was faster
            except OSError as error:
                with explained(self.root, f"opening a segment of the growing table {self.name!r}"):
                    raise error
            if len(segments) < len(head.entries):
                return Look(entries[0].base if entries else head.committed, head.committed, segments, {}, 0, 0)
            # A segment that has no published row yet is not counted: its rows may be below the end of the one before,
            # where that has no more room for text. So the rows that are published next lead here again.
            count, end = (entries[-1].number + 1, entries[-1].base + entries[-1].capacity) if entries else (0, 0)
            self._look = look = Look(head.first, head.committed, segments, {}, count, end)
            return look
        raise AssertionError("unreachable")

    def wait(self, rows: int, bell: _core.Bell, rung: int, seconds: float) -> Look | None:
        """Wait until the number of rows is not ``rows``, the table is deleted, or the bell's value is not ``rung``.

        It returns what there is then, or after ``seconds`` seconds. None: more than the number of rows may have
        changed, so `look` must be called. Signal handlers run meanwhile, and may end it.

        Raises
        ------
        OSError
        """
        look = self._look
        committed = self._growth.wait(rows, look.first, look.segment_count, look.end, bell, rung, seconds)
        return self._newer(look, committed)

    def _newer(self, look: Look, rows: int | None) -> Look | None:
        """The next look where only the number of rows has changed; None where more may have."""
        if rows is None or rows < look.stop:
            return None
        self._look = newer = Look(look.first, rows, look.segments, look.cache, look.segment_count, look.end)
        return newer

    def open_segment(self, entry: Entry) -> OpenSegment:
        """Open the segment of an entry.

        Raises
        ------
        FileNotFoundError, OtherSizeError
            Retention may have been faster.
        StoreAccessError
        """
        file = paths.log_segment(entry.base, entry.number)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = _core.Descriptor(file, flags, dir_fd=self._folder.fileno())
        except BlockingIOError as error:  # a producer is testing whether it may use it again, so it was dropped
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file) from error
        stat = os.fstat(descriptor.fileno())
        self._check_owner(stat.st_uid)
        segment = OpenSegment(self.schema, entry, descriptor, stat.st_uid)
        if stat.st_size != segment.places.size:
            raise OtherSizeError(f"{file} has {stat.st_size:,} bytes, and the head says {segment.places.size:,}")
        return segment

    def _check_owner(self, owner: int) -> None:
        if not self._catalog.directory.trusts(owner):
            raise StoreAccessError(
                errno.EPERM,
                f"a file of the growing table {self.name!r} belongs to user {owner}, who could change it while it is "
                f"read; the folder is {self.path}. Remove it, or trust that user: "
                f"Store({str(self.root)!r}, trust={owner})",
            )

    def deleted(self) -> NotFoundError:
        """The error of a table that is gone."""
        return NotFoundError(
            f"the growing table {self.name!r} in {self.root} was deleted, after {self.committed:,} rows; "
            "rows that were read before stay readable. Open the name again where it is made again"
        )


class _VersionDroppedError(RowsDroppedError, NotFoundError):
    """Rows that are not retained any more, where a version was asked for."""


def rows_dropped(name: str, row: int, look: Look) -> _VersionDroppedError:
    """The error of rows that are not retained any more."""
    return _VersionDroppedError(_dropped(name, row, look))


def rows_missed(name: str, row: int, look: Look) -> RowsDroppedError:
    """The error of rows that a follower did not get before they were dropped."""
    return RowsDroppedError(f"{_dropped(name, row, look)}. Ask again to go on with the oldest row there is")


def _dropped(name: str, row: int, look: Look) -> str:
    return (
        f"row {row:,} of the growing table {name!r} is not retained any more: rows {look.first:,} to {look.stop:,} "
        "are. Read faster, or retain more: appender(..., retain=)"
    )


class OtherSizeError(Exception):
    """A segment whose size is not what its entry says: it may be one that took the number over."""


# By store and name; a reader that nobody has any more is dropped, with its descriptors.
_readers: WeakValueDictionary[tuple[str, str, frozenset[int]], LogReader] = WeakValueDictionary()


def find_log(catalog: Catalog, name: str) -> LogReader | None:
    """The growing table of a name; None if the name is not one.

    Raises
    ------
    CorruptSnapshotError, StoreAccessError
    """
    key = (os.fspath(catalog.directory.root), name, catalog.directory.trusted_users)
    where = paths.locate(name)
    try:
        reader = _readers.get(key)
        if reader is not None and reader.is_there:
            return reader
        with catalog.directory.opened() as root:
            folder = folders.below(root, [*where.folders, where.live], catalog.directory.trusts)
        reader = LogReader(catalog, name, folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except StoreAccessError:
        raise
    except OSError as error:
        with explained(catalog.directory.root, f"opening the growing table {name!r}"):
            raise error
    _readers[key] = reader
    return reader
