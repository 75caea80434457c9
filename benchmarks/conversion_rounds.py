"""How a conversion is measured, in processes of its own: ``python -m benchmarks.conversion_rounds <job> <arguments>``.

Does not depend on: which conversions there are, or how
figures are shown.

PyArrow and Colonnade take turns in one process, first one and then the other in front; a result is dropped before the
next call, so that its memory may be used again. The copy limit has its turn in the same rounds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pyarrow as pa
from pandas.testing import assert_frame_equal

import colonnade as cn
from benchmarks.conversions import CONVERSIONS, Conversion
from benchmarks.copy_limit import CopyLimit
from benchmarks.machine import processors
from benchmarks.measure import seconds

ROOT = Path(__file__).resolve().parents[1]
OURS, THEIRS = "colonnade", "pyarrow"
ROUNDS, FIRST_CALLS = 9, 3
Times = dict[str, list[float]]


@dataclass(slots=True)
class Measured:
    """What came of one conversion: seconds, of all calls; bytes read and written; how the results differ, if they do.

    ``copy`` has the seconds of each way to copy as many bytes as are read and written, half of them each.
    """

    first: Times
    steady: Times = field(default_factory=dict)
    drop: Times = field(default_factory=dict)
    copy: Times = field(default_factory=dict)
    read: int = 0
    written: int = 0
    difference: str = ""

    def middle(self, way: str) -> float:
        """The median of what counts: steady calls, or first ones where there are no others."""
        return median((self.steady or self.first)[way])

    @property
    def ratio(self) -> float:
        """How many times as fast as PyArrow: a ratio of medians."""
        return self.middle(THEIRS) / self.middle(OURS)

    @property
    def limit(self) -> float | None:
        """The least median of the ways to copy."""
        return min(map(median, self.copy.values())) if self.copy else None

    @property
    def share(self) -> float | None:
        """Which part of the copy limit's speed was reached."""
        return self.limit / self.middle(OURS) if self.limit else None


def _turns(count: int) -> Iterator[tuple[str, str]]:
    for number in range(count):
        yield (THEIRS, OURS) if number % 2 else (OURS, THEIRS)


def _calls(conversion: Conversion, data: Any) -> dict[str, Callable[[], Any]]:
    options = conversion.options
    if isinstance(data, pa.Table):
        return {OURS: lambda: cn.to_pandas(data, **options), THEIRS: lambda: data.to_pandas(**options)}
    return {OURS: lambda: cn.from_pandas(data, **options), THEIRS: lambda: pa.Table.from_pandas(data, **options)}


def _difference(ours: Any, theirs: Any) -> str:
    """In which way the results differ, bit by bit; nothing if they are equal."""
    if isinstance(theirs, pa.Table):
        ours.validate(full=True)
        return "" if ours.equals(theirs, check_metadata=True) else "the tables are not equal"
    try:
        assert_frame_equal(ours, theirs, check_exact=True)
    except AssertionError as error:
        return str(error)
    return ""


def _memory(data: Any) -> dict[int, int]:
    """Where the values of a table or frame begin, and of how many bytes they are; of objects, their pointers."""
    if isinstance(data, pa.Table):
        chunks = [chunk for column in data.columns for chunk in column.chunks]
        return {b.address: b.size for chunk in chunks for b in chunk.buffers() if b is not None}
    ranges: dict[int, int] = {}
    for place in range(data.shape[1]):
        series = data.iloc[:, place]
        array: Any = series.array
        if isinstance(series.dtype, pd.CategoricalDtype):
            parts = [array.codes]
        elif hasattr(array, "_mask"):  # what pandas calls masked, and shows the parts of to nobody
            parts = [array._data, array._mask]
        elif isinstance(series.dtype, pd.StringDtype):
            ranges |= _memory(pa.table([pa.array(array)], ["strings"]))
            continue
        else:
            parts = [series.to_numpy()]
        ranges |= {part.__array_interface__["data"][0]: part.nbytes for part in parts}
    return ranges


def _moved(source: dict[int, int], result: dict[int, int]) -> tuple[int, int]:
    """The bytes that had to be read and written to make a result; what it shares with its source was neither."""
    shared = source.keys() & result.keys()
    read = sum(nbytes for address, nbytes in source.items() if address not in shared)
    return read, sum(nbytes for address, nbytes in result.items() if address not in shared)


def _settle(threads: int) -> None:
    """Keep to so many processors, whatever else this machine has."""
    os.sched_setaffinity(0, processors(threads))
    pa.set_cpu_count(threads)


def _in_child(job: Callable[[], Any]) -> float:
    """Time a call in a fork of this process, where it is the first: nothing is imported or allocated for it yet."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(seconds(job)[0]))
    process.start()
    sender.close()
    took: float = receiver.recv()
    process.join()
    return took


# -- the jobs --------------------------------------------------------------------------------------------------------


def fresh(key: str, way: str) -> dict[str, Any]:
    """Make the data, and time the first call of this process; what it gives is compared afterwards."""
    conversion = CONVERSIONS[key]
    _settle(conversion.threads)
    data = conversion.make()
    calls = _calls(conversion, data)
    took, result = seconds(calls.pop(way))
    (other,) = calls.values()
    difference = _difference(result, other()) if way == OURS else _difference(other(), result)
    read, written = _moved(_memory(data), _memory(result))
    return {"took": took, "difference": difference, "read": read, "written": written}


def steady(key: str) -> dict[str, Any]:
    """First calls in forks, then a comparison of the results, then the rounds."""
    conversion = CONVERSIONS[key]
    _settle(conversion.threads)
    data = conversion.make()
    calls = _calls(conversion, data)
    pa.default_memory_pool().release_unused()  # a fork that finds free memory here copies it page by page as it writes
    first: Times = {way: [] for way in calls}
    took: Times = {way: [] for way in calls}
    dropped: Times = {way: [] for way in calls}
    _in_child(
        calls[THEIRS]
    )  # pages that no process had before are made by the host of a virtual machine: not of interest
    for turn in _turns(FIRST_CALLS):
        for way in turn:
            first[way].append(_in_child(calls[way]))
    results = {way: call() for way, call in calls.items()}
    difference = _difference(results[OURS], results[THEIRS])
    read, written = _moved(_memory(data), _memory(results[OURS]))
    results.clear()
    limit = CopyLimit((read + written) // 2, conversion.threads)
    for number, turn in enumerate(_turns(ROUNDS + 1), -1):
        for way in turn:
            spent, results[way] = seconds(calls[way])
            dropping, _ = seconds(results.clear)
            if number >= 0:  # before that, memory was taken for the results of both, which now may be there
                took[way].append(spent)
                dropped[way].append(dropping)
        limit.measure(number)
    limit.close()
    report = Measured(first, took, dropped, limit.times, read, written, difference)
    return {name: getattr(report, name) for name in Measured.__slots__}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {"fresh": fresh, "steady": steady}


def _in_own_process(job: str, **arguments: Any) -> Any:
    command = [sys.executable, "-m", "benchmarks.conversion_rounds", job, json.dumps(arguments)]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def measure(key: str) -> Measured:
    """Measure one conversion."""
    if not CONVERSIONS[key].fresh:
        return Measured(**_in_own_process("steady", key=key))
    measured = Measured({OURS: [], THEIRS: []})
    for turn in _turns(FIRST_CALLS):
        for way in turn:
            report = _in_own_process("fresh", key=key, way=way)
            measured.first[way].append(report["took"])
            measured.difference = measured.difference or report["difference"]
            measured.read, measured.written = report["read"], report["written"]
    return measured


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
