"""What readers of a growing table wait for: `make bench-append` runs it too.

1. From an append to another process that is woken by it, and to that process' frame of all rows (`follow`, `watch`).
   Beside it the least that this machine needs: two processes that share nothing but a number.
2. The same for ``concat`` + ``put`` + ``watch`` at 20,000 rows.
3. ``latest.frame``, ``get(last=)`` and ``open(version)`` after growth, for few rows and for many: 2 million by default,
   100 million with ``--rows 100_000_000``, which take 5 GB of shared memory.
4. Operations on a block over 16 segments, against the same values in one array of NumPy.

Each figure is a median. Ratios are of one run. ``python -m benchmarks.growing_reads [--rows N]``.

Traps: a process that waits in the kernel is woken on another processor, which may sleep deeply; a machine with two busy
processors shows the scheduler and not the library. The clock is CLOCK_MONOTONIC, which all processes share.
"""

from __future__ import annotations

import argparse
import mmap
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import colonnade as cn
from benchmarks.append import touch_memory
from colonnade import _core

MANY = 20_000
DTYPES = {
    "i": "int64",
    "f": "float64",
    "g": "float64",
    "flag": "bool",
    "t": "datetime64[ns]",
    "m": "Int32",
    "s": "str",
    "c": "category",
}


def median_us(times: list[float]) -> float:
    """The median of seconds, in microseconds."""
    return statistics.median(times) * 1e6


def mixed(rows: int) -> pd.DataFrame:
    """Eight columns of different dtypes."""
    n = np.arange(rows)
    frame = pd.DataFrame({"i": n, "f": n * 0.5, "g": n * 0.25, "flag": n % 2 == 0})
    frame["t"] = (n * 1_000_000).astype("datetime64[ns]")
    frame["m"] = pd.array(n % 100, "Int32")
    frame["s"] = pd.array(np.array(["alpha", "beta", "gamma"])[n % 3], "str")
    frame["c"] = pd.Categorical(np.array(["X", "Y", "Z", "W"])[n % 4])
    return frame.astype({name: dtype for name, dtype in DTYPES.items() if name != "c"})


def numbers(rows: int) -> pd.DataFrame:
    """Five columns of floats; the first is when the row was sent."""
    return pd.DataFrame({"sent": np.zeros(rows), **{f"x{k}": np.arange(rows) * 0.5 for k in range(4)}})


# -- the other process -------------------------------------------------------------------------------------------------


def wait_for_rows(path: str, count: int) -> None:
    """Follow a growing table, and print how old each new row is when its reader is woken."""
    with cn.Store(path).follow("ticks", timeout=20) as follow:
        print("ready", flush=True)
        ages = []
        end = follow.position + count
        while follow.position < end:  # two rows may come at once
            new = next(follow)
            woken = time.monotonic()
            ages.append(woken - new.to_pandas(writable=False)["sent"].iloc[-1])
    print(median_us(ages), flush=True)


def wait_for_frames(path: str, count: int) -> None:
    """Watch a growing table, and print how old its newest row is when the frame of all rows is there."""
    with cn.Store(path).watch("ticks", timeout=20) as watch:
        frame = next(watch).to_pandas(writable=False)
        print("ready", flush=True)
        ages = []
        end = len(frame) + count
        while len(frame) < end:
            frame = next(watch).to_pandas(writable=False)
            made = time.monotonic()
            ages.append(made - frame["sent"].iloc[-1])
    print(median_us(ages), flush=True)


def wait_for_puts(path: str, count: int) -> None:
    """Watch a table, and print how old its newest row is when its frame is there."""
    store = cn.Store(path)
    with store.watch("table", timeout=20) as watch:
        end = next(watch).version + count
        print("ready", flush=True)
        ages = []
        version = 0
        while version < end:  # two versions may come at once
            snapshot = next(watch)
            frame, version = snapshot.to_pandas(), snapshot.version
            ages.append(time.monotonic() - frame["sent"].iloc[-1])
    print(median_us(ages), flush=True)


def wait_for_word(path: str, count: int) -> None:
    """Wait for a bare number, and print how old it is when its reader runs: what this machine needs at least."""
    with Path(path, "word").open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory:
        words = _core.SharedWords(file.fileno(), mmap.PAGESIZE)
        print("ready", flush=True)
        ages = []
        while (rows := words.load(0)) < count:
            _core.wait_for_words([(words, 0, rows)], None, 0, 20)
            woken = time.monotonic()
            ages.append(woken - _SENT.unpack_from(memory, 8)[0])
    print(median_us(ages), flush=True)


_SENT = struct.Struct("<d")
JOBS = {"word": wait_for_word, "woken": wait_for_rows, "frames": wait_for_frames, "puts": wait_for_puts}


