"""How far a load or a dump has come, and a bar of it in a terminal.

Nothing is drawn in the first second, and nothing at all where stderr is not a terminal.

Does not depend on: what is read or written, Rich.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TextIO

from colonnade.sizes import format_size

_PATIENCE = 1.0  # seconds before the bar is drawn
_INTERVAL = 0.2  # seconds between two drawings
_ERASE = "\r\x1b[K"


@dataclass(slots=True)
class Meter:
    """How far a load or a dump is: at ``position`` of ``total``, in rows or in bytes of text. 0 is an unknown total.

    A bar reads it in its own thread.
    """

    rows: int = 0
    nbytes: int = 0
    position: int = 0
    total: int = 0
    values: int = 0

    def count(self, data: Any) -> None:
        """Count the rows and bytes of a table or a batch."""
        self.rows += data.num_rows
        self.nbytes += data.nbytes

    def count_columns(self, batch: Any, columns: int) -> None:
        """Count a batch that has some columns of a table: a row counts when all its ``columns`` are there."""
        if not columns:
            self.count(batch)
            return
        self.values += batch.num_rows * batch.num_columns
        self.nbytes += batch.nbytes
        self.rows = self.values // columns


@contextlib.contextmanager
def progress_bar(task: str, *, enabled: bool) -> Iterator[Meter]:
    """Give a meter, and draw it on stderr while the block runs."""
    meter = Meter()
    if not (enabled and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        yield meter
        return
    end = threading.Event()
    thread = threading.Thread(target=_draw, args=(task, meter, end, sys.stderr), daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        end.set()
        thread.join()


def _draw(task: str, meter: Meter, end: threading.Event, stream: TextIO) -> None:
    start = time.monotonic()
    if end.wait(_PATIENCE):
        return
    with contextlib.suppress(OSError, ValueError):  # the terminal is gone
        while True:
            seconds = int(time.monotonic() - start)
            stream.write(_ERASE + _line(task, meter, seconds, shutil.get_terminal_size().columns - 1))
            stream.flush()
            if end.wait(_INTERVAL):
                break
        stream.write(_ERASE)
        stream.flush()


def _line(task: str, meter: Meter, seconds: int, width: int) -> str:
    """The text of one line: the task, a bar as wide as the rest of the line, and the figures."""
    figures = f"{meter.rows:,} rows {format_size(meter.nbytes)} {timedelta(seconds=seconds)}"
    if not meter.total:
        return f"{task} {figures}"[:width]
    part = min(meter.position / meter.total, 1)
    figures = f"{part:4.0%} {figures}"
    room = width - len(task) - len(figures) - 2
    if room < 1:
        return f"{task} {figures}"[:width]
    full = round(room * part)
    return f"{task} {'█' * full}{'░' * (room - full)} {figures}"
