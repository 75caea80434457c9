"""Tables that are sent. One that was sent before and has not changed is written once for all receivers.

There are three ways to send a table, and the first that can be gone is taken:

1. **It is in a store already**: a frame that `get` made, and that was not written to. Its memory is in a mapping of a
   snapshot, and the kernel says that no page of it was written to; its structure and the places of its values are those
   of a frame that is made of the snapshot now.
2. **It was sent before**, and has not changed since: the same structure, the same places, and no store to them
   (`core/write_watch.py`). What was written for it then is owned by this process, for as long as the table is alive.
3. **It is written**, and remembered for the next time.

Each receiver gets a name of its own that leads to the segment (`storage/in_flight.py`). So no process counts receivers,
and a table that changes, dies or is superseded after it was sent does not disturb those who still have to receive it.

Does not depend on: picklers.
"""

from __future__ import annotations

import os
import threading
import weakref
from multiprocessing.util import is_exiting
from typing import Any, NamedTuple

import numpy as np

from colonnade import _core, _share
from colonnade._by_reference.contents import Contents, contents_of
from colonnade._by_reference.tables import Kind
from colonnade._mappings import source_of
from colonnade._put import Writer
from colonnade._reference import Reference
from colonnade.core.write_watch import Memory, Stretch
from colonnade.errors import ColonnadeError
from colonnade.format.write.plan import plan
from colonnade.format.write.table import lay_out
from colonnade.snapshot import Snapshot

# Each has a descriptor and a watch. The table that was sent the longest ago is forgotten first.
_MOST = 64
# What is not in the mapping of a stored table is compared byte by byte: labels, categories. In bytes.
_COMPARED = 1 << 20


class _Sent(NamedTuple):
    """What was written for a table, and how to see that the table is still the same."""

    table: weakref.ref[Any]
    store: object
    structure: bytes
    memory: Memory
    way_back: Any
    snapshot: _share.OwnedSnapshot


# By ``id(table)``; the table that was sent last is at the end.
_entries: dict[int, _Sent] = {}
# For changes of the dictionary, and so that one thread at a time examines a table.
_lock = threading.RLock()


def _in_child() -> None:
    """Begin anew in a forked child: it owns no table, and another thread may have had the lock at the fork."""
    global _lock  # noqa: PLW0603 -- a lock cannot be unlocked by another thread
    _lock = threading.RLock()
    _entries.clear()


os.register_at_fork(after_in_child=_in_child)


def forget() -> None:
    """Forget all tables; what was written for them is freed once it is received."""
    with _lock:
        while _entries:
            _entries.popitem()


def send(writer: Writer, group: str, kind: Kind, table: Any) -> tuple[Reference, Any] | None:
    """Send a table to one receiver: its reference and how to make the table of it; None if it cannot be sent.

    Raises
    ------
    ColonnadeError, OSError
        If it cannot be written.
    """
    contents = contents_of(table)
    with _lock:
        return (
            _send_stored(writer, group, kind, table, contents)
            or _send_again(writer, group, table, contents)
            or _send_written(writer, group, kind, table, contents)
        )


# -- 1. in a store already ---------------------------------------------------------------------------------------------


def _send_stored(
    writer: Writer, group: str, kind: Kind, table: Any, contents: Contents
) -> tuple[Reference, Any] | None:
    largest = max(contents.stretches, key=lambda stretch: stretch.size, default=Stretch(0, 0))
    source = source_of(largest.address)
    if source is None or not source.reference.store:
        return None
    here = source.reference._replace(locations=())  # the table is not fetched for it
    way_back = kind.way_back_of_snapshot(table)
    if way_back is None:
        return None
    try:
        with Snapshot(here) as snapshot:
            again = contents_of(kind.read(snapshot, way_back))
            if again.structure != contents.structure or not _same_memory(contents, again, source.mapping):
                return None
            return _share.send(writer, snapshot, group), way_back
    except (ColonnadeError, OSError):
        return None  # superseded or deleted, another user's, on another file system, or it cannot be read so


def _same_memory(contents: Contents, again: Contents, mapping: Any) -> bool:
    """Whether two tables of one snapshot have the same values: the first is in a mapping that was not written to."""
    if [stretch.size for stretch in contents.stretches] != [stretch.size for stretch in again.stretches]:
        return False
    for one, other in zip(contents.stretches, again.stretches, strict=True):
        other_source = source_of(other.address)
        if 0 <= one.address - mapping.address < len(mapping):
            if (
                other_source is None
                or other.address - other_source.mapping.address != one.address - mapping.address
                or (mapping.writable and _core.has_own_pages(*one))
            ):
                return False
        elif one.size > _COMPARED or not np.array_equal(one.bytes(), other.bytes()):
            return False
    return True


# -- 2. sent before ----------------------------------------------------------------------------------------------------


def _send_again(writer: Writer, group: str, table: Any, contents: Contents) -> tuple[Reference, Any] | None:
    entry = _entries.pop(id(table), None)
    if (
        entry is None
        or entry.table() is not table
        or entry.store != writer.directory.root
        or entry.structure != contents.structure
        or entry.memory.differs(contents.stretches)
    ):
        return None
    try:
        reference = _share.send(writer, entry.snapshot, group)
    except (ColonnadeError, OSError):
        return None  # another process removed its name
    _entries[id(table)] = entry
    return reference, entry.way_back


# -- 3. written --------------------------------------------------------------------------------------------------------


def _send_written(
    writer: Writer, group: str, kind: Kind, table: Any, contents: Contents
) -> tuple[Reference, Any] | None:
    memory = Memory(contents.stretches)  # before the table is written: a store from here on is seen the next time
    table_plan = plan(table)
    way_back = kind.way_back(table, table_plan)
    if way_back is None:
        return None
    placement = lay_out(table_plan)
    while not _has_room(writer, placement.size) or len(_entries) >= _MOST:
        if not _entries:
            return None
        del _entries[next(iter(_entries))]
    snapshot = _share.share_planned(writer, placement)
    key = id(table)
    reference = _share.send(writer, snapshot, group)
    if is_exiting():  # the thread of a queue, which is joined: what it remembers now would never be released
        snapshot.close()
        return reference, way_back
    reference_to_table = weakref.ref(table, lambda dead: _forget(key, dead))
    _entries[key] = _Sent(reference_to_table, writer.directory.root, contents.structure, memory, way_back, snapshot)
    return reference, way_back


def _has_room(writer: Writer, size: int) -> bool:
    return _share.has_room(writer, size, sum(entry.snapshot.nbytes for entry in _entries.values()))


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    """Forget a table that is gone. Another one may be at its address by now."""
    entry = _entries.get(key)
    if entry is not None and entry.table is reference:
        _entries.pop(key, None)
