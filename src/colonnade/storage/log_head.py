"""The head of a growing table: what was published, which segments hold it, and who writes.

Does not depend on: names, folders, columns, how rows are written.

::

       0  "COLLIVE1", u32 format, u32 stripe, u64 identity (random), 16 bytes boot id, u64 bytes of the schema
      64  u64 committed    rows ever published; its low half is the futex word; alone on its cache line
     128  u64 first        the oldest row that is retained; only grows
     192  u64 segments     how many entries of the ring were ever written, the last one dropped by recovery excepted
     200  u64 state        0 open, 1 closed, 2 deleted
     256  u64 rows, u64 bytes, u64 ns      retention; 0: not limited
     320  u64 pid, u64 start time          of the last producer, for messages only: the lock is what counts
     336  u64 turns      how often a producer began to write; whoever finds another number than its own reads all anew
    4096  1,024 entries {u64 base, u64 capacity, u64 began (ns since 1970), u64 text bytes}; entry i is at i % 1024
   36864  the schema, as JSON (`GrowingSchema.encode`); the file ends behind it

All numbers are little-endian and aligned to 8 bytes. The contract:

1. **Order of stores.** A producer makes a segment and its file name, then writes its entry, then ``segments``
   (release). It writes rows, then ``committed`` (release), then wakes waiters. To drop old segments it stores ``first``
   (release), and then removes or reuses their files.
2. **What a reader does.** It loads ``committed`` (acquire), then ``first``, ``segments`` and the entries: `Head.read`.
   Entry ``i`` holds the rows from its base up to the next entry's base, or up to ``committed``. Entries whose base is
   ``committed`` or more hold nothing yet; those that end at or below ``first`` are gone.
3. **A second segment from the same row on.** Where a segment runs out of room for text, its last stripe may be copied
   to the start of the next segment. So the bases ascend, and an entry may begin below the last one's end: the rows from
   there on are in both, and are the same in both.
4. **An entry is replaced** only by recovery, if no row in it was ever published. The base is set to `NO_BASE` first and
   to its value last. A reader that finds no file, or a file of another size than the entry says
   (`format.growing_envelope.places`), reads the head again.
5. **Files.** The segment of an entry is ``<base, 20 digits>-<number, 6 digits>.arrow`` (`storage.paths.log_segment`).
6. **Rows below committed are for ever.** No process stores to them again, recovery neither.
7. **Lock.** The producer has an OFD lock on the head's first byte (shared producers: for each append). It goes with its
   last descriptor, however its process ends. Readers open and map the head read-only, and lock nothing.
8. **Turns.** Before a producer that shares the table writes anything, it increases ``turns``. If the number is not the
   one that it stored last, another producer has written since: rows, categories that no row uses yet, or states for
   other programs. It may have been killed, or its append may have failed, so ``committed`` alone would not say so.
9. **State.** ``closed`` says that the producer ended in order: every row is shown to Arrow, and the numbers are sound
   on a disk. The next producer sets it to ``open``. ``deleted`` is final: the name is free for another identity.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import CorruptSnapshotError
from colonnade.format.stripes import STRIPE, check_capacity

MAGIC = b"COLLIVE1"
FORMAT = 1
COMMITTED, FIRST, SEGMENTS, STATE, RETENTION, PRODUCER, TURNS = 64, 128, 192, 200, 256, 320, 336
RING, ENTRIES, ENTRY_SIZE = 4096, 1024, 32
SCHEMA = RING + ENTRIES * ENTRY_SIZE
NO_BASE = (1 << 64) - 1
# Between the numbers there is nothing: from byte, to byte.
NOTHING = ((72, 128), (136, 192), (208, 256), (280, 320), (344, RING))
_LONGEST_SCHEMA = 16 << 20
_MOST_ROWS = 1 << 62
_FIXED = struct.Struct("<8sIIQ16sQ")
_TRIES = 100


class LogState(IntEnum):
    """The state of a growing table."""

    OPEN = 0
    CLOSED = 1
    DELETED = 2


class Entry(NamedTuple):
    """A segment: entry ``number`` of all that were ever begun, its first row, its capacity, when it began, its text."""

    number: int
    base: int
    capacity: int
    began_ns: int
    text_bytes: int


class Retention(NamedTuple):
    """How much is kept: the least number of newest rows, of bytes, or of nanoseconds; 0 for no limit."""

    rows: int = 0
    nbytes: int = 0
    ns: int = 0


class Head(NamedTuple):
    """What a reader saw in one look. ``entries`` are those that hold rows of ``first`` to ``committed``, in order."""

    identity: int
    committed: int
    first: int
    state: LogState
    entries: tuple[Entry, ...]
    segments: int

    def end(self, position: int) -> int:
        """The row after the last one that ``entries[position]`` is to be read for."""
        following = self.entries[position + 1 :][:1]
        return following[0].base if following else self.committed

    def newest(self, rows: int) -> tuple[Entry, ...]:
        """The last entries, which have at least this number of the newest rows."""
        start = self.committed - rows
        return tuple(entry for position, entry in enumerate(self.entries) if self.end(position) > start)


class Fixed(NamedTuple):
    """What a head says once and for all. ``schema_text`` is the schema as JSON: `format.growing.stored_schema`."""

    identity: int
    boot_id: bytes
    retention: Retention
    schema_text: bytes


def new_head(identity: int, boot_id: bytes, text: bytes, retention: Retention) -> bytes:
    """The bytes of a head without rows; ``text`` is the schema's."""
    if len(text) > _LONGEST_SCHEMA:
        raise ValueError(f"the schema takes {len(text):,} bytes, and may take {_LONGEST_SCHEMA:,}: use fewer columns")
    head = bytearray(SCHEMA)
    _FIXED.pack_into(head, 0, MAGIC, FORMAT, STRIPE, identity, boot_id, len(text))
    struct.pack_into("<3Q", head, RETENTION, *retention)
    return bytes(head) + text


