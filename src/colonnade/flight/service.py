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
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.flight as pa_flight

from colonnade.errors import ColonnadeError, InvalidNameError, NotFoundError, RemoteError, brief_repr
from colonnade.flight import address as addresses
from colonnade.flight import messages
from colonnade.flight.client import BUSY, DONE, NOT_FOUND
from colonnade.flight.long_calls import LongCalls, NotYetError
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
# For so many seconds after an answer its snapshot stays open, so that a put meanwhile disturbs no transfer. The rows of
# a growing table are a copy that was written for those who ask, so that memory is freed sooner.
_LEASE, _LEASE_OF_ROWS = 60.0, 10.0
# So many seconds a receiver waits for a source or for rows in one request, and for this host to send. It asks again.
_WAIT, _SHORT_WAIT = 2.0, 1.0
_BYTES = pa.schema([pa.field("bytes", pa.uint8(), nullable=False)])
_SELECT = re.compile(r'(?:select\s+\*\s+from\s+)?(?:"(?P<quoted>[^"]+)"|(?P<plain>[^\s";]+))', re.IGNORECASE)
_LONGEST_ERROR = 2000
# So many streams run at once. Each has a thread and a table that stays open, for as long as its client does not read.
_MOST_STREAMS = 256
# In a ticket: the rows that a growing table has when it is read.
_NEWEST = 0


class GrowingTables(Protocol):
    """The growing tables of a store; see `_rows_so_far`."""

    def describe(self, name: str) -> Any:
        """The schema, rows and bytes of a growing table; None if the name is not one."""

    def table(self, name: str, version: int | None) -> tuple[Segment, Seal, Any]:
        """Its rows so far as a table, and what keeps the table's file."""


class _Open(NamedTuple):
    name: str
    segment: Segment
    seal: Seal
    until: float = 0.0
    rows: Any = None  # keeps the file of a growing table's rows

    def asked(self) -> _Open:
        """The same, asked for now."""
        lease = _LEASE if self.rows is None else _LEASE_OF_ROWS
        return self._replace(until=time.monotonic() + lease)


