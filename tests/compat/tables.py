"""The tables of which each release stores a file: every kind of column, index and array that the format knows.

A table is never changed, because files of earlier releases hold it. New kinds are new tables.

Does not depend on: how a table is stored.
"""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

MOMENTS = pd.to_datetime(["2020-02-29T12:34:56", None, "1969-12-31T23:59:59"])


def _plain():
    return pd.DataFrame(
        {
            "int64": np.arange(3),
            "int8": np.array([1, -128, 127], "int8"),
            "float64": [0.5, None, float("inf")],
            "float32": np.array([1.5, np.nan, -0.0], "float32"),
            "bool": [True, False, True],
            "time": MOMENTS.astype("datetime64[us]"),
            "zoned": MOMENTS.tz_localize("UTC").tz_convert("Europe/Paris").astype("datetime64[ns, Europe/Paris]"),
            "duration": pd.to_timedelta([1, None, 3], unit="s"),
        },
    )


def _extension():
    return pd.DataFrame(
        {
            "str": pd.array(["a", None, "数据"], "str"),
            "Int64": pd.array([1, None, 2**62], "Int64"),
            "boolean": pd.array([True, None, False], "boolean"),
            "category": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"], ordered=True),
            "period": pd.PeriodIndex(["2020-01", None, "2020-03"], freq="M"),
            "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
            "arrow": pd.array(["a", None, "b"], pd.ArrowDtype(pa.string())),
        }
    )


def _objects():
    return pd.DataFrame(
        {"date": [dt.date(2020, 1, 1), None, dt.date(1900, 1, 1)], "text": pd.Series(["a", None, "b"], dtype=object)}
    )


def _multi_index():
    index = pd.MultiIndex.from_product([["a", "b"], pd.date_range("2020", periods=2)], names=["letter", "day"])
    columns = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["upper", None])
    return pd.DataFrame(np.arange(8.0).reshape(4, 2), index=index, columns=columns)


def _index():
    df = pd.DataFrame({"x": [1, 2, 3]}, index=pd.date_range("2020", periods=3, freq="D", name="day"))
    df.attrs = {"source": "compat", "n": 1}
    return df


FRAMES = {
    "plain": _plain,
    "extension": _extension,
    "objects": _objects,
    "multi_index": _multi_index,
    "index": _index,
    "many_labels": lambda: pd.DataFrame(np.arange(200.0).reshape(2, 100), columns=[f"c{i}" for i in range(100)]),
    "nulls": lambda: pd.DataFrame({"text": np.array(["a", None, np.nan, pd.NA], object), "number": np.array([1, pd.NaT, None, 2], object)}),
    "empty": lambda: pd.DataFrame({"x": pd.Series([], dtype="float64")}),
}  # fmt: skip
ARRAYS = {
    "array": lambda: np.arange(24, dtype="int32").reshape(2, 3, 4),
    "fortran": lambda: np.asfortranarray(np.arange(12.0).reshape(4, 3)),
    "structure": lambda: np.array([(1, 2.5), (3, 4.5)], [("a", "<i4"), ("b", "<f8")]),
}
TABLES = {
    "arrow": lambda: pa.table({"list": pa.array([[1, None], [], None]), "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
                               "decimal": pa.array([Decimal("1.25"), None, Decimal("-2")], pa.decimal128(10, 2)), "struct": pa.array([{"a": 1}, None, {"a": 2}])}),
}  # fmt: skip
