"""Measure one frame given to many tasks, and text opened as Polars: ``python -m benchmarks.pools``.

One frame of 528 MB is given to 16 light tasks of two workers of joblib, in turns as a shared Snapshot, as it is under
`by_reference`, and pickled; then as a frame of a store. Text of Polars is stored and opened again.

Traps: the first round pays for fresh memory and for imports, so it is left out. joblib maps arrays that it pickles, and
now and then loses one of its files, which is an error of its own: that round is left out too.

Does not depend on: how a frame travels.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl

import colonnade as cn
from benchmarks.measure import fresh_folder, private_memory

ROWS, COLUMNS, TASKS, ROUNDS, TEXTS = 5_000_000, 13, 16, 6, 5_000_000


def of_frame(frame: pd.DataFrame, number: int) -> float:
    """Read a little of a frame."""
    return float(frame.iloc[:1000, number % COLUMNS].sum())


def of_snapshot(snapshot: cn.Snapshot, number: int) -> float:
    """Read as much of a frame that is shared."""
    return of_frame(snapshot.to_pandas(), number)


def _tasks(parallel: Any, work: Callable[..., float], data: Any) -> float:
    began = time.perf_counter()
    parallel(joblib.delayed(work)(data, number) for number in range(TASKS))
    return time.perf_counter() - began


def pools(store: cn.Store) -> dict[str, list[float]]:
    """The seconds of each way, in turns."""
    frame = pd.DataFrame(np.random.default_rng(5).random((ROWS, COLUMNS)))
    store.put("frame", frame).close()
    taken: dict[str, list[float]] = {"share": [], "by_reference": [], "by_reference, of a store": [], "joblib": []}
    parallel = joblib.Parallel(n_jobs=2)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with cn.share(frame) as snapshot:
            _tasks(parallel, of_snapshot, snapshot)
        taken["share"].append(time.perf_counter() - began)
        with cn.by_reference():
            taken["by_reference"].append(_tasks(parallel, of_frame, frame))
            taken["by_reference, of a store"].append(_tasks(parallel, of_frame, store.get("frame")))
        try:
            taken["joblib"].append(_tasks(parallel, of_frame, frame))
        except joblib.externals.loky.process_executor.BrokenProcessPool:
            continue
    return taken


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
        for what, seconds in pools(store).items():
            print(f"{TASKS} tasks with one frame, {what}: {median(seconds[1:]) * 1e3:.0f} ms")
        for what, figure in text(store):
            print(f"{what}: {figure}")


if __name__ == "__main__":
    main()
