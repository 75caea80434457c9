"""ArcticDB over LMDB: versions of frames in one database file; readers decompress them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

TITLE = "ArcticDB"
REQUIRES = ["arcticdb >= 6.28"]


@cache
def _library(folder: Path) -> Any:
    import arcticdb

    return arcticdb.Arctic(f"lmdb://{folder}?map_size=8GB").get_library("frames", create_if_missing=True)


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a new version, and remove the ones before."""
    _library(folder).write(name, frame, prune_previous_versions=True)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read the newest version."""
    frame: pd.DataFrame = _library(folder).read(name).data
    return frame
