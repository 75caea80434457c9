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
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks import frames
from benchmarks.environments import FOLDER, NotInstalledError, python_for
from benchmarks.machine import copy_speeds, facts
from benchmarks.rivals import NAMES, rival, serving

ROOT = Path(__file__).parent.parent
FIGURES = FOLDER / "figures.json"
PATIENCE = 60  # seconds for one step of a process
ENOUGH = 10  # seconds of reading in one turn; after them no further reader opens
READERS = (1, 2, 4, 8)
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
COLUMNS = (1, 10, 100, 1_000, 10_000)
MANY_READERS = 16
Figures = dict[str, Any]


class FailedError(Exception):
    """A process of a rival reported an error, ended, or took too long."""


class Worker:
    """A process of `benchmarks.compare_process`."""

    def __init__(self, python: str, role: str, name: str, folder: Path, file: Path) -> None:
        command = [python, "-m", "benchmarks.compare_process", role, name, str(folder), str(file)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True
        )
        self._ready = False

    def ready(self) -> Worker:
        """Wait until it has imported everything and opened a tiny frame."""
        if not self._ready:
            self._answer()
            self._ready = True
        return self

    def do(self, command: str) -> Figures:
        self.ready()
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise FailedError("the process has ended") from error
        return self._answer()

    def _answer(self) -> Figures:
        output = self._process.stdout
        if not output or output.closed:
            raise FailedError("the process was killed")
        if not select.select([output], [], [], PATIENCE)[0]:
            self.kill()
            raise FailedError(f"no answer within {PATIENCE} s")
        line = output.readline()
        if not line:
            code = self._process.wait()
            raise FailedError(f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
        answer: Figures = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def shared_memory() -> int:
    """The bytes of shared memory on this machine: tmpfs files, mapped or not, and segments without a name."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Shmem:"))


def touch_memory() -> None:
    """Write half of the machine's free memory once, and free it.

    A virtual machine that is new gets its memory from its host when it is written to for the first time. The first way
    to be measured would pay for that: its first publish took 5.1 s, and 0.75 s in the next round.
    """
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.posix_fallocate(file.fileno(), 0, psutil.virtual_memory().available // 2)


class Turn:
    """One turn of one rival on one frame: a publisher, readers, and a folder for both."""

    def __init__(self, name: str, folder: Path, file: Path) -> None:
        self._name, self._folder, self._file = name, folder, file
        self._python = python_for(name)
        self._workers: list[Worker] = []
        self.figures: Figures = {}

    def _worker(self, role: str) -> Worker:
        self._workers.append(Worker(self._python, role, self._name, self._folder, self._file))
        return self._workers[-1]

    def run(self, readers: int, publishes: int, survival: bool) -> None:
        """Measure; what was measured before an error stays in `figures`. With one reader, no frames are compared."""
        try:
            publisher = self._worker("publisher").ready()
            before = shared_memory()
            waiting = [self._worker("reader") for _ in range(readers)]
            times = [publisher.do("publish")["seconds"] for _ in range(publishes)]
            self.figures |= {"publish": times[:1], "again": times[2:]}
            for worker in waiting:
                worker.ready()
            before_readers = shared_memory()
            reading = self._read(waiting, before_readers - before if before_readers > before else 0)
            if survival:
                self.figures["survival"] = self._survive(publisher, reading)
        except FailedError as error:
            self.figures["error"] = str(error)
        finally:
            for worker in self._workers:
                worker.kill()

    def _read(self, readers: list[Worker], shared: int) -> list[Worker]:
        """Let one after the other open and scan it, at least two of many. Gives those that did."""
        private = 0
        end = time.monotonic() + ENOUGH
        figures: Figures = {key: [] for key in ("open", "scan", "private", "cell")}
        machine: dict[str, int] = {}
        self.figures |= figures | {"machine": machine}
        for count, reader in enumerate(readers, 1):
            if count > 2 and time.monotonic() > end:
                readers = readers[: count - 1]
                break
            seen = reader.do("open")
            for key in ("open", "scan", "private"):
                figures[key].append(seen[key])
            private += seen["private"]
            machine[str(count)] = shared + private
        if len(readers) > 1:
            found = readers[-1].do("compare")
            self.figures["dtypes"] = found["dtypes"]
            if found["values"]:
                self.figures["error"] = f"other values: {', '.join(found['values'][:6])}"
        written = readers[-1].do("write")
        figures["cell"].append(written["cell"])
        if written.get("refused"):
            self.figures["refused"] = written["refused"]
        if len(readers) > 1:
            self.figures["seen by others"] = readers[0].do("read") != {"number": seen["number"]}
        return readers

    def _survive(self, publisher: Worker, readers: list[Worker]) -> dict[str, bool]:
        def opens() -> bool:
            try:
                self._worker("reader").do("open")
            except FailedError:
                return False
            return True

        survival = {}
        readers[-1].kill()
        survival["a reader is killed: new readers open it"] = opens()
        publisher.kill()
        time.sleep(0.2)
        try:
            readers[0].do("read")
            survival["the publisher is killed: readers read on"] = True
        except FailedError:
            survival["the publisher is killed: readers read on"] = False
        survival["the publisher is killed: new readers open it"] = opens()
        return survival


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder in shared memory, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rivals-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def turn(name: str, file: Path, readers: int, publishes: int = 3, survival: bool = False) -> Figures:
    """One turn; errors are part of what it gives."""
    with shared_folder() as folder:
        try:
            measured = Turn(name, folder, file)
        except NotInstalledError as error:
            return {"error": str(error)}
        python = sys.executable
        sys.executable = python_for(name)  # a server runs in the rival's own environment
        try:
            with serving(name, folder):
                sys.executable = python
                measured.run(readers, publishes, survival)
        except (OSError, subprocess.SubprocessError) as error:
            measured.figures["error"] = f"its server does not start: {error}"
        finally:
            sys.executable = python
        return measured.figures


def merged(old: Figures, new: Figures) -> Figures:
    """Samples are added to samples; for everything that is not a list, the first round's stay: it has all readers."""
    result = old | new
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
    """One round: all ways, in turns, on every workload. A way's first turn has eight readers and the kills, others two.

    A round that is not the first ends when its time is over.
    """
    for workload in workloads:
        place = collected.all["workloads"].setdefault(workload, {})
        collected.copied()
        with frame_file(WORKLOADS[workload]) as file:
            for name in names[number % len(names) :] + names[: number % len(names)]:
                if "error" in place.get(name, {}) or (number and time.monotonic() > until):
                    continue  # it failed once, and that is its figure
                start = time.monotonic()
                first = "survival" not in place.get(name, {})
                collected.add(place, name, turn(name, file, READERS[-1] if first else 2, survival=first))
                report(workload, rival(name).TITLE, start, place[name])


def report(what: str, title: str, start: float, figures: Figures) -> None:
    """One line a turn, on stderr."""
    end = figures.get("error", "")
    print(f"{what}: {title}, {time.monotonic() - start:.1f} s {end}", file=sys.stderr, flush=True)


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
                start = time.monotonic()
                collected.add(place, name, turn(name, file, readers, publishes=1))
                report(f"{kind} {size}", rival(name).TITLE, start, place[name])


def main() -> None:
    """Measure what was asked for, and publish if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60, help="rounds after the first end when they are over")
    parser.add_argument("--workloads", nargs="*", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rivals", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--scaling", action="store_true", help="also open frames of growing size")
    parser.add_argument("--fresh", action="store_true", help="forget the figures of earlier runs")
    parser.add_argument("--publish", action="store_true", help="write the results, and draw the pages")
    parser.add_argument("--draw", type=Path, help="only draw the pages from a file of benchmarks/results")
    options = parser.parse_args()
    from benchmarks.compare_pages import draw

    if options.draw:
        draw(json.loads(options.draw.read_text()))
        return
    collected = Collected(options.fresh)
    until = time.monotonic() + 60 * options.minutes
    touch_memory()
    for number in range(options.rounds):
        measure(collected, options.workloads, options.rivals, number, until)
        if options.scaling and number == 0:
            scale(collected, [name for name in SCALED if name in options.rivals])
    if options.publish:
        file = ROOT / "benchmarks" / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"
        file.parent.mkdir(exist_ok=True)
        collected.all["date"] = file.stem
        file.write_text(json.dumps(collected.all, indent=1) + "\n")
        draw(collected.all)


if __name__ == "__main__":
    main()
