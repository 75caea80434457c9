"""Measure how long a frame takes to a pool's worker and back: ``python -m benchmarks.handoff_pool [--mb N]``.

Knows: the ways there, side by side in one run. Must not know: how a frame travels.

Traps: a worker that does nothing with its frame would make a mapping look free, so each task reads every value. Fresh
memory costs several times as much as memory that is used again, so the first task of each way is shown by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import colonnade as cn

ROUNDS = 7


def nothing() -> None:
    """Do nothing: what a task costs by itself."""


def total(frame: pd.DataFrame) -> float:
    """Read every value of a frame."""
    return float(frame.to_numpy().sum())


def total_of(snapshot: cn.Snapshot) -> float:
    """Read every value of a snapshot."""
    return total(snapshot.to_pandas())


def opened(snapshot: cn.Snapshot) -> int:
    """Have the frame, and read nothing of it."""
    return len(snapshot.to_pandas())


def received(frame: pd.DataFrame) -> int:
    """The same for a frame."""
    return len(frame)


@functools.cache
def made(nbytes: int) -> pd.DataFrame:
    """Give a result, which is made the first time."""
    return pd.DataFrame(np.ones((nbytes // 80, 10)))


def _timed(pool: ProcessPoolExecutor, task: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """The first time, and the median of those after it."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = pool.submit(task, *arguments).result()
        times.append(time.perf_counter() - start)
        del result
    return times[0], statistics.median(times[1:])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--mb", type=int, default=100, help="the size of the frame, in MB")
    nbytes = parser.parse_args().mb * 1_000_000
    frame = pd.DataFrame(np.random.default_rng(1).standard_normal((nbytes // 80, 10)))
    table = Table("what", "way", "first", "again", "against pickling", box=None)
    folder = "/dev/shm"  # noqa: S108 -- shared memory is the point
    with tempfile.TemporaryDirectory(prefix="colonnade-bench-", dir=folder) as store:
        os.environ["COLONNADE_STORE"] = store
        ways: list[tuple[str, Any]] = [("pickled", contextlib.nullcontext()), ("by_reference", cn.by_reference())]
        again: dict[str, float] = {}
        for way, block in ways:
            with block, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(made, 1000).result()
                rows: list[tuple[str, str, Callable[..., Any], Any]] = [
                    ("argument, received", way, received, frame),
                    ("argument, read", way, total, frame),
                    ("result", way, made, nbytes),
                ]
                with cn.share(frame) as shared:
                    if way == "by_reference":
                        rows += [
                            ("argument, received", "shared", opened, shared),
                            ("argument, read", "shared", total_of, shared),
                        ]
                    empty = _timed(pool, nothing)[1]
                    for what, name, task, argument in rows:
                        first, median = _timed(pool, task, argument)
                        again.setdefault(what, median)
                        ratio = f"{again[what] / median:.1f}x"
                        table.add_row(what, name, f"{first * 1e3:.1f} ms", f"{median * 1e3:.2f} ms", ratio)
                    table.add_row("an empty task", way, "", f"{empty * 1e3:.2f} ms", "")
    Console().print(table)


if __name__ == "__main__":
    main()
