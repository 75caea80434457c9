"""The view of ``colonnade top``: a store's memory and the processes that hold it, live in a terminal or once in a pipe.

Does not depend on: how usage is measured, commands.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
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
from colonnade.display.table import GAP, Column, format_lines
from colonnade.display.usage import COLUMNS, PROCESSES, bytes_of, processes_in, rows_of, totals

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
    """Show it on the whole screen, again and again, until q is pressed."""
    while True:
        with _Keyboard() as keyboard, Live(console=console(), screen=True, auto_refresh=False) as live:
            while not keyboard.signals:
                live.update(_Picture(look()), refresh=True)
                if "q" in keyboard.wait(every).lower():
                    return
        # The terminal is restored, and the signal has its usual effect. A process that was stopped continues here.
        for number in keyboard.signals:
            os.kill(os.getpid(), number)


class _Keyboard:
    """Read keys without return and echo; the terminal is restored at the end.

    ``signals`` are those that arrived; the terminal must be restored before they act. A change of the window's size
    ends `wait`.
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


class _Picture:
    """What the screen shows, laid out when it is drawn, for the size of the window at that moment."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._time = datetime.now().astimezone()

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or options.max_height
        lines = [*self._head(width), Text(), *_table_lines(rows_of(self._usage), width)]
        if len(lines) > height:
            hidden = len(lines) - height + 1
            lines = [*lines[: height - 1], Text(f"… {hidden} more", style="dim")]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
            yield line

    def _head(self, width: int) -> Iterator[Text]:
        right = f"{self._time:%H:%M:%S}  q quits"
        path = shortened(one_line(self._usage.path), max(width - len(right) - GAP, 8))
        yield Text.assemble((path, "bold"), " " * (width - cell_len(path) - len(right)), (right, "dim"))
        yield _bar(self._usage, min(width, _WIDEST_BAR))
        yield from map(Text, totals(self._usage, ("█ ", "  ▓ ")))


def _bar(usage: Usage, width: int) -> Text:
    """Draw tables, the rest that the store occupies, and room: up to its capacity, else what its file system has."""
    tables = bytes_of(usage.of("newest", "retained"))
    total = usage.nbytes + usage.free if usage.capacity is None else usage.capacity
    bar, end, total_so_far = Text(), 0, 0
    for nbytes, sign, style in ((tables, "█", "green"), (usage.nbytes - tables, "▓", "yellow"), (total, "░", "dim")):
        total_so_far += nbytes
        upto = min(max(round(width * total_so_far / max(total, 1)), end + (nbytes > 0)), width)
        bar.append(sign * (upto - end), style=style)
        end = upto
    return bar


def _table_lines(rows: list[SegmentUsage], width: int) -> Iterator[Text]:
    """Draw a heading and a line for each row; in a narrow terminal, names and processes are cut to their share."""
    name, *others = COLUMNS
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
