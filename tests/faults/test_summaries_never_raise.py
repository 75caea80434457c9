"""Summaries of objects that are closed, gone, damaged or owned by another user say so and never raise."""

import os
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from support.summaries import FLIGHTS, Page, terminal

BOTH = pytest.mark.parametrize(
    "look", [lambda shown: Page(shown).text, lambda shown: " ".join(terminal(shown, 120))], ids=["html", "rich"]
)


@pytest.fixture
def flights(store):
    with store.put("nyc/flights", FLIGHTS) as snapshot:
        yield snapshot


@BOTH
def test_closed(look, flights):
    flights.close()
    output = look(flights)
    assert "It is closed; open the table again to look inside." in output
    assert "nyc/flights version 1" in output


@BOTH
def test_superseded_and_deleted(look, store, flights):
    remark = "It was replaced or deleted since; its memory stays until it is closed."
    assert remark not in look(flights)
    newer = store.put("nyc/flights", FLIGHTS.iloc[:2])
    assert remark in look(flights)
    assert remark not in look(newer)
    store.delete("nyc/flights")
    for snapshot in (flights, newer):
        assert remark in look(snapshot)
        assert "N14228" in look(snapshot)


@BOTH
def test_expired(look, store):
    snapshot = store.put("t", FLIGHTS, ttl=1)
    assert "expires" in look(snapshot)
    time.sleep(max(0, snapshot.expires.timestamp() - time.time()) + 0.01)
    assert "expired" in look(snapshot)


@BOTH
@pytest.mark.parametrize("size", [0, 100, 5000])
def test_cut_off_while_it_is_open(look, size, store, flights):
    whole = flights.nbytes
    os.truncate(flights.path, size)  # a read of what is not there is a signal
    output = look(flights)
    assert f"It is damaged: its file has {size:,} bytes and was sealed with {whole:,}." in output
    assert "nyc/flights version 1" in output
    assert "'nyc/flights' cannot be opened: " in look(store)
    flights.path.unlink()


@BOTH
def test_overwritten_while_it_is_open(look, store, flights):
    with flights.path.open("r+b") as file:
        file.seek(flights.nbytes - 600)
        file.write(b"\xee" * 300)
    output = look(flights)
    assert "'nyc/flights' cannot be opened: " in output
    assert "nyc/flights version 1" in output
    flights.path.unlink()


def test_values_overwritten(store):
    snapshot = store.put("t", pd.DataFrame({"s": ["ab", "cd", "ef"], "x": [1, 2, 3]}))
    data = snapshot.path.read_bytes()
    memory = pa.py_buffer(data)
    offsets = pa.ipc.open_file(memory).get_batch(0).column("s").buffers()[1].address - memory.address
    with snapshot.path.open("r+b") as file:
        file.seek(offsets + 8)
        file.write(np.array([1 << 40]).tobytes())
    rows = Page(store.open("t")).tables[0]
    assert rows[1:] == [["(damaged)", "1"], ["(damaged)", "2"], ["ef", "3"]]
    snapshot.path.unlink()


@BOTH
def test_no_store_and_an_empty_one(look, folder):
    store = cn.Store(folder / "none")
    assert "There is no such directory yet; the first put makes it." in look(store)
    assert not store.path.exists()
    store.path.mkdir(mode=0o700)
    assert "tables 0" in look(store)


@BOTH
def test_a_store_that_is_none(look, folder):
    (folder / "file").write_text("")
    (folder / "link").symlink_to(folder / "nowhere")
    assert "cannot be read as a store: Not a directory" in look(cn.Store(folder / "file"))
    look(cn.Store(folder / "link"))
    (folder / "settings").mkdir(mode=0o700)
    (folder / "settings" / ".settings").write_text("{")
    store = cn.Store(folder / "settings")
    assert "settings cannot be read" in look(store)
    assert "tables 0" in look(store)


@BOTH
def test_files_that_are_no_tables(look, store):
    store.put("a/good", FLIGHTS).close()
    broken = [store.path / f"b{i}.arrow" for i in range(5)]
    for path in broken:
        path.write_text("nothing of the kind")
    output = look(store)
    assert "a/good" in output
    assert "'b0' cannot be opened: " in output
    assert "'b2' cannot be opened: " in output
    assert "'b3' cannot be opened: " not in output
    assert "2 more cannot be opened; check() names all." in output
    for path in broken:
        path.unlink()


@BOTH
@pytest.mark.privileged("users")
def test_tables_of_others(look, store, flights):
    os.chown(flights.path, 65534, 65534)
    output = look(store)
    assert "'nyc/flights' belongs to user 65534, who could change it while it is read" in output
    trusted = cn.Store(store.path, trust=65534)
    assert "belongs to user" not in look(trusted)
    assert "N14228" in look(trusted.open("nyc/flights"))
    os.chown(flights.path, 0, 0)