def other_process(job: str, store: cn.Store, count: int) -> subprocess.Popen[str]:
    """Start a reader, and return when it waits."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.growing_reads",
            "--job",
            job,
            "--store",
            str(store.path),
            "--count",
            str(count),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def bare_word(store: cn.Store, count: int) -> float:
    """From a store to a number that both processes have mapped to the other process, which sleeps until it changes."""
    path = store.path / "word"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory,
        other_process("word", store, count) as reader,
    ):
        for number in range(count):
            time.sleep(0.003)
            _SENT.pack_into(memory, 8, time.monotonic())
            _core.publish_word(memory, 0, number + 1)
        age = float(reader.communicate()[0])
    path.unlink()
    return age


def latency(store: cn.Store, count: int) -> dict[str, float]:
    """From an append, and from a concat and put, to the other process."""
    start = numbers(MANY)
    ages = []
    store.path.mkdir()
    word = bare_word(store, count)
    with store.appender("ticks", like=start) as log:
        log.append(start)
        for job in ("woken", "frames"):
            with other_process(job, store, count) as reader:
                for _ in range(count):
                    time.sleep(0.003)
                    log.row(sent=time.monotonic(), x0=0.5, x1=0.5, x2=0.5, x3=0.5)
                ages.append(float(reader.communicate()[0]))
    woken, framed = ages
    whole = start
    store.put("table", whole).close()
    puts = max(count // 10, 3)
    with other_process("puts", store, puts) as reader:
        for _ in range(puts):
            time.sleep(0.02)
            row = numbers(1)
            row["sent"] = time.monotonic()
            whole = pd.concat([whole, row], ignore_index=True)
            store.put("table", whole).close()
        (put,) = map(float, reader.communicate()[0].split())
    for name in ("ticks", "table"):
        store.delete(name)
    return {
        "woken (a bare number)": word,
        "woken": woken,
        "frame of all rows": framed,
        "concat + put + watch": put,
        "times": put / framed,
    }


# -- this process ------------------------------------------------------------------------------------------------------


def after_growth(store: cn.Store, rows: int, count: int) -> dict[str, float]:
    """What a reader waits for after an append to a table of so many rows, in microseconds."""
    step = mixed(200_000)
    one, latest = step.iloc[:1], store.latest("grown")
    calls: dict[str, Callable[[], object]] = {
        "latest.frame": lambda: latest.frame,
        "get(last=1000)": lambda: store.get("grown", last=1000),
        "open(version)": lambda: store.open("grown", version=log.num_rows - 1),
    }
    times: dict[str, list[float]] = {name: [] for name in (*calls, FIRST)}
    with store.appender("grown", like=step) as log:
        while log.num_rows < rows:
            log.append(step.iloc[: rows - log.num_rows])
        for _ in range(10):  # nobody has it open
            log.append(one)
            times[FIRST].append(seconds(lambda: store.get("grown", last=1000)))
        _ = latest.frame
        for name, call in calls.items():
            for _ in range(count):
                log.append(one)
                times[name].append(seconds(call))
    store.delete("grown")
    return {name: median_us(each) for name, each in times.items()}


FIRST = "the first get(last=1000)"


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


OPERATIONS: dict[str, Callable[[pd.DataFrame], object]] = {
    "sum(axis=0)": lambda df: df.sum(),
    "sum(axis=1)": lambda df: df.sum(axis=1),
    "copy": lambda df: df.copy(),
    "isna": lambda df: df.isna(),
    "groupby": lambda df: df.groupby(df["x0"].to_numpy().astype("int64") % 50)["x1"].sum(),
    "rolling": lambda df: df["x1"].rolling(20).mean(),
    "filter": lambda df: df[df["x2"].to_numpy() > 1000],
}


def over_segments(store: cn.Store, turns: int) -> dict[str, float]:
    """The time of each operation over 16 segments, divided by that over one array; the faster of some turns each."""
    part = numbers(100_000)
    with store.appender("blocks", like=part) as log:
        latest = store.latest("blocks")
        while len(getattr(latest.now().snapshot, "_look").segments) < 16:  # noqa: B009 -- a figure, not an interface
            log.append(part)
        over = latest.frame
    one = pd.DataFrame(np.ascontiguousarray(over.to_numpy().T).T, columns=over.columns)
    ratios = {}
    for name, run in OPERATIONS.items():
        best: dict[str, float] = {}
        for _ in range(turns):
            for which, frame in (("over", over), ("one", one)):
                began = time.perf_counter()
                run(frame)
                best[which] = min(best.get(which, 1e9), time.perf_counter() - began)
        ratios[name] = best["over"] / best["one"]
    del over
    store.delete("blocks")
    return ratios


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="the many rows of the third figure")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--store")
    options = parser.parse_args()
    if options.job:
        JOBS[options.job](options.store, options.count)
        return
    touch_memory()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        store = cn.Store(Path(folder) / "store")
        for name, figure in latency(store, options.count).items():
            print(f"append to {name}: {figure:,.1f}{'' if name == 'times' else ' us'}")
        few, many = after_growth(store, 1, options.count), after_growth(store, options.rows, options.count)
        for name, figure in few.items():
            print(
                f"{name} after growth, 8 columns: {figure:,.0f} us of 1 row, {many[name]:,.0f} us of {options.rows:,}"
            )
        for name, ratio in over_segments(store, 5).items():
            print(f"{name} over 16 segments: {ratio:.2f} of one array")


if __name__ == "__main__":
    main()
