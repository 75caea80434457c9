"""The command line: ``colonnade``."""

from __future__ import annotations

import os
import signal
import sys

from colonnade.cli.commands import app


def main() -> None:
    """Run the command line, and exit with its status."""
    # Who reads the output may leave before its end, as `head` does; that ends this command quietly, like any other.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app(prog_name="colonnade")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os._exit(1)  # it has been said; a regular exit would try once more, and say it in its own words
