"""A pickle file, newest protocol: what people do first."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd

TITLE = "pickle"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Dump it to a file."""
    with (folder / name).open("wb") as file:
        pickle.dump(frame, file, pickle.HIGHEST_PROTOCOL)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Load the file."""
    with (folder / name).open("rb") as file:
        frame: pd.DataFrame = pickle.load(file)
    return frame
