"""Opening a table of another host by its address.

Does not depend on: how it is transferred (`flight.fetch`).
"""

from __future__ import annotations

import os

from colonnade._reference import Reference
from colonnade.arguments import whole_number
from colonnade.flight import address as addresses
from colonnade.flight.fetch import fetch
from colonnade.flight.messages import Request
from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog


def open_remote(catalog: Catalog, url: str, version: int | None = None) -> Snapshot:
    """Open ``grpc://host:port/name``, fetched into a store unless a copy is there.

    Raises
    ------
    ValueError
        If it is not the address of a table.
    NotFoundError, RemoteError, StoreFullError, CorruptSnapshotError
    """
    address, name = addresses.parse(url)
    if name is None:
        raise ValueError(f"{url!r} names no table: {address}/name")
    number = None if version is None else whole_number(version, "version")
    copy = fetch(catalog, Request(name, number), [str(address)])
    reference = Reference("", copy.name, "", os.geteuid(), copy.seal, (str(address),))
    return Snapshot(reference, copy.segment)
