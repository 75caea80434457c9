"""What occupies a store's memory, and which processes hold it.

Does not depend on: columns, how processes are looked at.

Processes are looked at first and the directory afterwards. So a file that is held and has no name then has lost it or
never had one. Nothing is locked: if a table is put at that very moment, its old or its new version may be missing once.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from colonnade.displayed import displayed, to_text
from colonnade.errors import ColonnadeError, NotFoundError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_files import files_of_logs
from colonnade.storage.processes import Held, Holder, Scan, scan
from colonnade.storage.room import file_system_bytes

Role = Literal["newest", "retained", "live", "shared", "draft", "spare", "deleted", "other"]
_ROLES = get_args(Role)  # a file that has two names is the first of these


class SegmentUsage(NamedTuple):
    """A file of a store, with the bytes it occupies and the processes that hold it.

    ``role`` is ``newest`` or ``retained`` for the versions of a table; ``live`` for all files of a growing table, whose
    version is the number of rows that were ever appended; ``shared`` for a table that was shared without a
    name or is in flight; ``spare``; ``draft`` for a segment that is being written or published; ``deleted`` for a
    segment that no name leads to and a process still holds; ``other`` for a file that is not a segment.
    ``name`` is the table's. For spares and deleted segments it is the name by which a holder opened it, if one did.
    ``version``, ``rows`` and ``created`` are known for tables only.
    """

    role: Role
    name: str | None
    version: int | None
    rows: int | None
    created: datetime | None
    nbytes: int
    holders: tuple[Holder, ...]


@displayed
class Usage(NamedTuple):
    """What occupies a store's memory. It prints as a table.

    ``capacity`` is the store's own, if it has one; ``filesystem`` and ``free`` are the bytes of the file system that it
    is on. ``unseen`` counts the processes that this user may not look at: what they alone hold is not here.
    """

    path: Path
    segments: tuple[SegmentUsage, ...]
    capacity: int | None
    filesystem: int
    free: int
    unseen: int

    def of(self, *roles: Role) -> tuple[SegmentUsage, ...]:
        """Take the segments of some roles.

        Parameters
        ----------
        *roles : str
            Roles, as of `SegmentUsage`.

        Returns
        -------
        tuple of SegmentUsage

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/usage", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> [(segment.name, segment.rows) for segment in cn.usage().of("newest")]
        [('docs/usage', 3)]
        >>> cn.delete("docs/usage")
        """
        return tuple(segment for segment in self.segments if segment.role in roles)

    @property
    def nbytes(self) -> int:
        """The bytes that the store occupies, deleted segments included."""
        return sum(segment.nbytes for segment in self.segments)

    def __repr__(self) -> str:
        return to_text(self)


def look_at(catalog: Catalog, *, with_holders: bool = True) -> Usage:
    """Look at a store's directory, and at all processes that this user may look at.

    Raises
    ------
    StoreAccessError
        If the store is a file, or may not be read.
    """
    root = catalog.directory.root
    files, unseen = scan(root) if with_holders else Scan({}, 0)
    capacity, segments = None, {}
    deleted_files = {inode: file for inode, file in files.items() if file.deleted_paths}
    try:
        with catalog.directory.opened() as directory:
            with contextlib.suppress(StoreAccessError):  # a put complains about settings that cannot be read
                capacity = catalog.directory.settings(directory).capacity
            segments = _named(catalog, directory, files)
            segments |= _growing(catalog, files)
            deleted_files = {inode: file for inode, file in deleted_files.items() if inode not in segments}
            if deleted_files:
                for _, status in _files(directory):  # a put may have renamed it while the directory was read
                    deleted_files.pop(status.st_ino, None)
    except FileNotFoundError:
        pass  # deleted, perhaps, and still held
    except (NotADirectoryError, PermissionError) as error:
        raise StoreAccessError(
            error.errno, f"{root} cannot be read as a store: {os.strerror(error.errno or 0)}"
        ) from error
    for inode, file in deleted_files.items():
        role: Role = "draft" if file.is_written else "deleted"
        segments[inode] = SegmentUsage(role, _opened_as(root, file), None, None, None, file.nbytes, _holders(file))
    total, free = file_system_bytes(next(path for path in [root, *root.parents] if os.path.exists(path)))
    return Usage(
        root,
        tuple(sorted(segments.values(), key=_order)),
        capacity,
        total,
        free,
        unseen,
    )


def _order(segment: SegmentUsage) -> tuple[bool, str, int, int]:
    """By name, the newest version first; what has no name last."""
    return segment.name is None, segment.name or "", -(segment.version or 0), _ROLES.index(segment.role)


def _files(directory: int) -> Iterator[tuple[folders.File, os.stat_result]]:
    for file in folders.walk(directory):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            if stat.S_ISREG(status.st_mode) and not paths.is_no_segment(file.name):
                yield file, status


def _named(catalog: Catalog, directory: int, files_open: dict[int, Held]) -> dict[int, SegmentUsage]:
    """All files of the directory, by inode number."""
    files = [(*_role(file), status) for file, status in _files(directory)]
    segments: dict[int, SegmentUsage] = {}
    for role, entry, found_status in sorted(files, key=lambda each: _ROLES.index(each[0])):
        try:
            status, seal = (found_status, None) if entry is None else _attach(catalog, entry)
        except NotFoundError:
            continue  # removed meanwhile
        except ColonnadeError:
            status, seal = found_status, None
        if status.st_ino in segments:
            continue
        file = files_open.get(status.st_ino, Held())
        segments[status.st_ino] = SegmentUsage(
            "other" if entry is not None and seal is None else role,
            _opened_as(catalog.directory.root, file) if entry is None else entry.name,
            seal and seal.version,
            seal and seal.rows,
            seal and datetime.fromtimestamp(seal.created_ns / 1e9, UTC),
            status.st_blocks * 512,
            _holders(file),
        )
    return segments


def _growing(catalog: Catalog, files: dict[int, Held]) -> dict[int, SegmentUsage]:
    """The growing tables, each by the inode number of one of its files."""
    tables = {}
    for table in files_of_logs(catalog):
        holders: dict[int, Holder] = {}
        for inode in table.files:
            holders |= files.get(inode, Held()).holders
        tables[min(table.files, default=0)] = SegmentUsage(
            "live",
            table.name,
            table.version,
            table.rows,
            None if table.created_ns is None else datetime.fromtimestamp(table.created_ns / 1e9, UTC),
            table.nbytes,
            tuple(holders[pid] for pid in sorted(holders)),
        )
    return tables


def _attach(catalog: Catalog, entry: paths.Entry) -> tuple[os.stat_result, Seal]:
    """Open the segment that a table's name leads to now; return its status and its seal."""
    segment, seal = catalog.attach(entry.name, entry.version)
    try:
        return os.fstat(segment.fd), seal
    finally:
        segment.close()


def _role(file: folders.File) -> tuple[Role, paths.Entry | None]:
    entry = paths.parse(file.folders, file.name)
    if entry is not None:
        return "newest" if entry.version is None else "retained", entry
    if file.folders == (paths.SEGMENTS,):
        if paths.is_unnamed(file.folders, file.name):
            return "shared", None
        return "spare" if file.name.startswith(paths.SPARE_PREFIX) else "draft", None
    return "draft" if not file.folders and paths.is_staged(file.name) else "other", None


def _opened_as(root: Path, file: Held) -> str | None:
    """The name of the table that a process opened, if the file has another name or none by now."""
    there = root.resolve()  # as the kernel writes it
    below = [path.relative_to(there) for path in file.deleted_paths if path.is_relative_to(there)]
    entries = (paths.parse(path.parts[:-1], path.name) for path in below)
    names = {entry.name for entry in entries if entry is not None}
    live = (paths.live_name(path.parts[:-2], path.parts[-2]) for path in below if len(path.parts) > 1)
    return min(names.union(filter(None, live)), default=None)


def _holders(file: Held) -> tuple[Holder, ...]:
    return tuple(file.holders[pid] for pid in sorted(file.holders))
