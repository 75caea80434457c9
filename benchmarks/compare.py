"""Compare ways to give a DataFrame to another process: ``python -m benchmarks.compare``, or ``make bench-rivals``.

Every way does the same job. One process publishes a frame into shared memory. Processes that were started separately
open it *as pandas*, read every value, and write one cell. The ways take turns. Each reader is a new process that has
imported everything and has opened a tiny frame before. What arrives is compared with what left.

Each run adds its figures to ``build/rivals/figures.json``, so a long measurement can be made in parts:
``--workloads``, ``--rivals``, ``--rounds``. ``--fresh`` begins anew, and ``--publish`` writes what has been collected
to ``benchmarks/results`` and draws the tables and plots of the pages (`benchmarks.compare_pages`).

Does not depend on: how a way works; each is a module of `benchmarks.rivals`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
import psutil

from benchmarks import frames
from benchmarks.compare_turn import Figures, turn
from benchmarks.environments import FOLDER, NotInstalledError, python_for
from benchmarks.machine import copy_speeds, facts
from benchmarks.rivals import NAMES, rival

ROOT = Path(__file__).parent.parent
FIGURES = FOLDER / "figures.json"
LONG = 10  # seconds; a way whose first turn took longer has no further one
READERS = 8
SURVIVAL = "multi_index"  # where the kills are tried: nearly all ways can open it
WORKLOADS: dict[str, Callable[[], pd.DataFrame]] = {
    "numbers": frames.tall,
    "mixed": frames.mixed,
    "flights": frames.flights,
    "wide": frames.wide,
    "strings": frames.strings,
    "small": frames.small,
    "multi_index": frames.multi_index,
}
# Scaling: what is measured with frames of growing size, by these.
SCALED = ["colonnade_", "joblib_", "pickle5_", "arrow_ipc", "ray_"]
ROWS_MIB = (1, 16, 256, 1024, 4096)
COLUMNS = (1, 100, 1_000, 10_000)
MANY_READERS = 16


def touch_memory() -> None:
    """Write half of the machine's free memory once, and free it.

    A virtual machine that is new gets its memory from its host when it is written to for the first time. The first way
    to be measured would pay for that: its first publish took 5.1 s, and 0.75 s in the next round.
    """
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.posix_fallocate(file.fileno(), 0, psutil.virtual_memory().available // 2)


def merged(old: Figures, new: Figures) -> Figures:
    """Samples are added to samples. The rest stays that of the first round, which has all readers.

    The time of a turn and an error are those of the last one.
    """
    result = new | old | {key: new[key] for key in ("took", "error") if key in new}
    for key, value in new.items():
        if isinstance(value, list):
            result[key] = old.get(key, []) + value
        elif isinstance(value, dict):
            result[key] = value | old.get(key, {})
    return result


@contextlib.contextmanager
def frame_file(make: Callable[[], pd.DataFrame]) -> Iterator[Path]:
    """The frame as a pickle on disk, for the publishers to load and for readers to compare with."""
    with tempfile.NamedTemporaryFile(dir=FOLDER, suffix=".pickle") as file:
        pickle.dump(make(), file, pickle.HIGHEST_PROTOCOL)
        file.flush()
        yield Path(file.name)


class Collected:
    """The figures of this and of earlier runs, saved after each turn."""

    def __init__(self, fresh: bool) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for frame in FOLDER.glob("*.pickle"):  # of a run that was killed
            frame.unlink()
        self.all: Figures = {}
        if FIGURES.exists() and not fresh:
            self.all = json.loads(FIGURES.read_text())
        self.all["machine"] = facts()
        self.all.setdefault("copy", [])
        self.all.setdefault("workloads", {})
        self.all.setdefault("scaling", {"rows": {}, "columns": {}, "readers": {}})

    def copied(self) -> None:
        """Measure this machine's own copying, in the same run."""
        self.all["copy"].append({str(threads): speed for threads, speed in copy_speeds().items()})
        self.save()

    def add(self, place: Figures, name: str, figures: Figures) -> None:
        place[name] = merged(place.get(name, {}), figures)
        self.save()

    def save(self) -> None:
        FIGURES.write_text(json.dumps(self.all, indent=1) + "\n")


