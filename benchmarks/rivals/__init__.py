"""The ways to share a frame that are measured side by side: one file each, one row each here.

Does not depend on: how it is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

from benchmarks.rivals import arrow_ipc, colonnade_, pickle_


class Rival(Protocol):
    """A module that shares frames: one process publishes below a folder, others load from there."""

    TITLE: str

    def publish(self, folder: Path, name: str, frame: pd.DataFrame) -> None: ...

    def load(self, folder: Path, name: str) -> pd.DataFrame: ...


RIVALS: dict[str, Rival] = {"colonnade": colonnade_, "pickle": pickle_, "arrow_ipc": arrow_ipc}
