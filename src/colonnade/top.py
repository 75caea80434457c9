"""The view of ``colonnade top``: a store's memory and who holds it, live in a terminal or once in a pipe.

Knows: `Usage`, terminals and their keys. Must not know: how usage is found out, commands.
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
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from colonnade import Holder, SegmentUsage, Usage
from colonnade.sizes import format_size
from colonnade.store.usage import Role
from colonnade.terminal import (
    GAP,
    Column,
    console,
    counted,
    format_age,
    one_line,
    print_line,
    print_table,
    shortened,
)

# In the column of versions stands what has none.
_COLUMNS = (
    Column("name", lambda segment: one_line(segment.name or "-")),
    Column("version", lambda segment: segment.role if segment.version is None else str(segment.version), "right"),
    Column("rows", lambda segment: "" if segment.rows is None else f"{segment.rows:,}", "right"),
    Column("size", lambda segment: format_size(segment.nbytes), "right"),
    Column("age", lambda segment: "" if segment.created is None else format_age(segment.created), "right"),
)
_PROCESSES = Column("processes", lambda segment: _processes_in(segment.holders))
_WIDEST_BAR = 60


def to_json(usage: Usage) -> dict[str, Any]:
    """All of it, for a program."""
    segments = [
        segment._asdict() | {"holders": [holder._asdict() for holder in segment.holders]} for segment in usage.segments
    ]
    return usage._asdict() | {"nbytes": usage.nbytes, "segments": segments}


def print_once(usage: Usage) -> None:
    """Print it, complete, a segment a line."""
    for line in (str(usage.path), *_summary(usage)):
        print_line(line)
    print_line()
    print_table((*_COLUMNS, _PROCESSES), _rows(usage))


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
        lines = [*self._head(width), Text(), *_table_lines(_rows(self._usage), width)]
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
        yield from map(Text, _summary(self._usage, ("█ ", "  ▓ ")))


def _rows(usage: Usage) -> list[SegmentUsage]:
    """Tables, and whatever else somebody holds; the largest first."""
    shown = [segment for segment in usage.segments if segment.version is not None or segment.holders]
    return sorted(shown, key=lambda segment: (-segment.nbytes, segment.name or "", -(segment.version or 0)))


def _summary(usage: Usage, signs: tuple[str, str] = ("", ", ")) -> Iterator[str]:
    """What is used and free, and what by; ``signs`` are those of the bar."""
    limit = "" if usage.capacity is None else f" of {format_size(usage.capacity)}"
    file_system = f"{format_size(usage.free)} of {format_size(usage.filesystem)} free"
    yield f"{format_size(usage.nbytes)}{limit} used, {file_system} on its file system"
    rest = [_sum(usage, "spare", "spare"), _sum(usage, "draft", "draft"), _sum(usage, "deleted segment", "deleted")]
    if usage.of("shared"):
        rest.append(_sum(usage, "shared table", "shared"))
    if usage.of("other"):
        rest.append(_sum(usage, "other file", "other"))
    tables = format_size(_nbytes(usage.of("newest", "retained")))
    yield f"{signs[0]}tables {tables}{signs[1]}{', '.join(rest)}"
    if usage.unseen:
        yield f"{_processes(usage.unseen)} could not be looked at"


def _sum(usage: Usage, noun: str, role: Role) -> str:
    segments = usage.of(role)
    return counted(len(segments), noun) + (f" {format_size(_nbytes(segments))}" if segments else "")


def _nbytes(segments: tuple[SegmentUsage, ...]) -> int:
    return sum(segment.nbytes for segment in segments)


def _bar(usage: Usage, width: int) -> Text:
    """Tables, what else the store occupies, and room: up to its capacity, or as far as its file system has any."""
    tables = _nbytes(usage.of("newest", "retained"))
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
    lines = [[column.heading for column in _COLUMNS], *([column.cell(row) for column in _COLUMNS] for row in rows)]
    widths = [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]
    room = max(width - sum(widths[1:]) - GAP * len(widths), 16)  # of names and processes
    wanted = max(cell_len(text) for text in [_PROCESSES.heading, *map(_PROCESSES.cell, rows)])
    widths[0] = min(widths[0], max(room - wanted, room // 2))
    processes = [_PROCESSES.heading, *(_processes_in(row.holders, room - widths[0]) for row in rows)]
    styles = ["bold", *("" if row.version is not None else "yellow" for row in rows)]
    for texts, held_by, style in zip(lines, processes, styles, strict=True):
        texts[0] = shortened(texts[0], widths[0])
        padded = []
        for column, text, wide in zip(_COLUMNS, texts, widths, strict=True):
            blanks = " " * (wide - cell_len(text))
            padded.append(text + blanks if column.justify == "left" else blanks + text)
        yield Text((" " * GAP).join([*padded, held_by]), style=style)


def _processes_in(holders: tuple[Holder, ...], room: int | None = None) -> str:
    """Processes by command, ``python 311 312, duckdb 320``: as many as there is room for, and how many more."""
    ordered = sorted(holders, key=lambda holder: holder.command)
    for shown in range(len(ordered), 0, -1):
        groups = groupby(ordered[:shown], key=lambda holder: holder.command)
        text = ", ".join(
            f"{one_line(command)} {' '.join(str(each.pid) for each in group)}" for command, group in groups
        )
        if shown < len(ordered):
            text += f" +{len(ordered) - shown}"
        if room is None or cell_len(text) <= room:
            return text
    return shortened(_processes(len(holders)), room or 0) if holders else ""


def _processes(count: int) -> str:
    return f"{count:,} process{'' if count == 1 else 'es'}"
