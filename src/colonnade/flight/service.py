"""What a host answers over Flight: tables of one store, read-only.

Does not depend on: which process of the host serves, engines.

Two kinds of readers are answered. A Colonnade receiver gets the bytes of the file, as batches of 1 MiB of one uint8
column that are views of the mapping: it has a table as soon as it has the bytes (measured: 1 GiB in 662 ms, where
receiving an Arrow table takes 842 ms and writing it again as much). Every other Flight client gets the table as record
batches, views of the mapping too. Both are streams over tables: Python does not run for a batch, so a process that
computes serves as well.
"""

from __future__ import annotations

import hmac
import re
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.flight as pa_flight

from colonnade.errors import ColonnadeError, InvalidNameError, NotFoundError, RemoteError, brief_repr
from colonnade.flight import address as addresses
from colonnade.flight import messages
from colonnade.flight.client import BUSY, DONE, NOT_FOUND
from colonnade.flight.messages import Done, Offer, Part, Request, Rows
from colonnade.flight.sources import HERE, Sources
from colonnade.flight.sql_command import query_of
from colonnade.format.ipc import without_layout_metadata
from colonnade.format.read.file import open_file
from colonnade.format.seal import Seal
from colonnade.storage import copies
from colonnade.storage.catalog import Catalog
from colonnade.storage.segment import Segment

# Batches of 210 MB halve Flight's rate (measured); from 256 KiB to 4 MiB it does not matter.
_BATCH = 1 << 20
# For so many seconds after an answer its snapshot stays open, so that a put meanwhile disturbs no transfer.
_LEASE = 60.0
# So many seconds a receiver waits for a source in one request, and for this host to send. It asks again.
_WAIT, _SHORT_WAIT = 2.0, 1.0
_BYTES = pa.schema([pa.field("bytes", pa.uint8(), nullable=False)])
_SELECT = re.compile(r'(?:select\s+\*\s+from\s+)?(?:"(?P<quoted>[^"]+)"|(?P<plain>[^\s";]+))', re.IGNORECASE)
_LONGEST_ERROR = 2000
# So many streams run at once. Each has a thread and a table that stays open, for as long as its client does not read.
_MOST_STREAMS = 256


class _Open(NamedTuple):
    name: str
    segment: Segment
    seal: Seal
    until: float


