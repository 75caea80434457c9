"""Compare ways to give a DataFrame to another process: ``python -m benchmarks.against [--rounds 5] [--write]``.

Every way does the same job. One process publishes a frame into shared memory. A process that was started separately
opens it *as pandas*, reads every value, and writes one cell. The ways take turns, and each reader is a new process
that has imported everything and has opened a tiny frame before. A time is the least of all readers, because other
programs on the machine can only add to it; memory is the median. The frame that arrives is compared with the one that
left.

``--write`` stores the figures under ``benchmarks/results`` and puts the tables into the pages that show them;
``--show FILE`` draws the tables of stored figures again.

Does not depend on: how a way works; each is a module of `benchmarks.rivals`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
WAYS = ["colonnade_", "joblib_", "pickle5_", "arrow_ipc", "pickle_", "parquet_"]
PAGES = [ROOT / "docs" / "comparison.md", ROOT / "README.md"]
MEASURES = {
    "publish": ("first publish", 1e3, "ms"),
    "again": ("publish again", 1e3, "ms"),
    "open": ("open as pandas", 1e3, "ms"),
    "scan": ("first read of every value", 1e3, "ms"),
    "private": ("private memory of a reader", 1e-6, "MB"),
}
STEP = 4096  # values that are looked at together
ON_PAGES = ["open", "private"]  # publishing and scanning copy gigabytes: a busy machine tells nothing about them
Figures = dict[str, list[float]]
Result = dict[str, Figures]


def workloads() -> dict[str, Callable[[], pd.DataFrame]]:
    """The frames, made by the publisher when they are needed."""
    from benchmarks.frames import mixed, tall

    return {"mixed": mixed, "numbers": tall}


def way_of(name: str) -> Any:
    """The module of a way."""
    return importlib.import_module(f"benchmarks.rivals.{name}")


def digest(frame: pd.DataFrame) -> list[int]:
    """Read every value of a frame. Equal frames give equal numbers. No temporary is large enough to count as memory."""
    numbers = []
    for label in frame.columns:
        column = frame[label]
        if isinstance(column.dtype, pd.CategoricalDtype):
            # The order of the categories is a way's own; what a row says is not.
            lengths = np.array([len(category) + 1000 * int(category[-1]) for category in column.cat.categories])
            codes = column.cat.codes.to_numpy()
            numbers.append(sum(int(lengths[codes[i : i + STEP]].sum()) for i in range(0, len(codes), STEP)))
        elif isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufmM":
            words = column.to_numpy().view(f"u{column.dtype.itemsize}")
            numbers.append(int(words.sum(dtype=np.uint64)))
        elif hasattr(column.array, "__arrow_array__"):
            import pyarrow as pa

            array = pa.array(column.array)
            chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
            numbers += [sum(each) for each in zip(*map(bytes_of_text, chunks), strict=True)]
        else:
            numbers.append(int(column.count()))
    return numbers


def bytes_of_text(array: Any) -> tuple[int, int]:
    """How many bytes an Arrow string array has, and their sum; every offset is read too."""
    _, places, text = array.buffers()
    wide = "q" if str(array.type).startswith("large") else "i"
    offsets = np.frombuffer(places, np.dtype(wide))[array.offset : array.offset + len(array) + 1]
    assert all((offsets[i : i + STEP][:-1] <= offsets[i + 1 : i + STEP]).all() for i in range(0, len(offsets), STEP))
    used = np.frombuffer(text, "u1")[offsets[0] : offsets[-1]]
    return len(used), int(used.sum(dtype=np.uint64))


def private_memory() -> int:
    """The bytes that this process shares with nobody."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous"))


def reader(way_name: str, folder: Path) -> None:
    """Be a reader, and report as JSON."""
    way = way_of(way_name)
    tiny = way.load(folder, "tiny")
    digest(tiny)
    print("ready", flush=True)
    sys.stdin.readline()
    digest(way.load(folder, "tiny"))
    before = private_memory()
    start = time.perf_counter()
    frame = way.load(folder, "frame")
    opened = time.perf_counter()
    numbers = digest(frame)
    read = time.perf_counter()
    private = private_memory() - before
    try:
        frame.iloc[0, frame.columns.get_loc(frame.columns[0])] = 0
        writable = True
    except ValueError:
        writable = False
    dtypes = [str(dtype) for dtype in frame.dtypes]
    report = {"open": opened - start, "scan": read - opened, "private": max(private, 0)}
    print(json.dumps({**report, "digest": numbers, "dtypes": dtypes, "writable": writable}))


