"""A served store: which process serves it, who may read it, and what other Flight clients see."""

import errno
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import flight

import colonnade as cn
from colonnade.flight import messages
from colonnade.flight.serving import address_of
from colonnade.flight.sql_command import query_of
from support.hosts import TOKEN, Host, run

HEADERS = [(b"authorization", f"Bearer {TOKEN}".encode())]


# Which process serves.


def test_a_server_ends_without_a_trace(store, token):
    store.put("x", pd.DataFrame({"x": [1]}))
    with store.serve() as server:
        assert (store.path / ".serving").read_text() == server.address
        assert server.is_serving
        assert store.check() == []
    assert set(os.listdir(store.path)) - {".segments"} == {"x.arrow"}


def test_other_processes_of_the_host_find_the_token(origin, folder, token):
    """A process that serves leaves its credentials in the store, for this user alone."""
    other = cn.Store(folder / "mine")
    other.path.mkdir(mode=0o700)
    origin.put("x", b"1234").close()
    with Host(other.path), Host(cn.Store(folder / "theirs").put("x", b"1234").path.parent) as theirs:
        assert (other.path / ".credentials").stat().st_mode & 0o777 == 0o600
        process = run(f"import colonnade as cn; print(cn.open('{theirs.address}/x').nbytes)", other.path, token="")
        out, err = process.communicate()
    assert int(out) > 4, err
    assert not (other.path / ".credentials").exists()


def test_a_server_is_shown_without_its_token(store):
    with store.serve() as server:
        assert len(server.token) > 30
        assert server.token not in repr(server)
    assert "closed" in repr(server)


