"""Room for a table: the capacity of a store, the space of its file system, and what may be freed for a put.

Knows: sizes, expiry, spares. Must not know: how a table is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from colonnade.errors import StoreFullError
from colonnade.sizes import format_size
from colonnade.store import folders, paths, recycle
from colonnade.store.paths import Entry

_SHOWN = 3


class Held(NamedTuple):
    """A table's file: what it holds of memory, and whether it may go."""

    entry: Entry
    nbytes: int
    expired: bool


def free_bytes(root: int) -> int:
    """What the file system still has for this user."""
    found = os.fstatvfs(root)
    return found.f_bavail * found.f_frsize


def is_expired(expires_ns: int | None) -> bool:
    """Whether a time, in nanoseconds since 1970, has passed; None never does."""
    return expires_ns is not None and expires_ns <= time.time_ns()


def used_bytes(tables: Iterable[Held]) -> int:
    """What tables hold that have not expired."""
    return sum(held.nbytes for held in tables if not held.expired)


def check_capacity(root: Path, size: int, capacity: int, tables: list[Held]) -> None:
    """Fail where a store's capacity would be passed.

    Raises
    ------
    StoreFullError
    """
    used = used_bytes(tables)
    if used + size > capacity:
        raise StoreFullError(
            errno.ENOSPC,
            f"the store {root} has a capacity of {format_size(capacity)} and the table needs {format_size(size)} "
            f"({size:,} bytes); nothing was stored. {_told(used, tables)}. {_REMEDY}, or give the store more capacity. "
            "A table that is replaced counts until the new version has its name",
        )


def check_file_system(root: Path, size: int, free: int, tables: list[Held]) -> None:
    """Fail where the file system has too little room; another writer may still be faster.

    Raises
    ------
    StoreFullError
    """
    if free < size:
        raise StoreFullError(
            errno.ENOSPC,
            f"{root} has {free:,} bytes free and the table needs {size:,}; nothing was stored. "
            f"{_told(used_bytes(tables), tables)}. {_REMEDY}, or use a store on a larger file system",
        )


_REMEDY = "Delete tables, end the processes that hold deleted ones (usage() names them), put with ttl="


def _told(used: int, tables: list[Held]) -> str:
    largest = sorted((held for held in tables if not held.expired), key=lambda held: -held.nbytes)
    shown = ", ".join(f"{_name(held.entry)} {format_size(held.nbytes)}" for held in largest[:_SHOWN])
    more = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    return f"Its tables hold {format_size(used)}" + (f" ({shown}{more})" if shown else "")


def _name(entry: Entry) -> str:
    return f"{entry.name!r}" if entry.version is None else f"version {entry.version} of {entry.name!r}"


def remove_expired(root: int, tables: Iterable[Held]) -> None:
    """Remove expired tables' files."""
    for held in tables:
        if held.expired:
            where = paths.locate(held.entry.name)
            version = held.entry.version
            with contextlib.suppress(OSError), folders.below(root, where.folders) as folder:
                os.unlink(where.current if version is None else where.retained(version), dir_fd=folder)


def free_spares(root: int, size: int) -> None:
    """Free the longest unused spares until so many bytes are free, or none is left."""
    missing = size - free_bytes(root)
    if missing > 0:
        recycle.trim(root, max(recycle.held(root) - missing, 0))
