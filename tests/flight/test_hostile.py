"""Peers that lie. A server: lengths, types, offers, other hosts, and no end. A client: tickets, commands, and it never reads.

Each is one error that names the host, within bounded time and memory, and nothing is left behind. A server whose bytes
are damaged: `test_fetch_failures`. A client without the token, or with tickets of others: `test_serve`.
"""

import contextlib
import os
import socket
import threading
import time

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import flight

import colonnade as cn
from colonnade._rows_so_far import RowsSoFar
from colonnade.flight import client, fetch, messages, service, transfer
from colonnade.flight.messages import Offer, Part
from colonnade.flight.service import Service
from colonnade.storage import paths
from colonnade.storage.opening import open_catalog
from support.hosts import TOKEN

PATIENCE = 1.0
OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())])
BYTES = service._BYTES


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Peers that say nothing are given up soon."""
    monkeypatch.setattr(transfer, "PATIENCE", PATIENCE)
    monkeypatch.setattr(client, "PATIENCE", PATIENCE)


@pytest.fixture
def offered(origin):
    """The table that a server lies about."""
    return origin.put("x", pd.DataFrame({"x": range(1000)}))


@contextlib.contextmanager
def lying(origin, **answers):
    """A server some of whose answers are others than those of a `Service`; gives its address."""
    catalog = open_catalog(origin.path)
    started = type("Liar", (Service,), answers)(catalog, RowsSoFar(catalog), TOKEN, "grpc://127.0.0.1:0")
    try:
        yield f"grpc://127.0.0.1:{started.port}"
    finally:
        threading.Thread(target=started.shutdown, daemon=True).start()  # an endless answer may still run


def refused(store, address, match, kind=(cn.RemoteError, cn.CorruptSnapshotError), within=60 * PATIENCE):
    """A fetch is an error that names the host, soon; no file and no thread is left."""
    before, began = resident(), time.monotonic()
    with pytest.raises(kind, match=match) as caught:
        store.open(f"{address}/x")
    assert time.monotonic() - began < within
    assert resident() - before < 200 << 20
    text = str(caught.value)
    assert address in text or caught.type is cn.StoreFullError
    assert len(text) < 1500
    assert text.isprintable()
    folder = store.path / paths.SEGMENTS
    assert [name for name in os.listdir(folder) if not name.startswith("spare-")] == [] if folder.exists() else True
    end = time.monotonic() + within
    while any(thread.name == "colonnade-fetch" for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread is left"
        time.sleep(0.01)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


# Servers.


def batch(data):
    return pa.record_batch([pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])], schema=BYTES)


def dripping():
    while True:
        yield batch(b"x")
        time.sleep(0.05)


def empty():
    while True:
        yield batch(b"")
        time.sleep(0.001)


def endless():
    big = batch(bytes(1 << 20))
    while True:
        yield big


def streams(batches, schema=BYTES):
    return lambda *_: flight.GeneratorStream(schema, batches())


def table(columns):
    return lambda *_: flight.RecordBatchStream(pa.table(columns))


WIDE = pa.schema([pa.field(f"a column with a long name, number {number}", pa.uint8()) for number in range(50_000)])
TRANSFERS = {
    "a byte now and then": (streams(dripping), r"sent \d+ bytes in"),
    "batches without bytes": (streams(empty), "sent nothing for"),
    "more bytes, without an end": (streams(endless), "more bytes than were asked for"),
    "a batch of 64 MiB": (streams(lambda: iter([batch(bytes(64 << 20))])), "failed"),
    "a schema of 50,000 fields": (streams(lambda: iter([]), WIDE), "failed|something else"),
    "no batch": (streams(lambda: iter([])), "ended the transfer after 0 of"),
    "numbers": (table({"bytes": [1, 2, 3]}), "batches of something else"),
    "nulls": (table({"bytes": pa.array([1, None], pa.uint8())}), "are null"),
    "two columns": (table({"bytes": pa.array([1], pa.uint8()), "more": [1]}), "batches of something else"),
    "a dictionary": (table({"bytes": pa.array([1], pa.uint8()).dictionary_encode()}), "batches of something else"),
}


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_bytes_that_are_none(origin, offered, store, token, transfer):
    do_get, match = TRANSFERS[transfer]
    with lying(origin, do_get=do_get) as address:
        refused(store, address, match)


def offering(name="x", **changes):
    """The answer to a request: an offer some of whose parts are others."""

    def answer(self, descriptor, request):
        seal = self._find(request).seal._replace(**changes)
        offer = messages.encode(Offer(name, seal.pack().hex()))
        end = flight.FlightEndpoint(messages.encode(Part(seal.identity, "x", 1, 0, 8)), [])
        return flight.FlightInfo(BYTES, descriptor, [end], 1, 1, app_metadata=offer)

    return answer


def metadata(data):
    return lambda _, descriptor, __: flight.FlightInfo(BYTES, descriptor, [], 1, 1, app_metadata=data)


def failing(text):
    def answer(*_):
        raise flight.FlightServerError(text)

    return answer


OFFERS = {
    "another name": (offering("../../etc/passwd"), "another snapshot than the one that was asked for, 'x'"),
    "no rows": (offering(rows=0), "rows or columns|differs"),
    "all memory": (offering(size=1 << 60), "the table needs 1,152,921,504,606,846,976"),
    "no bytes": (offering(size=0, columns=0, rows=0), "cannot be read|damaged|ended the transfer"),
    "a cut seal": (metadata(messages.encode(Offer("x", "00ff"))), "cannot be read here"),
    "no seal": (metadata(messages.encode(Offer("x", "nonsense"))), "cannot be read here"),
    "nothing": (metadata(b""), "not one of Colonnade"),
    "a ticket": (metadata(messages.encode(Part(1, "x", 1, 0, 8))), "cannot be understood"),
    "8 MiB": (metadata(bytes(8 << 20)), "failed|cannot be reached"),
    "deep JSON": (metadata(b"colonnade-2:" + b"[" * 10_000), "cannot be understood"),
    "long JSON": (metadata(b"colonnade-2:" + b" " * 100_000), "the longest has"),
    "a text for the terminal": (failing("\x1b[2J\x1b[H\a" + "x" * 5000), "x{100}"),
}


@pytest.mark.parametrize("offer", OFFERS)
def test_offers_that_are_none(origin, offered, store, token, offer):
    answer, match = OFFERS[offer]
    with lying(origin, _info_of_bytes=answer) as address:
        refused(store, address, match, (cn.RemoteError, cn.CorruptSnapshotError, cn.StoreFullError))


def test_an_offer_of_another_version(origin, offered, store, token):
    def find(self, _):
        return Service._find(self, messages.Request("x"))

    with lying(origin, _find=find) as address, pytest.raises(cn.RemoteError, match="another snapshot"):
        store.open(f"{address}/x", version=7)


def naming(*locations):
    """The answer to a request: others have the table."""

    def answer(self, descriptor, request):
        seal = self._find(request).seal
        offer = messages.encode(Offer("x", seal.pack().hex()))
        ends = [flight.FlightEndpoint(messages.encode(Part(seal.identity, "x", 1, 0, 8)), [each]) for each in locations]
        return flight.FlightInfo(BYTES, descriptor, ends, 1, 1, app_metadata=offer)

    return answer


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://127.0.0.1:1", "grpc+unix:///tmp/x", "arrow-flight-reuse-connection://?", "grpc://h:1/x"]
)  # fmt: skip
def test_locations_that_cannot_be_asked(origin, offered, store, token, location):
    with lying(origin, _info_of_bytes=naming(location)) as address:
        refused(store, address, "which cannot be asked")


def test_hosts_that_do_not_have_it(origin, offered, store, token):
    """A host names others again and again that have nothing: then it must send the table itself."""
    answer = naming("grpc://127.0.0.1:1")
    with lying(origin, _info_of_bytes=answer) as address, store.open(f"{address}/x") as snapshot:
        assert snapshot.num_rows == 1000


@pytest.mark.parametrize("answers", ["nobody", "busy"])
def test_a_host_that_puts_off_for_ever(origin, offered, folder, token, answers):
    """It is asked with pauses, until the time for which a lock would be waited for is over."""
    asked = []

    def nobody(self, descriptor, request):
        asked.append(request)
        return naming()(self, descriptor, request)

    def busy(*_):
        raise flight.FlightUnavailableError("busy", client.BUSY)

    lies = {"_info_of_bytes": nobody} if answers == "nobody" else {"do_get": busy}
    with lying(origin, **lies) as address:
        refused(cn.Store(folder / "store", timeout=PATIENCE), address, "no host that is free to send 'x' for 1 seconds")
    assert len(asked) < 10


def test_an_answer_without_an_end_to_the_last_word(origin, offered, store, token):
    def do_action(*_):
        while True:
            yield flight.Result(bytes(1 << 20))

    with lying(origin, do_action=do_action) as address:
        before = resident()
        store.open(f"{address}/x").close()
        assert resident() - before < 200 << 20


@pytest.mark.parametrize("says", [b"", b"\0" * 100_000, b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", None])
def test_another_service(store, token, says):
    """It accepts connections, and says nothing, something else, or hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    if says is None:
                        connection.close()
                    else:
                        connections.append(connection)
                        connection.sendall(says)

        threading.Thread(target=accept, daemon=True).start()
        refused(store, f"grpc://127.0.0.1:{listener.getsockname()[1]}", "did not answer|cannot be reached|failed")
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


