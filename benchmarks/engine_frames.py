"""What the benchmarks of Dask and Ray have in common: options, frames, the memory of workers, medians of ways in turn.

Does not depend on: engines.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


@contextlib.contextmanager
def run_of(engine: str, description: str | None, rounds: int) -> Iterator[argparse.Namespace]:
    """The options of a run, ``mib`` and ``rounds``, and a default store of its own until the block ends."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=rounds)
    options = parser.parse_args()
    store = f"/dev/shm/colonnade-bench-{engine}-{os.getpid()}"  # noqa: S108 -- of this run
    os.environ["COLONNADE_STORE"] = store
    try:
        yield options
    finally:
        shutil.rmtree(store, ignore_errors=True)


def numeric(nbytes: int) -> pd.DataFrame:
    """64 columns of floats."""
    return pd.DataFrame(np.random.default_rng(1).random((nbytes // 8 // 64, 64)))


def mixed(nbytes: int) -> pd.DataFrame:
    """As many bytes of floats, of text and of categories and times: 48 bytes a row."""
    rows = nbytes // 48
    numbers = pa.array(np.arange(rows))
    text = pc.binary_join_element_wise("row", pc.cast(numbers, pa.string()), " ")
    return pd.DataFrame(
        {
            "x": np.random.default_rng(1).random(rows),
            "y": np.arange(rows) / 7,
            "text": pd.Series(text.to_pandas(), dtype="str"),
            "category": pd.Categorical(np.array(["a", "b", "c"], dtype=object)[np.arange(rows) % 3]),
            "time": pd.date_range("2026-01-01", periods=rows, freq="s"),
        }
    )


def private_mib() -> float:
    """The private memory of this process: what is resident, less shared pages."""
    _, resident, shared = map(int, Path("/proc/self/statm").read_text().split()[:3])
    return (resident - shared) * 4096 / (1 << 20)


def in_turn(ways: Mapping[str, Callable[[], float | None]], rounds: int) -> dict[str, float]:
    """The median seconds of each way, taken in turn; the first round is not counted. A way may measure itself."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            seconds = way()
            if number:
                times[name].append(time.perf_counter() - began if seconds is None else seconds)
    return {name: median(values) for name, values in times.items()}
