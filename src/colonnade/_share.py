"""Tables without names: shared by an owner, or sent to a receiver.

Knows: how a table becomes a segment that no name leads to, and what a reference to one is.
Does not depend on: when nobody
needs it any more; picklers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from colonnade.errors import NotFoundError
from colonnade.format.seal import Seal
from colonnade.snapshot import Snapshot
from colonnade.storage import in_flight, paths, process_group
from colonnade.storage.catalog import Catalog
from colonnade.storage.os_errors import explained
from colonnade.storage.segment import Segment
from colonnade.storage.shared import Owned

if TYPE_CHECKING:
    from colonnade.format.write.table import LaidOut
    from colonnade.storage.publish import Publisher

_Read = TypeVar("_Read")


class Unnamed(NamedTuple):
    """Where a table without a name is, and whose files it is among."""

    store: str
    file: str
    user: int

    def sharing(self) -> Sharing:
        """The store, as whoever made the reference had it."""
        from colonnade.store import Store  # noqa: PLC0415 -- api imports this file

        return Store(self.store, trust=self.user)._sharing()  # whoever sends a reference has trusted that user


class SharedSnapshot(Snapshot):
    """A snapshot without a name: its owner's, or attached by a reference."""

    def __init__(self, store: Path, file: str, segment: Segment, seal: Seal, owned: Owned | None) -> None:
        super().__init__(store, "", segment, seal)
        self._file = file
        self._owned = owned

    @property
    def reference(self) -> Unnamed:
        """What leads others to it."""
        return Unnamed(os.fspath(self._store), self._file, self._segment.owner)

    def close(self) -> None:
        """Give the descriptor back; the owner's lets go of the table as well. Frames made before live on."""
        if self._owned is not None:
            self._owned.release()
            self._owned = None
        super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_shared, (self.reference,)

    @property
    def _called(self) -> str:
        return "a shared table"

    def __repr__(self) -> str:
        return (
            f"<colonnade.Snapshot without a name: {self.num_rows:,} rows x {self.num_columns:,} columns, "
            f"{self.nbytes:,} bytes>"
        )


def _open_shared(reference: Unnamed) -> SharedSnapshot:
    return reference.sharing().open(reference)


class Sharing:
    """Makes and opens the tables without names of one store."""

    def __init__(self, catalog: Catalog, publisher: Publisher) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._root = catalog.directory.root

    def share(self, laid: LaidOut) -> SharedSnapshot:
        """Write a table, for as long as the snapshot is held."""
        file = paths.random_name(paths.SHARED_PREFIX)
        segment, seal = self._place(laid, file)
        return SharedSnapshot(self._root, file, segment, seal, Owned(self._publisher, segment, file))

    def send(self, laid: LaidOut, group: str) -> Unnamed:
        """Write a table, for one receiver."""
        file = paths.in_flight_name(group)
        segment, _ = self._place(laid, file)
        try:
            return Unnamed(os.fspath(self._root), file, segment.owner)
        finally:
            segment.close()

    def _place(self, laid: LaidOut, file: str) -> tuple[Segment, Seal]:
        from colonnade._put import seal_of, write  # noqa: PLC0415 -- it imports NumPy's users

        with explained(self._root, f"a table of {laid.size:,} bytes"), self._publisher.draft(laid.size) as draft:
            seal = seal_of(laid)._replace(version=1)
            write(laid, draft, seal)
            return self._publisher.place(draft, laid.size, file), seal

    def open(self, reference: Unnamed) -> SharedSnapshot:
        """Attach a table without a name.

        Raises
        ------
        NotFoundError
            Where it is gone.
        """
        try:
            segment, seal = self._catalog.attach_unnamed(reference.file)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(_gone(reference)) from None
        return SharedSnapshot(self._root, reference.file, segment, seal, None)

    def receive(self, reference: Unnamed, read: Callable[[Snapshot], _Read]) -> _Read:
        """Read a table that was sent, and take it away from where others would find it.

        Raises
        ------
        NotFoundError
            Where it was received before, or is gone.
        """
        with self.open(reference) as snapshot:
            try:
                return read(snapshot)
            finally:
                self._publisher.remove_unnamed(reference.file, spare=True)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be sent."""
        return in_flight.has_room(self._catalog.directory, size)

    def begin_process_group(self) -> str:
        """Begin a process group; see `storage.process_group`."""
        self._catalog.directory.prepare()
        return process_group.begin(self._catalog.directory)

    def join_process_group(self, name: str) -> None:
        """Join a process group that a parent began."""
        process_group.join(self._catalog.directory, name)


def _gone(reference: Unnamed) -> str:
    if reference.file.startswith(paths.SHARED_PREFIX):
        return (
            f"a shared table is gone from {reference.store}: its owner has let go of it or has ended, or it was shared "
            "on another machine. Keep the Snapshot that share() gave until all have opened it, or put the table by name"
        )
    return (
        f"a frame sent by reference is gone from {reference.store}: it was received before, for pickled bytes are good "
        "for one receiver; or nobody received it in a day; or it was sent on another machine. To give one frame to "
        "many, share() it and send the Snapshot"
    )
