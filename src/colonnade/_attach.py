"""A name to a snapshot: of the table that was put, or of the growing table.

Does not depend on: references, other hosts.
"""

from __future__ import annotations

from datetime import timedelta

from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog


def attach(
    catalog: Catalog, name: str, version: int | None = None, last: int | str | timedelta | None = None
) -> Snapshot:
    """Open a name's newest version, or the given one; of a growing table, the last rows of it.

    Raises
    ------
    NotFoundError, CorruptSnapshotError, StoreAccessError
    ValueError
        Last rows are asked of a table that was put.
    """
    segment_and_seal = catalog.find(name, version)
    if segment_and_seal is not None:
        snapshot = Snapshot.attached(catalog.directory.root, name, *segment_and_seal)
        if last is None:
            return snapshot
        snapshot.close()
        raise ValueError(
            f"last={last!r} is for growing tables, and {name!r} is a table that was put: take tail() of it"
        )
    if catalog.is_growing(name):
        # Programs without growing tables do without what these need.
        from colonnade.growing_versions import open_growing, open_newest
        from colonnade.storage.log_reader import find_log

        log = find_log(catalog, name)
        if log is not None:
            if last is not None and version is None:
                return open_newest(log, last)
            return open_growing(log, version) if last is None else open_growing(log, version).last(last)
    raise catalog.not_found(name, version)
