"""Room for a table: the capacity of a store, the space of its file system, and what may be freed for a put.

Does not depend on: how a table is written.
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
from colonnade.log import logger
from colonnade.sizes import format_size
from colonnade.storage import folders, paths, spares
from colonnade.storage.paths import Entry
from colonnade.storage.room import Room, room
from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade.storage.usage import SegmentUsage, Usage

_SHOWN = 3


class Held(NamedTuple):
    """A table's file, and the bytes of memory that it takes."""

    entry: Entry
    nbytes: int


def free_bytes(root: int, size: int = 0, private: int = 0) -> int:
    """What the file system and the memory limits of the control group still have for this user; see `room`."""
    return room(root, size, private).nbytes


def _is_expired(expires_ns: int | None) -> bool:
    """Whether a time, in nanoseconds since 1970, has passed; None never does."""
    return expires_ns is not None and expires_ns <= time.time_ns()


def _files(root: int) -> Iterator[tuple[folders.File, Entry | None, os.stat_result]]:
    """All whole tables; what is shared or in flight has no entry."""
    for file in folders.walk(root):
        entry = paths.parse(file.folders, file.name)
        if entry is not None or paths.is_unnamed(file.folders, file.name):
            with contextlib.suppress(FileNotFoundError):
                yield file, entry, file.stat()


def used_bytes(root: int) -> int:
    """The bytes of all tables' files: expired ones too, those that are shared or in flight, and growing tables'."""
    bytes_of = {(status.st_dev, status.st_ino): status.st_blocks * 512 for *_, status in _files(root)}
    return sum(bytes_of.values()) + _growing_bytes(root)  # a copy is a second name of the same file


def _growing_bytes(root: int) -> int:
    total = 0
    for parts, folder in folders.walk_folders(root):
        if paths.live_name(parts, folder) is not None:
            with (
                contextlib.suppress(OSError),
                folders.below(root, [*parts, folder], None) as fd,
                os.scandir(fd) as files,
            ):
                total += sum(file.stat(follow_symlinks=False).st_blocks * 512 for file in files)
    return total


class _Version(NamedTuple):
    """One version of a table that is stored."""

    file: Held
    is_expired: bool = False
    is_sealed: bool = False  # not another program's file of that name


def _versions(root: int) -> dict[str, list[_Version]]:
    """The versions of each table of which one has expired. Reads every seal: ten times as slow as adding up sizes."""
    tables: dict[str, list[_Version]] = {}
    for file, entry, status in _files(root):
        if entry is None:
            continue
        version = _Version(Held(entry, status.st_blocks * 512 if status.st_nlink == 1 else 0))
        with contextlib.suppress(OSError, CorruptSnapshotError):
            segment = Segment.open(file.path, file.folder, file.name)
            try:
                seal = segment.seal()
                is_sealed = entry.version in (None, seal.version)
                version = version._replace(is_expired=_is_expired(seal.expires_ns), is_sealed=is_sealed)
            finally:
                segment.close()
        tables.setdefault(entry.name, []).append(version)
    return {name: versions for name, versions in tables.items() if any(version.is_expired for version in versions)}


def refuse_for_capacity(root: Path, size: int, capacity: int, usage: Usage) -> StoreFullError:
    """The error for a table that would pass a store's capacity."""
    logger.warning("refused: %d bytes, because the store %s has a capacity of %d", size, root, capacity)
    return StoreFullError(
        errno.ENOSPC,
        f"the store {root} has a capacity of {format_size(capacity)} and the table needs {format_size(size)} "
        f"({size:,} bytes); nothing was stored. {_describe(usage)}. {_REMEDY}, or give the store more capacity. "
        "A table that is replaced counts until the new version has its name",
    )


def refuse_for_room(root: Path, size: int, room: Room, usage: Usage, private: int) -> StoreFullError:
    """The error for a table that its file system or its memory limit has no room for."""
    logger.warning("refused: %d bytes, because %s has room for %d", size, root, max(room.nbytes, 0))
    needs = f"{size:,}"
    if room.limit:
        if private:
            needs += f" beside the {format_size(private)} of memory that it takes to receive it"
        what = (
            f"the memory limit of this process's control group ({room.limit.file}: {format_size(room.limit.nbytes)}) "
            f"leaves {room.nbytes + private:,} bytes"
        )
        remedy = "raise the limit (docker run --memory, MemoryMax= of systemd), or use a store on a disk"
    else:
        what = f"{root} has {room.nbytes:,} bytes free"
        remedy = "use a store on a larger file system"
        if root.is_relative_to("/dev/shm"):  # noqa: S108 -- a place that is named to the user
            remedy += " (a container's /dev/shm is set by docker run --shm-size)"
    return StoreFullError(
        errno.ENOSPC,
        f"{what} and the table needs {needs}; nothing was stored. {_describe(usage)}. {_REMEDY}, or {remedy}",
    )


_REMEDY = "Delete tables, close deleted ones that are still open, put with ttl="


def _describe(usage: Usage) -> str:
    """Say what is used, and by which processes."""
    tables, leftovers = usage.of("newest", "retained", "live"), usage.of("deleted", "spare")
    largest = sorted(tables, key=lambda table: -table.nbytes)
    names_of_largest = ", ".join(
        f"{table.name!r} version {table.version} {format_size(table.nbytes)}" for table in largest[:_SHOWN]
    )
    more = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    text = f"Its tables hold {_size(tables)}" + (f" ({names_of_largest}{more})" if largest else "")
    in_use = [segment for segment in leftovers if segment.holders]
    if in_use:
        holders = sorted({(holder.pid, holder.command) for segment in in_use for holder in segment.holders})
        names = ", ".join(f"{pid} {command}" for pid, command in holders[:_SHOWN])
        text += (
            f"; deleted and superseded ones hold {_size(in_use)}, for {names}{' and others' * (len(holders) > _SHOWN)}"
        )
    return text


def _size(segments: Iterable[SegmentUsage]) -> str:
    return format_size(sum(segment.nbytes for segment in segments))


def remove_expired(root: int) -> list[Held]:
    """Remove expired tables' files; returns which they were.

    If the newest version of a table has expired and a retained one has not, the newest of these takes the name.
    """
    segments = []
    for name, versions in _versions(root).items():
        where = paths.locate(name)
        alive = [version.file.entry.version for version in versions if version.is_sealed and not version.is_expired]
        successor = None if None in alive else max((number for number in alive if number is not None), default=None)
        with contextlib.suppress(OSError), folders.below(root, where.folders, None) as folder:
            for segment, is_expired, _ in sorted(versions, key=lambda version: version.file.entry.version is None):
                if not is_expired:
                    continue
                number = segment.entry.version
                if number is not None:
                    os.unlink(where.retained(number), dir_fd=folder)
                elif successor is not None:
                    os.rename(where.retained(successor), where.current, src_dir_fd=folder, dst_dir_fd=folder)
                else:
                    os.unlink(where.current, dir_fd=folder)
                segments.append(segment)
                logger.info("%s expired and was removed, %d bytes", _title(segment.entry), segment.nbytes)
    return segments


def _title(entry: Entry) -> str:
    return repr(entry.name) if entry.version is None else f"version {entry.version} of {entry.name!r}"


def free_spares(root: int, size: int, private: int = 0) -> None:
    """Remove spares until ``size`` bytes are free or no spare is left; those that were unused longest go first."""
    missing = size - free_bytes(root, size, private)
    if missing > 0:
        nbytes = spares.trim(root, max(spares.held(root) - missing, 0))
        logger.debug("%d bytes of spares were freed for a table of %d bytes", nbytes, size)