@pytest.mark.parametrize("end_of_the_first", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_next_process_takes_over_at_the_same_port(mortal, store, token, end_of_the_first):
    origin, host = mortal
    origin.put("x", pd.DataFrame({"x": [1]}))
    with Host(origin.path) as second:
        assert (second.address, host.serving, second.serving) == (host.address, True, False)
        host.signal(end_of_the_first)
        assert host.process.wait() == (-signal.SIGKILL if end_of_the_first == signal.SIGKILL else 0)
        end = time.monotonic() + 20
        while True:
            try:
                with store.open(f"{host.address}/x") as snapshot:
                    assert snapshot.to_pandas()["x"].tolist() == [1]
                break
            except cn.RemoteError:
                assert time.monotonic() < end
                time.sleep(0.1)


def test_a_store_that_was_removed_and_made_again(folder, token, monkeypatch):
    """Its address is announced again, or the process stands by for another one that serves it by now."""
    monkeypatch.setattr("colonnade._serve._INTERVAL", 3600.0)  # this test says when to look
    origin = cn.Store(folder / "origin")
    with origin.serve() as server:
        shutil.rmtree(origin.path)
        server.look()
        assert server.is_serving
        origin.put("x", b"1234")
        server.look()
        assert address_of(str(origin.path)) == server.address
        shutil.rmtree(origin.path)
        with origin.serve() as second:
            server.look()
            assert (server.is_serving, second.is_serving) == (False, True)
            assert server.address == second.address == address_of(str(origin.path))
        server.look()
        assert server.is_serving
    assert address_of(str(origin.path)) is None


@pytest.mark.parametrize("fails", ["fcntl.flock", "leave_in_store"])
def test_a_store_that_was_made_again_and_was_full(folder, token, monkeypatch, fails):
    """Where the address cannot be announced, the next look tries again."""
    monkeypatch.setattr("colonnade._serve._INTERVAL", 3600.0)  # this test says when to look
    origin = cn.Store(folder / "origin")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with origin.serve() as server:
        shutil.rmtree(origin.path)
        origin.put("x", b"1234").close()
        with monkeypatch.context() as patch:
            patch.setattr(f"colonnade.flight.serving.{fails}", full)
            server.look()
        assert address_of(str(origin.path)) is None
        server.look()
        assert server.is_serving
        assert address_of(str(origin.path)) == server.address


def test_standing_by_needs_the_token(mortal, monkeypatch):
    origin, host = mortal
    monkeypatch.delenv("COLONNADE_TOKEN")
    with pytest.raises(cn.StoreAccessError, match=f"served already, at {host.address}, by process {host.process.pid}"):
        origin.serve()


def test_standing_by_with_another_token_is_an_error(mortal):
    """References would lead to an address that refuses this process' token."""
    origin, host = mortal
    with pytest.raises(cn.StoreAccessError, match=f"at {host.address}, by process {host.process.pid}.*another token"):
        origin.serve(token="another-token-than-theirs")  # noqa: S106 -- a wrong one
    assert (origin.path / ".serving").read_text() == host.address


def test_gc_removes_the_address_of_a_killed_server(mortal):
    origin, host = mortal
    host.signal(signal.SIGKILL)
    host.process.wait()
    assert (origin.path / ".serving").exists()
    origin.gc()
    assert not (origin.path / ".serving").exists()
    assert not (origin.path / ".credentials").exists()


def test_gc_leaves_the_address_of_a_living_server(origin, host):
    origin.gc()
    assert (origin.path / ".serving").read_text() == host.address


def test_a_taken_port_is_an_error_and_leaves_nothing(store, token):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(cn.StoreAccessError, match=f"127.0.0.1:{port} cannot be served") as excinfo:
            store.serve(port=port)
    assert excinfo.value.errno == errno.EADDRINUSE
    assert not (store.path / ".serving").exists()


@pytest.mark.parametrize(
    ("host", "number", "message"),
    [
        ("10.255.255.254", errno.EADDRNOTAVAIL, "it is not an address of this host"),
        ("nosuch.invalid", errno.EADDRNOTAVAIL, "'nosuch.invalid' cannot be resolved"),
    ],
)
def test_what_is_no_address_of_this_host(store, host, number, message):
    with pytest.raises(cn.StoreAccessError, match=message) as excinfo:
        store.serve(host, insecure=True)
    assert excinfo.value.errno == number
    assert not (store.path / ".serving").exists()


@pytest.mark.parametrize("host", ["::1", "[::1]", "localhost", "127.0.0.2"])
def test_addresses_of_this_host(folder, store, token, host):
    other = cn.Store(folder / "other")
    other.put("x", b"1234").close()
    with other.serve(host) as server, store.open(f"{server.address}/x") as snapshot:
        assert bytes(snapshot.to_buffer()) == b"1234"


def test_a_forked_child_does_not_end_its_parents_service(origin, folder, token):
    code = f"""
import os, colonnade as cn
store = cn.Store({str(origin.path)!r})
store.put("x", b"1234").close()
server = store.serve()
if os.fork() == 0:
    assert not server.is_serving
    os._exit(0)
os.wait()
print(server.address, flush=True)
server.wait()
"""
    process = run(code, folder / "unused")
    address = process.stdout.readline().strip()
    try:
        assert (origin.path / ".serving").read_text() == address
        with cn.Store(folder / "receiver").open(f"{address}/x") as snapshot:
            assert bytes(snapshot.to_buffer()) == b"1234"
    finally:
        process.kill()
        process.communicate()


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "::"}, "without TLS everybody in between"),
        ({"host": "10.1.2.3"}, "without TLS everybody in between"),
        ({"host": "::", "insecure": True}, "advertise="),
        ({"cert": __file__}, "cert and key belong together"),
        ({"ca": __file__}, "ca= asks for certificates"),
        ({"token": "short"}, "a token is 16 or more"),
        ({"token": "a token with a newline\n"}, "a token is 16 or more"),
        ({"token": "a token with a space "}, "a token is 16 or more"),
        ({"token": "a tökén of other letters"}, "a token is 16 or more"),
        ({"host": ""}, "is not the name or number of a host"),
        ({"host": "my host"}, "is not the name or number of a host"),
        ({"host": "fe80::1%lo", "insecure": True}, "is not the name or number of a host"),
        ({"advertise": "10.0.0.5:8815"}, "advertise='10.0.0.5:8815' is not the name or number"),
        ({"advertise": "0.0.0.0"}, "stands for all addresses"),  # noqa: S104 -- refused
        ({"port": 1 << 16}, "port must be 0 to 65535"),
        ({"port": "8815"}, "port must be a whole number"),
        ({"host": b"127.0.0.1"}, "host must be a string"),
    ],
)
def test_what_is_not_served(store, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        store.serve(**options)
    assert not (store.path / ".serving").exists()


def test_every_call_needs_the_token(origin, host):
    origin.put("x", pd.DataFrame({"x": [1]}))
    client = flight.FlightClient(host.address)
    path = flight.FlightDescriptor.for_path("x")
    info = client.get_flight_info(path, flight.FlightCallOptions(headers=HEADERS))
    for value in (None, b"", b"Bearer ", b"Bearer another", f"bearer {TOKEN}".encode(), TOKEN.encode()):
        options = flight.FlightCallOptions(headers=[] if value is None else [(b"authorization", value)])
        for call in (
            lambda options=options: list(client.list_flights(b"", options)),
            lambda options=options: client.get_flight_info(path, options),
            lambda options=options: client.get_schema(path, options),
            lambda options=options: client.do_get(info.endpoints[0].ticket, options).read_all(),
            lambda options=options: client.do_put(path, pa.schema([]), options)[0].close(),
            lambda options=options: list(client.do_action("x", options)),
        ):
            with pytest.raises((flight.FlightUnauthenticatedError, flight.FlightUnavailableError, OSError)):
                call()
    client.close()


def test_it_is_read_only(origin, host):
    client = flight.FlightClient(host.address)
    options = flight.FlightCallOptions(headers=HEADERS)
    with pytest.raises((NotImplementedError, pa.ArrowException)):
        list(client.do_action("x", options))
    table = pa.table({"x": [1]})
    with pytest.raises((NotImplementedError, pa.ArrowException)):
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("x"), table.schema, options)
        writer.write_table(table)
        writer.close()
    assert origin.ls() == []
    client.close()


