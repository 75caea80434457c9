"""Measure one frame given to many tasks, and text opened as Polars: ``python -m benchmarks.pools``.

One frame of 528 MB is given to 16 light tasks of two workers, of joblib, of a ProcessPoolExecutor and of a
multiprocessing.Pool: in turns as a shared Snapshot, as it is under `by_reference`, as a frame of a store, and pickled.
Text of Polars is stored and opened again.

Traps: the first round pays for fresh memory and for imports, so it is left out. joblib maps arrays that it pickles, and
now and then loses one of its files, which is an error of its own: that round is left out too. The other two send each
pickle through a pipe, which takes seconds, so only two tasks are given a pickled frame, and that is done twice.

Does not depend on: how a frame is sent.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl

import colonnade as cn
from benchmarks.measure import fresh_folder, private_memory, seconds

ROWS, COLUMNS, TASKS, WORKERS, ROUNDS, TEXTS = 5_000_000, 13, 16, 2, 6, 5_000_000


def of_frame(frame: pd.DataFrame, number: int) -> float:
    """Read a little of a frame."""
    return float(frame.iloc[:1000, number % COLUMNS].sum())


def of_snapshot(snapshot: cn.Snapshot, number: int) -> float:
    """Read as much of a frame that is shared."""
    return of_frame(snapshot.to_pandas(), number)


# Runs a function in tasks, each with the data and its number, and waits for all.
Run = Callable[[Callable[..., float], Any, int], object]


@contextmanager
def _joblib() -> Iterator[Run]:
    parallel = joblib.Parallel(n_jobs=WORKERS)
    yield lambda work, data, tasks: parallel(joblib.delayed(work)(data, number) for number in range(tasks))


@contextmanager
def _executor() -> Iterator[Run]:
    with ProcessPoolExecutor(WORKERS) as executor:
        yield lambda work, data, tasks: list(executor.map(work, [data] * tasks, range(tasks)))


@contextmanager
def _pool() -> Iterator[Run]:
    with multiprocessing.Pool(WORKERS) as pool:
        yield lambda work, data, tasks: pool.starmap(work, [(data, number) for number in range(tasks)], chunksize=1)


POOLS = {"joblib": _joblib, "ProcessPoolExecutor": _executor, "multiprocessing.Pool": _pool}


def _shared(run: Run, frame: pd.DataFrame) -> None:
    with cn.share(frame) as snapshot:
        run(of_snapshot, snapshot, TASKS)


def pools(store: cn.Store, run: Run, pickled: int) -> dict[str, list[float]]:
    """The seconds of each way, in turns; ``pickled`` tasks are given the frame itself."""
    frame = pd.DataFrame(np.random.default_rng(5).random((ROWS, COLUMNS)))
    store.put("frame", frame).close()
    times: dict[str, list[float]] = {"share": [], "by_reference": [], "by_reference, of a store": [], "pickled": []}
    for _ in range(ROUNDS):
        times["share"].append(seconds(_shared, run, frame)[0])
        with cn.by_reference():
            times["by_reference"].append(seconds(run, of_frame, frame, TASKS)[0])
            times["by_reference, of a store"].append(seconds(run, of_frame, store.get("frame"), TASKS)[0])
        if pickled == TASKS or len(times["pickled"]) < 2:
            try:
                times["pickled"].append(seconds(run, of_frame, frame, pickled)[0])
            except joblib.externals.loky.process_executor.BrokenProcessPool:
                continue
    return times


def text(store: cn.Store) -> Iterable[tuple[str, str]]:
    """What Polars' text costs to put and to open."""
    frame = pl.DataFrame({"n": np.arange(TEXTS)}).select(s=pl.format("the text of row {} of many", pl.col("n")))
    for what, data in (("put from Polars", frame), ("put from pandas", pd.DataFrame({"s": frame["s"].to_pandas()}))):
        puts, opens = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            store.put("text", data).close()
            puts.append(time.perf_counter() - began)
            with store.open("text") as snapshot:
                before, began = private_memory(), time.perf_counter()
                opened = snapshot.to_polars()
                opens.append(time.perf_counter() - began)
                private = private_memory() - before
            assert len(opened) == TEXTS
        yield f"text {what}: put", f"{median(puts[2:]) * 1e3:.0f} ms"
        yield "... to_polars", f"{median(opens) * 1e3:.2f} ms, {private / 2**20:.1f} MiB private"


def main() -> None:
    """Run all and print."""
    with fresh_folder("pools") as folder:
        os.environ["COLONNADE_STORE"] = str(folder / "default")
        store = cn.Store(folder / "store")
        for name, opened in POOLS.items():
            pickled = TASKS if opened is _joblib else WORKERS
            with opened() as run:
                for what, times in pools(store, run, pickled).items():
                    tasks = pickled if what == "pickled" else TASKS
                    print(f"{name}, {tasks} tasks with one frame, {what}: {median(times[1:]) * 1e3:.0f} ms")
        for what, figure in text(store):
            print(f"{what}: {figure}")


if __name__ == "__main__":
    main()
