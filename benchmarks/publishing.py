"""What publishing promises: first puts, puts again, puts under readers, tables filled in place, first scans.

Does not depend on: how it is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import frames
from benchmarks.copy_limit import CopyLimit
from benchmarks.figures import Figure, Run, Target, emptied
from benchmarks.measure import GIB, seconds
from benchmarks.workers import in_own_process, started
from colonnade import Store

FIRST, AGAIN, READERS, BUSY, SCANS, FILLED = 9, 15, 4, 12, 7, 9

TARGETS = {
    "put_first": Target(
        "put A, first time, against pwrite of the same bytes", 1, "x", "at least its rate: 1x", least=True
    ),
    "put_again": Target("put A again and again, same name", 0.6, " of the copy limit", "at least 0.6", least=True),
    "put_busy": Target("the same, 4 readers scan each version", 0.4, " of the copy limit", "at least 0.4", least=True),
    "put_memory": Target("memory of the store meanwhile, at most", 3, " segments", "at most 3"),
    "first_scan": Target("first scan of A by a new reader, against 4 KiB pages", 2, "x", "at least 2x", least=True),
    "filled": Target("publish A filled in place, nulls=False", 2, " ms", "at most 2 ms"),
}


def _limit(limit: CopyLimit) -> float:
    return min(map(median, limit.times.values()))


def _spread(times: list[float]) -> str:
    return f"{min(times) * 1e3:.0f} to {max(times) * 1e3:.0f} ms"


def first_put(run: Run) -> dict[str, Figure]:
    """A fresh name in a fresh store, in turns with two threads that write the stored file's bytes with pwrite."""
    frame = run.tables["a"] = frames.tall()
    folder = emptied(run.folder / "first")
    with Store(folder / "source").put("a", frame) as snapshot:
        data = memoryview(snapshot.path.read_bytes())
    shutil.rmtree(folder)
    times: dict[Callable[[Path], None], list[float]] = {
        lambda where: write_by_two_threads(where, data): [],
        lambda where: Store(where).put("a", frame).close(): [],
    }
    for number in range(FIRST):
        for way in reversed(times) if number % 2 else list(times):
            times[way].append(seconds(way, emptied(folder))[0])
    shutil.rmtree(folder)
    theirs, ours = times.values()
    ratios = sorted(other / mine for mine, other in zip(ours, theirs, strict=True))
    note = (
        f"{median(ours) * 1e3:.0f} ms against {median(theirs) * 1e3:.0f} ms; "
        f"the pairs: {ratios[0]:.2f}x to {ratios[-1]:.2f}x"
    )
    return {"put_first": Figure(median(ratios), len(data), note)}


def write_by_two_threads(folder: Path, data: memoryview) -> None:
    """Write a file as the kernel's interface for it is used best: threads, pieces of 1 MiB, no name until the end."""
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    try:
        os.ftruncate(fd, len(data))
        middle = len(data) // 2

        def write(start: int, stop: int) -> None:
            for at in range(start, stop, 1 << 20):
                os.pwrite(fd, data[at : min(at + (1 << 20), stop)], at)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(write, (0, middle), (middle, len(data))))
        os.link(f"/proc/self/fd/{fd}", folder / "a", src_dir_fd=fd, follow_symlinks=True)
    finally:
        os.close(fd)


def put_again(run: Run) -> dict[str, Figure]:
    """The next version of a name, over and over, in turns with the copy limit."""
    store, frame = Store(run.folder / "again"), run.tables["a"]
    limit = CopyLimit(GIB, 2)
    took: list[float] = []
    for number in range(-3, AGAIN):
        spent, _ = seconds(lambda: store.put("a", frame).close())
        if number >= 0:
            limit.measure(number)
            took.append(spent)
    run.limit = _limit(limit)
    share = run.limit / median(took)
    limit.close()
    note = f"{median(took) * 1e3:.1f} ms ({_spread(took)}) against {share * median(took) * 1e3:.1f} ms"
    return {"put_again": Figure(share, GIB, note)}


def put_under_readers(run: Run) -> dict[str, Figure]:
    """The same while readers take each version, read every value of it and release it.

    The limit is the one from before, when nobody else ran. What copying reaches between the puts is reported too.
    """
    store, frame = Store(run.folder / "again"), run.tables["a"]
    limit = CopyLimit(GIB, 2)
    (size,) = (segment.nbytes for segment in store.usage().of("newest"))
    took: list[float] = []
    nbytes: list[int] = []
    with ExitStack() as stack:
        readers = [stack.enter_context(started("scans", folder=store.path, name="a")) for _ in range(READERS)]
        for reader in readers:
            assert reader.stdout is not None
            reader.stdout.readline()
        for number in range(-2, BUSY):
            spent, _ = seconds(lambda: store.put("a", frame).close())
            nbytes.append(store.usage().nbytes)
            if number >= 0:
                took.append(spent)
                limit.measure(number)
        reports = [json.loads(reader.communicate("stop\n")[0]) for reader in readers]
    share, busy_share = run.limit / median(took), _limit(limit) / median(took)
    limit.close()
    scans = sum(report["scans"] for report in reports)
    equal = all(report["equal"] for report in reports)
    note = (
        f"{median(took) * 1e3:.0f} ms ({_spread(took)}); {busy_share:.2f} of what copying reaches beside the readers\n"
        f"{scans} scans by {READERS} readers, {'every sum equal' if equal else 'SUMS DIFFER'}"
    )
    shutil.rmtree(store.path)
    return {
        "put_busy": Figure(share, GIB, note, equal),
        "put_memory": Figure(
            max(nbytes) / size, max(nbytes), f"median {median(nbytes) / size:.2f}, after each of the puts"
        ),
    }


def first_scan(run: Run) -> dict[str, Figure]:
    """A new process opens A and reads it: the segment as it was put, and a copy of the file in pages of 4 KiB."""
    store = Store(run.folder / "scan")
    path = store.put("huge", run.tables["a"]).path
    shutil.copyfile(path, path.with_name("small.arrow"))
    times: dict[str, list[float]] = {"huge": [], "small": []}
    for number in range(SCANS):
        for name in reversed(times) if number % 2 else list(times):
            times[name].append(in_own_process("first_scan", folder=store.path, name=name))
    shutil.rmtree(store.path)
    huge, small = times.values()
    note = f"{median(huge) * 1e3:.0f} ms against {median(small) * 1e3:.0f} ms, opening included"
    return {"first_scan": Figure(median(small) / median(huge), GIB, note)}


def filled(run: Run) -> dict[str, Figure]:
    """The end of a block that filled A in place, a reference to a column held, as users do."""
    store = Store(run.folder / "filled")
    columns = run.tables["a"].columns
    took: list[float] = []
    for number in range(-2, FILLED):
        with store.allocate("a", dict.fromkeys(columns, "float64"), rows=len(run.tables["a"]), nulls=False) as draft:
            for label in draft:
                draft[label][:] = number
            column = draft[columns[0]]
            start = time.perf_counter()
        if number >= 0:
            took.append(time.perf_counter() - start)
        del column
    shutil.rmtree(store.path)
    return {"filled": Figure(median(took) * 1e3, 0, f"{min(took) * 1e3:.2f} to {max(took) * 1e3:.2f} ms")}


STEPS = (first_put, put_again, put_under_readers, first_scan, filled)
