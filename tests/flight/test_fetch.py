"""A table of another host: fetched once, whole, into this host's store."""

import errno
import os
import pickle
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade._attached import _open_segments
from colonnade._rows_so_far import RowsSoFar
from colonnade._share import share
from colonnade.storage import paths
from colonnade.storage.copies import file_of
from support import control_groups
from support.hosts import Proxy, run


def copies(store):
    folder = store.path / paths.SEGMENTS
    return [name for name in os.listdir(folder) if name.startswith("copy-")] if folder.exists() else []


def leftovers(store):
    """Files of the store that are neither tables nor copies."""
    folder = store.path / paths.SEGMENTS
    names = os.listdir(folder) if folder.exists() else []
    return [name for name in names if not name.startswith(("copy-", "spare-"))]


def elsewhere(snapshot):
    """The reference as another host gets it, where the store's path does not exist."""
    copy = pickle.loads(pickle.dumps(snapshot))
    copy._reference = copy._reference._replace(store="/nowhere")
    _open_segments.clear()  # of this process, which has it open
    return copy


def test_a_table_arrives_as_it_was_put(origin, store, host, frame):
    put = origin.put("nyc/flights", frame)
    with store.open(f"{host.address}/nyc/flights") as snapshot:
        assert (snapshot.name, snapshot.version, snapshot.identity) == ("nyc/flights", 1, put.identity)
        pd.testing.assert_frame_equal(snapshot.to_pandas(), frame, check_freq=False)
        assert snapshot.path.read_bytes() == put.path.read_bytes()
        snapshot.validate()
    assert leftovers(store) == []


@pytest.mark.parametrize(
    "data",
    [
        np.arange(24.0).reshape(2, 3, 4),
        b"some bytes",
        pd.DataFrame(),
        pd.DataFrame({"x": []}),
        pd.DataFrame(index=range(5)),
        pd.DataFrame({"lists": [[1, 2], None, [3]], "dicts": [{"a": 1}, None, {"a": 2}]}),
        pd.DataFrame(np.zeros((2, 10_000))),
    ],
    ids=["array", "bytes", "nothing", "no rows", "no columns", "objects", "10,000 columns"],
)
def test_arrays_bytes_and_odd_tables_arrive(origin, store, host, data):
    origin.put("it", data)
    with store.open(f"{host.address}/it") as snapshot, origin.open("it") as put:
        assert snapshot.kind == put.kind
        assert bytes(snapshot.path.read_bytes()) == put.path.read_bytes()


def test_a_frame_is_private_and_writable(origin, store, host):
    origin.put("x", pd.DataFrame({"x": [1.0, 2.0]}))
    with store.open(f"{host.address}/x") as snapshot:
        frame = snapshot.to_pandas()
        frame.loc[0, "x"] = 7.0
        assert snapshot.to_pandas()["x"].tolist() == [1.0, 2.0]


def test_a_host_fetches_once(origin, store, host, large):
    size = origin.put("large", large).nbytes
    with Proxy(host.port) as proxy:
        for _ in range(3):
            with store.open(f"{proxy.address}/large") as snapshot:
                assert snapshot.to_pandas()["a"].iloc[-1] == len(large) - 1
    assert size < proxy.received < 1.1 * size


def test_four_processes_at_once_make_one_transfer(origin, host, folder, large):
    size = origin.put("large", large).nbytes
    with Proxy(host.port) as proxy:
        code = f"import colonnade as cn; print(cn.open('{proxy.address}/large').to_pandas()['b'].sum())"
        processes = [run(code, folder / "receiver") for _ in range(4)]
        output = [process.communicate() for process in processes]
    assert [out.strip() for out, _ in output] == [str(large["b"].sum())] * 4, output
    assert size < proxy.received < 1.2 * size


def test_a_network_with_latency(origin, store, host, large):
    """Bytes are on their way for 25 ms: the windows of both streams bound the rate, and no pause is taken for silence."""
    origin.put("large", large)
    with Proxy(host.port, delay=0.025) as proxy:
        began = time.monotonic()
        with store.open(f"{proxy.address}/large") as snapshot:
            seconds = time.monotonic() - began
            assert snapshot.to_pandas()["b"].iloc[-1] == 0
    assert 5 * 0.05 < seconds < 8


