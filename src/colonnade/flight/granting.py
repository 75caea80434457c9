"""What a process that fetches a snapshot says to the host that it asked: which host is to send it, and what came of it.

Does not depend on: how bytes are received, where the copy is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from typing import cast

from colonnade.errors import CorruptSnapshotError, NotFoundError, RemoteError
from colonnade.flight import address as addresses
from colonnade.flight import credentials
from colonnade.flight.address import Address
from colonnade.flight.client import BusyError, ask, connected
from colonnade.flight.messages import Done, Request
from colonnade.flight.serving import address_of
from colonnade.storage.catalog import Catalog

# The seconds between two requests, if the host answers at once that it has nothing yet.
PAUSE = 0.25
# So many other hosts may fail in one fetch; and the seconds that are given to saying that it is over.
_MOST_FAILURES, _SHORT = 4, 2.0


class Granting:
    """What this process and the host that it asks say to each other about one transfer."""

    def __init__(self, address: Address, request: Request, catalog: Catalog) -> None:
        self.transfer = secrets.token_hex(8)
        self._address, self._catalog = address, catalog
        self._request = request.replaced(transfer=self.transfer)
        self._credentials = credentials.current(str(address))
        self._failures = 0
        self._has_arrived = False

    def sources(self) -> Iterator[Address]:
        """Yield the hosts that the asked host names, until one of them has sent the table."""
        timeout = self._catalog.directory.timeout
        end = time.monotonic() + timeout
        while not self._has_arrived:
            began = time.monotonic()
            if began > end:
                raise RemoteError(
                    f"{self._address} has named no host that is free to send {self._request.name!r} for {timeout:g} "
                    "seconds. Wait longer: Store(..., timeout=seconds)"
                )
            # Where too many others have failed, the host that named them is to send the table itself.
            gave_up = self._failures > _MOST_FAILURES
            source = self._address if gave_up else ask(self._address, self._credentials, self._request).source
            if source is not None:
                yield source
            # A host that is busy waits a while before it says so; this is for one that does not.
            if not self._has_arrived:
                time.sleep(max(0.0, began + PAUSE - time.monotonic()))

    @contextlib.contextmanager
    def tried(self, source: Address) -> Iterator[None]:
        """Report a source that fails. Raise what it failed by if it is the host that is asked."""
        try:
            yield
            self._has_arrived = True
        except BusyError:
            self._say(failed_source="" if source == self._address else str(source))
        except (NotFoundError, RemoteError, CorruptSnapshotError):
            if source == self._address:
                raise
            self._failures += 1
            self._say(failed_source=str(source))

    def end(self, *, is_placed: bool) -> None:
        """Say that it is over, and where this host has a copy for others."""
        self._say(address=_own_address(self._catalog, self._address) if is_placed else "")

    def _say(self, *, address: str = "", failed_source: str = "") -> None:
        """Say what became of the transfer. Nothing depends on it: a host that gets no message finds out."""
        message = Done(cast(int, self._request.identity), self.transfer, address, failed_source)
        with contextlib.suppress(Exception), connected(self._address, self._credentials) as connection:
            connection.say(message, _SHORT)


@contextlib.contextmanager
def granting(address: Address, request: Request, catalog: Catalog) -> Iterator[Granting]:
    """Open the conversation about one transfer, and say at the end whether there is a copy."""
    conversation = Granting(address, request, catalog)
    is_placed = False
    try:
        yield conversation
        is_placed = True
    finally:
        conversation.end(is_placed=is_placed)


def _own_address(catalog: Catalog, other: Address) -> str:
    """The address at which this host serves its copies to another; "" if it does not."""
    own = address_of(os.fspath(catalog.directory.root))
    if own is None:
        return ""
    address = addresses.parse(own)[0]
    reachable = other.is_loopback or not address.is_loopback
    return own if reachable and (address.tls or not other.tls) else ""
