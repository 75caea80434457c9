"""Copies of other hosts' snapshots: a cache that goes first when room is needed.

Does not depend on: how a copy comes here, columns.

1. A copy is a whole file, with the seal of its origin: the same version and identity. The name of its file has the
   identity, and a number made of the table's name. So a process that knows a table's name and its snapshot's
   identity finds the copy, wherever it is from, and a fetch finds the copies of older versions.
2. Every process that has a copy open has its file locked, shared. A process that cleans removes the copies that it can
   lock exclusively. The kernel drops the locks of a process that ends, however it ends. So no process owns a copy, and
   none has to live.
3. A copy that no process has open stays: the next task of this host opens it again. It is removed when a put or another
   fetch needs the room, when it was not used for `AGE` seconds, and by `gc`.
4. A table that is put again and again would leave a copy of each version. So the fetch of a newer version makes a spare
   (`spares`) of a copy that was not used for `SUPERSEDED_AGE` seconds, and receives into memory that is there already.
5. Removing a copy that a process is about to open does no harm. What is open stays readable, and a name that is gone is
   fetched again.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import time
from collections.abc import Iterator

from colonnade import _core
from colonnade.errors import ColonnadeError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog, sealed_version
from colonnade.storage.draft import remove_if_abandoned
from colonnade.storage.segment import Segment

# A copy that was not used for so many seconds is removed by the next fetch.
AGE = 3600.0
# The same for a copy of an older version than the one that is fetched. The origin, too, keeps an older version for so
# long after it was last asked for it.
SUPERSEDED_AGE = 60.0
_NONE = (FileNotFoundError, NotADirectoryError, PermissionError, StoreAccessError)


def file_of(name: str, identity: int) -> str:
    """The file of the copy of a snapshot; ``name`` is the table's, ``""`` for one that is shared."""
    return f"{paths.COPY_PREFIX}{identity:016x}-{_number_of(name)}"


def _number_of(name: str) -> str:
    return f"{binascii.crc32(name.encode()):08x}"


def attach(catalog: Catalog, name: str, identity: int) -> tuple[Segment, Seal] | None:
    """Open the copy of a snapshot, if there is one, and hold it.

    Raises
    ------
    CorruptSnapshotError, StoreAccessError
    """
    try:
        segment, seal = catalog.attach_unnamed(file_of(name, identity))
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
    segment_and_seal = attach(catalog, name, identity)
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
    nbytes = 0
    with contextlib.suppress(*_NONE), folders.segments(root) as folder:
        for name, _ in _listed(folder):
            if nbytes >= missing:
                break
            with contextlib.suppress(OSError):
                nbytes += remove_if_abandoned(folder, name) or 0
    return nbytes


def trim(root: int) -> None:
    """Remove the copies that were not used for a long time. Under the store's lock."""
    oldest = time.time() - AGE
    with contextlib.suppress(*_NONE), folders.segments(root) as folder:
        for name, last_use in _listed(folder):
            if last_use < oldest:
                with contextlib.suppress(OSError):
                    remove_if_abandoned(folder, name)


def superseded(folder: int, name: str, version: int) -> Iterator[str]:
    """The copies of older versions of a table that no process has open, and that none has used for a while.

    Each is locked while the caller has its name, so that nobody else cleans it. Under the store's lock.
    """
    number, oldest = _number_of(name), time.time() - SUPERSEDED_AGE
    for file, last_use in list(_listed(folder)):
        if not file.endswith(f"-{number}") or last_use > oldest:
            continue
        with contextlib.suppress(OSError):
            descriptor = _core.Descriptor(file, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
            with descriptor:
                if (sealed_version(folder, file) or version) < version and descriptor.try_lock():
                    yield file


def _listed(folder: int) -> Iterator[tuple[str, float]]:
    """The copies and when each was last used, the longest unused first."""
    files = []
    for name in os.listdir(folder):
        if name.startswith(paths.COPY_PREFIX):
            with contextlib.suppress(FileNotFoundError):
                files.append((os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime, name))
    return ((name, time) for time, name in sorted(files))
