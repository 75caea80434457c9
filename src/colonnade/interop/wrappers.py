"""What stands for a table and is none itself: a frame of Narwhals, a dataset, a query that was not run yet.

Libraries are not imported: without one of them loaded, there can be none of its objects. Does not depend on: how a
table is stored.
"""

from __future__ import annotations

import sys
from typing import Any

from colonnade.errors import NotATableError


def unwrapped(data: Any) -> Any:
    """Give the table that an object stands for; other objects as they are. A query is run, and a dataset read.

    Raises
    ------
    NotATableError
        For a class.
    """
    if isinstance(data, type):
        raise NotATableError(f"{data.__name__} is a class, and not a table; make one of it, as in {data.__name__}(...)")
    narwhals = sys.modules.get("narwhals")
    if narwhals is not None:
        if isinstance(data, narwhals.LazyFrame):
            data = data.collect()
        if isinstance(data, narwhals.Series) and data.implementation.is_pyarrow():
            data = data.to_frame()  # a column of PyArrow has no name
        if isinstance(data, (narwhals.DataFrame, narwhals.Series)):
            data = data.to_native()
    if is_dataset(data):
        return data.to_table()
    return data.collect() if is_lazy(data) else data


def is_dataset(data: Any) -> bool:
    """Whether this is a dataset of PyArrow, or a scanner of one."""
    dataset = sys.modules.get("pyarrow.dataset")
    return dataset is not None and isinstance(data, (dataset.Dataset, dataset.Scanner))


def is_lazy(data: Any) -> bool:
    """Whether this is a query of Polars that was not run yet."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.LazyFrame)


def is_polars_frame(data: Any) -> bool:
    """Whether this is a frame of Polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.DataFrame)


def is_polars_series(data: Any) -> bool:
    """Whether this is a Series of Polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, polars.Series)