def tickets(snapshot):
    part = messages.Part(snapshot.identity, "x", 1, 0, 8)
    good = messages.encode(part)
    yield b"", "did not make"
    yield b"/etc/passwd", "did not make"
    yield b"colonnade-99:{}", "another version"
    yield good[:-1], "damaged"
    yield good.replace(b'"start":0', b'"start":"0"'), "damaged"
    yield good.replace(b'"name":"x"', b'"name":"x","path":"/etc"'), "damaged"
    yield messages.encode(messages.Part(snapshot.identity, "x", 1, 0, 1 << 40)), "bytes 0 to"
    yield messages.encode(messages.Part(snapshot.identity, "x", 1, -8, 8)), "damaged"
    yield messages.encode(messages.Part(snapshot.identity, "x", 1, 8, 0)), "bytes 8 to"
    yield messages.encode(messages.Part(12345, "x", 1, 0, 8)), "gone from this host"
    yield messages.encode(messages.Rows(12345, "../../etc/passwd", 1)), "gone from this host"


def test_foreign_and_damaged_tickets_are_refused(origin, host):
    snapshot = origin.put("x", pd.DataFrame({"x": [1]}))
    client = flight.FlightClient(host.address)
    options = flight.FlightCallOptions(headers=HEADERS)
    for ticket, message in tickets(snapshot):
        with pytest.raises(flight.FlightServerError, match=message) as excinfo:
            client.do_get(flight.Ticket(ticket), options).read_all()
        assert "Traceback" not in str(excinfo.value)
    client.close()


# Other Flight clients.


def test_pyarrows_client_lists_and_reads(origin, host, frame):
    origin.put("nyc/flights", frame)
    origin.put("other", pd.DataFrame({"y": [1]}))
    client = flight.FlightClient(host.address)
    options = flight.FlightCallOptions(headers=HEADERS)
    listed = {b"/".join(info.descriptor.path): info for info in client.list_flights(b"", options)}
    assert set(listed) == {b"nyc/flights", b"other"}
    assert [info.descriptor.path for info in client.list_flights(b"nyc/", options)] == [[b"nyc", b"flights"]]
    info = listed[b"nyc/flights"]
    expected = origin.open("nyc/flights").to_arrow()
    assert info.schema == expected.schema == client.get_schema(info.descriptor, options).schema
    assert info.total_records == len(frame)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.equals(expected)
    pd.testing.assert_frame_equal(table.to_pandas(), frame, check_freq=False)
    client.close()


