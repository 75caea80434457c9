"""joblib's dump, mapped by the reader with ``mmap_mode="r"``: the frame cannot be written to."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.rivals.joblib_ import publish

__all__ = ["TITLE", "load", "publish"]
TITLE = "joblib, mmap_mode='r'"


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the arrays, read-only."""
    import joblib

    frame: pd.DataFrame = joblib.load(folder / name, mmap_mode="r")
    return frame