def test_a_new_version_is_fetched_again(origin, store, host):
    for value in (1, 2):
        origin.put("x", pd.DataFrame({"x": [value]}))
        with store.open(f"{host.address}/x") as snapshot:
            assert (snapshot.version, snapshot.to_pandas()["x"].tolist()) == (value, [value])


def test_an_older_version_that_is_kept_can_be_opened(origin, store, host):
    for value in (1, 2):
        origin.put("x", pd.DataFrame({"x": [value]}), keep=2)
    with store.open(f"{host.address}/x", version=1) as snapshot:
        assert snapshot.to_pandas()["x"].tolist() == [1]
    with store.open(f"{host.address}/x", version=-2) as snapshot:
        assert snapshot.version == 1
    for version in (7, -3, 1 << 80):
        with pytest.raises(cn.NotFoundError, match="no version"):
            store.open(f"{host.address}/x", version=version)
    with pytest.raises(TypeError, match="version must be a whole number"):
        store.open(f"{host.address}/x", version="1")


def test_a_reference_is_fetched_at_its_first_use(mortal, default_store, frame):
    origin, host = mortal
    put = origin.put("flights", frame)
    copy = elsewhere(put)
    assert not default_store.path.exists()
    pd.testing.assert_frame_equal(copy.to_pandas(), frame, check_freq=False)
    assert copies(default_store) == [file_of("flights", put.identity)]
    again = elsewhere(put)
    host.process.kill()
    assert len(again.to_pandas()) == len(frame)  # from the copy


def test_a_shared_table_is_fetched_too(origin, default_store, host, frame):
    with origin.share(frame) as shared:
        copy = elsewhere(shared)
        pd.testing.assert_frame_equal(copy.to_pandas(), frame, check_freq=False)


def test_a_reference_contains_the_address_and_no_token(origin, host, token):
    data = pickle.dumps(origin.put("x", pd.DataFrame({"x": [1]})))
    assert host.address.encode() in data
    assert token.encode() not in data
    assert len(data) < 250


def test_a_copy_is_passed_on(origin, default_store, host):
    origin.put("x", pd.DataFrame({"x": [1]}))
    with default_store.open(f"{host.address}/x") as snapshot, default_store.serve() as server:
        locations = pickle.loads(pickle.dumps(snapshot))._reference.locations
        assert locations == (host.address, server.address)


# What goes wrong.


def test_names_and_versions_that_are_not_there(store, host):
    with pytest.raises(cn.NotFoundError, match=f"no table 'nope'.*asked of {host.address}"):
        store.open(f"{host.address}/nope")
    assert not store.path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "grpc://host/x", "http://host:1/x", "grpc://host:99999/x", "grpc://host:1", "://x", "grpc://host:0/x",
        "grpc://me:pass@host:1/x", "grpc://[::zz]:1/x", "grpc://[10.0.0.5:1]:1/x", "grpc://::1:1/x", "grpc://my host:1/x",
        "GRPC://host:1/x", " grpc://host:1/x",
    ],
)  # fmt: skip
def test_what_is_no_address(store, url):
    with pytest.raises(ValueError, match=r"is not the address|names no table"):
        store.open(url)


@pytest.mark.parametrize("name", ["../etc/passwd", "x?y=1", "x#a", "x%20y", "/x", "x/", "é", "x@3", "x "])
def test_a_name_outside_of_the_grammar(store, name):
    with pytest.raises(cn.InvalidNameError):
        store.open(f"grpc://host:1/{name}")


def test_a_host_that_is_not_there(store, token):
    with pytest.raises(cn.RemoteError, match=r"grpc://127\.0\.0\.1:9 cannot be reached"):
        store.open("grpc://127.0.0.1:9/x")


def test_a_reference_whose_host_is_gone_names_it(mortal, default_store):
    origin, host = mortal
    copy = elsewhere(origin.put("x", pd.DataFrame({"x": [1]})))
    host.process.kill()
    host.process.wait()
    with pytest.raises(cn.RemoteError, match=f"version 1 of 'x' is not on this host.*{host.address}"):
        copy.to_pandas()


def test_a_superseded_version_says_so(origin, default_store, host):
    copy = elsewhere(origin.put("x", pd.DataFrame({"x": [1]})))
    origin.put("x", pd.DataFrame({"x": [2]}))
    with pytest.raises(cn.NotFoundError, match="superseded"):
        copy.to_pandas()