def read(way_name: str, frame: pd.DataFrame, expected: list[int], folder: Path) -> dict[str, float]:
    """Let one new process open the frame, and check what it got."""
    command = [sys.executable, "-m", "benchmarks.against", "--reader", way_name, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise OSError(f"a reader of {way_name} failed; what it said stands above")
        report = json.loads(process.communicate("go\n")[0])
    if report["digest"] != expected or report["dtypes"] != [str(dtype) for dtype in frame.dtypes]:
        raise ValueError(f"{way_name} gave another frame back: {report['dtypes']}")
    if not report["writable"]:
        raise ValueError(f"the frame of {way_name} cannot be written to")
    return {key: report[key] for key in ("open", "scan", "private")}


def one_turn(way_name: str, frame: pd.DataFrame, expected: list[int], folder: Path, readers: int) -> Figures:
    """Publish into an empty folder, twice again, and let new processes read, one after the other."""
    way = way_of(way_name)
    way.publish(folder, "tiny", frame.iloc[:10].copy())
    times = []
    for _ in range(3):
        start = time.perf_counter()
        way.publish(folder, "frame", frame)
        times.append(time.perf_counter() - start)
    reports = [read(way_name, frame, expected, folder) for _ in range(readers)]
    seen = {key: [report[key] for report in reports] for key in reports[0]}
    return {"publish": times[:1], "again": times[2:], **seen}


def measure(rounds: int, readers: int, names: list[str], ways: list[str]) -> dict[str, Result]:
    """All ways, in turns, on every workload."""
    results: dict[str, Result] = {}
    for workload in names:
        frame = workloads()[workload]()
        expected = digest(frame)
        results[workload] = {name: {key: [] for key in MEASURES} for name in ways}
        for turn in range(rounds):
            for name in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                folder = Path(tempfile.mkdtemp(prefix="colonnade-against-", dir="/dev/shm"))
                try:
                    for key, values in one_turn(name, frame, expected, folder, readers).items():
                        results[workload][name][key] += values
                finally:
                    shutil.rmtree(folder)
                print(workload, way_of(name).TITLE, "round", turn + 1, file=sys.stderr, flush=True)
    return results


def shown(value: float, unit: str) -> str:
    """Three digits of a figure, and its unit."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}" if value >= 0.005 else f"0 {unit}"


def cell(values: list[float], key: str) -> str:
    """The least of times, the median of bytes."""
    _, scale, unit = MEASURES[key]
    return shown((median if key == "private" else min)(values) * scale, unit)


def table(result: Result, measures: Collection[str]) -> str:
    """A Markdown table, one row for each way."""
    lines = ["| way | " + " | ".join(MEASURES[key][0] for key in measures) + " |"]
    lines.append("| --- |" + " --- |" * len(measures))
    for name, figures in result.items():
        lines.append(f"| {way_of(name).TITLE} | " + " | ".join(cell(figures[key], key) for key in measures) + " |")
    return "\n".join(lines)


def front(results: dict[str, Result]) -> str:
    """Three figures for the front page: ours, the strongest rival's, and what PyArrow's own documentation advises."""
    ways = {"Colonnade": "colonnade_", "joblib, `mmap_mode='c'`": "joblib_", "Arrow IPC file": "arrow_ipc"}
    lines = ["| | " + " | ".join(ways) + " |", "| --- |" + " --- |" * len(ways)]
    rows = [
        ("open 5 million mixed rows as pandas", "mixed", "open"),
        ("private memory of each reader of them", "mixed", "private"),
        ("private memory of each reader of 1 GiB of numbers", "numbers", "private"),
    ]
    for title, workload, key in rows:
        cells = [cell(results[workload][name][key], key) for name in ways.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fill(page: Path, tables: dict[str, str]) -> None:
    """Put each table between its marks on a page."""
    text = page.read_text()
    for key, lines in tables.items():
        begin, end = f"<!-- figures {key} -->", "<!-- end -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            text = f"{head}{begin}\n\n{lines}\n\n{end}{rest.partition(end)[2]}"
    page.write_text(text)


def main() -> None:
    """Measure, print the tables, and write them where they are shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, default=3, help="of each way in each round")
    parser.add_argument("--workloads", nargs="+", choices=list(workloads()), default=list(workloads()))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", type=Path, help="a file of benchmarks/results")
    parser.add_argument("--reader", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        reader(options.reader[0], Path(options.reader[1]))
        return
    from benchmarks.machine import facts

    if options.show:
        stored = json.loads(options.show.read_text())
        machine, results = stored["machine"], stored["results"]
    else:
        machine = facts()
        results = measure(options.rounds, options.readers, options.workloads, options.ways)
    for key, result in results.items():
        print(f"\n{key}\n\n{table(result, MEASURES)}")
    tables = {key: table(result, ON_PAGES) for key, result in results.items()}
    if set(results) == set(workloads()):
        tables["front"] = front(results)
    tables["machine"] = ", ".join(f"{key} {value}" for key, value in machine.items())
    for key, lines in tables.items():
        print(f"\n{key}\n\n{lines}")
    if options.write:
        if not options.show:
            file = ROOT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-against.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
        for page in PAGES:
            fill(page, tables)


if __name__ == "__main__":
    main()
