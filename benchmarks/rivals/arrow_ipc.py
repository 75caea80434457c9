"""An uncompressed Arrow IPC file, mapped by the reader: what PyArrow's documentation advises."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

TITLE = "Arrow IPC"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Convert it to a table, and write that to a file."""
    table = pa.Table.from_pandas(frame)
    with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the file, and convert the table."""
    frame: pd.DataFrame = pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all().to_pandas()
    return frame
