"""What machine this is, and how fast it copies: what every other figure is a share of.

Does not depend on: which library is measured.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.measure import GIB, seconds

COPIES = 9


def _lines(file: str, label: str) -> list[str]:
    try:
        text = Path(file).read_text()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(label)]


def _chosen(file: str) -> str:
    """The word in brackets, of a file that lists a setting's possible words."""
    try:
        return Path(file).read_text().split("[")[1].split("]")[0]
    except (OSError, IndexError):
        return "?"


def facts() -> dict[str, str]:
    """What a reader of the figures has to know of this machine."""
    pages = "/sys/kernel/mm/transparent_hugepage"
    return {
        "processor": next(iter(_lines("/proc/cpuinfo", "model name")), platform.machine()),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GIB:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "huge pages": f"{_chosen(f'{pages}/enabled')}, shared memory: {_chosen(f'{pages}/shmem_enabled')}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "python": platform.python_version(),
        "pandas": pd.__version__,
        "pyarrow": pa.__version__,
        "numpy": np.__version__,
    }


def processors(count: int) -> set[int]:
    """So many of the processors that this process may use; of each core one, as long as there are cores left."""
    cores: dict[str, list[int]] = {}
    for number in sorted(os.sched_getaffinity(0)):
        try:
            core = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text()
        except OSError:
            core = str(number)
        cores.setdefault(core, []).append(number)
    one_each_first = sorted((place, number) for core in cores.values() for place, number in enumerate(core))
    return {number for _, number in one_each_first[:count]}


def copy_speeds() -> dict[int, float]:
    """Bytes a second of copying 1 GiB onto pages that are there already: by one thread, by two over halves."""
    source, destination = np.ones(GIB // 8), np.ones(GIB // 8)

    def copy(start: int, stop: int) -> None:
        destination[start:stop] = source[start:stop]  # gives the interpreter's lock away

    half, end = len(source) // 2, len(source)
    with ThreadPoolExecutor(2) as pool:
        jobs: dict[int, Callable[[], object]] = {
            1: lambda: copy(0, end),
            2: lambda: list(pool.map(copy, (0, half), (half, end))),
        }
        times: dict[int, list[float]] = {threads: [] for threads in jobs}
        for _ in range(COPIES):
            for threads, job in jobs.items():
                times[threads].append(seconds(job)[0])
    return {threads: GIB / median(took) for threads, took in times.items()}
