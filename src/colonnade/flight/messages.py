"""What two hosts say to each other: a request for a table, its answer, tickets, and the end of a transfer.

Does not depend on: Flight, files.

A message is a mark and JSON. None contains a path of a file or a token. A host answers only what it can decode, so that
tickets of other services, and those of other versions of Colonnade, are errors that say so.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from colonnade.errors import RemoteError

# Grows with every change that an older receiver or server would misunderstand.
PROTOCOL = 2
_MARK = b"colonnade-%d:" % PROTOCOL
_ANY_MARK = b"colonnade-"

_Message = TypeVar("_Message", bound=msgspec.Struct)


class Request(msgspec.Struct, forbid_unknown_fields=True, tag="request"):
    """Which table is wanted: ``identity`` if this very snapshot; else the newest version of ``name``.

    ``transfer`` is the receiver's name for the transfer that it wants to begin; without it, it only asks.
    """

    name: str
    version: int | None = None
    identity: int | None = None
    transfer: str = ""


class Offer(msgspec.Struct, forbid_unknown_fields=True, tag="offer"):
    """The answer: the seal of the snapshot, as it stands in the file. Endpoints say which host sends the bytes."""

    name: str
    seal: bytes


class Part(msgspec.Struct, forbid_unknown_fields=True, tag="part"):
    """A ticket for bytes of a snapshot's file: one of so many ``streams`` of a transfer."""

    identity: int
    name: str
    version: int
    start: int
    stop: int
    transfer: str = ""
    streams: int = 1


class Done(msgspec.Struct, forbid_unknown_fields=True, tag="done"):
    """The end of a transfer: the receiver serves its copy at ``address``; or the host ``failed`` did not send it."""

    identity: int
    transfer: str
    address: str = ""
    failed: str = ""


class Rows(msgspec.Struct, forbid_unknown_fields=True, tag="rows"):
    """A ticket for a snapshot as Arrow record batches, as every Flight client reads them."""

    identity: int
    name: str
    version: int


def encode(message: msgspec.Struct) -> bytes:
    """Make bytes of a message."""
    return _MARK + msgspec.json.encode(message)


def is_message(data: bytes) -> bool:
    """Whether some bytes claim to be a message of Colonnade, of whatever version."""
    return data.startswith(_ANY_MARK)


def decode(data: bytes, kind: type[_Message]) -> _Message:
    """Read a message of a kind.

    Raises
    ------
    RemoteError
        If it is something else, damaged, or of another version.
    """
    if not data.startswith(_MARK):
        if is_message(data):
            raise RemoteError(
                f"the other host speaks another version of Colonnade's protocol; this one speaks {PROTOCOL}. "
                "Install the same version of colonnade on all hosts"
            )
        raise RemoteError("a ticket or message that Colonnade did not make; ask for the table by get_flight_info")
    try:
        return msgspec.json.decode(data[len(_MARK) :], type=kind)
    except msgspec.DecodeError as error:
        raise RemoteError(f"a damaged ticket or message: {error}") from error