class Forger:
    """Passes a connection on to a server, and replaces bytes of what it says by as many others."""

    def __init__(self, port, old, new):
        assert len(old) == len(new)
        self._target, self._old, self._new = port, old, new
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"grpc://127.0.0.1:{self._listener.getsockname()[1]}"
        self.replaced = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                one, other = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._target))
                for come, go, forged in ((one, other, False), (other, one, True)):
                    threading.Thread(target=self._pass, args=(come, go, forged), daemon=True).start()

    def _pass(self, come, go, forged):
        with contextlib.suppress(OSError), come, go:
            while data := come.recv(1 << 20):
                if forged:
                    self.replaced += data.count(self._old)
                    data = data.replace(self._old, self._new)
                go.sendall(data)


@pytest.mark.parametrize(
    ("length", "nulls"),
    [(None, -1), (None, 1), (None, 1 << 62), (1 << 40, 0), (1 << 40, -1), (-1, 0), (0, 0), (1 << 62, 1)],
)
def test_lengths_within_a_batch_that_are_lies(origin, offered, host, store, length, nulls):
    """Flight does not compare the lengths of a batch with its buffers: no byte beyond them is read."""
    size = os.stat(offered.path).st_size
    node = size.to_bytes(8, "little") + bytes(8)
    length = size if length is None else length
    lie = length.to_bytes(8, "little", signed=True) + nulls.to_bytes(8, "little", signed=True)
    with Forger(host.port, node, lie) as forger:
        refused(store, forger.address, "are null|ended the transfer|failed|more bytes|damaged")
        assert forger.replaced == 1


