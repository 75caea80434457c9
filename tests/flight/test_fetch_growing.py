"""Growing tables of other hosts: a fetch gives the rows so far, and waits for rows that take long to write."""

import errno
import threading
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade._share import share
from support.copies import leftovers


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


@pytest.fixture
def slow_rows(store, token, monkeypatch):
    """A growing table whose rows take longer to write than a host waits for an answer; gives the number of rows of each writing, and a semaphore of those that ended."""
    monkeypatch.setattr("colonnade.flight.client.PATIENCE", 2.0)
    monkeypatch.setattr("colonnade.flight.service._WAIT", 0.5)
    monkeypatch.setattr("colonnade.flight.long_calls._SHORT", 0.05)
    written, writings = [], threading.Semaphore(0)

    def share_slowly(writer, snapshot, **options):
        written.append(snapshot.num_rows)
        time.sleep(3.5)
        try:
            return share(writer, snapshot, **options)
        finally:
            writings.release()

    monkeypatch.setattr("colonnade._rows_so_far.share", share_slowly)
    store.append("ticks", pd.DataFrame({"x": [1.0]}))
    yield written, writings
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
    assert slow_rows[0] == [1, 2]


def test_rows_that_are_being_written_when_the_time_is_over(slow_rows, store, folder):
    """The host writes on; so does one that is closed, and nothing is left."""
    receiver = cn.Store(folder / "receiver", timeout=0.3)
    with (
        store.serve() as server,
        pytest.raises(cn.RemoteError, match=r"writing the rows of 'ticks' for 0\.3 second"),
    ):
        receiver.open(f"{server.address}/ticks")
    written, writings = slow_rows
    assert writings.acquire(timeout=30)
    end = time.monotonic() + 10
    while leftovers(store):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert written == [1]


def test_rows_that_cannot_be_written(slow_rows, store, folder, monkeypatch):
    """The error of the thread that writes them is the host's answer."""

    def share_nothing(*_, **__):
        time.sleep(0.9)  # within the second request
        raise cn.StoreFullError(errno.ENOSPC, "there is no room")

    monkeypatch.setattr("colonnade._rows_so_far.share", share_nothing)
    with store.serve() as server, pytest.raises(cn.RemoteError, match="there is no room"):
        cn.Store(folder / "receiver").open(f"{server.address}/ticks")
