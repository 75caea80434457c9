"""Fetches that fail: hosts and receivers that are killed, silent or interrupted, and bytes that are damaged."""

import random
import signal
import time

import pandas as pd
import pytest

import colonnade as cn
from colonnade._rows_so_far import RowsSoFar
from support.copies import copies, leftovers
from support.hosts import Proxy, run


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
