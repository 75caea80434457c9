"""References: what a pickled Snapshot is, and how the snapshot is found again.

A reference contains the place of a snapshot (store, name, version) and its seal. Making one or unpickling one opens no
file. `attach` does, and says what happened to a snapshot that is gone.

Does not depend on: how a snapshot is read.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple, Self

from colonnade.errors import ColonnadeError, CorruptSnapshotError, NotFoundError, RemoteError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.opening import open_catalog
from colonnade.storage.segment import Segment

# A reference stays small, however many hosts have the table.
_MOST_LOCATIONS = 4


class Reference(NamedTuple):
    """Which snapshot, and where.

    ``name`` is the table's name. A table without a name has ``""`` there, and ``file`` names its file among the store's
    segments. ``owner`` is the user whose file it is. ``store`` is ``""`` for a table of another host whose store is not
    known. ``locations`` are the addresses of hosts that serve it.
    """

    store: str
    name: str
    file: str
    owner: int
    seal: Seal
    locations: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """The table, for messages."""
        return repr(self.name) if self.name else "a shared table"

    @property
    def path(self) -> Path:
        """The file: of a table, the one that its newest version has."""
        root = Path(self.store)
        return paths.path_of(root, paths.Entry(self.name, None)) if self.name else root / paths.SEGMENTS / self.file

    def catalog(self) -> Catalog:
        """The store. Its owner is trusted: the sender of a reference did, and its receiver trusts the sender."""
        return Catalog.at(self.store, self.owner)

    def attach(self) -> Segment:
        """Open the snapshot again.

        Raises
        ------
        NotFoundError
            If it was superseded without ``keep=``, deleted, replaced or closed by its owner, or is on another machine.
        StoreAccessError
            If this user may not read it.
        RemoteError, StoreFullError, CorruptSnapshotError
            If it is on another host, and cannot be fetched.
        """
        if not self.locations:
            return self._attach_here()
        if self.store:
            with contextlib.suppress(ColonnadeError):
                return self._attach_here()
        return self._fetch()

    def _fetch(self) -> Segment:
        """Open this host's copy, in the default store; fetched if there is none."""
        from colonnade.flight.fetch import fetch
        from colonnade.flight.messages import Request

        request = Request(self.name, self.seal.version, self.seal.identity)
        try:
            copy = fetch(open_catalog(None), request, self.locations)
        except (NotFoundError, RemoteError) as error:
            raise type(error)(
                f"version {self.seal.version} of {self.described} is not on this host, and cannot be fetched: "
                f"{error.args[-1]}"
            ) from error
        if copy.seal != self.seal:
            copy.segment.close()
            raise CorruptSnapshotError(
                f"what a host sent as version {self.seal.version} of {self.described} has another seal than the "
                "reference: that host does not serve what it was given. Remove the copy: delete the store of this host"
            )
        return copy.segment

    def advertised(self, store: str) -> Self:
        """The reference as others get it: with the address at which a store of this host, which has it, is served."""
        from colonnade.flight.serving import address_of

        address = address_of(store)
        if address is None or address in self.locations:
            return self
        return self._replace(locations=(*self.locations, address)[-_MOST_LOCATIONS:])

    def _attach_here(self) -> Segment:
        try:
            segment, seal = self._attach_named() if self.name else self._attach_unnamed()
        except StoreAccessError as error:
            raise StoreAccessError(
                error.errno,
                f"{error.strerror}. A reference to {self.described} was passed to this process, which runs as user "
                f"{os.geteuid()}; the table belongs to user {self.owner} (mode= of a store lets a group read it)",
            ) from error
        if seal.identity != self.seal.identity:
            segment.close()
            raise NotFoundError(
                f"{self.described} in {self.store} is another snapshot than the reference was made to: the table was "
                f"deleted and put again, or the reference, to version {self.seal.version} too, is from another machine"
            )
        return segment

    def _attach_named(self) -> tuple[Segment, Seal]:
        try:
            return self.catalog().attach(self.name, self.seal.version)
        except NotFoundError as error:
            raise NotFoundError(
                f"{error.args[0]}. A reference to version {self.seal.version} of {self.name!r} was passed to this "
                "process: the table was superseded (keep= retains versions) or deleted, or it is on another machine, "
                "which did not serve its store when the reference was made (cn.serve)"
            ) from None

    def _attach_unnamed(self) -> tuple[Segment, Seal]:
        try:
            return self.catalog().attach_unnamed(self.file)
        except (FileNotFoundError, NotADirectoryError):
            pass
        if self.file.startswith(paths.SHARED_PREFIX):
            raise NotFoundError(
                f"a shared table is gone from {self.store}: its owner closed it or ended, or it was shared on another "
                "machine. Keep the Snapshot that share() returned until all have opened it, or put the table under a "
                "name"
            )
        raise NotFoundError(
            f"a frame sent by reference is gone from {self.store}. Pickled bytes are good for one receiver: it was "
            "received before, or nobody received it for a day, or it was sent on another machine. To give one frame to "
            "many receivers, share() it and send the Snapshot"
        )
