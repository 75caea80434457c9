"""`get` returns what was put: every dtype, index and label, through a real file."""

import datetime as dt

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytz
from hypothesis import given
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade.format.same import same
from support.quick_lane import examples
from support.strategies import EXACT, INDEXES, NOT_COMPARED, Weekday, frames


def assert_round_trip(store, df):
    with store.put("t", df) as snap:
        snap.validate()
        result = snap.to_pandas()
        assert_frame_equal(result, df, check_freq=True, check_flags=True)
        assert result.attrs == df.attrs
        assert snap.to_arrow().num_rows == len(df)
        return result


@given(df=frames())
@examples(400)
def test_any_frame(store, df):
    assert_round_trip(store, df)


@pytest.mark.parametrize("rows", [0, 1, 64, 5000])
@pytest.mark.parametrize("kind", sorted(EXACT))
def test_each_column_kind(store, kind, rows):
    values = EXACT[kind](np.random.default_rng(1), rows)
    result = assert_round_trip(store, pd.DataFrame({"x": values, "between": range(rows), "y": values}))
    assert type(result["x"].array) is type(pd.Series(values).array)


@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("kind", sorted(NOT_COMPARED))
def test_column_kinds_that_pandas_cannot_compare(store, kind, rows):
    values = NOT_COMPARED[kind](np.random.default_rng(1), rows)
    store.put("t", pd.DataFrame({"x": values}))
    result = store.get("t")["x"]
    assert result.dtype == values.dtype
    assert pa.array(result).to_pylist() == pa.array(values).to_pylist()


@pytest.mark.parametrize("kind", sorted(INDEXES))
def test_each_index_kind(store, kind):
    values = INDEXES[kind](np.random.default_rng(2), 100)
    assert_round_trip(store, pd.DataFrame({"x": range(100)}, index=pd.Index(values, dtype=values.dtype, name="key")))


def test_multi_index_keeps_levels_codes_and_missing_values(store):
    index = pd.MultiIndex.from_arrays(
        [["b", None, "a", "b"], [1.5, 2.5, np.nan, 1.5], pd.to_datetime(["2020", None, "2021", "2020"])]
    )
    index = index.append(index).set_names(["k", None, 0])[[0, 1, 2, 4, 5]]
    result = assert_round_trip(store, pd.DataFrame({"x": range(5)}, index=index)).index
    for level, put in zip(result.levels, index.levels, strict=True):
        pd.testing.assert_index_equal(level, put)
    assert [list(codes) for codes in result.codes] == [list(codes) for codes in index.codes]


@pytest.mark.parametrize("names", [[1, 0], ["k", 0], [0, None], [("x", 1), 1]], ids=repr)
def test_levels_with_numbers_as_names(store, names):
    """pandas takes the name for a number where a level has one. Other readers get each level once, and in order."""
    index = pd.MultiIndex.from_arrays([[1, 2], ["a", "b"]], names=names)
    assert_round_trip(store, pd.DataFrame({"v": [0.5, 1.5]}, index=index))
    assert [column.to_pylist() for column in store.open("t").to_arrow().columns] == [[0.5, 1.5], [1, 2], ["a", "b"]]


@pytest.mark.parametrize("name", [pd.NA, pd.NaT, "\ud800", pd.Timestamp("2020")], ids=ascii)
def test_level_names_that_are_refused(store, name):
    index = pd.MultiIndex.from_arrays([[1], [2]], names=[name, "k"])
    with pytest.raises(cn.UnsupportedTypeError, match="the name of an index"):
        store.put("t", pd.DataFrame({"v": [1]}, index=index))


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


def _two_levels():
    df = pd.DataFrame({"key": ["a", "b", "a"], "v": [1.0, 2.0, 3.0]})
    return {
        "append": df.set_index("key", append=True), "rolling": df.groupby("key").rolling(2).sum(),
        "three": df.set_index("key", append=True).set_index("v", append=True, drop=False).rename_axis(["r", "k", "w"]),
        "sliced range": df.iloc[1:].set_index("key", append=True),
    }  # fmt: skip


