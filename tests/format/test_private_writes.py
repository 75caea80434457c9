"""A reader can write to its frame, and no other frame or process sees it."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from support.strategies import EXACT


@pytest.fixture
def df():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.random(3000), "y": rng.random(3000), "n": np.arange(3000), "b": rng.random(3000) < 0.5,
                         "s": pd.array(["a", None, "b"] * 1000, "str"), "c": pd.Categorical(["u", "v", None] * 1000),
                         "m": pd.array([1, None, 3] * 1000, "Int64"), "t": pd.date_range("2020", periods=3000, freq="s")})  # fmt: skip


def _fill(values):
    values.flags.writeable = True  # pandas hands out read-only views of what it could write to itself
    values.fill(7)


WRITES = {
    "iloc": lambda df: df.iloc.__setitem__((0, 0), 1e9),
    "loc on a string": lambda df: df.loc.__setitem__((0, "s"), "changed"),
    "augmented": lambda df: df.__setitem__("x", df["x"] + 1),
    "bool": lambda df: df.iloc.__setitem__((slice(None), 3), True),
    "category": lambda df: df.loc.__setitem__((1, "c"), "u"),
    "masked": lambda df: df.loc.__setitem__((slice(0, 9), "m"), pd.NA),
    "time": lambda df: df.loc.__setitem__((5, "t"), pd.NaT),
    "numpy in place": lambda df: _fill(df["n"].to_numpy()),
    "block in place": lambda df: np.add(df._mgr.blocks[0].values, 1, out=df._mgr.blocks[0].values),
    "new column": lambda df: df.insert(0, "z", 1),
    "drop": lambda df: df.pop("y"),
}


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_writes_stay_private(store, df, write):
    snap = store.put("t", df)
    arrow, other = snap.to_arrow(), snap.to_pandas()
    mine = snap.to_pandas()
    WRITES[write](mine)
    with pytest.raises(AssertionError):
        assert_frame_equal(mine, df)
    assert_frame_equal(other, df)
    assert_frame_equal(store.get("t"), df)
    assert_frame_equal(arrow.to_pandas(), df)
    snap.validate()


@pytest.mark.parametrize("kind", sorted(EXACT))
def test_every_kind_of_column_may_be_written_to(store, kind):
    values = EXACT[kind](np.random.default_rng(3), 10)
    df = pd.DataFrame({"x": values, "y": values})
    store.put("t", df)
    assert_same_outcome(store.get("t"), df.copy(), lambda frame: frame.iloc.__setitem__((0, 0), frame.iloc[1, 0]))
    assert_same_outcome(store.get("t"), df.copy(), lambda frame: frame.iloc.__setitem__((slice(2, 4), 1), None))
    assert_frame_equal(store.get("t"), df)


def assert_same_outcome(shared, own, write):
    """A write to a shared frame has the same outcome as a write to any frame. pandas refuses some, such as lists into list columns."""
    try:
        write(own)
    except (TypeError, ValueError, pa.ArrowException) as error:
        with pytest.raises(type(error)):
            write(shared)
    else:
        write(shared)
        assert_frame_equal(shared, own)


@pytest.mark.parametrize("label", ["x", "b", "s", "c", "m", "t"])
def test_a_label_asked_for_twice_is_two_columns(store, df, label):
    store.put("t", df)
    result = store.get("t", columns=[label, "y", label])
    assert_frame_equal(result, df[[label, "y", label]])
    assert_same_outcome(result, df[[label, "y", label]], lambda frame: frame.iloc.__setitem__((0, 0), frame.iloc[2, 0]))


def test_another_process_does_not_see_it(store, df):
    store.put("t", df)
    mine = store.get("t")
    mine.iloc[:, 0] = -1.0
    program = f"import colonnade as cn; print(cn.Store({str(store.path)!r}).get('t')['x'].min())"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(output) == df["x"].min()


def test_read_only_on_request(store, df):
    store.put("t", df)
    result = store.get("t", writable=False)
    assert_frame_equal(result, df)
    with pytest.raises(ValueError, match="read-only"):
        result.iloc[0, 0] = 1.0


def test_frame_outlives_everything(store, df):
    snap = store.put("t", df)
    result, arrow = snap.to_pandas(), snap.to_arrow()
    snap.close()
    del snap
    store.put("t", df.iloc[:5])
    store.delete("t")
    assert_frame_equal(result, df)
    assert_frame_equal(arrow.to_pandas(), df)
    result.iloc[0, 0] = 5.0


def test_numpy_view(store):
    values = np.random.default_rng(0).random((2000, 4))
    snap = store.put("t", pd.DataFrame(values))
    result = snap.to_numpy()
    np.testing.assert_array_equal(result, values)
    assert result.base is not None
    assert result.flags.writeable
    result[0, 0] = 7
    np.testing.assert_array_equal(snap.to_numpy(writable=False), values)
    assert not snap.to_numpy(writable=False).flags.writeable
    np.testing.assert_array_equal(np.asarray(snap), values)
    mixed = store.put("m", pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}))
    np.testing.assert_array_equal(mixed.to_numpy(), [[1, 0.5], [2, 1.5]])


def test_the_source_is_not_aliased(store, df):
    copy = df.copy()
    store.put("t", df)
    df.iloc[:, 0] = 0.0
    assert_frame_equal(store.get("t"), copy)
    table = pa.table({"x": pa.array(np.arange(10.0))})
    store.put("u", table)
    assert not np.shares_memory(store.get("u")["x"].to_numpy(), table["x"].to_numpy())
