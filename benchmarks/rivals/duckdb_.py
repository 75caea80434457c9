"""A DuckDB database file with one table; readers open it read-only."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TITLE = "DuckDB file"


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a new database beside the old one, and put it in its place: readers may have that open."""
    import duckdb

    path, new = folder / f"{name}.duckdb", folder / f"{name}.new"
    with duckdb.connect(new) as database:
        database.register("frame", frame)
        database.execute("CREATE TABLE data AS SELECT * FROM frame")
    new.rename(path)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read the whole table. DuckDB has no index."""
    import duckdb

    with duckdb.connect(folder / f"{name}.duckdb", read_only=True) as database:
        frame: pd.DataFrame = database.execute("FROM data").df()
    return frame
