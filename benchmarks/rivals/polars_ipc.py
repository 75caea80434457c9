"""An Arrow IPC file by Polars, mapped, and converted to pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TITLE = "Polars IPC"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Convert it to Polars, with its index as columns where it has names, and write that."""
    import polars as pl

    pl.from_pandas(frame, include_index=frame.index.names != [None]).write_ipc(folder / name)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read the file, which Polars maps, and convert the frame. Polars has no index."""
    import polars as pl

    return pl.read_ipc(folder / name).to_pandas()