def test_other_clients_read_a_growing_table(origin, host):
    """They get the rows that it has when they read it. Listing the tables does not copy it."""
    origin.append("ticks", pd.DataFrame({"x": [1.0], "s": ["a"]}))
    client = flight.FlightClient(host.address)
    options = flight.FlightCallOptions(headers=HEADERS)
    (info,) = client.list_flights(b"", options)
    assert (info.descriptor.path, info.total_records) == ([b"ticks"], 1)
    origin.append("ticks", pd.DataFrame({"x": [2.0], "s": ["b"]}))
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.to_pydict() == {"x": [1.0, 2.0], "s": ["a", "b"]}
    assert table.schema == info.schema == client.get_schema(info.descriptor, options).schema
    client.close()
    origin.delete("ticks")


def test_a_command_names_a_table_too(origin, host):
    origin.put("nyc/flights", pd.DataFrame({"x": [1]}))
    client = flight.FlightClient(host.address)
    options = flight.FlightCallOptions(headers=HEADERS)
    for command in (b"nyc/flights", b'select * from "nyc/flights"', b"SELECT * FROM nyc/flights;"):
        info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
        assert client.do_get(info.endpoints[0].ticket, options).read_all().num_rows == 1
    for command in (b"", b"select count(*) from x where y", b"drop table x"):
        with pytest.raises(flight.FlightServerError, match="name a table"):
            client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
    client.close()


def test_a_driver_in_go_reads(origin, host, frame):
    """ADBC's Flight SQL driver is written in Go."""
    driver = pytest.importorskip("adbc_driver_flightsql.dbapi", reason="pip install adbc-driver-flightsql")
    origin.put("nyc/flights", frame)
    options = {"adbc.flight.sql.authorization_header": f"Bearer {TOKEN}"}
    with driver.connect(host.address, options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute('select * from "nyc/flights"')
        table = cursor.fetch_arrow_table()
    assert table.equals(origin.open("nyc/flights").to_arrow())


@pytest.mark.parametrize("command", [b"", b"\x0a", b"\x0a\xff", b"\x08\x01", b"\x0a\x03abc", b"\xff" * 20])
def test_what_is_no_command_of_flight_sql(command):
    assert query_of(command) is None


# The command line.


def colonnade(*arguments, store, **variables):
    return subprocess.run(
        [sys.executable, "-m", "colonnade", "--store", store, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


def test_fetch_in_a_shell(origin, folder, host):
    origin.put("nyc/flights", pd.DataFrame({"x": [1, 2]}))
    store = folder / "receiver"
    result = colonnade("show", f"{host.address}/nyc/flights", store=folder / "new")  # a store that is not there yet
    assert result.stdout.split() == ["x", "1", "2"]
    result = colonnade("show", f"grpc+tls://127.0.0.1:{host.port}/nyc/flights", store=store)
    assert (result.returncode, result.stderr.count("\n"), "does it serve without TLS" in result.stderr) == (1, 1, True)
    result = colonnade("fetch", f"{host.address}/nyc/flights", "mine", store=store)
    assert result.stdout.startswith("mine version 1: 2 rows, 1 column"), result.stderr
    result = colonnade("fetch", "--json", f"{host.address}/nyc/flights", store=store)
    assert json.loads(result.stdout)["name"] == "nyc/flights"
    result = colonnade("show", f"{host.address}/nyc/flights", store=store)
    assert result.stdout.split() == ["x", "1", "2"]
    result = colonnade("fetch", "grpc://nonsense", store=store)
    assert result.returncode == 2
    result = colonnade("fetch", f"{host.address}/nope", store=store)
    assert (result.returncode, "no table 'nope'" in result.stderr) == (1, True)


def test_serve_prints_a_token_that_it_made(folder):
    env = {name: value for name, value in os.environ.items() if name != "COLONNADE_TOKEN"}
    process = subprocess.Popen(
        [sys.executable, "-m", "colonnade", "--store", folder / "s", "serve"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.terminate()
    process.communicate()
    assert process.returncode == 0
    assert lines[0].startswith(f"serving {folder}/s at grpc://127.0.0.1:")
    assert lines[1].startswith("COLONNADE_TOKEN=")
    assert not (folder / "s" / ".serving").exists()


def test_credentials_are_not_printed():
    from colonnade.flight.credentials import Credentials

    assert "secret" not in repr(Credentials("secret-token", ca="-----BEGIN secret"))
    assert "secret" in str(pickle.dumps(Credentials("secret-token")))  # it is a value; references have none
