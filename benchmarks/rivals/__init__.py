"""The ways to share a frame that are measured side by side: one file each, one word each in the table below.

A rival's library is imported inside its functions, so that its title can be read where the library is not installed.

Does not depend on: how it is measured.
"""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Protocol, cast

import pandas as pd


class Rival(Protocol):
    """A module that shares frames: one process publishes below a folder, others load from there.

    It may also have ``REQUIRES``, what its environment needs beside this project's, and ``serve(folder)``, a context
    manager around its server. `requires` and `serving` read them.
    """

    TITLE: str

    def publish(self, folder: Path, name: str, frame: pd.DataFrame) -> None: ...

    def load(self, folder: Path, name: str) -> pd.DataFrame: ...


# In the order of the tables: what maps, what copies, what has a server.
NAMES = [
    "colonnade_",
    "joblib_",
    "joblib_read_only",
    "pickle5_",
    "shared_memory_",
    "fastshare_",
    "arrow_ipc",
    "arrow_ipc_split_blocks",
    "arrow_ipc_arrow_dtypes",
    "feather_",
    "polars_ipc",
    "parquet_",
    "duckdb_",
    "lance_",
    "arcticdb_",
    "pickle_pipe",
    "redis_",
    "ray_",
    "vineyard_",
    "arrowshelf_",
]


def rival(name: str) -> Rival:
    """The module of a name."""
    return cast("Rival", importlib.import_module(f"benchmarks.rivals.{name}"))


def requires(name: str) -> list[str]:
    """What to install for a rival, beside this project's own environment."""
    return cast("list[str]", getattr(rival(name), "REQUIRES", []))


def serving(name: str, folder: Path) -> contextlib.AbstractContextManager[None]:
    """A rival's server, as long as the context is open; most have none."""
    serve = getattr(rival(name), "serve", None)
    return serve(folder) if serve else contextlib.nullcontext()