# Clients.


def commands(snapshot):
    """What a client with the token may ask for, whatever it means by it."""
    number = "9" * 4000
    part = messages.encode(Part(snapshot.identity, "x", 1, 0, 8)).decode()
    for command in (
        "a" + " " * 15_000 + "b",
        " " * 15_000 + "b;;",
        "select " * 2000,
        '"' * 15_000,
        "x\0y",
        "../../etc/passwd",
        "a/" * 7000,
        "x" * (32 << 20),
        "colonnade-2:" + "[" * 16_000,
        'colonnade-2:{"kind":"request","name":"x","identity":' + number + "}",
        'colonnade-2:{"kind":"request","name":"x","version":' + number + "}",
        'colonnade-2:{"kind":"request","name":"x","version":-' + number + "}",
        'colonnade-2:{"kind":"request","name":"' + "x" * 15_000 + '"}',
        'colonnade-2:{"kind":"request","name":"\\ud800"}',
        'colonnade-2:{"kind":"request","name":"x","version":99,"identity":18446744073709551615}',
    ):
        yield lambda each, command=command: each.get_flight_info(
            flight.FlightDescriptor.for_command(command.encode()), OPTIONS
        )
    for path in (["x"] * 100_000, ["x" * (1 << 20)], [".."], ["\0"], [""], ["x/../x"]):
        yield lambda each, path=path: each.get_flight_info(flight.FlightDescriptor.for_path(*path), OPTIONS)
    for ticket in (
        part.replace('"start":0', '"start":-1'),
        part.replace('"stop":8', f'"stop":{number}'),
        part.replace(str(snapshot.identity), number),
        part.replace(str(snapshot.identity), "-1"),
        part.replace('"x"', '"x\\u0000"'),
        "x" * (32 << 20),
    ):
        yield lambda each, ticket=ticket: each.do_get(flight.Ticket(ticket.encode()), OPTIONS).read_all()
    for kind, body in (
        ("x" * (1 << 20), b""),
        (client.DONE, b""),
        (client.DONE, bytes(32 << 20)),
        (client.DONE, b'colonnade-2:{"kind":"done","identity":-1,"transfer":"x"}'),
        (client.DONE, b'colonnade-2:{"kind":"done","identity":1,"transfer":"x","address":"file:///etc/passwd"}'),
    ):
        yield lambda each, kind=kind, body=body: list(each.do_action(flight.Action(kind, body), OPTIONS))


