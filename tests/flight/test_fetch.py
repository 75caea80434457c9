"""A table of another host: fetched once, whole, into this host's store."""

import os
import pickle
import shutil
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade._attached import _open_segments
from colonnade.storage import paths
from colonnade.storage.copies import file_of
from support import control_groups
from support.copies import copies, leftovers
from support.hosts import Proxy, run


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
@pytest.mark.parametrize("private", range(28, 93, 8))
def test_a_memory_limit_refuses_and_kills_nobody(origin, folder, host, private):
    """The limit counts what a fetch takes to receive a table, too: 25 MiB, for a process that has 25 MiB before."""
    size = origin.put("x", pd.DataFrame({"x": np.arange(12e6)})).nbytes
    with control_groups.limited(size + (private << 20)) as group:
        process = control_groups.run(group, FETCH, folder / "receiver", f"{host.address}/x")
        assert not control_groups.was_killed(process), "the kernel killed the process"
        stored = process.stdout == "stored\n"
        assert stored or "beside the 32.0MiB of memory that it takes to receive it" in process.stdout
        assert stored or private < 80, "there is room"
        assert len(copies(cn.Store(folder / "receiver"))) == stored
        shutil.rmtree(folder / "receiver")


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
    with store.open(url) as old:
        third = fetched(2)[0]
        assert old.to_pandas()["b"].iloc[-1] == 1
    assert len(copies(store)) == 3
    pd.testing.assert_frame_equal(frame, large)
    del frame
    assert fetched(3)[0] in (first, third)
    assert len(copies(store)) == 1
