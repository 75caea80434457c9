"""Copies of other hosts' snapshots: a cache that goes first when room is needed.

Does not depend on: how a copy comes here, columns.

1. A copy is a whole file, with the seal of its origin: the same version and identity. Its name is its identity, so
   a process that looks for a snapshot finds its copy without knowing where it is from.
2. Every process that has a copy open has its file locked, shared. A process that cleans removes the copies that it can
   lock exclusively. The kernel drops the locks of a process that ends, however it ends. So no process owns a copy, and
   none has to live.
3. A copy that no process has open stays: the next task of this host opens it again. It is removed when a put or another
   fetch needs the room, when it was not used for `AGE` seconds, and by `gc`.
4. Removing a copy that a process is about to open does no harm. What is open stays readable, and a name that is gone is
   fetched again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from colonnade.errors import ColonnadeError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.draft import remove_if_abandoned
from colonnade.storage.segment import Segment

# A copy that was not used for so many seconds is removed by the next fetch.
AGE = 3600.0
_NONE = (FileNotFoundError, NotADirectoryError, PermissionError, StoreAccessError)


def attach(catalog: Catalog, identity: int) -> tuple[Segment, Seal] | None:
    """Open the copy of a snapshot, if there is one, and hold it.

    Raises
    ------
    CorruptSnapshotError, StoreAccessError
    """
    try:
        segment, seal = catalog.attach_unnamed(paths.copy_name(identity))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if seal.identity != identity:  # it was renamed by hand
        segment.close()
        return None
    segment.hold()
    with contextlib.suppress(OSError):
        os.utime(segment.fd)  # it was used now
    return segment, seal


def find(catalog: Catalog, name: str, version: int, identity: int) -> tuple[Segment, Seal] | None:
    """Open a snapshot by its identity, wherever it is in this store: under its name, as a copy, or shared."""
    if name:
        with contextlib.suppress(ColonnadeError):
            segment, seal = catalog.attach(name, version)
            if seal.identity == identity:
                return segment, seal
            segment.close()
    segment_and_seal = attach(catalog, identity)
    return segment_and_seal or _find_shared(catalog, identity)


def _find_shared(catalog: Catalog, identity: int) -> tuple[Segment, Seal] | None:
    try:
        with catalog.directory.opened() as root, folders.segments(root) as folder:
            files = [file for file in os.listdir(folder) if file.startswith(paths.SHARED_PREFIX)]
    except _NONE:
        return None
    for file in files:
        with contextlib.suppress(ColonnadeError, OSError):
            segment, seal = catalog.attach_unnamed(file)
            if seal.identity == identity:
                return segment, seal
            segment.close()
    return None


def free(root: int, missing: int) -> int:
    """Remove the longest unused copies that no process has open until so many bytes are free; returns how many were.

    Under the store's lock.
    """
    freed = 0
    with contextlib.suppress(*_NONE), folders.segments(root) as folder:
        for name, _ in _listed(folder):
            if freed >= missing:
                break
            with contextlib.suppress(OSError):
                freed += remove_if_abandoned(folder, name) or 0
    return freed


def trim(root: int) -> None:
    """Remove the copies that were not used for a long time. Under the store's lock."""
    oldest = time.time() - AGE
    with contextlib.suppress(*_NONE), folders.segments(root) as folder:
        for name, last_use in _listed(folder):
            if last_use < oldest:
                with contextlib.suppress(OSError):
                    remove_if_abandoned(folder, name)


def _listed(folder: int) -> Iterator[tuple[str, float]]:
    """The copies and when each was last used, the longest unused first."""
    files = []
    for name in os.listdir(folder):
        if name.startswith(paths.COPY_PREFIX):
            with contextlib.suppress(FileNotFoundError):
                files.append((os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime, name))
    return ((name, time) for time, name in sorted(files))
