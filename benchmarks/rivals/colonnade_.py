"""Colonnade itself, as one of the ways: `Store.put` and `Store.get`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from colonnade import Store

TITLE = "colonnade"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Put it."""
    Store(folder).put(name, frame).close()


def load(folder: Path, name: str) -> pd.DataFrame:
    """Get it."""
    return Store(folder).get(name)