@pytest.mark.parametrize("kind", _two_levels())
def test_a_range_among_the_levels_of_an_index(store, tmp_path, kind):
    df = _two_levels()[kind]
    assert_round_trip(store, df)
    table = pa.Table.from_pandas(df)
    pq.write_table(table, tmp_path / "t.parquet")
    with store.put("t", table) as snap, store.load("p", tmp_path / "t.parquet") as loaded:
        for snapshot in (snap, loaded):
            snapshot.validate()
            assert_frame_equal(snapshot.to_pandas(), table.to_pandas())
            assert snapshot.to_arrow().column_names == table.column_names
            assert len(snapshot.explain()) == table.num_columns
        store.put("again", snap)
        assert_frame_equal(store.get("again"), table.to_pandas())


@pytest.mark.parametrize("zone", [pytz.timezone("Europe/Paris"), pytz.UTC, pytz.FixedOffset(90), dt.UTC, dateutil.tz.gettz("Asia/Tokyo")], ids=repr)  # fmt: skip
def test_zones_are_those_of_their_library(store, zone):
    left = pd.date_range("2020", periods=3, tz=zone)
    df = pd.DataFrame(
        {"t": left, "i": pd.arrays.IntervalArray.from_arrays(left, left + pd.Timedelta(1, "h"))},
        index=left.rename("when"),
    )
    result = assert_round_trip(store, df)
    for dtype in (result["t"].dtype, result["i"].dtype.subtype, result.index.dtype):
        assert type(dtype.tz) is type(zone)
    assert (result["i"] == df["i"]).all()


def test_nan_in_a_masked_float_of_an_arrow_table(store):
    numbers = pd.DataFrame({"x": pd.array([1.0], "Float64"), "y": pd.array([1.0], "Float32")})
    table = pa.table({"x": [1.0, float("nan"), None], "y": pa.array([1.0, 2.0, None], pa.float32())})
    table = table.replace_schema_metadata(pa.Table.from_pandas(numbers).schema.metadata)
    store.put("t", table).validate()
    assert_frame_equal(store.get("t"), table.to_pandas())
    assert store.get("t").isna().equals(table.to_pandas().isna())


@pytest.mark.parametrize("attrs", [{"t": (1, 2)}, {1: "a"}, {"x": np.float64(1.5)}, {"x": np.str_("a")}, {"x": {1: 2}}, {"x": Weekday.MONDAY}], ids=repr)  # fmt: skip
def test_attributes_that_json_would_change(store, attrs):
    df = pd.DataFrame({"x": [1]})
    df.attrs = attrs
    with pytest.raises(cn.UnsupportedTypeError, match="attrs"):
        store.put("t", df)


def test_attributes_that_are_no_numbers(store):
    df = pd.DataFrame({"x": [1]})
    df.attrs = {"nan": float("nan"), "inf": [float("inf"), -0.0], "big": 2**80}
    store.put("t", df)
    assert same(store.get("t").attrs, df.attrs)


def test_object_columns_of_numbers_stay_objects(store):
    df = pd.DataFrame({"i": pd.Series([1, None, 2**60], dtype=object), "f": pd.Series([0.5, 1.5, None], dtype=object)})
    store.put("t", df)
    result = store.get("t")
    assert result.dtypes.tolist() == [object, object]
    assert result["i"].tolist() == [1, None, 2**60]


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


LABELS = {
    "categorical": pd.CategoricalIndex(["a", "b"], categories=["b", "a"]),
    "periods": pd.period_range("2024", periods=2, freq="Y"),
    "intervals": pd.interval_range(0, 2),
    "dates": pd.Index([dt.date(2024, 1, 1), dt.date(2024, 1, 2)]),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_snapshot_put_again_is_the_same_frame(name, store):
    """PyArrow's metadata does not keep these labels; the file does."""
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=LABELS[name], index=pd.cut([1, 5], [0, 3, 6]))
    first = store.put("first", frame)
    assert_frame_equal(store.put("second", first).to_pandas(), frame)
    assert_frame_equal(store.put("second", store.open("second")).to_pandas(), frame)
