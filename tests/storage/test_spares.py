"""Spares: which segments become spares, which puts get them, and that no reader sees a page being rewritten."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.sizes import parse_size
from colonnade.storage import folders
from colonnade.storage import spares as reuse
from support.spares import MIB, end, frame, inode, reader, spares


def test_a_superseded_segment_is_written_again(store):
    store.put("t", frame(1))
    first = inode(store)
    store.put("t", frame(2))
    assert [path.stat().st_ino for path in spares(store)] == [first]
    store.put("t", frame(3))
    assert inode(store) == first
    assert (store.get("t")["x"] == 3).all()
    assert len(spares(store)) == 1


def test_deleted_and_pruned_versions_become_spares(store):
    for value in range(3):
        store.put("t", frame(value), keep=2)
    assert len(spares(store)) == 1  # version 1; 2 is retained
    store.delete("t")
    assert len(spares(store)) == 3
    assert store.gc().nbytes >= 12 * MIB
    assert spares(store) == []


def test_small_segments_are_not_kept(store):
    for value in range(3):
        store.put("t", frame(value, mib=1))
    assert spares(store) == []


def test_a_spare_that_a_process_maps_is_not_taken(store):
    """The descriptor is closed; the kernel still counts the mapping."""
    store.put("t", frame(1))
    holder = reader(store, "sys.stdin.readline(); print((df['x'] == 1).all()); sys.stdin.readline()")
    number = inode(store)
    for value in range(2, 6):
        store.put("t", frame(value))
        assert inode(store) != number
    print("look", file=holder.stdin)
    assert holder.stdout.readline() == "True\n"
    end(holder)
    inodes = set()
    for value in range(3):
        store.put("t", frame(value))
        inodes.add(inode(store))
    assert number in inodes  # once nobody has it, it is used


def test_a_spare_that_this_process_has_open_is_not_taken(store):
    snapshot = store.put("t", frame(1))
    number = inode(store)
    for value in range(2, 5):
        store.put("t", frame(value)).close()
        assert inode(store) != number
    assert (snapshot.to_pandas()["x"] == 1).all()
    frames = snapshot.to_pandas()
    snapshot.close()
    store.put("t", frame(5)).close()
    assert inode(store) != number
    assert (frames["x"] == 1).all()


def test_a_child_that_was_forked_with_a_frame_keeps_it(store):
    store.put("t", frame(1)).close()
    number = inode(store)
    df = store.get("t")
    end_read, end_write = os.pipe()
    answer_read, answer_write = os.pipe()
    child = os.fork()
    if not child:
        os.read(end_read, 1)
        os.write(answer_write, b"y" if (df["x"] == 1).all() else b"n")
        os._exit(0)
    del df
    for value in range(2, 5):
        store.put("t", frame(value)).close()
        assert inode(store) != number
    os.write(end_write, b".")
    assert os.read(answer_read, 1) == b"y"
    os.waitpid(child, 0)
    for descriptor in (end_read, end_write, answer_read, answer_write):
        os.close(descriptor)


def test_only_what_fits_is_taken(store):
    store.put("t", frame(1, mib=64)).close()
    store.delete("t")
    (large,) = spares(store)
    store.put("small", frame(1, mib=8)).close()
    assert spares(store) == [large]
    store.put("nearly", frame(1, mib=40)).close()
    assert spares(store) == []
    path = store.path / "nearly.arrow"
    assert path.stat().st_size < 41 * MIB
    assert path.stat().st_blocks * 512 < 43 * MIB  # what was too much went back


def test_a_spare_grows(store):
    store.put("t", frame(1, mib=8)).close()
    first = inode(store)
    store.delete("t")
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.standard_normal(15 * MIB // 8), "s": ["words"] * (15 * MIB // 8)})
    store.put("t", df.iloc[: 12 * MIB // 8]).close()
    assert inode(store) != first  # with the strings it is more than twice as large
    store.put("u", df[["x"]]).close()
    assert inode(store, "u") == first
    pd.testing.assert_frame_equal(store.get("u"), df[["x"]])


def test_nothing_of_an_earlier_table_is_left_between_the_columns(store):
    """Bytes that belong to no column (padding, the rest of a bitmap) are zeros, as in fresh memory."""
    rows = 700_001  # an odd number: each column ends off every boundary
    secret = pd.DataFrame({"x": np.full(12 * rows // 8 + 100_000, -1, np.int64)})
    df = pd.DataFrame(
        {f"i{i}": np.zeros(rows, np.int8) for i in range(3)} | {"f": np.zeros(rows), "b": np.zeros(rows, bool)}
    )
    df.index = pd.MultiIndex.from_arrays([np.zeros(rows, np.int16), np.zeros(rows, np.int16)])
    store.put("t", secret).close()
    first = inode(store)
    store.put("t", frame(0, 2)).close()
    store.put("u", df).close()
    assert inode(store, "u") == first
    content = (store.path / "u.arrow").read_bytes()
    store.gc()
    store.put("u", df).close()
    fresh = (store.path / "u.arrow").read_bytes()
    differ = np.flatnonzero(np.frombuffer(content, np.uint8) != np.frombuffer(fresh, np.uint8))
    assert len(content) == len(fresh)
    assert set(differ.tolist()) <= set(range(len(content) - 4000, len(content)))  # the seal


@pytest.mark.parametrize("limit", [0, "5MiB", "9MiB"])
def test_spares_are_bounded_in_bytes(folder, limit):
    store = cn.Store(folder / "s", spares=limit)
    for value in range(4):
        store.put(f"t{value}", frame(value)).close()
    for value in range(4):
        store.delete(f"t{value}")
    nbytes = sum(path.stat().st_blocks * 512 for path in spares(store))
    assert nbytes <= parse_size(limit, "limit")
    assert len(spares(store)) == {0: 0, "5MiB": 1, "9MiB": 2}[limit]


def test_spares_are_bounded_in_age(store, monkeypatch):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    assert len(spares(store)) == 1
    monkeypatch.setattr(reuse, "AGE", 0.05)
    time.sleep(0.1)
    store.put("small", pd.DataFrame({"x": [1]})).close()
    assert spares(store) == []


def test_nothing_is_kept_on_a_disk(tmp_path):
    if _core.in_memory(os.open(tmp_path, os.O_RDONLY)):
        pytest.skip("the temporary folder is memory")
    store = cn.Store(tmp_path / "s")
    for value in range(3):
        store.put("t", frame(value)).close()
    assert spares(store) == []
    assert (store.get("t")["x"] == 2).all()


def test_holding_the_lock_is_seen_by_other_processes(store):
    """`gc` and `put` wait for a writer that publishes, and go on when it is killed."""
    program = f"""
import sys, time, colonnade as cn
store = cn.Store({str(store.path)!r})
with store._catalog.directory.lock():
    print("locked", flush=True)
    time.sleep(60)
"""
    store.put("t", frame(1)).close()
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    start = time.perf_counter()
    putter = subprocess.Popen([sys.executable, "-c", f"import colonnade as cn; cn.Store({str(store.path)!r}).gc()"])
    with pytest.raises(subprocess.TimeoutExpired):
        putter.wait(1.5)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert putter.wait(30) == 0
    assert time.perf_counter() - start >= 1.5


def test_folders_are_given_back(store):
    store.put("t", frame(1)).close()
    with store._catalog.directory.opened() as root:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with folders.below(root, ["a", "b"], None, make=0o700):
                pass
            with pytest.raises(FileNotFoundError), folders.below(root, ["a", "c"], None):
                pass
        assert len(os.listdir("/proc/self/fd")) == before
    store.gc()