def read_fixed(data: memoryview, path: Path) -> Fixed:
    """Read what never changes, and check it.

    Raises
    ------
    CorruptSnapshotError
        Also for a format that this version does not know.
    """
    if len(data) < SCHEMA:
        raise CorruptSnapshotError(f"{path} has {len(data):,} bytes, too few for the head of a growing table")
    magic, number, stripe, identity, boot_id, length = _FIXED.unpack_from(data)
    if magic != MAGIC:
        raise CorruptSnapshotError(f"{path} is not the head of a growing table; delete the table, or remove its folder")
    if (number, stripe) != (FORMAT, STRIPE):
        raise CorruptSnapshotError(
            f"{path} has format {number} with stripes of {stripe:,} rows, and this version of Colonnade knows format "
            f"{FORMAT} with {STRIPE:,}; use the version that wrote it"
        )
    if length > _LONGEST_SCHEMA or len(data) < SCHEMA + length:
        raise CorruptSnapshotError(f"{path} has {len(data):,} bytes, and its schema alone would have {length:,}")
    retention = Retention(*struct.unpack_from("<3Q", data, RETENTION))
    return Fixed(identity, boot_id, retention, bytes(data[SCHEMA : SCHEMA + length]))


class HeadReader:
    """Looks at a head that is mapped shared and read-only: a writable private mapping would not see the producer.

    Parameters
    ----------
    data : memoryview
        The mapping; it must stay as long as this object.
    path : Path
        For messages.
    load : callable, optional
        Loads the word at a place of the mapping with acquire order. Whoever has the mapping as `_core.SharedWords` or
        `_core.HeadWords` has a faster one than this class makes of ``data``.

    Notes
    -----
    Every word is loaded with acquire order, so the loads are made in the order of the program on ARM too: what is
    loaded after ``committed`` is at least as new as ``committed``, and an entry's base is loaded again after the rest.
    """

    def __init__(self, data: memoryview, path: Path, load: Callable[[int], int] | None = None) -> None:
        self.constants = read_fixed(data, path)
        self._path = path
        self._load = load or partial(_core.load_word, data)

    @property
    def committed(self) -> int:
        """How many rows were ever published, now."""
        return self._load(COMMITTED)

    @property
    def retention(self) -> Retention:
        """How much is kept, now."""
        return Retention(*(self._load(RETENTION + 8 * place) for place in range(3)))

    @property
    def producer(self) -> int:
        """The process that wrote last; it may be gone."""
        return self._load(PRODUCER)

    def read(self) -> Head:
        """Look once; everything is checked.

        Raises
        ------
        CorruptSnapshotError
        """
        for _ in range(_TRIES):
            committed, first, segments, state = map(self._load, (COMMITTED, FIRST, SEGMENTS, STATE))
            entries = self._entries(committed, first, segments)
            if entries is not None:
                break
        else:
            raise self._damaged("its entries change faster than they can be read")
        if committed > _MOST_ROWS or state not in tuple(LogState):
            raise self._damaged(f"it counts {committed:,} rows and is in state {state}")
        if first < committed and (not entries or entries[0].base > first):
            raise self._damaged(f"no segment holds row {first:,}, which is to be retained")
        return Head(self.constants.identity, committed, min(first, committed), LogState(state), entries, segments)

    def entry(self, number: int) -> Entry | None:
        """One entry; None while it is replaced."""
        at = RING + number % ENTRIES * ENTRY_SIZE
        base, capacity, began, text = map(self._load, range(at, at + ENTRY_SIZE, 8))
        if base == NO_BASE or base != self._load(at):
            return None
        return Entry(number, base, capacity, began, text)

    def _entries(self, committed: int, first: int, segments: int) -> tuple[Entry, ...] | None:
        """The entries that hold rows; None where one of them changed meanwhile."""
        entries: list[Entry] = []
        following = committed
        for number in range(segments - 1, max(segments - ENTRIES, 0) - 1, -1):
            entry = self.entry(number)
            if entry is None:
                return None
            if entry.base >= committed:
                continue
            check_capacity(entry.capacity, entry.text_bytes)
            if entry.base % STRIPE or entry.base > following or following > entry.base + entry.capacity:
                # The producer may have dropped it since, and written another entry in its place.
                if (self._load(FIRST), self._load(SEGMENTS)) != (first, segments):
                    return None
                raise self._damaged(f"its segments do not follow each other: {entry}, and then row {following:,}")
            if entry.base < following:  # else a later segment has all of its rows
                entries.append(entry)
            following = entry.base
            if entry.base <= first:
                break
        return tuple(reversed(entries))

    def _damaged(self, what: str) -> CorruptSnapshotError:
        return CorruptSnapshotError(f"{self._path} is damaged: {what}; delete the table and append anew")
