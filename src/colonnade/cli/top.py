"""The view of ``colonnade top``: a store's memory and the processes that hold it, live in a terminal or once in a pipe.

Does not depend on: how usage is measured, commands.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from colonnade import SegmentUsage, Usage
from colonnade.cli.output import console, print_line, print_table
from colonnade.display.fitting import cell_len, one_line, shortened
from colonnade.display.rates import Rate, Rates, rate_of
from colonnade.display.table import GAP, Column, format_lines
from colonnade.display.usage import COLUMNS, PROCESSES, bytes_of, processes_in, rows_of, tables_of, totals

_WIDEST_BAR = 60


def to_json(usage: Usage) -> dict[str, Any]:
    """Give all of it, for a program."""
    segments = [
        segment._asdict() | {"holders": [holder._asdict() for holder in segment.holders]} for segment in usage.segments
    ]
    return usage._asdict() | {"nbytes": usage.nbytes, "segments": segments}


def print_once(usage: Usage) -> None:
    """Print all of it, one line for each segment."""
    for line in (str(usage.path), *totals(usage)):
        print_line(line)
    print_line()
    print_table((*COLUMNS, PROCESSES), rows_of(usage))


def can_watch() -> bool:
    """Whether stdout is a terminal that can show one picture in the place of another."""
    return sys.stdout.isatty() and not console().is_dumb_terminal


def watch(look: Callable[[], Usage], every: float) -> None:
    """Show it on the whole screen, again and again, until q is pressed. Other keys scroll and sort."""
    view, rates = _View(), Rates()
    while True:
        with _Keyboard() as keyboard, Live(console=console(), screen=True, auto_refresh=False) as live:
            usage, time_of_look = look(), time.monotonic()
            changes = rates.add(usage, time_of_look)
            while not keyboard.signals:
                live.update(_Picture(usage, view, changes), refresh=True)
                keys = _keys_in(keyboard.wait(max(time_of_look + every - time.monotonic(), 0)))
                if "q" in keys:
                    return
                for key in keys:
                    view.press(key)
                if not keys or time.monotonic() >= time_of_look + every:  # keys alone do not look again
                    usage, time_of_look = look(), time.monotonic()
                    changes = rates.add(usage, time_of_look)
        # The terminal is restored, and the signal has its usual effect. A process that was stopped continues here.
        for number in keyboard.signals:
            os.kill(os.getpid(), number)


class _Keyboard:
    """Reads keys at once, without echo. At the end the terminal is as it was before.

    ``signals`` are the signals that arrived meanwhile: they must act after the terminal is restored. A change of the
    window's size ends `wait`.
    """

    _HANDLED = (signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.signals: list[int] = []
        self._undo = contextlib.ExitStack()
        self._sources: list[int] = []

    def __enter__(self) -> _Keyboard:
        with contextlib.ExitStack() as undo:
            awoken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            undo.callback(os.close, awoken)
            undo.callback(os.close, wake)
            self._awoken = awoken
            self._sources = [awoken]
            if sys.stdin.isatty():
                keys = sys.stdin.fileno()
                self._sources.append(keys)
                undo.callback(termios.tcsetattr, keys, termios.TCSADRAIN, termios.tcgetattr(keys))
                tty.setcbreak(keys, termios.TCSADRAIN)
            for number in self._HANDLED:
                undo.callback(signal.signal, number, signal.signal(number, lambda n, _: self.signals.append(n)))
            undo.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, lambda *_: None))
            undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wake, warn_on_full_buffer=False))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def wait(self, seconds: float) -> str:
        """Give the keys that are pressed within a time; return early when there are some, or at a signal."""
        keys = b""
        for source in select.select(self._sources, [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                read = os.read(source, 1024)
                if source != self._awoken:
                    if not read:  # the terminal is gone
                        self._sources.remove(source)
                    keys += read
        return keys.decode(errors="replace")


# -- what is shown -----------------------------------------------------------------------------------------------------


# What `wait` gives for the keys that move, as terminals send them; letters for who knows less or vi.
_KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "k": "up",
    "\x1b[B": "down", "\x1bOB": "down", "j": "down",
    "\x1b[5~": "page up", "b": "page up",
    "\x1b[6~": "page down", " ": "page down",
    "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "g": "home",
    "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end", "G": "end",
}  # fmt: skip
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*[~A-Za-z]|O[A-Za-z])|.", re.DOTALL)

# The orders that the key s chooses in turn: the heading, the value to sort by, whether it begins with the largest.
_ORDERS: tuple[tuple[str, Callable[[SegmentUsage], Any], bool], ...] = (
    ("size", lambda row: row.nbytes, True),
    ("name", lambda row: row.name or "", False),
    ("rows", lambda row: row.rows or 0, True),
    ("age", lambda row: row.created.timestamp() if row.created else 0.0, True),
    ("processes", lambda row: len(row.holders), True),
)


def _keys_in(text: str) -> list[str]:
    """Return the names of the keys that were typed. A key without a name is its letter."""
    return [_KEYS.get(part, part.lower()) for part in _SEQUENCE.findall(text)]


class _View:
    """What a person chose: how rows are sorted, and the first that is shown."""

    def __init__(self) -> None:
        self._order = 0
        self._is_reversed = False
        self._first = 0
        self._row_room = 1  # rows that had room
        self._count = 0

    def press(self, key: str) -> None:
        """Scroll with the arrows, sort by the next column with s, the other way round with r."""
        if key == "s":
            self._order, self._is_reversed, self._first = (self._order + 1) % len(_ORDERS), False, 0
        elif key == "r":
            self._is_reversed, self._first = not self._is_reversed, 0
        else:
            page = max(self._row_room - 1, 1)
            ends = {"home": -self._first, "end": self._count}
            self._first += {"up": -1, "down": 1, "page up": -page, "page down": page, **ends}.get(key, 0)
            self._first = max(min(self._first, self._count - self._row_room), 0)

    @property
    def sorted_by(self) -> str:
        """The heading of the column that rows are sorted by, and an arrow for the direction."""
        heading, _, falls = _ORDERS[self._order]
        return f"{heading} {'↓' if falls != self._is_reversed else '↑'}"

    def part_of(self, rows: list[SegmentUsage], room: int) -> tuple[list[SegmentUsage], int, int]:
        """Give the rows to show, and how many rows are above and below. One line of ``room`` is for these numbers."""
        _, key, falls = _ORDERS[self._order]
        rows = sorted(rows, key=key, reverse=falls != self._is_reversed)
        self._count = len(rows)
        self._row_room = max(room if len(rows) <= room else room - 1, 1)
        self._first = max(min(self._first, self._count - self._row_room), 0)
        end = self._first + self._row_room
        return rows[self._first : end], self._first, max(len(rows) - end, 0)


class _Picture:
    """What the screen shows, laid out when it is drawn, for the size of the window at that moment."""

    def __init__(self, usage: Usage, view: _View, rates: dict[str, Rate]) -> None:
        self._usage = usage
        self._view = view
        self._rates = rates
        self._time = datetime.now().astimezone()

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or options.max_height
        lines = [*self._head(width), Text()]
        rows, above, below = self._view.part_of(rows_of(self._usage), height - len(lines) - 1)
        lines += _table_lines(rows, width, self._rates)
        if above or below:
            lines = lines[: height - 1]
            places = [f"{above} above" if above else "", f"{below} more" if below else ""]
            lines.append(Text(f"… {', '.join(filter(None, places))}", style="dim"))
        for line in lines[:height]:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
            yield line

    def _head(self, width: int) -> Iterator[Text]:
        right = f"{self._time:%H:%M:%S}  q quits"
        keys = f"by {self._view.sorted_by}  ↑↓ scroll  s sort  r reverse  "
        if width >= len(keys) + len(right) + 24:
            right = keys + right
        path = shortened(one_line(self._usage.path), max(width - len(right) - GAP, 8))
        yield Text.assemble((path, "bold"), " " * (width - cell_len(path) - len(right)), (right, "dim"))
        yield _bar(self._usage, min(width, _WIDEST_BAR))
        yield from map(Text, totals(self._usage, ("█ ", "  ▓ ")))


def _bar(usage: Usage, width: int) -> Text:
    """Draw tables, the rest that the store occupies, and room: up to its capacity, else what its file system has."""
    tables = bytes_of(tables_of(usage))
    total = usage.nbytes + usage.free if usage.capacity is None else usage.capacity
    bar, end, total_so_far = Text(), 0, 0
    for nbytes, sign, style in ((tables, "█", "green"), (usage.nbytes - tables, "▓", "yellow"), (total, "░", "dim")):
        total_so_far += nbytes
        upto = min(max(round(width * total_so_far / max(total, 1)), end + (nbytes > 0)), width)
        bar.append(sign * (upto - end), style=style)
        end = upto
    return bar


def _table_lines(rows: list[SegmentUsage], width: int, rates: dict[str, Rate]) -> Iterator[Text]:
    """Draw a heading and a line for each row; in a narrow terminal, names and processes are cut to their share."""
    name, *others = COLUMNS
    if rates:
        others.append(Column("rate", lambda row: rate_of(row, rates), "right"))
    names, processes = (
        max(cell_len(text) for text in [column.heading, *map(column.cell, rows)]) for column in (name, PROCESSES)
    )
    rest = max(map(cell_len, format_lines(others, rows)), default=0)
    room = max(width - rest - 2 * GAP, 16)  # of names and processes
    names = min(names, max(room - processes, room // 2))
    columns = [
        Column(name.heading, lambda row: shortened(name.cell(row), names)),
        *others,
        Column(PROCESSES.heading, lambda row: processes_in(row.holders, room - names)),
    ]
    styles = ["bold", *("" if row.version is not None else "yellow" for row in rows)]
    for line, style in zip(format_lines(columns, rows), styles, strict=True):
        yield Text(line, style=style)