class Service(pa_flight.FlightServerBase):  # type: ignore[misc]  # PyArrow ships no types
    """A Flight service over the tables of a store. It runs from its construction on, in threads of gRPC."""

    def __init__(self, catalog: Catalog, growing: GrowingTables, token: str, location: str, **tls: Any) -> None:
        self._catalog = catalog
        self._growing = growing
        self._open: dict[int, _Open] = {}
        self._is_closed = False
        self._long_calls: LongCalls[_Open] = LongCalls()
        # Reentrant: a stream may end while the thread that releases it is in here.
        self._lock = threading.RLock()
        self._sources = Sources()
        self._last_request = 0.0
        self._streams = 0
        self._scheme = location.partition("://")[0]
        super().__init__(location, middleware={"token": _Tokens(token)}, **tls)

    # -- what Flight asks ----------------------------------------------------------------------------------------------

    def list_flights(self, _: Any, criteria: bytes) -> Iterator[Any]:
        """List the tables whose names begin with the criteria."""
        prefix = criteria.decode("utf-8", "replace")
        names = {*(entry.name for entry in self._catalog.entries()), *self._catalog.growing()}
        for name in sorted(name for name in names if name.startswith(prefix)):
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
            request = _request_of(descriptor)
            growing = self._growing.describe(request.name)
            return pa_flight.SchemaResult(growing.schema if growing else _batch_of(self._find(request)).schema)

    def do_get(self, _: Any, ticket: Any) -> Any:
        """Send bytes of a file to a receiver, or record batches to another client."""
        with _answering():
            data = ticket.ticket
            message = _decode_ticket(data)
            is_newest = isinstance(message, Rows) and message.identity == message.version == _NEWEST
            request = Request(message.name) if is_newest else Request(message.name, message.version, message.identity)
            table_file = self._find(request)
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
            self._sources.done(message.identity, message.transfer, message.address, message.failed_source)
        return iter(())

    def _is_of_a_host(self, text: str) -> bool:
        try:
            address, name = addresses.parse(text)
        except ValueError:
            return False
        return name is None and (self._scheme != addresses.TLS or address.tls)

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def _info_of_bytes(self, descriptor: Any, request: Request) -> Any:
        """The seal of a snapshot, and the host that sends it: no endpoint if there is none yet, so ask again.

        No seal, if the rows of a growing table are being written.
        """
        here = True
        try:
            seal = self._find(request, _WAIT).seal
        except NotYetError:
            offer = messages.encode(Offer(request.name))
            return pa_flight.FlightInfo(_BYTES, descriptor, [], -1, -1, app_metadata=offer)
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
        """The bytes of a file for one more stream, which runs until Flight has released all that is made of them."""
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
        growing = self._growing.describe(request.name)
        if growing is not None:  # it is written when it is read
            schema, rows, nbytes = growing
            ticket = Rows(_NEWEST, request.name, _NEWEST)
        else:
            table_file = self._find(request)
            schema, rows, nbytes = _batch_of(table_file).schema, table_file.seal.rows, table_file.seal.size
            ticket = Rows(table_file.seal.identity, table_file.name, table_file.seal.version)
        # Without a location, a client uses the connection of its request.
        endpoint = pa_flight.FlightEndpoint(pa_flight.Ticket(messages.encode(ticket)), [])
        return pa_flight.FlightInfo(schema, descriptor, [endpoint], rows, nbytes)

    def _find(self, request: Request, patience: float | None = None) -> _Open:
        self.close_idle()
        self._last_request = time.monotonic()
        with self._lock:
            table_file = self._open.get(request.identity) if request.identity is not None else None
            if table_file is not None:
                self._open[table_file.seal.identity] = table_file = table_file.asked()
                return table_file
        if request.identity is None:
            new = self._attach(request.name, request.version, patience)
        else:
            segment_and_seal = copies.find(self._catalog, request.name, request.version or 0, request.identity)
            if segment_and_seal is None:
                raise NotFoundError(
                    f"version {request.version} of {request.name!r} is gone from this host: it was superseded (keep= "
                    "retains versions) or deleted"
                )
            new = _Open(request.name, *segment_and_seal)
        return self._keep(new)

    def _keep(self, new: _Open) -> _Open:
        """Keep a snapshot open for those who ask for it next."""
        with self._lock:
            new = self._open.get(new.seal.identity, new).asked()
            if not self._is_closed:
                self._open[new.seal.identity] = new
            return new

    def _attach(self, name: str, version: int | None, patience: float | None) -> _Open:
        number = None if version is None else self._catalog.version_number(name, version)
        segment_and_seal = self._catalog.find(name, number)
        if segment_and_seal is not None:
            return _Open(name, *segment_and_seal)
        if self._catalog.is_growing(name):
            return self._long_calls.result((name, number), lambda: self._write(name, number), patience)
        raise self._catalog.not_found(name, number)

    def _write(self, name: str, number: int | None) -> _Open:
        """Write the rows of a growing table; and keep them, for whoever asked may be waiting no more."""
        segment, seal, rows = self._growing.table(name, number)
        return self._keep(_Open(name, segment, seal, rows=rows))

    def close_all(self) -> None:
        """Close the snapshots, at the end."""
        with self._lock:
            self._is_closed = True
            closing, self._open = self._open, {}
        del closing

    def is_silent(self, seconds: float) -> bool:
        """Whether nobody has asked for ``seconds``, and no transfer runs from here."""
        return time.monotonic() - self._last_request > seconds and not self._sources.is_sending()

    def close_idle(self) -> None:
        """Close the snapshots that nobody has asked for lately. Streams that run keep their mapping."""
        now = time.monotonic()
        with self._lock:
            idle = [identity for identity, table_file in self._open.items() if table_file.until < now]
            closing = [self._open.pop(identity) for identity in idle]
        del closing  # closes them, unless an answer is being made of one; without the lock, for it may take the store's


class _Tokens(pa_flight.ServerMiddlewareFactory):  # type: ignore[misc]  # PyArrow ships no types
    """Refuses every call that does not bring the token."""

    def __init__(self, token: str) -> None:
        self._header = b"Bearer " + token.encode()

    def start_call(self, _: Any, headers: dict[str, list[Any]]) -> None:
        """See the token of a call, before anything else of it is looked at."""
        for value in headers.get("authorization", []):
            header = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            if hmac.compare_digest(header, self._header):
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