def measure(collected: Collected, workloads: list[str], names: list[str], number: int, until: float) -> None:
    """One round: all ways, in turns, on every workload. In the first round a way has eight readers, later two.

    Later rounds are for ways that take little time, and end when the time is over.
    """
    collected.copied()
    for workload in workloads:
        place = collected.all["workloads"].setdefault(workload, {})

        def wanted(name: str, place: Figures = place) -> bool:
            """Whether it is measured: what failed once has its figure, and so has what is slow."""
            took = place.get(name, {}).get("took", 0)
            again = not number or (took < LONG and time.monotonic() + took < until)
            return again and "error" not in place.get(name, {})

        if not any(map(wanted, names)):
            continue
        with frame_file(WORKLOADS[workload]) as file:
            for name in filter(wanted, names[number % len(names) :] + names[: number % len(names)]):
                readers = 2 if number else READERS
                survival = workload == SURVIVAL and not number
                collected.add(place, name, turn(name, file, readers, survival=survival))
                report(workload, name, place[name])


def report(what: str, name: str, figures: Figures) -> None:
    """One line a turn, on stderr."""
    print(f"{what}: {rival(name).TITLE}, {figures['took']} s {figures.get('error', '')}", file=sys.stderr, flush=True)


def scale(collected: Collected, names: list[str]) -> None:
    """Open frames of more and more rows, columns, readers. Of the largest there is not memory for many readers."""
    shapes: list[tuple[str, int, Callable[[], pd.DataFrame], int]] = []
    shapes += [("rows", mib, partial(frames.frame_of_2016, mib << 20), 1) for mib in ROWS_MIB]
    shapes += [("columns", count, partial(frames.wide, count), 2) for count in COLUMNS]
    shapes += [("readers", MANY_READERS, frames.mixed, MANY_READERS)]
    for kind, size, make, readers in shapes:
        place = collected.all["scaling"][kind].setdefault(str(size), {})
        with frame_file(make) as file:
            for name in names:
                collected.add(place, name, turn(name, file, readers, publishes=1))
                report(f"{kind} {size}", name, place[name])


def main() -> None:
    """Measure what was asked for, and publish if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--minutes",
        type=float,
        default=60,
        help="rounds after the first end when they are over; installing the rivals does not count",
    )
    parser.add_argument("--workloads", nargs="*", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rivals", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--scaling", action="store_true", help="also open frames of growing size")
    parser.add_argument("--fresh", action="store_true", help="forget the figures of earlier runs")
    parser.add_argument("--publish", action="store_true", help="write the results, and draw the pages")
    parser.add_argument("--draw", type=Path, help="only draw the pages from a file of benchmarks/results")
    options = parser.parse_args()
    if options.draw:
        from benchmarks.compare_pages import draw

        draw(json.loads(options.draw.read_text()))
        return
    for name in options.rivals:
        with contextlib.suppress(NotInstalledError):  # its figure, when it has its turn
            python_for(name)
    start = time.monotonic()
    collected = Collected(options.fresh)
    touch_memory()
    for number in range(options.rounds):
        measure(collected, options.workloads, options.rivals, number, start + 60 * options.minutes)
        if options.scaling and number == 0:
            scale(collected, [name for name in SCALED if name in options.rivals])
    if options.publish:
        publish(collected.all)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes", file=sys.stderr)


def publish(figures: Figures) -> None:
    """Write the file of results in the place of the one before, and draw the pages."""
    from benchmarks.compare_pages import draw

    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("20*.json"):  # its figures are on no page any more
        old.unlink()
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    (folder / f"{date}.json").write_text(json.dumps(figures | {"date": date}, indent=1) + "\n")
    draw(figures | {"date": date})


if __name__ == "__main__":
    main()
