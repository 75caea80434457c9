"""Hosts that have a copy of a table send it on: which source a receiver gets, and what happens when a source fails."""

import functools
import threading
import time

import pandas as pd
import pytest

import colonnade as cn
from colonnade.flight import client, credentials
from colonnade.flight.address import parse
from colonnade.flight.messages import Done, Part, Request
from colonnade.flight.sources import HERE, Sources
from support.hosts import TOKEN, Proxy, serving

MINE = credentials.Credentials(TOKEN)


@pytest.fixture
def seal(store):
    with store.put("x", pd.DataFrame({"x": [1]})) as snapshot:
        return snapshot._reference.seal


@pytest.fixture
def sources():
    return Sources()


# The books.


def test_one_transfer_at_a_time(sources, seal):
    assert sources.grant(seal, "a", 0, here=True) == HERE
    assert sources.grant(seal, "b", 0, here=True) is None
    sources.done(seal.identity, "a", "grpc://a:1", "")
    assert {sources.grant(seal, each, 0, here=True) for each in "bc"} == {HERE, "grpc://a:1"}
    assert sources.grant(seal, "d", 0, here=True) is None


def test_copies_double_with_each_round(sources, seal):
    """One of 64 hosts has the table; all have it after six rounds."""
    wanting, rounds = [f"grpc://h{number}:1" for number in range(63)], 0
    while wanting:
        granted = []
        while wanting and sources.grant(seal, wanting[0], 0, here=True) is not None:
            granted.append(wanting.pop(0))
        for each in granted:
            sources.done(seal.identity, each, each, "")
        rounds += 1
    assert rounds == 6


def test_those_that_wait_are_served_in_turn(sources, seal):
    sources.grant(seal, "first", 0, here=True)
    served = []

    def want(transfer):
        if sources.grant(seal, transfer, 20, here=True) is not None:
            served.append(transfer)
            sources.done(seal.identity, transfer, "", "")

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=want, args=(number,)))
        threads[-1].start()
        while not sources._snapshots[seal.identity].queue or len(sources._snapshots[seal.identity].queue) <= number:
            time.sleep(0.001)
    sources.done(seal.identity, "first", "", "")
    for thread in threads:
        thread.join()
    assert served == list(range(5))


def test_streams_hold_their_transfer(sources, seal):
    """A grant ends with its last stream, even if the receiver does not report the end."""
    sources.grant(seal, "a", 0, here=True)
    assert sources.begin(seal.identity, "a", 2, 0)
    assert not sources.begin(seal.identity, "b", 2, 0)
    sources.end(seal.identity, "a")
    assert not sources.begin(seal.identity, "b", 2, 0)  # its second stream is still to come
    assert sources.begin(seal.identity, "a", 2, 0)
    sources.end(seal.identity, "a")
    assert sources.begin(seal.identity, "b", 2, 0)


def test_grants_that_nobody_uses_are_dropped(sources, seal, monkeypatch):
    sources.grant(seal, "a", 0, here=True)
    now = time.monotonic()
    monkeypatch.setattr("colonnade.flight.sources.time.monotonic", lambda: now + 11)
    assert sources.grant(seal, "b", 0, here=True) == HERE


def test_a_receiver_that_was_stopped_keeps_nobody_waiting_for_ever(sources, seal, monkeypatch):
    sources.grant(seal, "stopped", 0, here=True)
    assert sources.begin(seal.identity, "stopped", 1, 0)
    now = time.monotonic()
    monkeypatch.setattr("colonnade.flight.sources.time.monotonic", lambda: now + 9)
    assert sources.grant(seal, "b", 0, here=True) is None
    monkeypatch.setattr("colonnade.flight.sources.time.monotonic", lambda: now + 11)
    assert sources.grant(seal, "b", 0, here=True) == HERE
    assert sources.grant(seal, "c", 0, here=True) is None
    assert sources.is_sending()


def test_a_host_sends_few_snapshots_at_once(sources, seal):
    granted = [sources.grant(seal._replace(identity=number), "a", 0, here=True) for number in range(5)]
    assert granted == [HERE] * 4 + [None]


def test_a_source_that_failed_is_not_named_again(sources, seal):
    sources.done(seal.identity, "a", "grpc://a:1", "")
    assert sources.grant(seal, "b", 0, here=False) == "grpc://a:1"
    sources.done(seal.identity, "b", "", "grpc://a:1")
    assert sources.grant(seal, "c", 0, here=False) is None
    assert sources.seal_of(seal.identity) is None


# Hosts.


def ask(host, snapshot, transfer):
    request = Request(snapshot.name, snapshot.version, snapshot.identity, transfer)
    return client.ask(parse(host.address)[0], MINE, request).source


