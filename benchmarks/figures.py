"""The figures that have targets: `TARGETS` says what is promised, `STEPS` measures it.

Does not depend on: how it is printed.

Each step gives some of the figures; a figure is in the unit of its target. Figures that are compared are measured in
turns in one run, because the speed of a machine changes between runs more than most of these figures differ.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pandas as pd

from benchmarks import frames
from benchmarks.frames import TINY
from benchmarks.machine import copy_speeds
from benchmarks.measure import GIB, MIB, scan, seconds
from benchmarks.rivals.usual import RIVALS
from benchmarks.workers import in_own_process
from colonnade import Store

OPENS, WIDE_OPENS, SMALL, PAIRS, READERS, IMPORTS, PUBLISHES = 301, 31, 301, 9, 5, 11, 3


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: the figure of this key is at most ``limit``, or at ``least``."""

    what: str
    limit: float
    unit: str
    words: str
    least: bool = False


TARGETS = {
    "open_a": Target("open A as pandas, warm process", 0.3, " ms", "at most 0.3 ms"),
    "open_b": Target("open B as pandas, every column zero-copy", 0.3, " ms", "at most 0.3 ms"),
    "open_ratio": Target("open, 1 GiB against 1 MiB of the same columns", 1.5, "x", "within 1.5x"),
    "open_wide": Target("open 10,000 columns x 1,000 rows", 15, " ms", "at most 15 ms"),
    "private": Target("private memory of a reader of all of A", 2, " MiB", "at most 2 MiB"),
    "descriptors": Target("file descriptors held per open frame", 0, "", "0"),
    "put_a": Target("put A, first time, against PyArrow writing it", 1, "x", "faster: below 1x"),
    "put_small": Target("put 1,000 rows x 5 columns", 1, " ms", "at most 1 ms"),
    "get_small": Target("get 1,000 rows x 5 columns", 0.25, " ms", "at most 0.25 ms"),
    "import": Target("import colonnade against import pyarrow", 1.3, "x", "under 1.3x"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured. ``moved`` is how many bytes were copied, or read where reading is the job."""

    value: float
    moved: int
    note: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class RivalFigure:
    """One way to share one frame; seconds and bytes, medians."""

    frame: str
    title: str
    publish: float
    open: float
    private: float
    equal: bool


@dataclass(slots=True)
class Run:
    """One run of it all: where it works, and what the steps leave for each other."""

    folder: Path
    copy: dict[int, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    idle: float = 0.0  # the private memory of a process like the readers that opened nothing
    rivals: list[RivalFigure] = field(default_factory=list)
    limit: float = 0.0  # the seconds that this machine copies 1 GiB in, by two threads

    @property
    def store(self) -> Store:
        """Where the tables are put that the opens are measured with."""
        return Store(self.folder / "store")


def _spread(times: list[float]) -> str:
    """Where the middle eight tenths of some times lie."""
    cuts = quantiles(times, n=10)
    return f"{cuts[0] * 1e3:.3g} to {cuts[-1] * 1e3:.3g} ms"


def _copied_on_open(run: Run, name: str) -> int:
    with run.store.open(name) as snapshot:
        return sum(report.nbytes for report in snapshot.explain() if not report.zero_copy)


def emptied(folder: Path) -> Path:
    """Make a folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


# -- the steps -------------------------------------------------------------------------------------------------------


def put_first(run: Run) -> dict[str, Figure]:
    """The first put of a name in a fresh store, in turns with PyArrow; each deleted outside of the timing."""
    run.copy = copy_speeds()
    frame = run.tables["a"] = frames.tall()
    ways = [RIVALS["colonnade"], RIVALS["arrow_ipc"]]
    times: dict[str, list[float]] = {way.TITLE: [] for way in ways}
    for number in range(PAIRS):
        for way in reversed(ways) if number % 2 else ways:
            folder = emptied(run.folder / "fresh")
            times[way.TITLE].append(seconds(way.publish, folder, "a", frame)[0])
    shutil.rmtree(run.folder / "fresh")
    ours, theirs = times.values()
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    speed = GIB / median(ours)
    one, two = (speed / copy for copy in run.copy.values())
    note = (
        f"{median(ours):.3f} s against {median(theirs):.3f} s; the pairs: {ratios[0]:.2f}x to {ratios[-1]:.2f}x\n"
        f"{speed / GIB:.2f} GiB/s: {one:.0%} of copying with 1 thread, {two:.0%} of copying with 2"
    )
    return {"put_a": Figure(median(ratios), GIB, note)}


def open_tables(run: Run) -> dict[str, Figure]:
    """Open as pandas, in turns."""
    run.tables["b"] = frames.mixed()
    tables = {"a": run.tables["a"], "b": run.tables["b"], "little": frames.little(), "wide": frames.wide()}
    for name, frame in tables.items():
        run.store.put(name, frame).close()
    path = run.store.path
    took = in_own_process("opens", folder=path, names=["little", "a", "b"], rounds=OPENS)
    took |= in_own_process("opens", folder=path, names=["wide"], rounds=WIDE_OPENS)
    middle = {name: median(times) * 1e3 for name, times in took.items()}
    copied = {name: _copied_on_open(run, name) for name in took}
    with run.store.open("b") as snapshot:
        reports = snapshot.explain()
    zero_copy = sum(report.zero_copy for report in reports)
    whole = f"; {zero_copy} of {len(reports)} columns zero-copy"
    return {
        "open_a": Figure(middle["a"], copied["a"], _spread(took["a"])),
        "open_b": Figure(middle["b"], copied["b"], _spread(took["b"]) + whole, zero_copy == len(reports)),
        "open_ratio": Figure(
            middle["a"] / middle["little"], copied["a"], f"{middle['a']:.3f} ms against {middle['little']:.3f} ms"
        ),
        "open_wide": Figure(middle["wide"], copied["wide"], _spread(took["wide"])),
    }


def private_memory_of_readers(run: Run) -> dict[str, Figure]:
    """What a process has to itself that opened A alone and read it, less one that opened nothing."""
    reading: list[int] = []
    idle: list[int] = []
    for _ in range(READERS):
        for names, figures in (([], idle), (["a"], reading)):
            report = in_own_process("reader", rival="colonnade", folder=run.store.path, names=names)
            figures.append(report["private"])
    run.idle = median(idle)
    note = f"{median(reading) / MIB:.1f} MiB against {run.idle / MIB:.1f} MiB"
    return {"private": Figure((median(reading) - run.idle) / MIB, GIB, note)}


def descriptors(run: Run) -> dict[str, Figure]:
    """What /proc/self/fd counts."""
    count = 20
    each = in_own_process("descriptors", folder=run.store.path, name="a", count=count)
    return {"descriptors": Figure(each, 0, f"with {count} frames of A open")}


def small_frames(run: Run) -> dict[str, Figure]:
    """Put and get, over and over under one name."""
    took = in_own_process("small", folder=run.store.path, rounds=SMALL)
    with run.store.open("small") as snapshot:
        size = snapshot.nbytes
    return {
        "put_small": Figure(median(took["put"]) * 1e3, size, _spread(took["put"])),
        "get_small": Figure(median(took["get"]) * 1e3, _copied_on_open(run, "small"), _spread(took["get"])),
    }


def imports(_: Run) -> dict[str, Figure]:
    """Whole processes that import, less ones that import nothing."""
    times: dict[str, list[float]] = {"pass": [], "import pyarrow": [], "import colonnade": []}
    for number in range(-1, IMPORTS):
        for statement, took in times.items():
            spent, _status = seconds(subprocess.check_call, [sys.executable, "-c", statement])
            if number >= 0:
                took.append(spent)
    empty, pyarrow, colonnade = (median(took) for took in times.values())
    ours, theirs = colonnade - empty, pyarrow - empty
    note = f"{ours * 1e3:.0f} ms against {theirs * 1e3:.0f} ms, less the {empty * 1e3:.0f} ms of a bare interpreter"
    return {"import": Figure(ours / theirs, 0, note)}


def rivals(run: Run) -> dict[str, Figure]:
    """Publish A and B in each way in turns, and read the last of each in processes of their own."""
    shutil.rmtree(run.store.path)
    for name in ("a", "b"):
        frame = run.tables.pop(name)
        sums = scan(frame)
        publishing: dict[str, list[float]] = {key: [] for key in RIVALS}
        reports: dict[str, list[dict[str, Any]]] = {key: [] for key in RIVALS}
        for number in range(PUBLISHES):
            for key, rival in RIVALS.items():
                folder = emptied(run.folder / key)
                took, _ = seconds(rival.publish, folder, name, frame)
                publishing[key].append(took)
                if number == PUBLISHES - 1:
                    rival.publish(folder, "tiny", TINY)
                    for _reader in range(3):
                        reports[key].append(in_own_process("reader", rival=key, folder=folder, names=["tiny", name]))
                shutil.rmtree(folder)
        run.rivals += [
            RivalFigure(
                name.upper(),
                RIVALS[key].TITLE,
                median(publishing[key]),
                median(report["open"] for report in reports[key]),
                median(report["private"] for report in reports[key]) - run.idle,
                all(report["sums"] == sums for report in reports[key]),
            )
            for key in RIVALS
        ]
    return {}


STEPS: Iterable[Callable[[Run], dict[str, Figure]]] = (
    put_first,
    open_tables,
    private_memory_of_readers,
    descriptors,
    small_frames,
    imports,
    rivals,
)
