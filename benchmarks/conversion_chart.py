"""The conversions as one picture: how long each takes beside PyArrow, and beside copying as many bytes.

Does not depend on: how it was measured.

Rows differ by a factor of a hundred in milliseconds, and so everything is a part of PyArrow's time: what is shorter is
faster, and the copy limit, however far away, is between nothing and one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.colors
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.conversion_rounds import OURS, THEIRS, Measured
from benchmarks.conversions import CONVERSIONS

INK, DIM, PYARROW, COLONNADE = "#222222", "#555555", "#d9d4c7", "#b3541e"  # those of docs/idea.svg
ROW, HEAD, FOOT = 0.36, 0.8, 0.85  # inches: of one row, above all of them, and below
END = 1.6  # a bar that is longer ends here; its figures stand beside it
NOTE = (
    "10 million rows x 2 columns unless said; 2 threads; medians of one run. "
    "2016: 100 float64 columns, 1 GiB, every fifth row null."
)
STYLE: dict[Any, Any] = {
    "font.size": 10.5,
    "svg.fonttype": "path",  # letters are drawn, so that no other font makes them wider than their place
    "svg.hashsalt": "colonnade",  # the same names in every run
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


def draw_grid(cells: Sequence[tuple[str, str, int, float]], path: Path) -> None:
    """Draw cells (way, kind, rows, times as fast) as one map of colours for each way that has several sizes."""
    ways = [way for way in dict.fromkeys(cell[0] for cell in cells) if len({c[2] for c in cells if c[0] == way}) > 4]
    kinds = list(dict.fromkeys(kind for way, kind, _, _ in cells if way in ways))
    norm = mpl.colors.TwoSlopeNorm(0, -1.5, 4)  # of the binary logarithm: white is as fast, 16 times is the end
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(3.2 + 2.9 * len(ways), 1.2 + 0.21 * len(kinds)), facecolor="white", layout="constrained"
        )
        for number, way in enumerate(ways):
            axes = figure.add_subplot(1, len(ways), number + 1)
            sizes = sorted({rows for which, _, rows, _ in cells if which == way})
            ratios = {(kind, rows): ratio for which, kind, rows, ratio in cells if which == way}
            table = np.array([[ratios.get((kind, rows), np.nan) for rows in sizes] for kind in kinds])
            axes.imshow(np.log2(table), cmap="BrBG", norm=norm, aspect="auto")
            for (row, column), ratio in np.ndenumerate(table):
                if not np.isnan(ratio):
                    text = f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 1.05 else f"{ratio:.2f}"
                    colour = "white" if ratio > 8 else INK
                    axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
            axes.set_xticks(
                range(len(sizes)), [f"{rows:,}" if rows < 10**5 else f"{rows:.0e}" for rows in sizes], fontsize=8
            )
            axes.set_yticks(range(len(kinds)), kinds if number == 0 else [], fontsize=8)
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            axes.set_title(way, fontsize=10.5, color=INK)
        figure.suptitle("How many times as fast as PyArrow, by type and number of rows", color=INK, fontsize=13)
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _milliseconds(took: float) -> str:
    return f"{took * 1e3:.3g} ms" if took < 1 else f"{took:.3g} s"


def draw(measured: Mapping[str, Measured], machine: str, *paths: Path) -> None:
    """Draw all rows, and save the picture under each path, as what its ending says."""
    rows = list(measured.items())
    bars = [(m.middle(OURS) / m.middle(THEIRS), (m.limit or 0) / m.middle(THEIRS)) for _, m in rows]
    widest = min(max(1.0, *(ours for ours, _ in bars)), END)
    height = ROW * len(rows) + HEAD + FOOT
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, height), facecolor="white")
        axes = figure.add_subplot()
        figure.subplots_adjust(left=0.325, right=0.755, top=1 - HEAD / height, bottom=FOOT / height)
        beside = axes.get_yaxis_transform()  # across: parts of the width; down: rows
        theirs_bar = axes.barh(range(len(rows)), 1, 0.72, color=PYARROW)
        ours_bar = axes.barh(range(len(rows)), [min(ours, END) for ours, _ in bars], 0.4, color=COLONNADE)
        (limit_mark,) = axes.plot([], [], color=INK, linewidth=2)
        for place, ((key, m), (_, limit)) in enumerate(zip(rows, bars, strict=True)):
            if limit:
                axes.plot([limit] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=2, solid_capstyle="butt")
            axes.text(-0.015, place, CONVERSIONS[key].what, ha="right", va="center", color=INK, transform=beside)
            axes.text(
                1.12, place, f"{m.ratio:.1f}x", ha="right", va="center", weight="bold", color=INK, transform=beside
            )
            times = f"{_milliseconds(m.middle(THEIRS))} \N{RIGHTWARDS ARROW} {_milliseconds(m.middle(OURS))}"
            axes.text(1.15, place, times, va="center", color=DIM, transform=beside)
        axes.set_xlim(0, widest)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks([])
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.tick_params(colors=DIM, length=3)
        axes.spines["bottom"].set_color(DIM)
        title = "Time of a conversion, as a part of PyArrow's: shorter is faster"
        figure.text(0.02, 1 - 0.32 / height, title, color=INK, fontsize=14)
        figure.text(0.02, 0.12 / height, f"{NOTE}\n{machine}", color=DIM, fontsize=9, linespacing=1.5)
        marks: list[Any] = [theirs_bar, ours_bar, limit_mark]  # groups of bars are taken too, but have no type
        figure.legend(
            marks,
            ["PyArrow", "Colonnade", "copying as many bytes"],
            loc="upper left",
            bbox_to_anchor=(0.316, 1 - 0.4 / height),
            ncols=3,
            frameon=False,
        )
        for path in paths:
            figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
