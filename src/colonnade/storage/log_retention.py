"""The retention of a growing table: which segments may go, and how they become spares.

Does not depend on: who appends, which rows readers see.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from colonnade.storage import log_folder, paths, spares
from colonnade.storage.capacity import used_bytes
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import Entry, Retention


def dispensable(entries: Sequence[Entry], committed: int, retention: Retention, folder: int) -> int:
    """How many of the oldest segments may go: what is to be retained is in those after them."""
    if retention == Retention():
        return 0
    now, nbytes = time.time_ns(), 0
    for position in range(len(entries) - 1, 0, -1):
        after = entries[position]
        if retention.nbytes:
            nbytes += _bytes(after, folder)
        enough = (
            (not retention.rows or committed - after.base >= retention.rows)
            and (not retention.nbytes or nbytes >= retention.nbytes)
            and (not retention.ns or now - after.began_ns >= retention.ns)
        )
        if enough:
            return position
    return 0


def _bytes(entry: Entry, folder: int) -> int:
    try:
        name = paths.log_segment(entry.base, entry.number)
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0


class Retiring:
    """Makes spares of the segments of one growing table that readers are not led to any more."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # The files that were put into huge pages. Segments are written again, and to look takes 0.1 ms a huge page.
        self._inodes: set[int] = set()

    def retire(self, entries: Iterable[Entry], folder: int) -> bool:
        """Retire segments, or remove those that cannot be used again; whether there are spares now.

        Nothing is raised: what stays is removed by the next producer.
        """
        has_spares = False
        with contextlib.suppress(OSError), self._catalog.directory.lock() as root:
            settings = self._catalog.directory.settings(root)
            limit = spares.default_limit(root) if settings.spares is None else settings.spares
            if settings.capacity is not None:
                limit = min(limit, max(settings.capacity - used_bytes(root), 0))
            for entry in entries:
                name = paths.log_segment(entry.base, entry.number)
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if spares.is_worth_keeping(status, limit):
                        if status.st_ino not in self._inodes and log_folder.collapse(folder, name):
                            self._inodes.add(status.st_ino)
                        spares.retire(root, folder, name)
                        has_spares = True
                    else:
                        os.unlink(name, dir_fd=folder)
            spares.trim(root, limit)
        return has_spares
