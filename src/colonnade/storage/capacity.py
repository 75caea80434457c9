"""Room for a table: the capacity of a store, the space of its file system, and what may be freed for a put.

Knows: sizes, expiry, spares. Does not depend on: how a table is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from colonnade.errors import CorruptSnapshotError, StoreFullError
from colonnade.sizes import format_size
from colonnade.storage import folders, paths, spares
from colonnade.storage.paths import Entry
from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade.storage.usage import SegmentUsage, Usage

_SHOWN = 3


class Held(NamedTuple):
    """A table's file, and what it holds of memory."""

    entry: Entry
    nbytes: int


def free_bytes(root: int) -> int:
    """What the file system still has for this user."""
    found = os.fstatvfs(root)
    return found.f_bavail * found.f_frsize


def _is_expired(expires_ns: int | None) -> bool:
    """Whether a time, in nanoseconds since 1970, has passed; None never does."""
    return expires_ns is not None and expires_ns <= time.time_ns()


def _files(root: int) -> Iterator[tuple[folders.File, Entry | None, int]]:
    """All whole tables; what is shared or sent has no entry."""
    for file in folders.walk(root):
        entry = paths.parse(file.folders, file.name)
        if entry is not None or paths.is_unnamed(file.folders, file.name):
            with contextlib.suppress(FileNotFoundError):
                yield file, entry, file.stat().st_blocks * 512


def used_bytes(root: int) -> int:
    """What all tables' files hold: expired ones too, and those that are shared or sent."""
    return sum(nbytes for _, _, nbytes in _files(root))


def _expired_tables(root: int) -> list[Held]:
    """The tables' files that may go. Reads every seal, which takes ten times as long as to add up sizes."""
    found = []
    for file, entry, nbytes in _files(root):
        if entry is None:
            continue
        with contextlib.suppress(OSError, CorruptSnapshotError):
            segment = Segment.open(file.path, file.folder, file.name)
            try:
                if _is_expired(segment.seal().expires_ns):
                    found.append(Held(entry, nbytes))
            finally:
                segment.close()
    return found


def refuse_for_capacity(root: Path, size: int, capacity: int, usage: Usage) -> StoreFullError:
    """The error for a table that would pass a store's capacity."""
    return StoreFullError(
        errno.ENOSPC,
        f"the store {root} has a capacity of {format_size(capacity)} and the table needs {format_size(size)} "
        f"({size:,} bytes); nothing was stored. {_told(usage)}. {_REMEDY}, or give the store more capacity. "
        "A table that is replaced counts until the new version has its name",
    )


def refuse_for_file_system(root: Path, size: int, free: int, usage: Usage) -> StoreFullError:
    """The error for a table that its file system has no room for; another writer may still be faster."""
    return StoreFullError(
        errno.ENOSPC,
        f"{root} has {free:,} bytes free and the table needs {size:,}; nothing was stored. "
        f"{_told(usage)}. {_REMEDY}, or use a store on a larger file system",
    )


_REMEDY = "Delete tables, let go of deleted ones, put with ttl="


def _told(usage: Usage) -> str:
    """What is used, by whom."""
    tables, deleted = usage.of("newest", "retained"), usage.of("deleted", "spare")
    largest = sorted(tables, key=lambda table: -table.nbytes)
    shown = ", ".join(
        f"{table.name!r} version {table.version} {format_size(table.nbytes)}" for table in largest[:_SHOWN]
    )
    more = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    told = f"Its tables hold {_size(tables)}" + (f" ({shown}{more})" if shown else "")
    held = [segment for segment in deleted if segment.holders]
    if held:
        holders = sorted({(holder.pid, holder.command) for segment in held for holder in segment.holders})
        names = ", ".join(f"{pid} {command}" for pid, command in holders[:_SHOWN])
        told += (
            f"; deleted and superseded ones hold {_size(held)}, for {names}{' and others' * (len(holders) > _SHOWN)}"
        )
    return told


def _size(segments: Iterable[SegmentUsage]) -> str:
    return format_size(sum(segment.nbytes for segment in segments))


def remove_expired(root: int) -> list[Held]:
    """Remove expired tables' files; which they were."""
    expired = _expired_tables(root)
    for held in expired:
        where = paths.locate(held.entry.name)
        version = held.entry.version
        with contextlib.suppress(OSError), folders.below(root, where.folders) as folder:
            os.unlink(where.current if version is None else where.retained(version), dir_fd=folder)
    return expired


def free_spares(root: int, size: int) -> None:
    """Free the longest unused spares until so many bytes are free, or none is left."""
    missing = size - free_bytes(root)
    if missing > 0:
        spares.trim(root, max(spares.held(root) - missing, 0))
