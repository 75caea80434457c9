"""What a snapshot has in common with a frame, and the dtypes that a caller can ask for."""

import io

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from polars.testing import assert_frame_equal as assert_polars_equal

import colonnade as cn


@pytest.fixture
def df():
    index = pd.date_range("2020", periods=30, freq="D", name="day")
    return pd.DataFrame(
        {"a": np.arange(30), "b": np.arange(30) / 3, "s": [f"s{i % 7}" for i in range(30)], 7: [True, False] * 15},
        index=index,
    )


@pytest.fixture
def snap(store, df):
    return store.put("t", df)


def test_columns_shape_and_length_are_those_of_the_frame(snap, df):
    assert (snap.columns, snap.shape, len(snap)) == (list(df.columns), df.shape, len(df))
    assert list(snap) == list(df)
    assert ["a" in snap, 7 in snap, "day" in snap] == [True, True, False]


@pytest.mark.parametrize("key", [slice(10, 20), slice(None, None, 7), slice(-3, None), slice(90, 99), ["b", "a"], []])
def test_rows_and_columns_are_those_of_the_frame(snap, df, key):
    expected = df.iloc[key] if isinstance(key, slice) else df[key]
    assert_frame_equal(snap[key], expected, check_freq=isinstance(key, slice))


@pytest.mark.parametrize("label", ["a", "s", 7])
def test_one_column(snap, df, label):
    assert_series_equal(snap[label], df[label])


@pytest.mark.parametrize("n", [0, 1, 5, 30, 99, -1, -29, -30, -99])
def test_head_and_tail(snap, df, n):
    assert_frame_equal(snap.head(n), df.head(n))
    assert_frame_equal(snap.tail(n), df.tail(n))
    assert_frame_equal(snap.head(), df.head())
    assert_frame_equal(snap.tail(), df.tail())


def test_a_label_that_is_not_there(snap):
    for key in ("c", ["a", "c"], 3):
        with pytest.raises(KeyError, match="no column"):
            snap[key]
    with pytest.raises(TypeError, match=r"takes a slice of rows, .* got a Series; to_pandas\(\)"):
        snap[pd.Series([True])]


def test_labels_of_several_levels(store):
    df = pd.DataFrame([[1, 2, 3]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]))
    snap = store.put("t", df)
    assert snap.columns == [("a", 1), ("a", 2), ("b", 1)]
    assert_series_equal(snap["a", 2], df["a", 2])
    assert_frame_equal(snap["a"], df["a"])


def test_a_series_and_an_array(store):
    series = store.put("s", pd.Series([1, 2, 3], index=list("abc"), name="x"))
    assert (series.shape, len(series), series.columns) == ((3,), 3, ["x"])
    assert_series_equal(series[1:], pd.Series([2, 3], index=list("bc"), name="x"))
    values = np.arange(24).reshape(4, 3, 2)
    array = store.put("a", values)
    assert (array.shape, len(array)) == ((4, 3, 2), 4)
    np.testing.assert_array_equal(array[1:3, 0], values[1:3, 0])
    np.testing.assert_array_equal(array.tail(1), values[-1:])
    assert store.put("z", np.array(5)).shape == ()


def test_a_table_without_rows_is_true(store):
    snap = store.put("t", pd.DataFrame({"x": []}))
    assert snap
    assert len(snap) == 0
    assert snap.head().shape == (0, 1)


def test_batches_and_a_reader(snap):
    assert [batch.num_rows for batch in snap.to_batches(12)] == [12, 12, 6]
    assert snap.to_batches()[0].num_rows == 30
    assert snap.to_reader(12).read_all().equals(snap.to_arrow())
    assert [batch.num_rows for batch in snap.to_reader(20)] == [20, 10]


# -- lazy --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        lambda lazy: lazy,
        lambda lazy: lazy.select("s", "a"),
        lambda lazy: lazy.filter(pl.col("a") > 20).select("b"),
        lambda lazy: lazy.filter(pl.col("a") > 20).head(3),
        lambda lazy: lazy.head(25).filter(pl.col("a") > 20),
        lambda lazy: lazy.tail(4),
        lambda lazy: lazy.slice(3, 5).select("s"),
        lambda lazy: lazy.group_by("s").agg(pl.col("b").sum()).sort("s"),
        lambda lazy: lazy.join(lazy.select("a", pl.col("b").alias("c")), on="a").sort("a"),
        lambda lazy: lazy.select(pl.len()),
    ],
)
def test_a_lazy_query_gives_what_the_frame_gives(store, query):
    frame = pl.DataFrame({"a": range(30), "b": [i / 3 for i in range(30)], "s": [f"s{i % 7}" for i in range(30)]})
    snap = store.put("t", frame)
    assert_polars_equal(query(snap.scan()).collect(), query(frame.lazy()).collect())  # sums in any order


def test_a_lazy_query_outlives_the_table(store):
    with store.put("t", pl.DataFrame({"a": range(5)})) as snap:
        lazy = snap.scan()
    store.delete("t")
    assert lazy.collect()["a"].sum() == 10
    assert lazy.collect_schema() == {"a": pl.Int64}


