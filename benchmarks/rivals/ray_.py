"""Ray's object store: a cluster of this machine. The publisher and the readers are drivers."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

TITLE = "Ray's object store"
REQUIRES = ["ray >= 2.60"]
PORT = 26379
STORE = 8 << 30
_owned: dict[str, Any] = {}
ENVIRONMENT = {"RAY_DISABLE_IMPORT_WARNING": "1", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[None]:
    """Start the cluster, and stop it. It has no processors for tasks: drivers alone put and get."""
    command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
    options = ["--head", f"--port={PORT}", "--include-dashboard=false", "--num-cpus=0", "--disable-usage-stats"]
    options += [f"--object-store-memory={STORE}", f"--temp-dir={folder}"]
    environment = os.environ | ENVIRONMENT
    subprocess.run([*command, "start", *options], check=True, capture_output=True, env=environment, timeout=120)
    try:
        yield
    finally:
        killed = []
        for process in psutil.process_iter():  # `ray stop` does the same, and takes 7 s
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and any(str(folder) in word for word in process.cmdline()):
                    process.kill()
                    killed.append(process)
        psutil.wait_procs(killed, timeout=20)  # the memory of the store is free then


def _connect() -> Any:
    import ray

    if not ray.is_initialized():
        os.environ |= ENVIRONMENT
        ray.init(address=f"127.0.0.1:{PORT}", log_to_driver=False, logging_level=logging.ERROR)
    return ray


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Put the frame into Ray's store, and write its reference to a file."""
    ray = _connect()
    reference = ray.put(frame)
    (folder / f"{name}.new").write_bytes(ray.cloudpickle.dumps(reference))
    (folder / f"{name}.new").rename(folder / name)
    _owned[name] = reference


def load(folder: Path, name: str) -> pd.DataFrame:
    """Get what the reference leads to."""
    ray = _connect()
    frame: pd.DataFrame = ray.get(ray.cloudpickle.loads((folder / name).read_bytes()))
    return frame
