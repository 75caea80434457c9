"""The figures of `handoff` that a pool's worker takes part in: frames as arguments and results of its tasks.

Does not depend on: how a frame is sent, how figures are printed.

Traps: a worker that does nothing with its frame makes a mapping look free, so every frame that is compared with
pickling is read to its last value. A table that is shared already is not read: its row measures the way alone. A
worker that was forked would have its parent's memory, so workers are spawned. Fresh memory costs several times as much
as memory that is used again: the note has the time of the first task.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

import colonnade as cn
from benchmarks import frames
from benchmarks.figures import Figure, Run, Target

TASKS, LARGE, RESULTS, RESULT = 201, 5, 9, 100_000_000

TARGETS = {
    "shared": Target("1 GiB as an argument, shared already, over an empty task", 3, " ms", "under 3 ms"),
    "shared_x": Target("the same against pickling it", 500, "x", "500x", least=True),
    "plain": Target(
        "1 GiB as an argument, a plain frame under by_reference, against pickling", 3, "x", "3x", least=True
    ),
    "result": Target("100 MB as a result under by_reference, against pickling", 3, "x", "3x", least=True),
}


def nothing() -> None:
    """Do nothing: what a task costs by itself."""


def opened(snapshot: cn.Snapshot) -> int:
    """Have the frame, and read nothing of it."""
    return len(snapshot.to_pandas())


def total(frame: pd.DataFrame) -> int:
    """Read every value, bit for bit."""
    return int(frame.to_numpy().view("int64").sum())


@functools.cache
def made(nbytes: int) -> pd.DataFrame:
    """Give a result, which is made the first time."""
    return pd.DataFrame(np.ones((nbytes // 80, 10)))


def _taken(pool: ProcessPoolExecutor, task: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """The milliseconds of a task, until its result is there."""
    began = time.perf_counter()
    result = pool.submit(task, *arguments).result()
    return (time.perf_counter() - began) * 1e3, result


def _worker() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    pool.submit(made, RESULT).result()
    return pool


def pool_figures(run: Run) -> dict[str, Figure]:
    """One worker to which everything is pickled, and one under `by_reference`, in turns."""
    os.environ["COLONNADE_STORE"] = str(run.folder / "pool")
    frame = frames.tall()
    nbytes = int(frame.memory_usage(index=False).sum())
    pickling = _worker()
    with cn.by_reference():
        referring = _worker()
    with pickling, referring:
        expected = total(frame)
        empty, shared, pickled, plain = [], [], [], []
        for _ in range(LARGE):
            seconds_taken, result = _taken(pickling, total, frame)
            assert result == expected
            pickled.append(seconds_taken)
            with cn.by_reference():
                seconds_taken, result = _taken(referring, total, frame)
            assert result == expected
            plain.append(seconds_taken)
        with cn.share(frame) as snapshot:
            for _ in range(TASKS):
                empty.append(_taken(pickling, nothing)[0])
                seconds_taken, rows = _taken(pickling, opened, snapshot)
                assert rows == len(frame)
                shared.append(seconds_taken)
        del frame
        expected = total(made(RESULT))
        results: dict[ProcessPoolExecutor, list[float]] = {pickling: [], referring: []}
        for _ in range(RESULTS):
            for pool, times in results.items():
                began = time.perf_counter()
                assert total(_taken(pool, made, RESULT)[1]) == expected
                times.append((time.perf_counter() - began) * 1e3)
    slow_in, fast_in = median(pickled), median(plain)
    over = median(shared) - median(empty)
    slow, fast = median(results[pickling]), median(results[referring])
    return {
        "shared": Figure(over, nbytes, f"{median(shared):.3g} ms, an empty task {median(empty):.3g} ms"),
        "shared_x": Figure(slow_in / median(shared), nbytes, f"pickled, and read: {slow_in:.4g} ms"),
        "plain": Figure(
            slow_in / fast_in,
            nbytes,
            f"{fast_in:.3g} ms, the first {plain[0]:.3g}; pickled {slow_in:.4g}, the first {pickled[0]:.4g}",
        ),
        "result": Figure(
            slow / fast, RESULT, f"{fast:.3g} ms, the first {results[referring][0]:.3g}; pickled {slow:.3g}"
        ),
    }
