"""Connections to other hosts: a request, and the bytes of a file as they arrive.

Does not depend on: where the bytes go, which process of this host fetches.

A peer that says nothing is noticed in two ways: gRPC's keepalive, for a machine or a link that is gone, and a watchdog
over what arrives (`fetch`), for a process that is stopped. gRPC's defaults wait for minutes.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.errors import CorruptSnapshotError, NotFoundError, RemoteError
from colonnade.flight import messages
from colonnade.flight.address import Address, parse
from colonnade.flight.credentials import TOKEN_VARIABLE, Credentials, check_token
from colonnade.flight.library import flight
from colonnade.flight.messages import Done, Offer, Part, Request

# Seconds until a peer that says nothing is given up.
PATIENCE = 8.0
# A transfer is ended after this many seconds, and one more for each so many bytes, even if data still arrive.
_LONGEST, _BYTES_IN_SECOND = 60.0, 32 << 10
# The longest text of a peer that becomes part of an error.
_LONGEST_TEXT = 500
_KEEPALIVE = [
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.max_pings_without_data", 0),
    # A window of 4 MiB for each stream. gRPC's own estimate of it grows until 100 to 400 MiB wait in this process'
    # private memory, and over loopback is no faster (measured: 12 MiB with 64 KiB, 30 MiB with this one).
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 4 << 20),
    # A connection of its own for each client: the two streams of a fetch do not share one (measured: 1.15x).
    ("grpc.use_local_subchannel_pool", 1),
    # A certificate is for the name in the address, and no proxy is between hosts of a cluster.
    ("grpc.enable_http_proxy", 0),
    # Flight takes messages of any size; a batch of a file has 1 MiB.
    ("grpc.max_receive_message_length", 4 << 20),
]
# What a server says in `extra_info` when it has no such table, and when it sends too much already; see `service`.
NOT_FOUND, BUSY = b"not found", b"busy"
# The action by which a receiver says that a transfer is over.
DONE = "colonnade.done"
_BEFORE = re.compile(
    r"^Flight returned [a-z ]+ error, with message: (failed to connect to all addresses; last error: [A-Z]+: )?"
)
# Connections that are kept for the next request, at most, and the seconds in which one that broke is made again.
_KEPT, _AT_ONCE = 8, 1.0
# An answer that was given up so many seconds too late: this process did not run when it should have been.
_LATE = 0.5


class BusyError(Exception):
    """A host sends to others already. Another one may send, or this one later. A fetch handles it."""


class Answer(NamedTuple):
    """What a host offers, and the host that sends it: None if none is free yet, so it is asked again."""

    offer: Offer
    source: Address | None


class Connection:
    """A connection to a host. It is made at the first call.

    Raises
    ------
    RemoteError
        If this process has no token, or cannot read the files of TLS.
    """

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self.address = address
        if not credentials.token:
            raise RemoteError(
                f"{address} wants a token, and this process has none: set ${TOKEN_VARIABLE} to the one of cn.serve()"
            )
        try:
            check_token(credentials.token)
        except ValueError as error:
            raise RemoteError(f"the token of this process, ${TOKEN_VARIABLE}, is not valid: {error}") from None
        self._headers = [(b"authorization", b"Bearer " + credentials.token.encode())]
        try:
            tls = {
                "tls_root_certs": credentials.read("ca"),
                "cert_chain": credentials.read("cert"),
                "private_key": credentials.read("key"),
            }
        except OSError as error:
            raise RemoteError(
                f"$COLONNADE_CA, $COLONNADE_CERT or $COLONNADE_KEY of this process cannot be read: {error.filename}: "
                f"{error.strerror}"
            ) from error
        if (credentials.cert is None) != (credentials.key is None):
            raise RemoteError("$COLONNADE_CERT and $COLONNADE_KEY of this process belong together: set both or none")
        with self._explained():
            options: dict[str, Any] = {}
            if address.tls:
                options = tls | {"override_hostname": credentials.peer}
            self._client = flight().FlightClient(str(address), generic_options=_KEEPALIVE, **options)

    def close(self) -> None:
        """Close it."""
        self._client.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Request, patience: float = PATIENCE) -> Answer:
        """Ask for a table.

        Raises
        ------
        NotFoundError, RemoteError
        """
        descriptor = flight().FlightDescriptor.for_command(messages.encode(request))
        with self._explained():
            info = self._client.get_flight_info(descriptor, self._options(patience))
        if not messages.is_message(info.app_metadata):
            raise RemoteError(f"{self.address} is a Flight service, but not one of Colonnade")
        try:
            offer = messages.decode(info.app_metadata, Offer)
        except RemoteError as error:
            raise RemoteError(f"{self.address} sent what cannot be understood: {error}") from error
        if not info.endpoints:
            return Answer(offer, None)
        locations = info.endpoints[0].locations
        if not locations:
            return Answer(offer, self.address)
        return Answer(offer, checked_source(self.address, locations[0].uri.decode("utf-8", "replace")))

    def say(self, message: Done, timeout: float = PATIENCE) -> None:
        """Say that a transfer is over."""
        action = flight().Action(DONE, messages.encode(message))
        with self._explained():
            next(iter(self._client.do_action(action, self._options(timeout))), None)  # there is no result

    def read(self, part: Part) -> Reader:
        """Begin to read bytes of a file."""
        with self._explained():
            # A thread that waits for a peer which answers nothing but pings ends at last.
            options = self._options(_LONGEST + (part.stop - part.start) / _BYTES_IN_SECOND)
            return Reader(self, self._client.do_get(flight().Ticket(messages.encode(part)), options))

    def _options(self, timeout: float) -> Any:
        return flight().FlightCallOptions(timeout=timeout, headers=self._headers)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of Flight into those of this package."""
        module = flight()
        try:
            yield
        except (module.FlightUnauthenticatedError, module.FlightUnauthorizedError) as error:
            raise RemoteError(
                f"{self.address} refused the token of this process: ${TOKEN_VARIABLE} must be the one of its cn.serve()"
            ) from error
        except module.FlightTimedOutError as error:
            raise RemoteError(f"{self.address} did not answer in time") from error
        except module.FlightUnavailableError as error:
            if getattr(error, "extra_info", None) == BUSY:
                raise BusyError(f"{self.address} sends to others already") from None
            message = _message(error)
            raise RemoteError(f"{self.address} cannot be reached: {message}{_hint(message, self.address)}") from error
        except module.FlightError as error:
            if getattr(error, "extra_info", None) == NOT_FOUND:
                raise NotFoundError(f"{_message(error)} (asked of {self.address})") from None
            raise RemoteError(f"{self.address} failed: {_message(error)}") from error
        except (pa.ArrowException, OSError) as error:
            raise RemoteError(f"{self.address} failed: {_message(error)}") from error


