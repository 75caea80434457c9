"""A Lance dataset, whose versions are files beside each other; readers decode it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

TITLE = "Lance"
REQUIRES = ["pylance >= 14"]


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a new version, and remove the ones before."""
    import lance

    dataset = lance.write_dataset(pa.Table.from_pandas(frame), str(folder / name), mode="overwrite")
    dataset.cleanup_old_versions(older_than=pd.Timedelta(0).to_pytimedelta())


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read the whole table."""
    import lance

    frame: pd.DataFrame = lance.dataset(str(folder / name)).to_table().to_pandas()
    return frame
