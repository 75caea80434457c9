"""Descriptors, mappings and private memory of readers and writers."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support.frames import frame


def test_no_descriptor_is_held_by_a_frame_and_none_leaks(store):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    store.put("t", frame(), keep=2)
    gc.collect()  # what an earlier test left has descriptors, until some collection closes them
    before = descriptors()
    frames = [store.get("t") for _ in range(50)]
    tables = [store.open("t").to_arrow() for _ in range(50)]
    assert descriptors() == before
    for _ in range(20):
        store.put("t", frame(), keep=2)
        with pytest.raises(cn.NotFoundError):
            store.open("t", version=99)
        with pytest.raises(cn.UnsupportedTypeError):
            store.put("t", pd.DataFrame({"x": [object()]}))
    assert descriptors() == before
    del frames, tables


def test_mappings_go_when_frames_go(store):
    def mapped():
        return Path("/proc/self/maps").read_text().count(str(store.path))

    store.put("t", frame())
    result, arrow = store.get("t"), store.open("t").to_arrow()
    assert mapped() == 2
    part = result["x"].iloc[3:]
    del result, arrow
    assert mapped() == 1
    assert part.sum() == sum(range(3, 10))
    del part
    assert mapped() == 0


@pytest.mark.slow
def test_private_memory_of_a_reader_that_reads_everything(store):
    n = 4_000_000
    store.put("t", pd.DataFrame({f"c{i}": np.full(n, float(i)) for i in range(4)}))
    program = f"""
import colonnade as cn, numpy as np
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:"))
store = cn.Store({str(store.path)!r})
store.get("t").iloc[:1].sum()
before = anonymous()
df = store.get("t")
total = sum(float(np.add.reduce(df[name].to_numpy())) for name in df)
print(anonymous() - before, total)
"""
    kib, total = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(total) == n * 6.0
    assert int(kib) <= 2048


@pytest.mark.slow
def test_put_makes_no_second_copy_in_memory(store):
    """A put of 240 MB, from pandas and from Arrow, needs only a few MiB more memory."""
    program = f"""
import threading, numpy as np, pandas as pd, pyarrow as pa, colonnade as cn
store = cn.Store({str(store.path)!r})
n = 3_000_000
df = pd.DataFrame({{f"f{{i}}": np.full(n, i + 0.5) for i in range(8)}})
df["b"], df["s"], df["i"] = df.f0 > 0, pd.array(["some words"] * n, "str"), pd.array(np.arange(n), "Int64")
table = pa.Table.from_pandas(df)
store.put("warm", df.iloc[:10]), store.put("warm", table.slice(0, 10))
def anonymous():  # the segment itself is mapped while it is written, and is not a copy
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
for source in (df, table):
    before, done, seen = anonymous(), threading.Event(), []
    def watch():
        while not done.wait(0.001):
            seen.append(anonymous() - before)
    watcher = threading.Thread(target=watch)
    watcher.start()
    store.put("t", source)
    done.set()
    watcher.join()
    assert len(seen) > 10
    print(max(seen))
"""
    growth = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(kib) < 32 * 1024 for kib in growth] == [True, True], growth
    store.delete("warm")