class Service(pa_flight.FlightServerBase):  # type: ignore[misc]  # PyArrow ships no types
    """A Flight service over the tables of a store. It runs from its construction on, in threads of gRPC."""

    def __init__(self, catalog: Catalog, token: str, location: str, **tls: Any) -> None:
        self._catalog = catalog
        self._open: dict[int, _Open] = {}
        # Reentrant: a stream may end while the thread that lets go of it is in here.
        self._lock = threading.RLock()
        self._sources = Sources()
        self._last_asked = 0.0
        self._streams = 0
        self._scheme = location.partition("://")[0]
        super().__init__(location, middleware={"token": _Tokens(token)}, **tls)

    # -- what Flight asks ----------------------------------------------------------------------------------------------

    def list_flights(self, _: Any, criteria: bytes) -> Iterator[Any]:
        """List the tables whose names begin with the criteria."""
        prefix = criteria.decode("utf-8", "replace")
        names = sorted({entry.name for entry in self._catalog.entries() if entry.name.startswith(prefix)})
        for name in names:
            try:
                yield self._info_of_rows(pa_flight.FlightDescriptor.for_path(*name.split("/")), Request(name))
            except ColonnadeError:
                continue  # deleted since then, or damaged: `check` on that host names it

    def get_flight_info(self, _: Any, descriptor: Any) -> Any:
        """Answer a receiver's request, or describe a table to another client."""
        with _answering():
            command = descriptor.command or b""
            if not messages.is_message(command):
                return self._info_of_rows(descriptor, _request_of(descriptor))
            return self._info_of_bytes(descriptor, messages.decode(command, Request))

    def get_schema(self, _: Any, descriptor: Any) -> Any:
        """The schema of a table."""
        with _answering():
            return pa_flight.SchemaResult(_batch_of(self._find(_request_of(descriptor))).schema)

    def do_get(self, _: Any, ticket: Any) -> Any:
        """Send bytes of a file to a receiver, or record batches to another client."""
        with _answering():
            data = ticket.ticket
            message = _decode_ticket(data)
            table_file = self._find(Request(message.name, message.version, message.identity))
            if isinstance(message, Part):
                table = pa.Table.from_batches(self._pieces(table_file, message), _BYTES)
            else:
                batch = _batch_of(table_file, self._streamed(table_file))
                rows = max(1, batch.num_rows * _BATCH // max(table_file.seal.size, 1))
                table = pa.Table.from_batches(
                    [batch.slice(at, rows) for at in range(0, batch.num_rows, rows)], batch.schema
                )
            return pa_flight.RecordBatchStream(table)

    def do_action(self, _: Any, action: Any) -> Iterator[Any]:
        """Take note of the end of a transfer."""
        with _answering():
            if action.type != DONE:
                raise NotImplementedError(f"no such action: {action.type!r}")
            message = messages.decode(action.body.to_pybytes(), Done)
            if message.address and not self._is_of_a_host(message.address):
                raise RemoteError(f"{brief_repr(message.address)} is not the address of a host of this cluster")
            self._sources.done(message.identity, message.transfer, message.address, message.failed)
        return iter(())

    def _is_of_a_host(self, text: str) -> bool:
        try:
            address, name = addresses.parse(text)
        except ValueError:
            return False
        return name is None and (self._scheme != addresses.TLS or address.tls)

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def _info_of_bytes(self, descriptor: Any, request: Request) -> Any:
        """The seal of a snapshot, and the host that sends it: no endpoint if there is none yet, so ask again."""
        here = True
        try:
            seal = self._find(request).seal
        except NotFoundError:
            # Those that fetched it may have it.
            elsewhere = None if request.identity is None else self._sources.seal_of(request.identity)
            if elsewhere is None:
                raise
            seal, here = elsewhere, False
        endpoints = []
        if request.transfer:
            source = self._sources.grant(seal, request.transfer, _WAIT, here=here)
            if source is not None:
                part = Part(seal.identity, request.name, seal.version, 0, seal.size, request.transfer)
                locations = [] if source == HERE else [source]
                endpoints = [pa_flight.FlightEndpoint(messages.encode(part), locations)]
        offer = messages.encode(Offer(request.name, seal.pack().hex()))
        return pa_flight.FlightInfo(_BYTES, descriptor, endpoints, seal.rows, seal.size, app_metadata=offer)

    def _pieces(self, table_file: _Open, part: Part) -> list[pa.RecordBatch]:
        """Bytes of a file, as batches; the transfer runs until Flight has released all of them."""
        seal = table_file.seal
        if not 0 <= part.start <= part.stop <= seal.size:
            raise RemoteError(
                f"bytes {part.start:,} to {part.stop:,} were asked for, and the table's file has {seal.size:,} bytes"
            )
        if not self._sources.begin(seal.identity, part.transfer, part.streams, _SHORT_WAIT):
            raise pa_flight.FlightUnavailableError("this host sends the table to others; ask for another source", BUSY)
        try:
            view = self._streamed(table_file)
        except BaseException:
            self._sources.end(seal.identity, part.transfer)
            raise
        weakref.finalize(view, self._sources.end, seal.identity, part.transfer).atexit = False
        column = pa.Array.from_buffers(pa.uint8(), seal.size, [None, pa.py_buffer(view)])
        return [
            pa.RecordBatch.from_arrays([column.slice(at, min(_BATCH, part.stop - at))], schema=_BYTES)
            for at in range(part.start, part.stop, _BATCH)
        ]

    def _streamed(self, table_file: _Open) -> Any:
        """The bytes of a file for one more stream, which runs until Flight has let go of all that is made of them."""
        with self._lock:
            if self._streams >= _MOST_STREAMS:
                raise pa_flight.FlightUnavailableError(f"this host serves {_MOST_STREAMS} streams already", BUSY)
            self._streams += 1
        try:
            view = np.frombuffer(table_file.segment.map(writable=False), np.uint8)  # type: ignore[call-overload]  # a buffer of the core
        except BaseException:
            self._end_stream()
            raise
        weakref.finalize(view, self._end_stream).atexit = False
        return view

    def _end_stream(self) -> None:
        with self._lock:
            self._streams -= 1

    def _info_of_rows(self, descriptor: Any, request: Request) -> Any:
        table_file = self._find(request)
        seal = table_file.seal
        ticket = pa_flight.Ticket(messages.encode(Rows(seal.identity, table_file.name, seal.version)))
        # Without a location, a client uses the connection of its request.
        endpoint = pa_flight.FlightEndpoint(ticket, [])
        return pa_flight.FlightInfo(_batch_of(table_file).schema, descriptor, [endpoint], seal.rows, seal.size)

    def _find(self, request: Request) -> _Open:
        self.close_idle()
        self._last_asked = now = time.monotonic()
        with self._lock:
            table_file = self._open.get(request.identity) if request.identity is not None else None
            if table_file is not None:
                self._open[table_file.seal.identity] = table_file = table_file._replace(until=now + _LEASE)
                return table_file
        if request.identity is None:
            segment, seal = self._attach(request.name, request.version)
        else:
            segment_and_seal = copies.find(self._catalog, request.name, request.version or 0, request.identity)
            if segment_and_seal is None:
                raise NotFoundError(
                    f"version {request.version} of {request.name!r} is gone from this host: it was superseded (keep= "
                    "retains versions) or deleted"
                )
            segment, seal = segment_and_seal
        new = _Open(request.name, segment, seal, now + _LEASE)
        with self._lock:
            return self._open.setdefault(seal.identity, new)

    def _attach(self, name: str, version: int | None) -> tuple[Segment, Seal]:
        number = None if version is None else self._catalog.version_number(name, version)
        segment_and_seal = self._catalog.find(name, number)
        if segment_and_seal is not None:
            return segment_and_seal
        if self._catalog.is_growing(name):
            raise NotFoundError(
                f"{name!r} is a growing table, and those are not served to other hosts: put its rows as a table there, "
                f"as in cn.put(name, cn.open({name!r}))"
            )
        raise self._catalog.not_found(name, number)

    def is_silent(self, seconds: float) -> bool:
        """Whether nobody has asked for so many seconds, and no transfer runs from here."""
        return time.monotonic() - self._last_asked > seconds and not self._sources.is_sending()

    def close_idle(self) -> None:
        """Close the snapshots that nobody has asked for lately. Streams that run keep their mapping."""
        now = time.monotonic()
        with self._lock:
            for identity in [identity for identity, table_file in self._open.items() if table_file.until < now]:
                del self._open[identity]  # closes it, unless an answer is being made of it


class _Tokens(pa_flight.ServerMiddlewareFactory):  # type: ignore[misc]  # PyArrow ships no types
    """Refuses every call that does not bring the token."""

    def __init__(self, token: str) -> None:
        self._wanted = b"Bearer " + token.encode()

    def start_call(self, _: Any, headers: dict[str, list[Any]]) -> None:
        """See the token of a call, before anything else of it is looked at."""
        for value in headers.get("authorization", []):
            header = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            if hmac.compare_digest(header, self._wanted):
                return
        raise pa_flight.FlightUnauthenticatedError("the token is missing or wrong")


class _answering:  # noqa: N801 -- a block
    """Send errors of this package as errors of Flight, without a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, (NotFoundError, InvalidNameError)):
            raise pa_flight.FlightServerError(_sent(error), NOT_FOUND) from None
        if isinstance(error, ColonnadeError):
            raise pa_flight.FlightServerError(_sent(error)) from None


def _sent(error: ColonnadeError) -> str:
    """The text of an error that is sent: gRPC sends none of 8 KiB, and names that clients invent may be longer."""
    text = str(error)
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}..."


def _request_of(descriptor: Any) -> Request:
    """The table that another client's descriptor names: by its path, or by a command that is a name or a query."""
    command = descriptor.command or b""
    length = sum(map(len, descriptor.path or [])) + len(command)
    if length > messages.LONGEST:
        raise RemoteError(f"a path or command of {length:,} bytes; the longest has {messages.LONGEST:,}")
    if descriptor.path:
        return Request("/".join(part.decode("utf-8", "replace") for part in descriptor.path))
    query = (query_of(command) or command).decode("utf-8", "replace").strip()
    match = _SELECT.fullmatch(query.removesuffix(";").rstrip())
    if match is None:
        raise RemoteError('no such command: name a table, as in nyc/flights or select * from "nyc/flights"')
    return Request(match["quoted"] or match["plain"])


def _decode_ticket(data: bytes) -> Part | Rows:
    try:
        return messages.decode(data, Rows)
    except RemoteError:
        return messages.decode(data, Part)


def _batch_of(table_file: _Open, memory: Any = None) -> pa.RecordBatch:
    if memory is None:
        memory = table_file.segment.map(writable=False)
    batch = open_file(memory, 0, table_file.seal.size, table_file.seal.checksums).batch
    return batch.replace_schema_metadata(without_layout_metadata(batch.schema))
