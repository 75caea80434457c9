"""Measure the jobs people come with: ``python -m benchmarks.jobs [step]``.

`TARGETS` says what is promised, `STEPS` measures it. Whatever is compared is measured in turns, and the figure is the
median of the pairs' ratios. A put or a load writes into a spare from the third on, as in a service; the first two of
each are not counted.

Traps: a reader's own time varies with the memory that it gets, so compare pairs, not runs. Without compiled ``.pyc``
files (``PYTHONDONTWRITEBYTECODE``) a first `get` takes twice as long: it compiles the modules.

Does not depend on: how it is printed.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks import frames, machine
from benchmarks.copy_limit import CopyLimit
from benchmarks.figures import Figure, Run, Target
from benchmarks.measure import GIB, fresh_folder, seconds
from benchmarks.publishing import write_by_two_threads
from benchmarks.share import figures_table
from benchmarks.workers import ROOT
from colonnade import Store

LOADS, PUTS, FIRST_GETS, OPENS = 7, 9, 9, 301
CSV_ROWS, JSON_ROWS = 1_000_000, 300_000

TARGETS = {
    "load_parquet": Target("load Parquet, against read_table", 1.2, "x", "at most 1.2x"),
    "load_csv": Target("load CSV, against read_csv", 1.2, "x", "at most 1.2x"),
    "load_quoted": Target("load CSV in which every field is quoted", 1.2, "x", "at most 1.2x"),
    "load_json": Target("load JSON lines, against read_json", 1.2, "x", "at most 1.2x"),
    "put_again": Target("put 1 GiB, third to ninth time, against the copy into warm pages", 1.3, "x", "at most 1.3x"),
    "put_pwrite": Target("the same against pwrite by two threads", 1, "x", "never slower: at most 1x"),
    "first_get": Target("first get of a process that has pandas imported", 2, " ms", "at most 2 ms"),
    "open_mixed": Target("open 8 mixed columns, warm", 0.25, " ms", "at most 0.25 ms"),
}


def loads(run: Run) -> dict[str, Figure]:
    """Eight columns of eight kinds, from Parquet, and from CSV and JSON lines as pandas writes them."""
    frame = frames.mixed()
    parquet, *texts = (run.folder / name for name in ("mixed.parquet", "mixed.csv", "quoted.csv", "mixed.json"))
    pq.write_table(pa.Table.from_pandas(frame), parquet)
    frame.iloc[:CSV_ROWS].to_csv(texts[0], index=False)
    frame.iloc[:CSV_ROWS].to_csv(texts[1], index=False, quoting=csv.QUOTE_ALL)
    frame.iloc[:JSON_ROWS].to_json(texts[2], orient="records", lines=True, date_format="iso")
    readers = {
        "load_parquet": (parquet, pq.read_table, len(frame)),
        "load_csv": (texts[0], pyarrow.csv.read_csv, CSV_ROWS),
        "load_quoted": (texts[1], pyarrow.csv.read_csv, CSV_ROWS),
        "load_json": (texts[2], pyarrow.json.read_json, JSON_ROWS),
    }
    return {key: _load(run, *reader) for key, reader in readers.items()}


def _load(run: Run, file: Path, read: Callable[[Path], pa.Table], rows: int) -> Figure:
    store = Store(run.folder / "loads")
    theirs: list[float] = []
    ours: list[float] = []
    for number in range(-2, LOADS):
        reading, table = seconds(read, file)
        assert table.num_rows == rows
        del table
        loading, snapshot = seconds(store.load, "t", file)
        snapshot.close()
        if number >= 0:
            theirs.append(reading)
            ours.append(loading)
    store.delete("t")
    store.gc()
    note = f"{median(ours) * 1e3:.0f} ms against {median(theirs) * 1e3:.0f} ms"
    ratio = median(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Figure(ratio, file.stat().st_size, note)


def puts(run: Run) -> dict[str, Figure]:
    """The 1 GiB frame under one name, in turns with the copy and with pwrite of the stored file's bytes."""
    store, frame = Store(run.folder / "puts"), frames.tall()
    with store.put("a", frame) as snapshot:
        data = memoryview(snapshot.path.read_bytes())
    limit = CopyLimit(GIB, 2)
    took: list[float] = []
    written: list[float] = []
    for number in range(-1, PUTS - 2):
        spent, _ = seconds(lambda: store.put("a", frame).close())
        writing, _ = seconds(write_by_two_threads, run.folder, data)
        (run.folder / "a").unlink()
        if number >= 0:
            took.append(spent)
            written.append(writing)
            limit.measure(number)
    copy = min(map(median, limit.times.values()))
    limit.close()
    all_of_them = ", ".join(f"{spent * 1e3:.0f}" for spent in took)
    return {
        "put_again": Figure(median(took) / copy, GIB, f"{all_of_them} ms against {copy * 1e3:.0f} ms"),
        "put_pwrite": Figure(
            median(mine / other for mine, other in zip(took, written, strict=True)),
            GIB,
            f"into fresh memory each time: {median(written) * 1e3:.0f} ms",
        ),
    }


_FIRST_GET = """
import sys, time
libraries = sys.argv[2].split()
took = {}
for library in libraries:
    start = time.perf_counter()
    __import__(library)
    took[library] = time.perf_counter() - start
store = sys.modules["colonnade"].Store(sys.argv[1])
start = time.perf_counter()
store.get("m")
print(took["colonnade"], time.perf_counter() - start)
"""


def gets(run: Run) -> dict[str, Figure]:
    """The first get of a fresh process, what the import before it takes, and gets of a warm process.

    Without pandas `import colonnade` leaves the modules that make frames to the first get.
    """
    store = Store(run.folder / "gets")
    store.put("m", frames.mixed()).close()
    took: dict[str, list[list[float]]] = {"pyarrow pandas colonnade": [], "pyarrow colonnade pandas": []}
    for _ in range(FIRST_GETS):
        for libraries, times in took.items():
            command = [sys.executable, "-c", _FIRST_GET, str(store.path), libraries]
            times.append([float(each) * 1e3 for each in subprocess.check_output(command, cwd=ROOT, text=True).split()])
    (imported, first), (imported_before, first_after) = (
        [median(each) for each in zip(*times, strict=True)] for times in took.values()
    )
    warm = [seconds(store.get, "m")[0] * 1e3 for _ in range(OPENS)]
    store.delete("m")
    note = f"after an import of {imported:.1f} ms; {first_after:.1f} after {imported_before:.1f} if pandas comes second"
    return {
        "first_get": Figure(first, 0, note),
        "open_mixed": Figure(median(warm), 0, f"least {min(warm):.2f} ms"),
    }


STEPS = (loads, puts, gets)


def main() -> int:
    """Run all steps and print; the exit status says nothing of targets."""
    out = Console()
    figures: dict[str, Figure] = {}
    with fresh_folder("bench") as folder:
        for step in STEPS:
            if sys.argv[1:] and step.__name__ not in sys.argv[1:]:
                continue
            figures |= step(Run(folder))
    for name, fact in machine.facts().items():
        out.print(f"{name:>12}  {fact}", highlight=False)
    out.print(figures_table(figures, {key: TARGETS[key] for key in figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
