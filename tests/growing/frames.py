"""Frames of every type that can grow, for tests; and their hypothesis strategies."""

from functools import lru_cache

import numpy as np
import pandas as pd
from hypothesis import strategies as st

DTYPES = {
    "i": "int64",
    "small": "uint8",
    "f": "float64",
    "g": "float64",
    "h": "float32",
    "flag": "bool",
    "t": "datetime64[ns]",
    "d": "timedelta64[us]",
    "z": "datetime64[ms, Europe/Oslo]",
    "m": "Int32",
    "q": "Float64",
    "b": "boolean",
    "s": "str",
    "c": "category",
}

_TEXT = pd.array([f"row {i}" * (i % 3) for i in range(1000)], "str")
_KINDS = [f"kind {i}" for i in range(200)]


@lru_cache(64)
def frame(start, rows, names=tuple(DTYPES)):
    """Rows ``start`` to ``start + rows`` of a table without end: all values follow from the number of the row."""
    n = np.arange(start, start + rows)
    null = n % 5 == 3
    moments = np.datetime64("2026-01-01", "ns") + n * 1_000_000_007
    columns = {
        "i": n,
        "small": (n % 251).astype("uint8"),
        "f": np.where(null, np.nan, n * 0.5),
        "g": n * 0.25,
        "h": np.where(n % 7 == 1, np.nan, n).astype("float32"),
        "flag": n % 3 == 0,
        "t": pd.Series(moments).where(~null),
        "d": pd.Series((n * 1000).astype("timedelta64[us]")).where(n % 4 > 0),
        "z": pd.Series(moments.astype("datetime64[ms]")).dt.tz_localize("UTC").dt.tz_convert("Europe/Oslo"),
        "m": pd.arrays.IntegerArray((n % 100).astype("int32"), null),
        "q": pd.arrays.FloatingArray(n * 0.5, n % 6 == 2),
        "b": pd.arrays.BooleanArray(n % 2 == 0, null),
        "s": _TEXT.take(np.where(null, -1, n % 1000), allow_fill=True),
        "c": pd.Categorical.from_codes(np.where(null, -1, n % 17 + n // 4000 % 150), _KINDS).remove_unused_categories(),
    }
    result = pd.DataFrame({name: columns[name] for name in names})
    return result.astype({name: DTYPES[name] for name in names if name != "c"})


def values(df):
    """The same frame with categories as text: their order and number are not what is compared."""
    df = df.copy(deep=False)
    for name in [name for name in df.columns if isinstance(df[name].dtype, pd.CategoricalDtype)]:
        categories = pd.array(df[name].cat.categories.to_list(), "str")
        df[name] = categories.take(df[name].cat.codes.to_numpy(), allow_fill=True)
    return df


def assert_same(result, expected):
    """Two frames have the same index, dtypes and values."""
    assert [str(dtype) for dtype in result.dtypes] == [str(dtype) for dtype in expected.dtypes]
    pd.testing.assert_frame_equal(values(result), values(expected), check_index_type=False)


@lru_cache(64)
def expected(start, stop, names=tuple(DTYPES)):
    """Rows ``start`` to ``stop`` with the index that a growing table gives them."""
    return frame(start, stop - start, names).set_axis(pd.RangeIndex(start, stop))


names = st.lists(st.sampled_from(sorted(DTYPES)), min_size=1, max_size=6, unique=True)
