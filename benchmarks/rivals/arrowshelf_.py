"""ArrowShelf: a server that holds frames, which are Arrow tables in shared memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

TITLE = "ArrowShelf"
REQUIRES = ["arrowshelf == 2.3.1"]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[None]:
    """Run the server."""
    command = [sys.executable, "-m", "arrowshelf.server"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as server:
        try:
            time.sleep(1)
            yield
        finally:
            server.terminate()


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Put it, and write its key to a file."""
    import arrowshelf

    (folder / name).write_text(arrowshelf.put(frame))


def load(folder: Path, name: str) -> pd.DataFrame:
    """Get it by its key."""
    import arrowshelf

    frame: pd.DataFrame = arrowshelf.get((folder / name).read_text())
    return frame
