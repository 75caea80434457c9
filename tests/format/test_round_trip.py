"""What is put is what is got: every dtype, index and label, through a real file."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.strategies import EXACT, INDEXES, NOT_COMPARED, frames


def assert_round_trip(store, df):
    with store.put("t", df) as snap:
        snap.validate()
        got = snap.to_pandas()
        assert_frame_equal(got, df, check_freq=True, check_flags=True)
        assert got.attrs == df.attrs
        assert snap.to_arrow().num_rows == len(df)
        return got


@given(df=frames())
@settings(max_examples=400)
def test_any_frame(store, df):
    assert_round_trip(store, df)


@pytest.mark.parametrize("rows", [0, 1, 64, 5000])
@pytest.mark.parametrize("kind", sorted(EXACT))
def test_each_column_kind(store, kind, rows):
    values = EXACT[kind](np.random.default_rng(1), rows)
    got = assert_round_trip(store, pd.DataFrame({"x": values, "between": range(rows), "y": values}))
    assert type(got["x"].array) is type(pd.Series(values).array)


@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("kind", sorted(NOT_COMPARED))
def test_column_kinds_that_pandas_cannot_compare(store, kind, rows):
    values = NOT_COMPARED[kind](np.random.default_rng(1), rows)
    store.put("t", pd.DataFrame({"x": values}))
    got = store.get("t")["x"]
    assert got.dtype == values.dtype
    assert pa.array(got).to_pylist() == pa.array(values).to_pylist()


@pytest.mark.parametrize("kind", sorted(INDEXES))
def test_each_index_kind(store, kind):
    values = INDEXES[kind](np.random.default_rng(2), 100)
    assert_round_trip(store, pd.DataFrame({"x": range(100)}, index=pd.Index(values, dtype=values.dtype, name="key")))


def test_multi_index_keeps_levels_codes_and_missing_values(store):
    index = pd.MultiIndex.from_arrays(
        [["b", None, "a", "b"], [1.5, 2.5, np.nan, 1.5], pd.to_datetime(["2020", None, "2021", "2020"])]
    )
    index = index.append(index).set_names(["k", None, 0])[[0, 1, 2, 4, 5]]
    got = assert_round_trip(store, pd.DataFrame({"x": range(5)}, index=index)).index
    for kept, put in zip(got.levels, index.levels, strict=True):
        pd.testing.assert_index_equal(kept, put)
    assert [list(codes) for codes in got.codes] == [list(codes) for codes in index.codes]


def test_frequency_of_the_index(store):
    for index in (
        pd.date_range("2020", periods=4, freq="MS"),
        pd.timedelta_range(0, periods=4, freq="2h"),
        pd.bdate_range("2020", periods=4),
    ):
        assert assert_round_trip(store, pd.DataFrame({"x": range(4)}, index=index)).index.freq == index.freq


def test_flags_and_attrs(store):
    df = pd.DataFrame({"x": [1]}).set_flags(allows_duplicate_labels=False)
    df.attrs = {"unit": "m", "nested": {"a": [1, None, True]}}
    assert assert_round_trip(store, df).flags.allows_duplicate_labels is False


def test_series_becomes_a_frame_of_one_column(store):
    store.put("s", pd.Series([1, 2], name="x"))
    assert_frame_equal(store.get("s"), pd.DataFrame({"x": [1, 2]}))


@pytest.mark.parametrize("df", [
    pd.DataFrame(),
    pd.DataFrame(index=range(5)),
    pd.DataFrame(columns=["a", "b"]),
    pd.DataFrame(index=pd.date_range("2020", periods=3)),
    pd.DataFrame({"a": [], "b": np.array([], dtype="int8")}),
    pd.DataFrame(index=pd.MultiIndex.from_arrays([np.array([None, None], object)] * 2)),
    pd.DataFrame(index=range(3), columns=pd.MultiIndex.from_arrays([[], []])),
], ids=["nothing", "rows only", "labels only", "index only", "no rows", "nulls alone", "empty multi"])  # fmt: skip
def test_empty_shapes(store, df):
    assert_round_trip(store, df)


def test_frames_laid_out_in_other_ways(store):
    rng = np.random.default_rng(0)
    rows_first = pd.DataFrame(rng.random((10_000, 30)))
    for df in (rows_first, rows_first.iloc[::-1], rows_first.iloc[::7, ::2], rows_first.T, rows_first.astype("float32").iloc[3:],
               pd.DataFrame(rng.random((5000, 3)) < 0.5), pd.DataFrame(rng.integers(0, 9, (5000, 3)).astype("M8[s]"))):  # fmt: skip
        assert_round_trip(store, df)


@pytest.mark.slow
def test_a_table_larger_than_the_buffers_it_is_written_through(store):
    rng = np.random.default_rng(0)
    n = 700_001
    df = pd.DataFrame({"f": rng.random(n), "b": rng.random(n) < 0.5, "i8": rng.integers(-9, 9, n).astype("int8"),
                       "m": pd.array(rng.integers(0, 9, n), "Int64"), "c": pd.Categorical.from_codes(rng.integers(-1, 4, n), list("wxyz")),
                       "s": pd.array(rng.integers(0, 10**6, n).astype(str), "str"), "f32": rng.random(n).astype("f4")})  # fmt: skip
    df.loc[::5, "f"] = np.nan
    df.loc[::3, "m"] = pd.NA
    df.loc[::7, "s"] = None
    assert_round_trip(store, df)
    assert_frame_equal(store.open("t").to_arrow().to_pandas(), df)


@pytest.mark.parametrize("cells", [
    [dt.date(2020, 1, 1), None], [decimal.Decimal("1.50"), None], [b"x", b""], [[1, 2], None], [{"a": 1}, {"a": 2}],
    [True, None], [dt.time(1, 2), None],
], ids=lambda cells: type(cells[0]).__name__)  # fmt: skip
def test_object_cells_come_back_as_pyarrow_brings_them(store, cells):
    df = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
    store.put("t", df)
    expected = pa.Table.from_pandas(df).to_pandas()
    assert_frame_equal(store.get("t"), expected)


def test_object_columns_of_numbers_stay_objects(store):
    df = pd.DataFrame({"i": pd.Series([1, None, 2**60], dtype=object), "f": pd.Series([0.5, 1.5, None], dtype=object)})
    store.put("t", df)
    got = store.get("t")
    assert got.dtypes.tolist() == [object, object]
    assert got["i"].tolist() == [1, None, 2**60]


def test_pyarrow_reads_the_same_frame_from_the_file(store):
    n = 1000
    rng = np.random.default_rng(3)
    names = [
        "int64",
        "float64",
        "bool",
        "str",
        "datetime64[us]",
        "datetime64[ns, UTC]",
        "Int32",
        "boolean",
        "category of str",
        "period[D]",
        "interval of int",
        "timedelta64[ns]",
    ]
    index = pd.MultiIndex.from_product([range(10), [f"k{i}" for i in range(100)]], names=["a", None])
    df = pd.DataFrame({name: EXACT[name](rng, n) for name in names}, index=index)
    path = store.put("t", df).path
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        assert_frame_equal(table.to_pandas(), df)
    assert table.schema.metadata[b"pandas"] == pa.Table.from_pandas(df).schema.metadata[b"pandas"]


def test_public_function_and_projection(default_store):
    df = pd.DataFrame(
        {"a": [1, 2], "b": [1.5, 2.5], "c": [3, 4], "d": ["x", None]}, index=pd.Index(["r", "s"], name="i")
    )
    cn.put("nested/name", df)
    for columns in (["c"], ["d", "a"], ["c", "a", "b"], [], ["a", "a"], ["b", "d", "c", "a"]):
        assert_frame_equal(cn.get("nested/name", columns=columns), df[columns])
    assert np.shares_memory(*(frame["a"].to_numpy() for frame in [cn.open("nested/name").to_pandas()] * 2))
    cn.delete("nested/name")


def test_projection_of_duplicate_and_tuple_labels(store):
    df = pd.DataFrame([[1, 2, 3, 4.5]], columns=["a", "b", "a", "c"])
    store.put("t", df)
    assert_frame_equal(store.get("t", columns=["c", "a"]), df[["c", "a"]])
    multi = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)]))
    store.put("t", multi)
    assert_frame_equal(store.get("t", columns=[("y", 2)]), multi[[("y", 2)]])
