"""Connections to other hosts: a request, and the bytes of a file as they arrive.

Does not depend on: where the bytes go, which process of this host fetches.

A peer that says nothing is noticed in two ways: gRPC's keepalive, for a machine or a link that is gone, and a watchdog
over what arrives (`fetch`), for a process that is stopped. gRPC's defaults wait for minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import CorruptSnapshotError, NotFoundError, RemoteError
from colonnade.flight import messages
from colonnade.flight.address import Address
from colonnade.flight.credentials import TOKEN_VARIABLE, Credentials
from colonnade.flight.library import flight
from colonnade.flight.messages import Offer, Part, Request

# Seconds until a peer that says nothing is given up.
PATIENCE = 8.0
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
]
# What a server says in `extra_info` when it has no such table; see `server`.
NOT_FOUND = b"not found"


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
        self._headers = [(b"authorization", b"Bearer " + credentials.token.encode())]
        try:
            tls = {
                "tls_root_certs": credentials.read("ca"),
                "cert_chain": credentials.read("cert"),
                "private_key": credentials.read("key"),
            }
        except OSError as error:
            raise RemoteError(f"a file of TLS cannot be read: {error}") from error
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

    def ask(self, request: Request) -> Offer:
        """Ask for a table.

        Raises
        ------
        NotFoundError, RemoteError
        """
        descriptor = flight().FlightDescriptor.for_command(messages.encode(request))
        with self._explained():
            info = self._client.get_flight_info(descriptor, self._options(PATIENCE))
        return messages.decode(info.app_metadata, Offer)

    def read(self, part: Part) -> Reader:
        """Begin to read bytes of a file."""
        with self._explained():
            return Reader(self, self._client.do_get(flight().Ticket(messages.encode(part)), self._options(None)))

    def _options(self, timeout: float | None) -> Any:
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
            raise RemoteError(f"{self.address} did not answer within {PATIENCE:g} seconds") from error
        except module.FlightUnavailableError as error:
            hint = "; is it a host that serves over TLS, and trusted? ($COLONNADE_CA)" if self.address.tls else ""
            raise RemoteError(f"{self.address} cannot be reached: {_message(error)}{hint}") from error
        except module.FlightError as error:
            if getattr(error, "extra_info", None) == NOT_FOUND:
                raise NotFoundError(f"{_message(error)} (asked of {self.address})") from None
            raise RemoteError(f"{self.address} failed: {_message(error)}") from error
        except (pa.ArrowException, OSError) as error:
            raise RemoteError(f"{self.address} failed: {_message(error)}") from error


class Reader:
    """Bytes of a file, piece by piece."""

    def __init__(self, connection: Connection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream

    def __iter__(self) -> Iterator[memoryview]:
        with self._connection._explained():
            for chunk in self._stream:
                yield _bytes_of(chunk.data)

    def cancel(self) -> None:
        """End it, from another thread; the iteration ends then."""
        self._stream.cancel()


def _bytes_of(batch: pa.RecordBatch) -> memoryview:
    if batch.num_columns != 1 or batch.column(0).type != pa.uint8() or batch.column(0).null_count:
        raise CorruptSnapshotError(f"bytes of a file were asked for, and {batch.schema} came")
    column = batch.column(0)
    return memoryview(column.buffers()[1] or b"")[column.offset : column.offset + len(column)]


def _message(error: BaseException) -> str:
    """What the other side said, without the traceback that PyArrow adds."""
    return str(error).partition(". Detail:")[0].partition(". gRPC client debug context:")[0].strip()
