"""A Parquet file, as pandas writes and reads it: what many pipelines pass on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TITLE = "Parquet"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write it with pandas' defaults."""
    frame.to_parquet(folder / name)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read it."""
    frame: pd.DataFrame = pd.read_parquet(folder / name)
    return frame
