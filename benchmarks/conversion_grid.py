"""Measure every type at every size beside PyArrow: ``python -m benchmarks.conversion_grid [--plot PATH]``.

Does not depend on: what is converted (`conversion_cells.py`).

Both take turns, in rounds of about 2 ms each, in one process; a cell is the ratio of their medians. A result is dropped
within its round: a call that leaves more garbage pays for it.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

if not __package__:  # run as a file: then Python looks for modules beside it, and not for the package it is in
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import machine
from benchmarks.conversion_cells import Call, Cell, grid, pyarrows
from benchmarks.measure import seconds

ROUNDS, ROUND = 9, 2e-3
BEGIN, END = "<!-- conversion grid: printed by benchmarks/conversion_grid.py -->", "<!-- end of the conversion grid -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """The medians of a cell, in microseconds a call."""

    way: str
    kind: str
    rows: int
    pyarrow: float
    colonnade: float

    @property
    def ratio(self) -> float:
        """How many times as fast as PyArrow."""
        return self.pyarrow / self.colonnade


def _calls(call: Call, count: int) -> None:
    for _ in range(count):
        call()


def measure(cell: Cell) -> Figure:
    """Measure a cell: both ways take turns."""
    calls = cell.make()
    for call in calls:
        _calls(call, 2)
    counts = [max(1, min(1000, int(ROUND / min(seconds(call)[0] for _ in range(3))))) for call in calls]
    took: tuple[list[float], list[float]] = [], []
    gc.collect()
    for number in range(ROUNDS):
        for way in (0, 1) if number % 2 else (1, 0):
            took[way].append(seconds(_calls, calls[way], counts[way])[0] / counts[way])
    theirs, ours = (round(median(times) * 1e6, 2) for times in took)
    return Figure(cell.way, cell.kind, cell.rows, theirs, ours)


def _sizes(figures: Iterable[Figure]) -> list[int]:
    return sorted({figure.rows for figure in figures})


def _count(rows: int) -> str:
    return f"{rows:,}" if rows < 10**5 else f"10^{len(str(rows)) - 1}"


def tables(figures: list[Figure]) -> str:
    """The figures as tables of Markdown: how many times as fast as PyArrow."""
    parts = []
    for way in dict.fromkeys(figure.way for figure in figures):
        mine = [figure for figure in figures if figure.way == way]
        sizes = _sizes(mine)
        cells = {(figure.kind, figure.rows): figure for figure in mine}
        lines = [f"| {way}: rows | " + " | ".join(map(_count, sizes)) + " |", "| --- |" + " --- |" * len(sizes)]
        for kind in dict.fromkeys(figure.kind for figure in mine):
            row = [cells.get((kind, size)) for size in sizes]
            shown = ["" if cell is None else _shown(cell.ratio) for cell in row]
            lines.append(f"| {kind} | " + " | ".join(shown) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shown(ratio: float) -> str:
    text = f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x" if ratio >= 1.05 else f"{ratio:.2f}x"
    return text if ratio >= 0.995 else f"**{text}**"


def summary(figures: list[Figure]) -> str:
    """Which cells are slower than PyArrow, and how many there are."""
    slower = [figure for figure in figures if figure.ratio < 0.995]
    text = f"{len(figures)} cells; {len(figures) - len(slower)} are as fast as PyArrow or faster."
    worst = ", ".join(f"{f.way}, {f.kind}, {_count(f.rows)} rows: {f.ratio:.2f}x" for f in slower)
    return f"{text} Slower: {worst}." if slower else text


def write_page(page: Path, figures: list[Figure], facts: dict[str, str]) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        raise SystemExit(f"{page} has no {BEGIN} ... {END}")
    described = ", ".join(f"{name}: {facts[name]}" for name in ("processor", "cores", "pandas", "pyarrow"))
    page.write_text(f"{before}{BEGIN}\n\n{described}.\n\n{summary(figures)}\n\n{tables(figures)}\n\n{END}{after}")


def main() -> int:
    """Measure and print; figures are information, so a slower cell does not change the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there too")
    parser.add_argument("--page", type=Path, metavar="PATH", help="put the tables between the marks of this page")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw them there")
    parser.add_argument("--from", dest="source", type=Path, metavar="PATH", help="measure nothing: take this JSON")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="cells whose way, type or rows have a word"
    )
    arguments = parser.parse_args()
    err = Console(stderr=True)
    figures: list[Figure] = []
    facts: dict[str, Any] = machine.facts()
    if arguments.source:
        read = json.loads(arguments.source.read_text())
        facts, figures = read["machine"], [Figure(**figure) for figure in read["figures"]]
    else:
        for cell in (*grid(), *pyarrows()):
            name = f"{cell.way}; {cell.kind}; {cell.rows}"
            if all(word in name for word in arguments.only):
                figure = measure(cell)
                figures.append(figure)
                err.print(f"{name}: {figure.pyarrow} {figure.colonnade} us, {figure.ratio:.2f}x", markup=False)
    print(f"{tables(figures)}\n\n{summary(figures)}")
    if arguments.json:
        rows = [asdict(figure) for figure in figures]
        arguments.json.write_text(json.dumps({"machine": facts, "figures": rows}, indent=1) + "\n")
    if arguments.page:
        write_page(arguments.page, figures, facts)
    if arguments.plot:
        from benchmarks.conversion_chart import draw_grid

        draw_grid([(f.way, f.kind, f.rows, f.ratio) for f in figures], arguments.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