@pytest.mark.parametrize(
    "token", ["", "another-token-than-theirs", "short", "a tökén of other letters", "two\nlines of it"]
)
def test_a_wrong_token_is_refused(origin, store, host, monkeypatch, token):
    origin.put("x", pd.DataFrame({"x": [1]}))
    monkeypatch.setenv("COLONNADE_TOKEN", token)
    with pytest.raises(cn.RemoteError, match="COLONNADE_TOKEN"):
        store.open(f"{host.address}/x")
    assert not store.path.exists()


def test_a_token_of_a_file_ends_with_a_newline(origin, store, host, token, monkeypatch):
    origin.put("x", b"1234")
    monkeypatch.setenv("COLONNADE_TOKEN", f"{token}\n")
    store.open(f"{host.address}/x").close()


def test_a_growing_table_is_fetched_as_it_grows(origin, store, host):
    """The rows so far are a table, of which the version is their number; each number of rows is written once."""
    address = f"{host.address}/ticks"
    for rows in (1, 2, 3):
        origin.append("ticks", pd.DataFrame({"x": [rows * 1.0], "s": [f"row {rows}"]}))
        with store.open(address) as snapshot, store.open(address) as again:
            assert (snapshot.name, snapshot.version, snapshot.identity) == ("ticks", rows, again.identity)
            pd.testing.assert_frame_equal(snapshot.to_pandas(), origin.get("ticks"))
    with store.open(address, version=2) as snapshot:
        assert snapshot.to_pandas()["s"].tolist() == ["row 1", "row 2"]
    for version in (4, -2):
        with pytest.raises(cn.NotFoundError, match="version"):
            store.open(f"{host.address}/ticks", version=version)
    with pytest.raises(ValueError, match="tail"):
        store.get(f"{host.address}/ticks", last=1)
    assert leftovers(store) == []
    origin.delete("ticks")


def test_a_growing_table_without_rows_is_fetched(origin, store, host):
    with origin.appender("ticks", {"x": "float64"}), store.open(f"{host.address}/ticks") as snapshot:
        assert (snapshot.version, snapshot.num_rows) == (1, 0)
    origin.delete("ticks")


def test_rows_of_a_growing_table_are_freed(store, folder, token, monkeypatch):
    """Their file at the origin goes when nobody has asked for it for a while, and with the service."""
    monkeypatch.setattr("colonnade.flight.service._LEASE_OF_ROWS", 0.2)
    store.append("ticks", pd.DataFrame({"x": np.arange(3.0)}))
    receiver = cn.Store(folder / "receiver")
    with store.serve() as server:
        receiver.open(f"{server.address}/ticks").close()
        assert len(leftovers(store)) == 1
        end = time.monotonic() + 10
        while leftovers(store):
            assert time.monotonic() < end
            time.sleep(0.05)
        monkeypatch.setattr("colonnade.flight.service._LEASE_OF_ROWS", 60.0)
        store.append("ticks", pd.DataFrame({"x": [3.0]}))
        receiver.open(f"{server.address}/ticks").close()
        assert len(leftovers(store)) == 1
    assert leftovers(store) == []
    store.delete("ticks")


def test_a_full_receiver_refuses_before_a_byte(origin, folder, host, large):
    size = origin.put("large", large).nbytes
    store = cn.Store(folder / "receiver", capacity="1MiB")
    with Proxy(host.port) as proxy, pytest.raises(cn.StoreFullError, match=r"has a capacity of 1\.0MiB"):
        store.open(f"{proxy.address}/large")
    assert proxy.received < size / 100
    assert copies(store) == leftovers(store) == []


