"""The files of all growing tables of a store: what they occupy, and how many rows were appended.

Does not depend on: columns, pandas, who reads or writes them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from colonnade import _core
from colonnade.errors import ColonnadeError
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import HeadReader

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class LogFiles(NamedTuple):
    """One growing table. ``version`` are the rows that were ever appended; None where the head cannot be read.

    ``files`` are the bytes that each file occupies, by inode.
    """

    name: str
    version: int | None
    rows: int | None
    created_ns: int | None
    files: dict[int, int]

    @property
    def nbytes(self) -> int:
        """The bytes that it occupies."""
        return sum(self.files.values())


def files_of_logs(catalog: Catalog) -> Iterator[LogFiles]:
    """Look at each growing table that this user may read; what is removed meanwhile is left out.

    Raises
    ------
    StoreAccessError
    """
    for name in catalog.growing():
        with contextlib.suppress(OSError):
            where = paths.locate(name)
            with (
                catalog.directory.opened() as root,
                folders.below(root, [*where.folders, where.live], None) as folder,
            ):
                yield _files_of(catalog, name, folder)


def _files_of(catalog: Catalog, name: str, folder: int) -> LogFiles:
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                files[status.st_ino] = status.st_blocks * 512
    with contextlib.suppress(ColonnadeError, OSError):
        with _core.Descriptor(paths.HEAD, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder) as fd:
            status = os.fstat(fd)
            data = _core.SharedWords(fd, max(status.st_size, 1))
        reader = HeadReader(memoryview(cast(Any, data)), catalog.directory.root / name, data.load)
        head = reader.read()
        return LogFiles(name, head.committed, head.committed - head.first, status.st_ctime_ns, files)
    return LogFiles(name, None, None, None, files)
