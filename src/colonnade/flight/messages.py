"""What two hosts say to each other: a request for a table, its answer, tickets, and the end of a transfer.

Does not depend on: Flight, files.

A message is a mark and JSON. None contains a path of a file or a token. A host answers only what it can decode, so that
tickets of other services, and those of other versions of Colonnade, are errors that say so.
"""

from typing import Annotated, TypeVar

from colonnade.errors import RemoteError
from colonnade.format.record import Range, Record, from_json, to_json
from colonnade.format.schema import Place

# Grows with every change that an older receiver or server would misunderstand.
PROTOCOL = 3
_MARK = b"colonnade-%d:" % PROTOCOL
_ANY_MARK = b"colonnade-"

# No message is longer: a name has a few hundred bytes, a seal a hundred.
LONGEST = 16 << 10

_Message = TypeVar("_Message", bound=Record)
Identity = Annotated[int, Range(2**64 - 1, "identity")]


class Request(Record, kind="request"):
    """Which table is wanted: ``identity`` if this very snapshot; else the newest version of ``name``.

    ``transfer`` is the receiver's name for the transfer that it wants to begin; without it, it only asks.
    """

    name: str
    version: int | None = None
    identity: Identity | None = None
    transfer: str = ""


class Offer(Record, kind="offer"):
    """The answer: the seal of the snapshot, the bytes of the file in hexadecimal. Endpoints say who sends the rest.

    Without a seal it says that the rows of a growing table are being written: ask the same again.
    """

    name: str
    seal: str = ""


class Part(Record, kind="part"):
    """A ticket for bytes of a snapshot's file: one of so many ``streams`` of a transfer."""

    identity: Identity
    name: str
    version: int
    start: Place
    stop: Place
    transfer: str = ""
    streams: int = 1


class Done(Record, kind="done"):
    """The end of a transfer: the receiver serves its copy at ``address``; or ``failed_source`` did not send it."""

    identity: Identity
    transfer: str
    address: str = ""
    failed_source: str = ""


class Rows(Record, kind="rows"):
    """A ticket for a snapshot as Arrow record batches, as every Flight client reads them."""

    identity: Identity
    name: str
    version: int


def encode(message: Record) -> bytes:
    """Make bytes of a message."""
    return _MARK + to_json(message)


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
    if len(data) > LONGEST:
        raise RemoteError(f"a ticket or message of {len(data):,} bytes; the longest has {LONGEST:,}")
    try:
        message: _Message = from_json(data[len(_MARK) :], kind)
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"a damaged ticket or message: {error}") from error
    return message