FETCH = """
import colonnade as cn
try:
    cn.Store(sys.argv[1]).open(sys.argv[2]).close()
    print("stored")
except cn.StoreFullError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.privileged("disks")
@pytest.mark.parametrize("private", range(28, 76, 8))
def test_a_memory_limit_refuses_and_kills_nobody(origin, folder, host, private):
    """The limit counts what a fetch takes to receive a table, too: 25 MiB, for a process that has 25 MiB before."""
    size = origin.put("x", pd.DataFrame({"x": np.arange(12e6)})).nbytes
    with control_groups.limited(size + (private << 20)) as group:
        process = control_groups.run(group, FETCH, folder / "receiver", f"{host.address}/x")
        assert not control_groups.was_killed(process), "the kernel killed the process"
        stored = process.stdout == "stored\n"
        assert stored or "beside the 32.0MiB of memory that it takes to receive the table" in process.stdout
        assert stored or private < 70, "there is room"
        assert len(copies(cn.Store(folder / "receiver"))) == stored
        shutil.rmtree(folder / "receiver")


@pytest.fixture
def slow_rows(store, token, monkeypatch):
    """A growing table whose rows take longer to write than a host waits for an answer; gives how often they were."""
    monkeypatch.setattr("colonnade.flight.client.PATIENCE", 1.0)
    monkeypatch.setattr("colonnade.flight.service._WAIT", 0.5)
    monkeypatch.setattr("colonnade.flight.long_calls._SHORT", 0.05)
    written = []

    def share_slowly(writer, snapshot, **options):
        written.append(snapshot.num_rows)
        time.sleep(2.5)
        return share(writer, snapshot, **options)

    monkeypatch.setattr("colonnade._rows_so_far.share", share_slowly)
    store.append("ticks", pd.DataFrame({"x": [1.0]}))
    yield written
    store.delete("ticks")


def test_rows_that_take_longer_to_write_than_a_host_waits(slow_rows, store, folder):
    """They are written once, for all that ask, whatever is appended meanwhile; and those at a number of rows are too."""
    receiver = cn.Store(folder / "receiver")
    with store.serve() as server:
        for version in (None, 1):
            with receiver.open(f"{server.address}/ticks", version=version) as snapshot:
                assert snapshot.version == 1
                if version is None:
                    store.append("ticks", pd.DataFrame({"x": [2.0]}))
        with receiver.open(f"{server.address}/ticks", version=2) as snapshot:
            assert snapshot.to_pandas()["x"].tolist() == [1.0, 2.0]
    assert slow_rows == [1, 2]


def test_rows_that_are_being_written_when_the_time_is_over(slow_rows, store, folder):
    """The host writes on; so does one that is closed, and nothing is left."""
    receiver = cn.Store(folder / "receiver", timeout=0.3)
    with (
        store.serve() as server,
        pytest.raises(cn.RemoteError, match=r"writing the rows of 'ticks' for 0\.3 second"),
    ):
        receiver.open(f"{server.address}/ticks")
    time.sleep(3)
    assert slow_rows == [1]
    assert leftovers(store) == []


def test_rows_that_cannot_be_written(slow_rows, store, folder, monkeypatch):
    """The error of the thread that writes them is the host's answer."""

    def share_nothing(*_, **__):
        time.sleep(0.5)
        raise cn.StoreFullError(errno.ENOSPC, "there is no room")

    monkeypatch.setattr("colonnade._rows_so_far.share", share_nothing)
    with store.serve() as server, pytest.raises(cn.RemoteError, match="there is no room"):
        cn.Store(folder / "receiver").open(f"{server.address}/ticks")


@pytest.mark.privileged("mounts")
def test_a_full_file_system_refuses_before_a_byte(origin, small, host, large):
    size = origin.put("large", large).nbytes
    with Proxy(host.port) as proxy, pytest.raises(cn.StoreFullError, match="bytes free"):
        cn.Store(small).open(f"{proxy.address}/large")
    assert proxy.received < size / 100


def test_copies_go_first_when_room_is_needed(origin, folder, host):
    frame = pd.DataFrame({"x": np.arange(200_000.0)})
    origin.put("x", frame)
    store = cn.Store(folder / "receiver", capacity="2MiB")
    with store.open(f"{host.address}/x"), pytest.raises(cn.StoreFullError):
        store.put("mine", frame)
    assert len(copies(store)) == 1
    store.put("mine", frame)
    assert copies(store) == []


def test_gc_removes_copies_that_nobody_has_open(origin, store, host):
    origin.put("x", pd.DataFrame({"x": [1]}))
    with store.open(f"{host.address}/x"):
        store.gc()
        assert len(copies(store)) == 1
    store.gc()
    assert copies(store) == []


