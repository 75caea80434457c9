"""An Arrow IPC file, mapped, and converted with ``split_blocks=True``: columns without nulls are not copied."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from benchmarks.rivals.arrow_ipc import publish

__all__ = ["TITLE", "load", "publish"]
TITLE = "Arrow IPC, split_blocks"


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the file, and convert the table with one block for each column."""
    table = pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all()
    frame: pd.DataFrame = table.to_pandas(split_blocks=True)
    return frame
