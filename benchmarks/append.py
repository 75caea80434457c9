"""What it takes to append to a growing table, beside SQLite, a bare copy, and `concat` with `put`.

Run it as ``python -m benchmarks.append``. Each figure is the median of several rounds. All functions run once in each
round, so that those which are compared meet the same machine. Times are CPU time of this process. What readers wait for
is in `growing_reads`.
"""

from __future__ import annotations

import argparse
import mmap
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import colonnade as cn

COLUMNS = {"time": "datetime64[ns]", "bid": "float64", "ask": "float64", "size": "int64", "price": "float64"}
Rows = dict[str, Any]


def rows_of(count: int) -> Rows:
    """So many rows of five columns, as arrays."""
    numbers = np.arange(count)
    floats = numbers.astype(float)
    return {"time": numbers.astype("M8[ns]"), "bid": floats, "ask": floats, "size": numbers, "price": floats}


def microseconds(function: Callable[[], object], count: int) -> float:
    """The CPU time of one call, of so many."""
    start = time.process_time()
    for _ in range(count):
        function()
    return (time.process_time() - start) / count * 1e6


def alternating(functions: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """The median of each function's time; all of them run once in each round."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, (function, count) in functions.items():
            times[name].append(microseconds(function, count))
    return {name: statistics.median(values) for name, values in times.items()}


class Copies:
    """The copy limit: the same arrays into memory that is there, as far apart as a table that is retained."""

    def __init__(self, rows: Rows, nbytes: int) -> None:
        self._rows = rows
        count = nbytes // sum(values.nbytes for values in rows.values())
        self._places = {name: np.full((count, len(values)), 1, values.dtype) for name, values in rows.items()}
        self._next, self._count = 0, count

    def __call__(self) -> None:
        self._next = (self._next + 1) % self._count
        for name, values in self._rows.items():
            self._places[name][self._next] = values


def sqlite(folder: Path, rows: Rows) -> Callable[[], None]:
    """A function that inserts a batch into SQLite in WAL mode, in one transaction."""
    connection = sqlite3.connect(folder / "sqlite.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE ticks (time INTEGER, bid REAL, ask REAL, size INTEGER, price REAL)")

    def insert() -> None:
        lists = [
            values.view("i8").tolist() if values.dtype.kind == "M" else values.tolist() for values in rows.values()
        ]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO ticks VALUES (?, ?, ?, ?, ?)", zip(*lists, strict=True))
        connection.execute("COMMIT")

    return insert


def concat_and_put(store: cn.Store, rows: int) -> Callable[[], None]:
    """A function that adds 100 rows to a table of so many rows, by `concat` and `put`."""
    table, new = pd.DataFrame(rows_of(rows)), pd.DataFrame(rows_of(100))
    return lambda: store.put("table", pd.concat([table, new], ignore_index=True)).close()


def memory_of_one_row(store: cn.Store) -> int:
    """The bytes of memory that a table of 10 columns and one row takes."""
    with store.appender("small", {f"c{n}": "float64" for n in range(10)}) as log:
        log.row(**{f"c{n}": 1.0 for n in range(10)})
    return sum(path.stat().st_blocks * 512 for path in (store.path / "small@live").iterdir())


def touch_memory(nbytes: int = 2 << 30) -> None:
    """Have the memory that is about to be used: a virtual machine gets what it has not used lately from its host.

    That takes 4 ms for a huge page on some hosts, and 0.2 ms once the machine has it. Which of them a run meets would
    decide most figures.
    """
    with mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, nbytes, mmap.PAGESIZE):
            memory[at] = 1


def main() -> None:
    """Print each figure and its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="a tenth of the calls, to see that it runs")
    options = parser.parse_args()
    share = 10 if options.short else 1
    touch_memory()
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        store = cn.Store(folder / "store")
        batch, frame, large = rows_of(100), pd.DataFrame(rows_of(100)), rows_of(10_000)
        moment = np.datetime64(1, "ns")
        with (
            store.appender("single", COLUMNS) as single,
            store.appender("arrays", COLUMNS) as arrays,
            store.appender("frames", COLUMNS) as frames,
            store.appender("large", COLUMNS, retain="256MiB") as retained,
        ):
            for _ in range(2_000 // share):  # until segments are used again
                retained.append(large)
            medians = alternating(
                {
                    "row": (lambda: single.row(time=moment, bid=1.0, ask=2.0, size=3, price=4.0), 20_000 // share),
                    "arrays": (lambda: arrays.append(batch), 2_000 // share),
                    "sqlite": (sqlite(folder, batch), 500 // share),
                    "frame": (lambda: frames.append(frame), 2_000 // share),
                    "large": (lambda: retained.append(large), 300 // share),
                    "copy": (Copies(large, 256 << 20), 300 // share),
                    "put": (concat_and_put(store, 20_000), 50 // share),
                },
                options.rounds,
            )
        report(medians, memory_of_one_row(store))
    finally:
        shutil.rmtree(folder)


def report(medians: dict[str, float], memory: int) -> None:
    """Print the table."""
    lines = [
        ("append 1 row of 5 columns", f"{medians['row']:.2f} us", "2 us"),
        ("100 rows x 5 columns of arrays", f"{100 / medians['arrays']:.1f} M rows/s", "5 M rows/s"),
        ("... against SQLite WAL", f"{medians['sqlite'] / medians['arrays']:.1f}x", "20x"),
        ("a DataFrame of 100 x 5", f"{medians['frame']:.1f} us", "25 us"),
        ("10,000 rows with retention, of the copy limit", f"{medians['copy'] / medians['large']:.2f}", "0.5"),
        ("100 rows to 20,000: append against concat and put", f"{medians['put'] / medians['arrays']:.0f}x", "15x"),
        ("memory of 10 columns and 1 row", f"{memory / 1024:.0f} KiB", "256 KiB"),
    ]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; CPU time, medians")
    for what, value, target in lines:
        print(f"{what:<52}{value:>16}   target {target}")


if __name__ == "__main__":
    main()
