"""`copy`: a table under a second name, as a second name of its file where that can be, else as a copy of its bytes.

Does not depend on: how a file gets a name.
"""

from __future__ import annotations

import math
import time

from colonnade._names import Names
from colonnade._put import Request, Writer
from colonnade.snapshot import Snapshot
from colonnade.storage.rename import link


def copy(store: Names, writer: Writer, name: str, new: str, version: int | None) -> Snapshot:
    """Make the copy; what is copied byte by byte expires with the original."""
    if writer.catalog.is_growing(name):
        with store.open(name, version=version) as snapshot:
            return writer.put(snapshot, Request.checked(new))
    segment_and_seal = link(writer.catalog, writer.publisher, name, version, new)
    if segment_and_seal is not None:
        return Snapshot.attached(writer.directory.root, new, *segment_and_seal)
    with store.open(name, version=version) as snapshot:
        ttl = None if snapshot.expires is None else max(math.ceil(snapshot.expires.timestamp() - time.time()), 1)
        return writer.put(snapshot, Request.checked(new, ttl=ttl))
