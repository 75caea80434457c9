"""Measure how tables get from one process to another: ``python -m benchmarks.handoff``.

`TARGETS` says what is promised, `STEPS` measures it.
Does not depend on: how it is printed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console

if not __package__:  # run as a file: then Python looks for modules beside it, and not for the package it is in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import arrays, frames, machine
from benchmarks.figures import Figure, Run, Target
from benchmarks.handoff_pool import TARGETS as POOL_TARGETS
from benchmarks.handoff_pool import pool_figures
from benchmarks.measure import fresh_folder
from benchmarks.share import figures_table
from benchmarks.workers import started

WATCHED, WARM = 201, 5

TARGETS = {
    **POOL_TARGETS,
    "watch": Target("from put returning to a watcher in another process holding the frame", 2, " ms", "under 2 ms"),
    **arrays.TARGETS,
}


def put_to_watcher(run: Run) -> dict[str, Figure]:
    """Put a small table again and again; a watcher that waits tells when it has the frame, by the same clock."""
    frame = frames.small()
    store = run.store
    after: list[float] = []
    whole: list[float] = []
    size = 0
    with started("watches", folder=store.path, name="watched") as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        for number in range(-WARM, WATCHED):
            time.sleep(0.005)  # it waits by then
            began = time.monotonic()
            snapshot = store.put("watched", frame)
            returned = time.monotonic()
            version, held, rows = json.loads(watcher.stdout.readline())
            assert (version, rows) == (snapshot.version, len(frame))
            size = snapshot.nbytes
            snapshot.close()
            if number >= 0:
                after.append((held - returned) * 1e3)
                whole.append((held - began) * 1e3)
        store.delete("watched")
        assert json.loads(watcher.stdout.read()) == WATCHED + WARM
    cuts = quantiles(after, n=10)
    note = (
        f"{cuts[0]:.3g} to {cuts[-1]:.3g} ms, at most {max(after):.3g} ms; "
        f"from the beginning of the put: {median(whole):.3g} ms"
    )
    return {"watch": Figure(median(after), size, note)}


STEPS: Iterable[Callable[[Run], dict[str, Figure]]] = (pool_figures, put_to_watcher, *arrays.STEPS)


def main() -> int:
    """Run all steps and print; the exit status says nothing of targets."""
    out = Console()
    figures: dict[str, Figure] = {}
    facts = machine.facts()
    with fresh_folder("bench") as folder:
        for step in STEPS:
            figures |= step(Run(folder))
    for name, fact in facts.items():
        out.print(f"{name:>12}  {fact}", highlight=False)
    out.print()
    out.print(figures_table(figures, TARGETS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
