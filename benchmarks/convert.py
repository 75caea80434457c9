"""Measure conversions beside PyArrow's: ``python -m benchmarks.convert [--json PATH] [--plot PATH] [--only KEY ...]``.

Does not depend on: how they are taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if not __package__:  # run as a file: then Python looks for modules beside it, and not for the package it is in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import machine
from benchmarks.conversion_rounds import FIRST_CALLS, OURS, ROUNDS, THEIRS, Measured, measure
from benchmarks.conversions import CONVERSIONS
from benchmarks.copy_limit import compiled
from benchmarks.units import format_bytes

HEADINGS = (
    "PyArrow\nsteady",
    "ours\nsteady",
    "PyArrow\nfirst",
    "ours\nfirst",
    "times\nas fast",
    "\ntarget",
    "share of\ncopying",
    "\ntarget",
)
WIDTH = 130  # where the output is not a terminal
FASTER = "no row slower than PyArrow"


def _reached(key: str, m: Measured) -> bool:
    targets = CONVERSIONS[key]
    return not m.difference and m.ratio >= targets.ratio and (m.share or 0) >= (targets.share or 0)


def _verdict(reached: bool) -> str:
    return "[green]reached[/]" if reached else "[red]missed[/]"


def _milliseconds(times: list[float]) -> str:
    if not times:
        return ""
    took = median(times) * 1e3
    return f"{took:.0f}" if took >= 100 else f"{took:#.3g}"


def _note(m: Measured) -> str:
    """What stands under a row's name: its bytes, and how fast as many of them can be copied."""
    moved = f"reads {format_bytes(m.read)}, writes {format_bytes(m.written)}"
    if not m.limit:
        return moved
    ways = {way: median(times) for way, times in m.copy.items()}
    best = min(ways, key=ways.__getitem__)
    return f"{moved}\nto copy as much: {m.limit * 1e3:.3g} ms, {best}"


def table(measured: dict[str, Measured]) -> Table:
    """Each conversion beside PyArrow's, the copy limit and its targets."""
    shown = Table(
        title="Conversions, ms", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    shown.add_column("what")
    for heading in HEADINGS:
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("")
    for key, m in measured.items():
        targets = CONVERSIONS[key]
        shown.add_row(
            f"{escape(targets.what)}\n[dim]{_note(m)}[/]",
            *(_milliseconds(times.get(way, [])) for times in (m.steady, m.first) for way in (THEIRS, OURS)),
            f"{m.ratio:.2f}",
            f"{targets.ratio:g}",
            f"{m.share:.2f}" if m.share else "",
            f"{targets.share:g}" if targets.share else "",
            "[red]different[/]" if m.difference else _verdict(_reached(key, m)),
        )
    return shown


def as_json(facts: dict[str, str], measured: dict[str, Measured]) -> dict[str, Any]:
    """All of it, for a program; times are seconds, of every call."""
    rows = {}
    for key, m in measured.items():
        targets = CONVERSIONS[key]
        rows[key] = asdict(m) | {
            "what": targets.what,
            "threads": targets.threads,
            "ratio": m.ratio,
            "ratio_target": targets.ratio,
            "copy_limit": m.limit,
            "share": m.share,
            "share_target": targets.share,
            "reached": _reached(key, m),
        }
    return {"machine": facts, "conversions": rows}


def _print(out: Console, facts: dict[str, str], measured: dict[str, Measured]) -> None:
    for name, fact in facts.items():
        out.print(f"{name:>12}  {fact}", highlight=False)
    out.print()
    out.print(table(measured))
    out.print(
        f"Steady: medians of {ROUNDS} rounds, in turns, in one process for each row. First: medians of {FIRST_CALLS} "
        "processes in which no call came before.\nTimes as fast: of the steady medians; of the first calls where there "
        "are no others. Share of copying: half of the bytes\nthat are read and written are copied between warm pages "
        "by as many threads in the same rounds; the least median of three ways.",
        highlight=False,
        soft_wrap=True,
    )
    slowest = min(measured, key=lambda key: measured[key].ratio)
    ratio = measured[slowest].ratio
    out.print(f"{FASTER}: {ratio:.3f}x, {escape(CONVERSIONS[slowest].what)}: {_verdict(ratio >= 1)}", highlight=False)
    count = sum(_reached(key, m) for key, m in measured.items())
    out.print(f"{count} of {len(measured)} rows reached their targets.", highlight=False)


def main() -> int:
    """Measure and print; the exit status says whether the results are PyArrow's, and nothing of targets."""
    parser = argparse.ArgumentParser(description="Measure conversions to pandas and back beside PyArrow's, in one run.")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results there too")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw them there, as SVG or what the ending says")
    parser.add_argument(
        "--only", nargs="+", metavar="KEY", choices=CONVERSIONS, help=f"only these rows of: {', '.join(CONVERSIONS)}"
    )
    arguments = parser.parse_args()
    out, err = Console(width=None if sys.stdout.isatty() else WIDTH), Console(stderr=True)
    facts = machine.facts()
    compiled()  # a machine without a compiler shows it now and not in the first row
    if arguments.plot:
        from benchmarks.conversion_chart import draw  # and one without Matplotlib not after the last
    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    measured: dict[str, Measured] = {}
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        for key in progress.track(arguments.only or list(CONVERSIONS)):
            progress.update(progress.task_ids[0], description=escape(CONVERSIONS[key].what))
            measured[key] = measure(key)
    _print(out, facts, measured)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(facts, measured), indent=2) + "\n")
    if arguments.plot:
        keys = ("processor", "cores", "pandas", "pyarrow")
        draw(measured, ", ".join(f"{name}: {facts[name]}" for name in keys), arguments.plot)
    wrong = {key: m.difference for key, m in measured.items() if m.difference}
    for key, difference in wrong.items():
        err.print(f"{CONVERSIONS[key].what} is not what PyArrow gives: {difference}", markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