def say(host, snapshot, transfer, **what):
    with client.connected(parse(host.address)[0], MINE) as connection:
        connection.say(Done(snapshot.identity, transfer, **what))


@pytest.fixture
def second(folder, token):
    """A second host, with an empty store."""
    with serving(folder / "second") as (store, host):
        yield store, host


def test_a_copy_is_fetched_from_the_host_that_has_it(origin, host, second, folder, large):
    put = origin.put("large", large)
    store, _ = second
    with Proxy(host.port) as proxy:
        store.open(f"{proxy.address}/large").close()
        before = proxy.received
        assert ask(host, put, "another") == parse(host.address)[0]
        with cn.Store(folder / "third").open(f"{proxy.address}/large") as snapshot:
            pd.testing.assert_frame_equal(snapshot.to_pandas(), large)
        assert proxy.received - before < put.nbytes / 100
    say(host, put, "another")


def test_a_host_that_is_gone_is_replaced(origin, host, second, folder):
    put = origin.put("x", pd.DataFrame({"x": [1]}))
    store, other = second
    store.open(f"{host.address}/x").close()
    other.process.kill()
    other.process.wait()
    ask(host, put, "another")
    threading.Timer(1.0, say, (host, put, "another")).start()
    with cn.Store(folder / "third").open(f"{host.address}/x") as snapshot:
        assert snapshot.to_pandas()["x"].tolist() == [1]


def test_a_copy_that_was_removed_is_fetched_from_another(origin, host, second, folder):
    put = origin.put("x", pd.DataFrame({"x": [1]}))
    store, _ = second
    store.open(f"{host.address}/x").close()
    store.gc()
    ask(host, put, "another")
    threading.Timer(1.0, say, (host, put, "another")).start()
    cn.Store(folder / "third").open(f"{host.address}/x").close()


def test_a_host_that_sends_refuses_others(origin, host):
    put = origin.put("x", pd.DataFrame({"x": [1]}))
    assert ask(host, put, "mine") == parse(host.address)[0]
    part = Part(put.identity, "x", 1, 0, 8, "not mine")
    with client.connected(parse(host.address)[0], MINE) as connection, pytest.raises(client.BusyError):
        list(connection.read(part))
    say(host, put, "mine")
    with client.connected(parse(host.address)[0], MINE) as connection:
        assert b"".join(connection.read(part)) == put.path.read_bytes()[:8]


def test_what_is_no_source(origin, host):
    put = origin.put("x", b"1234")
    for address in ("nonsense", "grpc://host:1/../x", "http://host:1"):
        with pytest.raises(cn.ColonnadeError, match=r"is not the address|is not a name"):
            say(host, put, "mine", address=address)
    probes = parse("grpc+tls://host:1")[0]
    assert client.checked_source(probes, "grpc+tls://other:2") == parse("grpc+tls://other:2")[0]
    for location in ("grpc://other:2", "grpc+tls://other:2/x", "other:2", ""):
        with pytest.raises(cn.RemoteError, match="cannot be asked"):
            client.checked_source(probes, location)


# Opening again.


def test_a_process_that_was_stopped_asks_again(origin, store, host, monkeypatch):
    """The answer came while it was stopped, and gRPC counts that time as the host's. A silent host is not asked twice."""
    origin.put("x", b"1234")
    monkeypatch.setattr(client, "PATIENCE", 0.2)
    monkeypatch.setattr(client, "_AT_ONCE", 0.1)
    questions = []

    def ask(connection, request, *_, seconds):
        questions.append(seconds)
        if len(questions) == 1:
            time.sleep(seconds)
            raise cn.RemoteError("did not answer in time")
        return plain(connection, request)

    plain = client.Connection.ask
    monkeypatch.setattr(client.Connection, "ask", functools.partialmethod(ask, seconds=0.8))
    store.open(f"{host.address}/x").close()
    assert len(questions) > 1
    questions.clear()
    monkeypatch.setattr(client.Connection, "ask", functools.partialmethod(ask, seconds=0.3))
    with pytest.raises(cn.RemoteError, match="in time"):
        store.open(f"{host.address}/x")
    assert len(questions) == 1


def test_a_connection_is_kept(origin, store, host):
    origin.put("x", pd.DataFrame({"x": [1]}))
    with Proxy(host.port) as proxy:
        store.open(f"{proxy.address}/x").close()
        connections = len(proxy._sockets)
        for _ in range(5):
            store.open(f"{proxy.address}/x").close()
        assert len(proxy._sockets) == connections
        proxy.cut()
        store.open(f"{proxy.address}/x").close()  # by a new one