def test_an_old_copy_is_removed_by_the_next_fetch(origin, store, host):
    for name in ("x", "y"):
        origin.put(name, pd.DataFrame({"x": [1]}))
    store.open(f"{host.address}/x").close()
    os.utime(store.path / paths.SEGMENTS / copies(store)[0], (0, 0))
    with store.open(f"{host.address}/y") as snapshot:
        assert copies(store) == [file_of("y", snapshot.identity)]


def test_a_newer_version_is_received_into_the_memory_of_an_older_one(origin, store, host, large, monkeypatch):
    """One that nobody has open, also by a frame, and that was not used for a while."""
    origin.put("large", large)
    url = f"{host.address}/large"

    def fetched(value):
        if value:
            origin.put("large", large + value)
        with store.open(url) as snapshot:
            return os.stat(snapshot.fileno()).st_ino, snapshot.to_pandas(writable=False)

    first, frame = fetched(0)
    assert fetched(1)[0] != first  # it was used just now
    monkeypatch.setattr("colonnade.storage.copies.SUPERSEDED_AGE", -1.0)
    with store.open(url) as held:
        third = fetched(2)[0]
        assert held.to_pandas()["b"].iloc[-1] == 1
    assert len(copies(store)) == 3
    pd.testing.assert_frame_equal(frame, large)
    del frame
    assert fetched(3)[0] in (first, third)
    assert len(copies(store)) == 1


def test_superseding_in_the_middle_disturbs_nobody(origin, store, host, large):
    origin.put("large", large)
    with Proxy(host.port, limit=8 << 20) as proxy:
        import threading

        result = []
        thread = threading.Thread(target=lambda: result.append(store.open(f"{proxy.address}/large")))
        thread.start()
        proxy.wait_for(8 << 20)
        for value in range(3):  # a spare would be written again, if it could
            origin.put("large", large + value + 1)
        origin.gc()
        proxy.limit = None
        thread.join()
    assert result[0].version == 1
    pd.testing.assert_frame_equal(result[0].to_pandas(), large)
    result[0].close()


def test_a_killed_host_leaves_nothing(mortal, store, large):
    origin, host = mortal
    origin.put("large", large)
    import threading

    with Proxy(host.port, limit=8 << 20) as proxy:
        errors = []

        def fetch():
            try:
                store.open(f"{proxy.address}/large")
            except cn.RemoteError as error:
                errors.append(str(error))

        thread = threading.Thread(target=fetch)
        thread.start()
        proxy.wait_for(8 << 20)
        host.signal(signal.SIGKILL)
        proxy.limit = None
        thread.join()
    assert errors
    assert proxy.address in errors[0]
    assert copies(store) == leftovers(store) == []


def test_a_killed_fetcher_is_replaced(origin, host, folder, large):
    origin.put("large", large)
    store = cn.Store(folder / "receiver")
    with Proxy(host.port, limit=8 << 20) as proxy:
        code = f"import colonnade as cn; print(cn.open('{proxy.address}/large').to_pandas()['b'].sum())"
        first = run(code, store.path)
        proxy.wait_for(8 << 20)
        second = run(code.replace(proxy.address, host.address), store.path)
        time.sleep(1.0)
        first.kill()
        first.communicate()
        proxy.limit = None
        out, err = second.communicate()
    assert out.strip() == str(large["b"].sum()), err
    assert len(copies(store)) == 1
    assert leftovers(store) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stopped", "cut off"])
def test_a_silent_host_is_told_of_within_15_seconds(mortal, store, large, how, monkeypatch):
    if how == "cut off":  # one of both waits as long as users do
        monkeypatch.setattr("colonnade.flight.transfer.PATIENCE", 2.0)
    origin, host = mortal
    origin.put("large", large)
    with Proxy(host.port, limit=8 << 20) as proxy:
        if how == "stopped":
            import threading

            def stop():
                proxy.wait_for(8 << 20)
                host.signal(signal.SIGSTOP)
                proxy.limit = None

            threading.Thread(target=stop).start()
        began = time.monotonic()
        with pytest.raises(cn.RemoteError, match=r"sent nothing for|bytes in|cannot be reached|did not answer|ended"):
            store.open(f"{proxy.address}/large")
        assert time.monotonic() - began < 15
    assert copies(store) == leftovers(store) == []


