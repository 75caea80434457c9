"""What workers run in the tests of `share` and `by_reference`. Spawned workers import it, so it is a module."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import colonnade as cn

ROWS = 50_000


def pandas_frame(rows=ROWS):
    return pd.DataFrame(
        {"x": np.arange(rows, dtype="float64"), "s": [f"a{i % 7}" for i in range(rows)]},
        index=pd.date_range("2026", periods=rows, freq="s", name="t"),
    )


def polars_frame(rows=ROWS):
    return pl.DataFrame({"x": np.arange(rows, dtype="float64"), "s": [f"a{i % 7}" for i in range(rows)]})


def arrow_table(rows=ROWS):
    return pa.table({"x": np.arange(rows, dtype="float64"), "s": [f"a{i % 7}" for i in range(rows)]})


MAKE = {"pandas": pandas_frame, "polars": polars_frame, "pyarrow": arrow_table}


def segments(store):
    """The roles of the segments without a name, sorted."""
    folder = store.path / ".segments"
    return sorted(name.partition("-")[0] for name in os.listdir(folder)) if folder.exists() else []


def is_mapped(table):
    """Whether the memory of a table's floats is a mapping of a segment without a name."""
    column = table["x"]
    address = (column.chunk(0) if isinstance(column, pa.ChunkedArray) else column).__array__().ctypes.data
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) <= address < int(end, 16):
            return "/.segments/" in line
    raise AssertionError("not mapped at all")


def look_and_release(table):
    return is_mapped(table), table


def make(kind):
    return MAKE[kind]()


def echo(queue_in, queue_out):
    queue_out.put(look_and_release(queue_in.get()))


def echo_pipe(pipe):
    pipe.send(look_and_release(pipe.recv()))


def result_and_end(queue):
    queue.put(pandas_frame())


def install_and_end(queue):
    cn.by_reference.install(min_bytes=0)
    queue.put(pandas_frame())


def total(snapshot):
    return float(snapshot.to_pandas()["x"].sum())


def killed(_frame):
    """Kill this process as soon as another frame is in flight."""
    folder = cn.Store().path / ".segments"
    for _ in range(1000):
        if list(folder.glob("inflight-*")):
            break
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def inode_of(table):
    """The file that a table's first column is mapped from."""
    address = table.iloc[:, 0].to_numpy().ctypes.data
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) <= address < int(end, 16):
            return int(line.split()[4])
    raise AssertionError("not mapped at all")