def test_polars_has_no_two_columns_of_one_name(store, capfd):
    snap = store.put("t", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    for open_as_polars in (snap.to_polars, snap.scan):
        with pytest.raises(cn.UnsupportedTypeError, match="several columns of one name, 'a'"):
            open_as_polars()
    assert capfd.readouterr().err == ""  # Polars prints where it panics


# -- narwhals ----------------------------------------------------------------------------------------------------------


def test_narwhals_takes_a_snapshot(snap, df):
    frame = nw.from_native(snap)
    assert frame.implementation.is_pyarrow()
    assert frame.columns == ["a", "b", "s", "7", "day"]
    result = frame.filter(nw.col("a") > 20).group_by("s").agg(nw.col("b").sum()).sort("s").to_native()
    expected = df[df["a"] > 20].groupby("s")["b"].sum()
    assert result["b"].to_pylist() == pytest.approx(expected.tolist())

    @nw.narwhalify
    def first(frame):
        return frame.head(1)

    assert first(snap).num_rows == 1


# -- other dtypes ------------------------------------------------------------------------------------------------------


def nulls():
    return pa.table({
        "i": pa.array([1, None, 3]), "i8": pa.array([1, None, 3], pa.int8()), "u": pa.array([1, None, 3], pa.uint32()),
        "f": pa.array([1.5, None, 2.5]), "h": pa.array([1.5, None, 2.5], pa.float32()),
        "b": pa.array([True, None, False]), "s": pa.array(["a", None, "c"]),
        "t": pa.array([1, None, 3], pa.timestamp("us")), "d": pa.array([1, None, 3], pa.date32()),
    })  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_dtype_backend_is_that_of_pandas(store, backend):
    file = io.BytesIO()

    pyarrow.parquet.write_table(nulls(), file)
    expected = pd.read_parquet(io.BytesIO(file.getvalue()), dtype_backend=backend)
    store.put("t", nulls())
    result = store.get("t", dtype_backend=backend)
    if backend == "pyarrow":  # text is stored with long offsets
        assert result["s"].dtype == pd.ArrowDtype(pa.large_string())
        result["s"] = result["s"].astype(expected["s"].dtype)
    assert_frame_equal(result, expected)


LABELS = {
    "tuples": pd.Index([("x", 1), ("y", 2)], tupleize_cols=False),
    "numbers and text": pd.Index([1, "a"], dtype=object),
    "None": pd.Index([None, "a"], dtype=object),
    "booleans": pd.Index([True, False]),
    "periods": pd.period_range("2020", periods=2, freq="M"),
    "intervals": pd.interval_range(0, 2),
    "categories": pd.CategoricalIndex(["a", "b"], name="kind"),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["l", None]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_labels_with_a_dtype_backend(store, labels, backend):
    """PyArrow makes text of them, or does not know them."""
    store.put("t", pd.DataFrame([[1, 2.5]], columns=labels, index=pd.Index([7], name="i")))
    pd.testing.assert_index_equal(store.get("t", dtype_backend=backend).columns, labels)
    last = store.get("t", columns=[labels[1]], dtype_backend=backend)
    pd.testing.assert_index_equal(last.columns, labels[[1]])
    assert last.iloc[0, 0] == 2.5


def test_types_that_a_dtype_backend_does_not_have(store):
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    store.put("t", pa.table({"u": union, "x": [1]}))
    for options in ({"dtype_backend": "numpy_nullable"}, {"types_mapper": {}.get}):
        with pytest.raises(cn.UnsupportedTypeError, match="sparse_union"):
            store.get("t", **options)
    with pytest.raises(ValueError, match="of the caller"):
        store.get("t", types_mapper=_fail)


def _fail(_):
    raise ValueError("of the caller")


def test_types_mapper_is_that_of_pyarrow(store, df):
    store.put("t", df)
    mapper = {pa.int64(): pd.Int64Dtype()}.get
    result = store.get("t", types_mapper=mapper)
    expected = store.open("t").to_arrow().to_pandas(types_mapper=mapper)
    expected.columns = df.columns  # a number among them is text for PyArrow
    assert_frame_equal(result, expected, check_freq=False)
    assert result["a"].dtype == "Int64"
    assert result.index.name == "day"


def test_with_some_columns_and_for_a_series(store, df):
    store.put("t", df)
    result = store.get("t", columns=["b", "a"], dtype_backend="pyarrow")
    assert list(result.columns) == ["b", "a"]
    assert result.index.dtype == pd.ArrowDtype(pa.timestamp("us"))  # as PyArrow does
    assert result["a"].dtype == pd.ArrowDtype(pa.int64())
    with pytest.raises(cn.NotFoundError, match="no column 'q'"):
        store.get("t", columns="q", dtype_backend="pyarrow")
    store.put("s", df["a"])
    series = store.get("s", dtype_backend="numpy_nullable")
    assert_series_equal(series, df["a"].astype("Int64"), check_freq=False)


def test_options_that_are_refused(store, df):
    store.put("t", df)
    store.put("a", np.zeros(3))
    with pytest.raises(ValueError, match="not both"):
        store.get("t", dtype_backend="pyarrow", types_mapper=dict().get)
    with pytest.raises(ValueError, match="dtype_backend must be"):
        store.get("t", dtype_backend="numpy")
    with pytest.raises(cn.UnsupportedTypeError, match="this is an array"):
        store.get("a", dtype_backend="pyarrow")
