"""Measure look-ups by key against pandas' own index: ``python -m benchmarks.lookups``.

5 million rows under shuffled keys, in shared memory. A worker is a process of its own. In each of `ROUNDS` it opens the
table as after a refresh, twice in turns: with pandas' index (``frame.loc``), and by the key index in the file
(``latest.rows``). Private memory is what the kernel counts as anonymous.

Traps: pandas builds its hash table at the first look-up of a frame, so a second look-up measures something else. Both
sides must give the same rows, which is asserted. A put's time varies with the memory that it gets, so only the puts
after the first two count: these write to spares.

Does not depend on: how an index is stored.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd

import colonnade as cn
from benchmarks.measure import fresh_folder, private_memory, seconds

ROWS, ROUNDS, KEYS = 5_000_000, 5, 1_000
KINDS = ("int64", "text")

Cell = Callable[[dict[str, float]], str]
CELLS: tuple[tuple[str, Cell], ...] = (
    ("first look-up after a refresh, `.loc`", lambda r: f"{r['loc: first'] * 1e3:.0f} ms"),
    ("... by key", lambda r: f"{r['key: first'] * 1e3:.2f} ms"),
    ("private memory, `.loc`", lambda r: f"{r['loc: private'] / 2**20:.0f} MiB"),
    ("... by key", lambda r: f"{r['key: private'] / 2**20:.1f} MiB"),
    ("1,000 look-ups at once against a new frame's `.loc`", lambda r: f"{r['loc: 1,000'] / r['key: 1,000']:.0f}x"),
    ("one more look-up", lambda r: f"{r['key: one'] * 1e6:.1f} us"),
    ("what the index adds to a put", lambda r: f"{r['index'] * 1e3:.0f} ms"),
    ("... of the first `.loc`", lambda r: f"{r['index'] / r['loc: first']:.2f}"),
)


def table(kind: str) -> pd.DataFrame:
    """Make the table; its column ``key`` is shuffled and unique."""
    random = np.random.default_rng(5)
    keys = random.permutation(ROWS)
    key = pd.Series(keys) if kind == "int64" else pd.Series(keys).astype("str")
    return pd.DataFrame({"key": key, "price": random.random(ROWS), "size": random.integers(0, 100, ROWS)})


def worker(folder: str, name: str) -> None:
    """Be a worker: look keys up in both ways, and print the medians as JSON."""
    store = cn.Store(folder)
    keys = store.get(name)["key"].iloc[:: ROWS // KEYS].tolist()
    seconds_of: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        frame = store.get(name).set_index("key")
        before = private_memory()
        first, expected = seconds(lambda frame=frame: frame.loc[keys[0]])
        seconds_of.setdefault("loc: first", []).append(first)
        seconds_of.setdefault("loc: private", []).append(private_memory() - before)
        again = store.get(name).set_index("key")
        seconds_of.setdefault("loc: 1,000", []).append(seconds(lambda again=again: again.loc[keys])[0])
        del frame, again
        latest = store.latest(name)
        before = private_memory()
        first, rows = seconds(lambda latest=latest: latest.rows(keys[0]))
        seconds_of.setdefault("key: first", []).append(first)
        seconds_of.setdefault("key: private", []).append(private_memory() - before)
        assert rows["price"].iloc[0] == expected["price"]
        seconds_of.setdefault("key: 1,000", []).append(seconds(lambda latest=latest: latest.locate(keys))[0])
        one = [seconds(lambda latest=latest, key=key: latest.locate(key))[0] for key in keys]
        seconds_of.setdefault("key: one", []).append(median(one))
    print(json.dumps({what: median(times) for what, times in seconds_of.items()}))


def main() -> None:
    """Measure both kinds of keys, and print a table in Markdown."""
    print("| 5 million rows, shuffled keys | int64 | text |\n| --- | --- | --- |")
    columns: list[dict[str, float]] = []
    with fresh_folder("lookups") as folder:
        store = cn.Store(folder)
        for kind in KINDS:
            frame = table(kind)
            puts: dict[str | None, list[float]] = {None: [], "key": []}
            for key in [None, "key"] * (ROUNDS + 2):
                put_seconds, snapshot = seconds(functools.partial(store.put, kind, frame, key=key))
                snapshot.close()
                puts[key].append(put_seconds)
            del frame
            command = [sys.executable, "-m", "benchmarks.lookups", "worker", str(folder), kind]
            report: dict[str, float] = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            report["index"] = median(puts["key"][2:]) - median(puts[None][2:])
            columns.append(report)
            store.delete(kind)
    for what, cell in CELLS:
        print(f"| {what} | {' | '.join(cell(report) for report in columns)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:4])
    else:
        main()
