"""The view of ``colonnade top``: a store's memory and who holds it, live in a terminal or once in a pipe.

Knows: `Usage`, terminals and their keys. Does not depend on: how usage is found out, commands.
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

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from colonnade import SegmentUsage, Usage
from colonnade.display.fitting import GAP, console, one_line, print_line, print_table, shortened
from colonnade.display.usage import COLUMNS, PROCESSES, bytes_of, processes_in, rows_of, totals

_WIDEST_BAR = 60


def to_json(usage: Usage) -> dict[str, Any]:
    """All of it, for a program."""
    segments = [
        segment._asdict() | {"holders": [holder._asdict() for holder in segment.holders]} for segment in usage.segments
    ]
    return usage._asdict() | {"nbytes": usage.nbytes, "segments": segments}


def print_once(usage: Usage) -> None:
    """Print it, complete, a segment a line."""
    for line in (str(usage.path), *totals(usage)):
        print_line(line)
    print_line()
    print_table((*COLUMNS, PROCESSES), rows_of(usage))


def can_watch() -> bool:
    """Whether stdout is a terminal that can show one picture in the place of another."""
    return sys.stdout.isatty() and not console().is_dumb_terminal


def watch(look: Callable[[], Usage], every: float) -> None:
    """Show it on the whole screen, time and again, until q is pressed."""
    while True:
        with _Keyboard() as keyboard, Live(console=console(), screen=True, auto_refresh=False) as live:
            while not keyboard.signals:
                live.update(_Picture(look()), refresh=True)
                if "q" in keyboard.wait(every).lower():
                    return
        # The terminal is as it was, and the signal has its usual effect; a process that was stopped comes back here.
        for number in keyboard.signals:
            os.kill(os.getpid(), number)


class _Keyboard:
    """Keys that arrive without a return and without an echo; on leaving, the terminal is as before.

    ``signals`` are those that arrived and want the terminal restored first. A change of the window's size ends `wait`.
    """

    _WANTED = (signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP)

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
            for number in self._WANTED:
                undo.callback(signal.signal, number, signal.signal(number, lambda n, _: self.signals.append(n)))
            undo.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, lambda *_: None))
            undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wake, warn_on_full_buffer=False))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def wait(self, seconds: float) -> str:
        """The keys that are pressed within a time; returns early with them, or at a signal."""
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
    """All that a screen shows; laid out when it is drawn, for the size that the window then has."""

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
    """Tables, what else the store occupies, and room: up to its capacity, or as far as its file system has any."""
    tables = bytes_of(usage.of("newest", "retained"))
    total = usage.nbytes + usage.free if usage.capacity is None else usage.capacity
    bar, end, sofar = Text(), 0, 0
    for nbytes, sign, style in ((tables, "█", "green"), (usage.nbytes - tables, "▓", "yellow"), (total, "░", "dim")):
        sofar += nbytes
        upto = min(max(round(width * sofar / max(total, 1)), end + (nbytes > 0)), width)
        bar.append(sign * (upto - end), style=style)
        end = upto
    return bar


def _table_lines(rows: list[SegmentUsage], width: int) -> Iterator[Text]:
    """A heading and a line for each row; where a terminal is too narrow, names and processes are cut to their share."""
    lines = [[column.heading for column in COLUMNS], *([column.cell(row) for column in COLUMNS] for row in rows)]
    widths = [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]
    room = max(width - sum(widths[1:]) - GAP * len(widths), 16)  # of names and processes
    wanted = max(cell_len(text) for text in [PROCESSES.heading, *map(PROCESSES.cell, rows)])
    widths[0] = min(widths[0], max(room - wanted, room // 2))
    processes = [PROCESSES.heading, *(processes_in(row.holders, room - widths[0]) for row in rows)]
    styles = ["bold", *("" if row.version is not None else "yellow" for row in rows)]
    for texts, held_by, style in zip(lines, processes, styles, strict=True):
        texts[0] = shortened(texts[0], widths[0])
        padded = []
        for column, text, wide in zip(COLUMNS, texts, widths, strict=True):
            blanks = " " * (wide - cell_len(text))
            padded.append(text + blanks if column.justify == "left" else blanks + text)
        yield Text((" " * GAP).join([*padded, held_by]), style=style)
