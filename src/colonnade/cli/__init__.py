"""The command line, ``colonnade``. It needs the extra ``cli``: Typer and Rich."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the command line, and exit with its status."""
    try:
        from colonnade.cli.commands import app
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.exit("colonnade: the command line needs Typer and Rich: pip install 'colonnade[cli]'")
    # The reader of a pipe may close it early, as `head` does. That ends this command quietly, as it ends others.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not have every letter of a table
    try:
        app(prog_name="colonnade")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os._exit(1)  # the error is printed already; a regular exit would flush again and print a second one


def _open_closed_streams() -> None:
    """Put the null device where the caller has closed a standard stream, so that no other file gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 -- until the process ends
