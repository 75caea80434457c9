"""Measure what Colonnade promises, on this machine, in one run: ``python -m benchmarks.share [--json PATH]``.

Does not depend on: how they are taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if not __package__:  # run as a file: then Python looks for modules beside it, and not for the package it is in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import figures as opening
from benchmarks import machine, publishing
from benchmarks.figures import Figure, RivalFigure, Run, Target
from benchmarks.measure import GIB, fresh_folder
from benchmarks.units import format_bytes, format_seconds

TARGETS = opening.TARGETS | publishing.TARGETS
STEPS = (*opening.STEPS, *publishing.STEPS)


def _reached(target: Target, figure: Figure) -> bool:
    return figure.holds and (figure.value >= target.limit if target.least else figure.value <= target.limit)


def _table(title: str, columns: dict[str, JustifyMethod]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading, justify in columns.items():
        table.add_column(heading, justify=justify)
    return table


def figures_table(figures: dict[str, Figure], targets: dict[str, Target]) -> Table:
    """Each figure beside its target, and under it how it came about."""
    table = _table(
        "Figures and targets",
        {"what": "left", "measured": "right", "target": "left", "": "left", "bytes moved": "right"},
    )
    for key, target in targets.items():
        figure = figures[key]
        table.add_row(
            f"{target.what}\n[dim]{figure.note}[/]",
            f"{figure.value:.3g}{target.unit}",
            target.words,
            "[green]reached[/]" if _reached(target, figure) else "[red]missed[/]",
            format_bytes(figure.moved),
        )
    return table


def rivals_table(figures: list[RivalFigure]) -> Table:
    """Each way to share A and B."""
    table = _table(
        "Ways to share a frame",
        {"": "left", "way": "left", "publish": "right", "open": "right", "private memory": "right", "sums": "left"},
    )
    frame = ""
    for row in figures:
        if row.frame != frame:
            table.add_section()
        table.add_row(
            row.frame if row.frame != frame else "",
            row.title,
            format_seconds(row.publish),
            format_seconds(row.open),
            format_bytes(row.private),
            "equal" if row.equal else "[red]different[/]",
        )
        frame = row.frame
    return table


def as_json(facts: dict[str, str], run: Run, figures: dict[str, Figure]) -> dict[str, Any]:
    """All of it, for a program."""
    return {
        "machine": facts,
        "copy_bytes_per_second": run.copy,
        "figures": {
            key: asdict(figure) | asdict(TARGETS[key]) | {"reached": _reached(TARGETS[key], figure)}
            for key, figure in figures.items()
        },
        "rivals": [asdict(row) for row in run.rivals],
    }


def main() -> int:
    """Run all steps and print; the exit status says nothing of targets."""
    parser = argparse.ArgumentParser(description="Measure what Colonnade promises, on this machine, in one run.")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results there too")
    arguments = parser.parse_args()
    out, err = Console(), Console(stderr=True)
    facts = machine.facts()
    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    figures: dict[str, Figure] = {}
    with fresh_folder("bench") as folder:
        run = Run(folder)
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
            for step in progress.track(STEPS):
                progress.update(progress.task_ids[0], description=step.__name__.replace("_", " "))
                figures |= step(run)
    for name, fact in facts.items():
        out.print(f"{name:>12}  {fact}", highlight=False)
    one, two = (f"{speed / GIB:.1f} GiB/s" for speed in run.copy.values())
    out.print(f"{'copying':>12}  {one} with 1 thread, {two} with 2: NumPy, 1 GiB, onto warm pages\n", highlight=False)
    out.print(figures_table(figures, TARGETS))
    out.print(rivals_table(run.rivals))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(facts, run, figures), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
