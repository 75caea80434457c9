"""A bar in a terminal, for what takes long.

Knows: rich. Does not depend on: what is read or written; it looks at a meter.

Nothing is drawn in the first second, and nothing ever where stderr is no terminal.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from colonnade.io.meter import Meter
from colonnade.sizes import format_size

if TYPE_CHECKING:
    from rich.live import Live

_PATIENCE = 1.0


@contextlib.contextmanager
def shown(what: str, *, wanted: bool) -> Iterator[Meter]:
    """Give a meter, and show it while the block runs."""
    meter = Meter()
    if not (wanted and sys.stderr is not None and sys.stderr.isatty()):
        yield meter
        return
    bar = _bar(what, meter)
    timer = threading.Timer(_PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield meter
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _bar(what: str, meter: Meter) -> Live:
    from rich.console import Console  # noqa: PLC0415 -- most programs have no terminal
    from rich.live import Live  # noqa: PLC0415 -- the same
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 -- the same
    from rich.table import Table  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    started = time.monotonic()

    def look() -> Table:
        seconds = timedelta(seconds=int(time.monotonic() - started))
        part = f"{min(meter.done / meter.total, 1):4.0%}" if meter.total else ""
        line = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None):  # the bar has what the words leave
            line.add_column(ratio=ratio, no_wrap=True)
        said = f"{part} {meter.rows:,} rows {format_size(meter.nbytes)} {seconds}"
        line.add_row(Text(what), ProgressBar(meter.total or None, meter.done), Text(said.strip()))
        return line

    console = Console(stderr=True)
    return Live(get_renderable=look, console=console, transient=True, refresh_per_second=5, redirect_stdout=False)
