"""A Feather file, as pandas writes and reads it with its defaults (LZ4)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TITLE = "Feather"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write it with pandas' defaults."""
    frame.to_feather(folder / name)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read it."""
    return pd.read_feather(folder / name)