def test_a_client_that_lies(origin, host, offered):
    with open(f"/proc/{host.process.pid}/statm") as file:
        before = int(file.read().split()[1])
    with flight.FlightClient(host.address) as liar:
        for call in commands(offered):
            with pytest.raises((flight.FlightError, pa.ArrowException, NotImplementedError)) as caught:
                call(liar)
            assert "Traceback" not in str(caught.value)
            assert "Errno" not in str(caught.value)
        with open(f"/proc/{host.process.pid}/statm") as file:
            assert (int(file.read().split()[1]) - before) * 4096 < 300 << 20
        assert liar.get_flight_info(flight.FlightDescriptor.for_path("x"), OPTIONS).total_records == 1000
    assert origin.check() == []


def test_clients_that_never_read(origin, folder, token, large, monkeypatch):
    """They do not keep others waiting, there are only so many, and they end with their connections."""
    monkeypatch.setattr(service, "_MOST_STREAMS", 5)
    put = origin.put("large", large)
    catalog = open_catalog(origin.path)
    started = Service(catalog, RowsSoFar(catalog), TOKEN, "grpc://127.0.0.1:0")
    address = f"grpc://127.0.0.1:{started.port}"
    with flight.FlightClient(address) as lazy:
        ticket = lazy.get_flight_info(flight.FlightDescriptor.for_path("large"), OPTIONS).endpoints[0].ticket
        unread = [lazy.do_get(ticket, OPTIONS) for _ in range(3)]
        with cn.Store(folder / "receiver").open(f"{address}/large") as snapshot:  # by two streams
            assert snapshot.identity == put.identity
        unread += [lazy.do_get(ticket, OPTIONS) for _ in range(2)]
        with pytest.raises(flight.FlightUnavailableError, match="serves 5 streams already"):
            lazy.do_get(ticket, OPTIONS).read_chunk()
        for each in unread:
            each.cancel()
        end = time.monotonic() + 10
        while started._streams:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert lazy.do_get(ticket, OPTIONS).read_all().num_rows == len(large)
    started.shutdown()


def test_one_transfer_has_no_more_streams_than_were_announced(origin, host, offered, token):
    part = Part(offered.identity, "x", 1, 0, 8, "mine")
    with client.connected(fetch.addresses.parse(host.address)[0], fetch.credentials.current()) as connection:
        assert len(b"".join(connection.read(part))) == 8
        assert len(b"".join(connection.read(part))) == 8  # the one before is over
