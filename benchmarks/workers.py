"""What is measured in processes of its own: ``python -m benchmarks.workers <job> <arguments as JSON>`` reports as JSON.

Does not depend on: targets, or what becomes of a report.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import frames
from benchmarks.measure import private_memory, scan, seconds
from benchmarks.rivals.usual import RIVALS
from colonnade import NotFoundError, Store

ROOT = Path(__file__).resolve().parents[1]


def in_own_process(job: str, **arguments: Any) -> Any:
    """Run a job of this file in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.workers", job, json.dumps(arguments, default=str)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def started(job: str, **arguments: Any) -> subprocess.Popen[str]:
    """Start a job of this file in a process that goes on beside this one; as a context manager it is ended."""
    command = [sys.executable, "-m", "benchmarks.workers", job, json.dumps(arguments, default=str)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


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
    frames: list[Any] = []
    before = len(list(Path("/proc/self/fd").iterdir()))
    frames.extend(store.get(name) for _ in range(count))
    return (len(list(Path("/proc/self/fd").iterdir())) - before) / len(frames)


def reader(rival: str, folder: str, names: list[str]) -> dict[str, Any]:
    """Open tables one after the other, read every value, and report on the last one. No names: a bare process."""
    took, sums, frames = 0.0, [0, 0], []
    for name in names:
        took, frame = seconds(RIVALS[rival].load, Path(folder), name)
        sums = scan(frame)
        frames.append(frame)
    return {"open": took, "sums": sums, "private": private_memory()}


def scans(folder: str, name: str) -> dict[str, Any]:
    """Open each version of a table, read every value and release it, until a message says stop."""
    stop = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    store = Store(folder)
    sums: list[list[int]] = []
    version = 0
    while not stop.is_set():
        with store.open(name) as snapshot:
            newest = snapshot.version
            if newest > version:
                sums.append(scan(snapshot.to_pandas()))
        if not version:
            print("ready", flush=True)
        if newest == version:
            time.sleep(0.001)
        version = newest
    return {"scans": len(sums), "equal": all(each == sums[0] for each in sums)}


def first_scan(folder: str, name: str) -> float:
    """Time opening a table and reading it, in a process that has read another before."""
    store = Store(folder)
    store.put("tiny", frames.little()).close()
    scan(store.get("tiny"))
    took, _ = seconds(lambda: scan(store.get(name)))
    return took


def watches(folder: str, name: str) -> int:
    """Open each version of a table as it comes, and tell when, until the watched name is deleted."""
    count = 0
    print("ready", flush=True)
    with contextlib.suppress(NotFoundError):
        for snapshot in Store(folder).watch(name):
            frame = snapshot.to_pandas()
            print(json.dumps([snapshot.version, time.monotonic(), len(frame)]), flush=True)
            count += 1
    return count


JOBS: dict[str, Callable[..., Any]] = {
    job.__name__: job for job in (opens, small, descriptors, reader, scans, first_scan, watches)
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
