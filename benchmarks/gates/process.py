"""Count the work of each operation once it is warm: ``python -m benchmarks.gates.process KIND``, JSON on stdout.

One kind a process, because counting one disturbs another. Everything runs on one processor, as a warm process does it
for the tenth time. The least of several counts is taken: garbage collection and the like can only add.

Does not depend on: what is compared with what.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import colonnade as cn
from benchmarks.frames import mixed, small

ROUNDS = 9
WARM = 9
ROWS = 20_000  # of the mixed frame: it is written with pwrite, whatever huge pages there are


def operations(folder: Path) -> dict[str, Callable[[], object]]:
    """What is counted. Each leaves the store as it found it, one version later."""
    store = cn.Store(folder)
    table = cn.from_pandas(mixed(ROWS))
    frames = {"small": small(), "mixed": mixed(ROWS)}
    result: dict[str, Callable[[], object]] = {}
    for name, frame in frames.items():
        store.put(name, frame).close()
        result[f"put {name}"] = partial(_put, store, name, frame)
        result[f"open {name}"] = partial(_open, store, name)
        result[f"get {name}"] = partial(store.get, name)
    result["to_pandas mixed"] = lambda: cn.to_pandas(table)
    return result


def _put(store: cn.Store, name: str, frame: pd.DataFrame) -> None:
    store.put(name, frame).close()


def _open(store: cn.Store, name: str) -> None:
    store.open(name).close()


def least(count: Callable[[Callable[[], object]], int], operation: Callable[[], object]) -> int:
    """The least of several counts of an operation that has run before."""
    for _ in range(WARM):
        operation()
    gc.collect()
    gc.disable()
    counts = [count(operation) for _ in range(ROUNDS)]
    gc.enable()
    return min(counts)


def faults(operation: Callable[[], object]) -> int:
    """Pages that the kernel had to provide."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    result = operation()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del result
    return after - before


def allocations(operation: Callable[[], object]) -> int:
    """Calls of malloc and its kin, by Python, Arrow and the core; the counter is preloaded."""
    count = ctypes.CDLL(None).allocations
    before = count()
    result = operation()
    after = count()
    del result
    return int(after - before)


def calls(operation: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's."""
    counter: Counter[str] = Counter()

    def profile(_frame: object, event: str, _argument: object) -> None:
        counter[event] += 1

    sys.setprofile(profile)
    result = operation()
    sys.setprofile(None)
    del result
    return counter["call"] + counter["c_call"]


def moved(operation: Callable[[], object]) -> int:
    """Bytes that the operation wrote to files, read from files, and that its frame has for itself."""

    def by_calls() -> int:
        lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(lines["rchar"]) + int(lines["wchar"])

    idle = -(by_calls() - by_calls())  # what looking costs
    before = by_calls()
    result = operation()
    total = by_calls() - before - idle
    if isinstance(result, pd.DataFrame):
        total += sum(_own_bytes(result[label].array) for label in result.columns)
    return total


def _own_bytes(array: Any) -> int:
    """The bytes of an array that is not a view of a file's mapping."""
    mapped = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if " /dev/" in line]
    stretches = [tuple(int(end, 16) for end in each.split("-")) for each in mapped]

    def own(address: int, nbytes: int) -> int:
        return 0 if any(start <= address < end for start, end in stretches) else nbytes

    if isinstance(array, pd.Categorical):
        array = array.codes
    if not isinstance(array, np.ndarray) and hasattr(array, "__arrow_array__"):
        found = pa.array(array)
        chunks = found.chunks if isinstance(found, pa.ChunkedArray) else [found]
        return sum(own(b.address, b.size) for chunk in chunks for b in chunk.buffers() if b is not None)
    values = np.asarray(array)
    return own(values.ctypes.data, values.nbytes)


def system_calls(operation: Callable[[], object]) -> int:
    """Calls of the kernel, in a child that is stepped from one to the next."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from support.stepping import Stepped  # type: ignore[import-not-found, unused-ignore]

    marker = {"x86_64": 110, "aarch64": 173}[os.uname().machine]  # getppid, which nobody else calls

    def child() -> None:
        for _ in range(WARM):
            operation()
        gc.collect()
        gc.disable()
        os.getppid()
        result = operation()
        os.getppid()
        del result

    counts = []
    for _ in range(3):
        with Stepped(child) as stepped:
            numbers = []
            while stepped.step():
                numbers.append(stepped.call)
        first, last = (place for place, number in enumerate(numbers) if number == marker)
        counts.append(last - first - 1)
    return min(counts)


KINDS: dict[str, Callable[[Callable[[], object]], int]] = {
    "system calls": system_calls,
    "page faults": faults,
    "allocations": allocations,
    "function calls": calls,
    "bytes": moved,
}


def main() -> None:
    """Count one kind, of every operation."""
    kind = sys.argv[1]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    folder = Path(tempfile.mkdtemp(prefix="colonnade-gates-", dir="/dev/shm"))
    try:
        counts = {
            name: KINDS[kind](operation) if kind == "system calls" else least(KINDS[kind], operation)
            for name, operation in operations(folder).items()
        }
    finally:
        shutil.rmtree(folder)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
