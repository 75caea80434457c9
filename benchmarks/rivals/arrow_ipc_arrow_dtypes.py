"""An Arrow IPC file, mapped, and wrapped in pandas' `ArrowDtype`: nothing is copied, and every dtype is another."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from benchmarks.rivals.arrow_ipc import publish

__all__ = ["TITLE", "load", "publish"]
TITLE = "Arrow IPC, ArrowDtype"


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the file, and wrap its columns."""
    table = pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all()
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
