"""Vineyard: an object store with a server, which has the frame's blocks in memory that readers map."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

TITLE = "Vineyard"
REQUIRES = ["vineyard == 0.24.2"]
SOCKET = "vineyard.sock"


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[None]:
    """Run the server."""
    socket = folder / SOCKET
    command = [sys.executable, "-m", "vineyard", f"--socket={socket}", "--size=8Gi", "--meta=local"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as server:
        try:
            for _ in range(200):
                if socket.exists():
                    break
                time.sleep(0.05)
            yield
        finally:
            server.terminate()


@cache
def _client(folder: Path) -> Any:
    import vineyard

    return vineyard.connect(str(folder / SOCKET))


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Put it, and give it its name; the object that had the name before is deleted."""
    client = _client(folder)
    with contextlib.suppress(Exception):
        client.delete(client.get_name(name))
    client.put_name(client.put(frame, persist=True), name)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Get it by its name."""
    client = _client(folder)
    frame: pd.DataFrame = client.get(client.get_name(name))
    return frame
