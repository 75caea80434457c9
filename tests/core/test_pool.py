"""The memory that conversions write to: reused when the last view of it is gone and never before, bounded, and not leaked."""

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.core.buffers import default_limit
from colonnade.sizes import parse_size
from support.memory import address

MIB = 1 << 20


@pytest.fixture(autouse=True)
def pool():
    """The pool, idle at the beginning of each test; a test must leave no buffer in use."""
    _core.set_pool_limit(256 * MIB)
    _core.trim_pool()
    before = _core.pool_usage()[2:]
    yield
    gc.collect()
    assert _core.pool_usage()[2:] == before, "a buffer is still live"
    _core.set_pool_limit(default_limit())


def table(columns=4, rows=MIB // 4):
    """8 MiB of float64 with nulls."""
    values = np.arange(rows, dtype=float)
    return pa.table({f"c{i}": pa.array(values + i, mask=values % 5 == 0) for i in range(columns)})


def memory_of(df):
    (block,) = df._mgr.blocks
    return address(block.values)


def idle_bytes():
    return _core.pool_usage()[0]


def test_memory_is_used_again_once_the_frame_is_gone():
    data = table()
    df = cn.to_pandas(data)
    first = memory_of(df)
    assert idle_bytes() == 0
    del df
    assert idle_bytes() == 8 * MIB
    again = cn.to_pandas(data)
    assert memory_of(again) == first
    assert idle_bytes() == 0
    del again


@pytest.mark.parametrize("view", [
    lambda df: df["c1"], lambda df: df["c1"].to_numpy()[10:], lambda df: df.iloc[:, 1:], lambda df: df["c1"].array, lambda df: memoryview(df["c1"].to_numpy()),
    lambda df: pa.array(df["c1"]), lambda df: df.to_numpy().T,
], ids=["column", "slice", "columns", "array", "memoryview", "arrow", "numpy"])  # fmt: skip
def test_no_view_ever_sees_the_next_frame(view):
    data = table()
    first = view(cn.to_pandas(data))
    copy = np.array(first, copy=True)
    for _ in range(3):
        other = cn.to_pandas(pa.table({name: pa.array(np.full(data.num_rows, 7.0)) for name in data.column_names}))
    np.testing.assert_array_equal(np.asarray(first), copy)
    del first, other


def test_arrow_tables_from_pandas_keep_their_memory():
    df = pd.DataFrame({"x": np.arange(MIB, dtype=float), "y": np.arange(MIB)})
    result = cn.from_pandas(df)
    column = result["y"]
    del result
    assert idle_bytes() == 8 * MIB + MIB // 8  # that of x, and its bitmap
    for _ in range(3):
        cn.from_pandas(df * 0)
    assert column.to_numpy()[-1] == MIB - 1
    del column


def test_what_is_kept_is_bounded():
    _core.set_pool_limit(20 * MIB)
    frames = [cn.to_pandas(table()) for _ in range(4)]
    assert idle_bytes() == 0
    frames.clear()
    assert idle_bytes() == 16 * MIB
    cn.set_pool_limit("8MiB")
    assert idle_bytes() == 8 * MIB
    cn.set_pool_limit(0)
    assert idle_bytes() == 0
    cn.to_pandas(table())
    assert idle_bytes() == 0


def test_the_longest_idle_goes_first():
    _core.set_pool_limit(16 * MIB)
    old, new = _core.Buffer(4 * MIB), _core.Buffer(5 * MIB)
    del old
    del new
    large = _core.Buffer(10 * MIB)
    del large
    assert _core.pool_usage()[:2] == (15 * MIB, 2)  # the one of 4 MiB made room


def test_gc_frees_it(monkeypatch, folder):
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "store"))
    cn.to_pandas(table())
    assert cn.gc().memory == 8 * MIB
    assert idle_bytes() == 0


@pytest.mark.slow
def test_a_thousand_conversions_leave_nothing_behind():
    data = table(rows=MIB // 8)
    for _ in range(300):
        cn.to_pandas(data)
        cn.to_pandas(data, split_blocks=True)
        cn.from_pandas(cn.to_pandas(data))
    assert _core.pool_usage()[2:] == (0, 0)
    assert idle_bytes() < 32 * MIB


def test_a_buffer_fits_if_it_wastes_little():
    buffer = _core.Buffer(8 * MIB)
    first = buffer.address
    del buffer
    small, close = _core.Buffer(4 * MIB), _core.Buffer(7 * MIB + 600_000)
    assert small.address != first
    assert close.address == first
    del small, close


def test_threads_share_it():
    data = table(columns=2)
    expected = data.to_pandas()

    def convert(_):
        df = cn.to_pandas(data)
        pd.testing.assert_frame_equal(df, expected)
        return memory_of(df)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(convert, range(60)))


