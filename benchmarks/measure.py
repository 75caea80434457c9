"""How time and memory are measured, and where a measurement works.

Does not depend on: which frames or libraries are measured, or how figures are shown.
"""

from __future__ import annotations

import contextlib
import gc
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from colonnade import Store

T = TypeVar("T")

GIB = 1 << 30
MIB = 1 << 20


def seconds(job: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    """How long a job takes, and its result."""
    start = time.perf_counter()
    result = job(*arguments)
    return time.perf_counter() - start, result


def kernel_bytes(file: str, label: str) -> int:
    """A number of bytes from one of the kernel's tables, such as ``MemAvailable`` of ``/proc/meminfo``."""
    line = next(line for line in Path(file).read_text().splitlines() if line.startswith(f"{label}:"))
    return int(line.split()[1]) << 10


def private_memory() -> int:
    """The bytes of memory that this process shares with no other process, and would free by ending."""
    gc.collect()
    return kernel_bytes("/proc/self/smaps_rollup", "Anonymous")


def scan(frame: pd.DataFrame) -> list[int]:
    """Read a frame: the sum of all numbers, and the count of everything else that is not null.

    The numbers are summed as unsigned integers of the same bytes. So nulls count as well, the order does not matter,
    two scans of equal frames are equal, and no copy is made that would show in the memory measured.
    """
    total = count = 0
    for label in frame.columns:
        column = frame[label]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufmM":
            words = column.to_numpy().view(f"u{column.dtype.itemsize}")
            total += int(words.sum(dtype=np.uint64))
        else:
            count += int(column.count())
    return [total % (1 << 64), count]


@contextlib.contextmanager
def fresh_folder(purpose: str) -> Iterator[Path]:
    """Make a folder beside the default store; it is removed at the end, also by Ctrl-C and SIGTERM."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix=f"colonnade-{purpose}-", dir=Store().path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, previous)
