"""What is measured in processes of its own: ``python -m benchmarks.workers <job> <arguments as JSON>`` reports as JSON.

Knows: the jobs. Must not know: targets, or what becomes of a report.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import frames
from benchmarks.rivals import RIVALS
from colonnade import Store
from colonnade.demo import private_memory, scan, seconds

ROOT = Path(__file__).resolve().parents[1]


def in_own_process(job: str, **arguments: Any) -> Any:
    """Run a job of this file in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.workers", job, json.dumps(arguments, default=str)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def opens(folder: str, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Time opening each of some tables, in turn; the process is warm by then."""
    store = Store(folder)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-3, rounds):
        for name in names:
            took, _ = seconds(store.get, name)
            if number >= 0:
                times[name].append(took)
    return times


def small(folder: str, rounds: int) -> dict[str, list[float]]:
    """Time putting and getting a small frame, over and over under one name."""
    store, frame = Store(folder), frames.small()
    times: dict[str, list[float]] = {"put": [], "get": []}
    for number in range(-3, rounds):
        putting, snapshot = seconds(store.put, "small", frame)
        snapshot.close()
        getting, _ = seconds(store.get, "small")
        if number >= 0:
            times["put"].append(putting)
            times["get"].append(getting)
    return times


def descriptors(folder: str, name: str, count: int) -> float:
    """How many file descriptors each of some frames holds."""
    store = Store(folder)
    store.get(name)
    held: list[Any] = []
    before = len(list(Path("/proc/self/fd").iterdir()))
    held.extend(store.get(name) for _ in range(count))
    return (len(list(Path("/proc/self/fd").iterdir())) - before) / len(held)


def reader(rival: str, folder: str, names: list[str]) -> dict[str, Any]:
    """Open tables one after the other, read every value, and report on the last; with no names: on a bare process."""
    took, sums, held = 0.0, [0, 0], []
    for name in names:
        took, frame = seconds(RIVALS[rival].load, Path(folder), name)
        sums = scan(frame)
        held.append(frame)
    return {"open": took, "sums": sums, "private": private_memory()}


JOBS: dict[str, Callable[..., Any]] = {job.__name__: job for job in (opens, small, descriptors, reader)}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