def checked_source(server: Address, location: str) -> Address:
    """The address of a source that a host named.

    Raises
    ------
    RemoteError
        If it is not an address. The token goes there, so it must have TLS if the host that was asked has it.
    """
    try:
        address, name = parse(location)
    except ValueError:
        name = location
    if name is not None or (server.tls and not address.tls):
        raise RemoteError(f"{server} named {location!r} as a host that has the table, which cannot be asked")
    return address


_connections: dict[tuple[Address, Credentials], Connection] = {}
_lock = threading.RLock()  # a signal handler may fetch within the block


@contextlib.contextmanager
def connected(address: Address, credentials: Credentials) -> Iterator[Connection]:
    """A connection that is kept for the next request, because a new one takes 3 ms. Several threads may use it.

    It is closed if the block raises anything that is not an answer.
    """
    key = address, credentials
    with _lock:
        connection = _connections.pop(key, None) or Connection(address, credentials)
        _connections[key] = connection  # the last one used is the last one to go
        for old in list(_connections)[:-_KEPT]:
            del _connections[old]  # closed when nobody uses it any more
    try:
        yield connection
    except NotFoundError:
        raise
    except BaseException:
        with _lock:
            if _connections.get(key) is connection:
                del _connections[key]
        raise


def ask(address: Address, credentials: Credentials, request: Request) -> Answer:
    """Ask a host, by a connection that is kept; by a new one if that one has just broken.

    A host that answered while this process was stopped is asked again: the time was not the host's.

    Raises
    ------
    NotFoundError, RemoteError
    """
    was_open, began = (address, credentials) in _connections, time.monotonic()
    try:
        with connected(address, credentials) as connection:
            return connection.ask(request)
    except NotFoundError:
        raise
    except RemoteError as error:
        seconds = time.monotonic() - began
        # An error of the host's own code is its answer: to ask again would begin anew what has failed there.
        has_just_broken = (
            was_open and seconds < _AT_ONCE and isinstance(error.__cause__, flight().FlightUnavailableError)
        )
        was_stopped = seconds > PATIENCE + _LATE
        if not has_just_broken and not was_stopped:
            raise
    with connected(address, credentials) as connection:
        return connection.ask(request, PATIENCE / 2)


class Reader:
    """Bytes of a file, piece by piece."""

    def __init__(self, connection: Connection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream

    def __iter__(self) -> Iterator[memoryview]:
        with self._connection._explained():
            if self._stream.schema.types != [pa.uint8()]:
                raise self._other("batches of something else")
            for chunk in self._stream:
                # Flight does not compare the lengths in a batch with its buffers. So what is counted by them is not
                # looked at, the nulls for one, and a slice of a memoryview ends where its buffer ends.
                column = chunk.data.column(0)
                nulls, data = column.buffers()
                if nulls is not None:
                    raise self._other("some that are null")
                yield memoryview(data or b"")[column.offset : column.offset + len(column)]

    def _other(self, what: str) -> CorruptSnapshotError:
        return CorruptSnapshotError(f"{self._connection.address} was asked for bytes of a file, and sent {what}")

    def cancel(self) -> None:
        """End it, from another thread; the iteration ends then."""
        self._stream.cancel()


# Parts of gRPC's messages, and what to do: over TLS, and without it.
_HINTS_OF_TLS = {
    "wrong version number": "does it serve without TLS? Then its address begins with grpc://",
    "has expired": "the certificate of that host, or of its authority, has expired",
    "not yet valid": "the certificate of that host is not valid yet; compare the clocks of both hosts",
    "not in peer certificate": "the certificate of that host is not for this name or number",
    "verify failed": "$COLONNADE_CA must name the file of the authority that signed the certificate of that host",
    "empty address list": "$COLONNADE_CA, $COLONNADE_CERT or $COLONNADE_KEY is not a file that TLS can use",
    "Socket closed": "does it ask for a certificate of this host? Then set $COLONNADE_CERT and $COLONNADE_KEY",
}
_HINTS = {"Socket closed": "does it serve over TLS? Then its address begins with grpc+tls://"}


def _hint(message: str, address: Address) -> str:
    hints = _HINTS_OF_TLS if address.tls else _HINTS
    return next((f"; {hint}" for part, hint in hints.items() if part in message), "")


def _message(error: BaseException) -> str:
    """What the other side said, without what PyArrow adds: the kind of error before it, a traceback after it."""
    text = str(error).partition(". Detail:")[0].partition(". gRPC client debug context:")[0].strip()
    text = _BEFORE.sub("", text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