@pytest.mark.slow
def test_a_child_shares_frames_but_no_idle_memory():
    data = table()
    frame, dropped = cn.to_pandas(data), cn.to_pandas(data)
    del dropped
    busy = threading.Event()
    # A thread that uses the pool all the while: fork must not find it locked.
    thread = threading.Thread(target=lambda: [cn.to_pandas(table(columns=1)) for _ in iter(busy.is_set, True)])
    thread.start()
    try:
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                ok = idle_bytes() == 0 and frame["c1"].iloc[-1] == data["c1"][-1].as_py()
                again = cn.to_pandas(data)
                ok = ok and again.equals(frame) and memory_of(again) != memory_of(frame)
                del frame, again
                os._exit(0 if ok and idle_bytes() == 8 * MIB else 1)  # the child's own, not the parent's
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        busy.set()
        thread.join()
    del frame


@pytest.mark.parametrize(("text", "size"), [("0", 0), (4096, 4096), ("256MiB", 256 * MIB), ("1 GB", 10**9), ("2k", 2048), ("3GiB", 3 << 30), ("7B", 7)])  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text, "it") == size


@pytest.mark.parametrize("bad", ["", "a lot", "-1", "1.5.GiB", None, -5, "10 miles"])
def test_sizes_that_are_none(bad):
    with pytest.raises(ValueError, match=r"1\.5GiB"):
        cn.set_pool_limit(bad)


def test_the_default_is_polite(monkeypatch):
    monkeypatch.delenv("COLONNADE_POOL_LIMIT", raising=False)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert default_limit() == min(memory // 16, 5 << 28)
    monkeypatch.setenv("COLONNADE_POOL_LIMIT", "5MiB")
    assert default_limit() == 5 * MIB


def test_objects_are_shared_and_counted():
    shared = [object() for _ in range(3)]

    def references():
        return np.array([sys.getrefcount(thing) for thing in shared])

    before = references()
    codes = np.array([0, 1, 1, 2, -1, 99, 1], np.int32)
    out = np.empty(len(codes), object)
    out[3] = old = object()
    _core.share_objects(out, shared, codes)
    assert [shared.index(thing) for thing in out] == [0, 1, 1, 2, 2, 2, 1]
    assert (references() - before).tolist() == [1, 3, 3]
    assert sys.getrefcount(old) == 2
    del out
    assert references().tolist() == before.tolist()
    for wrong in (np.empty(3, object), np.empty(len(codes), np.int64), np.empty(2 * len(codes), object)[::2]):
        with pytest.raises((ValueError, BufferError)):
            _core.share_objects(wrong, shared, codes)
    with pytest.raises(ValueError, match="no objects"):
        _core.share_objects(np.empty(len(codes), object), [], codes)


GROWTH = """
import sys, threading, time
import numpy as np, pandas, pyarrow as pa
import colonnade as cn

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

cn.set_pool_limit(0)
who, split, destroys = sys.argv[1:]
rows, columns = 5_000_000, 8  # 320 MB
values = np.arange(rows, dtype=float)
half = pa.array(values, mask=values % 5 == 0).slice(0, rows // 2)
table = pa.table({f"c{i}": pa.concat_arrays([half, half]) for i in range(columns)})  # of Arrow's own pool
del half, values
convert = cn.to_pandas if who == "ours" else pa.Table.to_pandas
before, peak, done = resident(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.001):
        peak = max(peak, resident())

thread = threading.Thread(target=watch)
thread.start()
df = convert(table, split_blocks=split == "split", self_destruct=destroys == "yes")
done.set()
thread.join()
peak = max(peak, resident())
assert df.shape == (rows, columns) and df["c7"].iloc[-1] == rows // 2 - 1
print((peak - before) / (rows * columns * 8))
"""


def growth(*arguments):
    """The growth of a process's peak memory when it converts the table, as a share of the frame."""
    command = [sys.executable, "-c", GROWTH, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("split", ["split", "whole"])
@pytest.mark.slow
def test_self_destruct_frees_columns_as_they_move(split):
    assert growth("ours", split, "no") > 0.9  # the frame, beside the table
    assert growth("ours", split, "yes") < 0.4
