"""joblib's dump, mapped by the reader with ``mmap_mode="c"``: the strongest rival for frames of numbers.

joblib is imported when this is used, so that the other rivals can be measured without it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TITLE = "joblib, mmap_mode='c'"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Dump it uncompressed, so that its arrays can be mapped."""
    import joblib

    joblib.dump(frame, folder / name)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the arrays, copy-on-write."""
    import joblib

    frame: pd.DataFrame = joblib.load(folder / name, mmap_mode="c")
    return frame
