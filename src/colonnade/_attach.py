"""A name to a snapshot: of the table that was put, or of the growing table.

Does not depend on: references, other hosts.
"""

from __future__ import annotations

from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog


def attach(catalog: Catalog, name: str, version: int | None = None) -> Snapshot:
    """Open a name's newest version, or the given one.

    Raises
    ------
    NotFoundError, CorruptSnapshotError, StoreAccessError
    """
    segment_and_seal = catalog.find(name, version)
    if segment_and_seal is not None:
        return Snapshot.attached(catalog.directory.root, name, *segment_and_seal)
    if catalog.is_growing(name):
        # Programs without growing tables do without what these need.
        from colonnade.growing_snapshot import open_growing
        from colonnade.storage.log_reader import find_log

        log = find_log(catalog, name)
        if log is not None:
            return open_growing(log, version)
    raise catalog.not_found(name, version)