def test_an_interrupt_ends_a_fetch(origin, host, folder, large):
    origin.put("large", large)
    store = cn.Store(folder / "receiver")
    with Proxy(host.port, limit=8 << 20) as proxy:
        process = run(f"import colonnade as cn; cn.open('{proxy.address}/large')", store.path)
        proxy.wait_for(8 << 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert copies(store) == leftovers(store) == []


def test_a_forked_child_fetches(origin, host, folder):
    """gRPC cannot be used in a child that was forked by a process that has used it."""
    for name in ("x", "y"):
        origin.put(name, pd.DataFrame({"x": [1, 2]}))
    code = f"""
import os, colonnade as cn
cn.open("{host.address}/x").close()
if os.fork() == 0:
    print(cn.open("{host.address}/y").to_pandas()["x"].sum(), flush=True)
    try:
        cn.open("{host.address}/nope")
    except cn.NotFoundError as error:
        print("not found", flush=True)
    os._exit(0)
os.wait()
"""
    out, err = run(code, folder / "receiver").communicate(timeout=60)
    assert out.split("\n")[:2] == ["3", "not found"], err


def test_without_flight(folder, token):
    code = """
import sys
sys.modules["pyarrow.flight"] = sys.modules["pyarrow._flight"] = None
import colonnade as cn
for use in (cn.serve, lambda: cn.open("grpc://127.0.0.1:1/x")):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error)
"""
    out, err = run(code, folder / "receiver").communicate()
    assert out.count("need a PyArrow with Flight") == 2, err


# Hosts that lie: bytes that were damaged, cut, or are of another snapshot.


@pytest.fixture
def liar(origin, token, frame):
    """Serves bytes that a function has changed."""
    import pyarrow as pa
    from pyarrow import flight

    from colonnade.flight import service
    from colonnade.storage.opening import open_catalog

    snapshot = origin.put("x", frame)
    whole = snapshot.path.read_bytes()

    class Liar(service.Service):
        change = staticmethod(lambda data: data)

        def do_get(self, *_):
            data = self.change(whole)
            column = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
            return flight.RecordBatchStream(pa.table([column], schema=service._BYTES))

    catalog = open_catalog(origin.path)
    started = Liar(catalog, RowsSoFar(catalog), token, "grpc://127.0.0.1:0")
    started.address = f"grpc://127.0.0.1:{started.port}"
    started.whole = whole
    yield started
    started.shutdown()


def replaced(data, at, value):
    return data[:at] + value + data[at + len(value) :]


CHANGES = {
    "cut": lambda data: data[:-1],
    "cut to nothing": lambda data: b"",
    "longer": lambda data: data + b"\0",
    "no footer": lambda data: replaced(data, len(data) - 10, b"\0" * 10),
    "another length of the footer": lambda data: replaced(data, len(data) - 10, b"\xff\x00\x00\x00"),
    "another seal": lambda data: replaced(data, data.rindex(b"COLONNAD") + 24, b"\1\2\3\4"),
    "no Arrow file": lambda data: b"x" * len(data),
}


@pytest.mark.parametrize("change", CHANGES)
def test_damaged_bytes_are_refused(liar, store, change):
    liar.change = CHANGES[change]
    with pytest.raises((cn.CorruptSnapshotError, cn.RemoteError), match=str(liar.port)):
        store.open(f"{liar.address}/x")
    assert copies(store) == leftovers(store) == []
    liar.change = lambda data: data
    with store.open(f"{liar.address}/x") as snapshot:
        snapshot.validate()


def test_bytes_of_another_version_are_refused(liar, store, folder, frame):
    other = cn.Store(folder / "other").put("x", frame).path.read_bytes()
    assert len(other) == len(liar.whole)
    liar.change = lambda data: other
    with pytest.raises(cn.CorruptSnapshotError, match="differs from the one that was offered"):
        store.open(f"{liar.address}/x")


def test_bytes_damaged_anywhere_are_refused_or_read(liar, store, frame):
    """A byte at any place is changed. The result is an error that says so, or a table that can be read safely."""
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(len(liar.whole))
        liar.change = lambda data, at=at: replaced(data, at, bytes([data[at] ^ (1 << rng.randrange(8))]))
        try:
            with store.open(f"{liar.address}/x") as snapshot:
                snapshot.validate()
                snapshot.to_pandas()
        except (cn.CorruptSnapshotError, cn.RemoteError):
            pass
        store.gc()
