"""Tables without names: shared by an owner, or in flight to one receiver.

Does not depend on: when nobody needs a segment any more (`storage.shared`, `storage.in_flight`), picklers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from colonnade._attached import segment_of
from colonnade._put import Writer, write
from colonnade._reference import Reference
from colonnade.errors import ColonnadeError
from colonnade.format.seal import Seal
from colonnade.format.write.plan import plan
from colonnade.format.write.table import Placement, lay_out
from colonnade.snapshot import Snapshot
from colonnade.storage import in_flight, paths, process_group
from colonnade.storage.segment import Segment
from colonnade.storage.shared import Owned

_Value = TypeVar("_Value")


class OwnedSnapshot(Snapshot):
    """A shared table, as its owner holds it. Closing it frees the table. What a child process inherits owns nothing."""

    def __init__(self, reference: Reference, segment: Segment, ownership: Owned) -> None:
        super().__init__(reference, segment)
        self._ownership: Owned | None = ownership

    def close(self) -> None:
        """Close the descriptor and free the table. Frames that were made live on."""
        ownership, self._ownership = self._ownership, None
        if ownership is not None:
            ownership.release()
        super().close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # half-made, or the interpreter is ending
            self.close()


def share(writer: Writer, data: Any, *, version: int = 1) -> OwnedSnapshot:
    """Write a table, for as long as its snapshot is held."""
    writer.directory.prepare()
    return share_planned(writer, lay_out(plan(data)), version=version)


def share_planned(writer: Writer, placement: Placement, *, version: int = 1) -> OwnedSnapshot:
    """Write a table that is laid out, for as long as its snapshot is held."""
    file = paths.random_name(paths.SHARED_PREFIX)
    segment, seal = writer.store(placement, write, lambda draft: writer.place(file, placement, draft, version=version))
    reference = _reference(writer.directory.root, file, segment, seal)
    return OwnedSnapshot(reference, segment, Owned(writer.publisher, segment, file))


def _reference(root: Path, file: str, segment: Segment, seal: Seal) -> Reference:
    return Reference(os.fspath(root), "", file, segment.owner, seal)


# -- in flight ---------------------------------------------------------------------------------------------------------


def send(writer: Writer, snapshot: Snapshot, group: str) -> Reference:
    """Send a stored table to one receiver of a process group: its segment gets a name for it.

    Raises
    ------
    ColonnadeError, OSError
        If the table is gone, or on another file system than the writer's store.
    """
    file = paths.in_flight_name(group)
    segment = segment_of(snapshot)
    in_flight.link(writer.directory, segment, file)
    return _reference(writer.directory.root, file, segment, segment.seal())


def has_room(writer: Writer, size: int, bytes_in_memory: int) -> bool:
    """Whether ``size`` more bytes may be in flight, or remembered by this process."""
    return in_flight.has_room(writer.directory, size, bytes_in_memory)


def receive(reference: Reference, read: Callable[[Snapshot], _Value]) -> _Value:
    """Read a table that was sent, and remove its name, so that nobody else finds it.

    Raises
    ------
    NotFoundError
        If it was received before, or is gone.
    """
    with Snapshot(reference, reference.attach()) as snapshot:
        try:
            return read(snapshot)
        finally:
            with contextlib.suppress(ColonnadeError, OSError):  # it was read; gc removes what is left
                withdraw(reference, spare=True)


def withdraw(reference: Reference, *, spare: bool) -> None:
    """Remove the name of a table that was sent. Its memory becomes a spare, or is freed."""
    Writer(reference.catalog()).publisher.remove_unnamed(reference.file, spare=spare)


def begin_group(writer: Writer) -> str:
    """Begin a process group; see `storage.process_group`."""
    writer.directory.prepare()
    return process_group.begin(writer.directory)


def join_group(writer: Writer, name: str) -> None:
    """Join a process group that a parent began."""
    process_group.join(writer.directory, name)
