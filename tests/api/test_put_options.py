"""What `put` takes besides a frame: Series, mappings, metadata, an order of rows, lifetimes and sizes as text."""

import json
from datetime import datetime, timedelta

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import colonnade as cn
from support.strategies import Point

# -- Series ------------------------------------------------------------------------------------------------------------

NAMES = ["x", None, 5, ("a", "b"), 1.5, pd.Timestamp("2020-01-01"), np.int64(3), datetime(2020, 1, 1), (datetime(2020, 1, 1), 1), pd.NaT, pd.NA]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_series_comes_back_with_its_name_and_index(store, name):
    series = pd.Series([1.5, None, 3.0], index=pd.Index(list("abc"), name="k"), name=name)
    series.attrs["unit"] = "m"
    store.put("s", series)
    result = store.get("s")
    assert_series_equal(result, series)
    assert type(result.name) is type(series.name)
    assert result.attrs == {"unit": "m"}


@pytest.mark.parametrize("name", [np.str_("x"), Point(1, 2), "\ud800", pd.Period("2020")], ids=ascii)
def test_a_name_that_would_be_another_is_refused(store, name):
    with pytest.raises(cn.UnsupportedTypeError, match="labels cannot be stored"):
        store.put("s", pd.Series([1], name=name))


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["a", None, "c"], name="text"),
        pd.Series(pd.Categorical(["a", "b", None]), name="c"),
        pd.Series(pd.array([1, None, 3], "Int32")),
        pd.Series(pd.date_range("2020", periods=3, tz="UTC"), index=pd.MultiIndex.from_product([[1], [1, 2, 3]])),
        pd.Series([], dtype="float64", name="empty"),
        pd.Series([(1, 2), (3,)], name="objects"),
    ],
    ids=lambda series: str(series.dtype),
)
def test_series_of_any_dtype(store, series):
    store.put("s", series)
    assert_series_equal(store.get("s"), series)
    assert store.open("s").validate() is None


def test_a_series_is_private_and_nothing_is_copied(store):
    store.put("s", pd.Series(np.arange(100_000.0), name="x"))
    first, second = store.get("s"), store.get("s", writable=False)
    first.iloc[0] = 7
    assert (first.iloc[0], second.iloc[0], store.get("s").iloc[0]) == (7, 0, 0)
    assert not second.to_numpy().flags.writeable
    assert store.open("s").to_numpy().shape == (100_000,)


def test_named_columns_of_a_series_are_a_frame(store):
    store.put("s", pd.Series([1, 2], name="x"))
    assert_frame_equal(store.get("s", columns=["x"]), pd.DataFrame({"x": [1, 2]}))


def test_a_copy_and_a_shared_series_are_series(store):
    series = pd.Series([1, 2], name="x")
    store.put("s", series)
    store.put("t", store.open("s"))
    assert_series_equal(store.get("t"), series)
    with store.share(series) as shared:
        assert_series_equal(shared.to_pandas(), series)
    assert_series_equal(store.latest("t").frame, series)


@pytest.mark.parametrize(
    "series",
    [pl.Series("q", ["a", None]), pl.Series("q", [{"a": 1}, None]), pl.Series("", [1, 2]), pl.Series("q", [[1], []])],
    ids=lambda series: str(series.dtype),
)
def test_a_polars_series_comes_back_as_one(store, series):
    store.put("s", series)
    result = store.open("s").to_polars()
    assert isinstance(result, pl.Series)
    assert result.equals(series, check_names=True)
    as_pandas = store.get("s")
    assert isinstance(as_pandas, pd.Series)
    assert as_pandas.name == series.name


def test_a_pandas_series_as_polars(store):
    assert store.put("s", pd.Series([1, 2], name="x")).to_polars().to_list() == [1, 2]
    both = store.put("s", pd.Series([1, 2], index=["a", "b"], name="x")).to_polars()
    assert both.columns[0] == "x"
    assert both.width == 2  # the index is a column


# -- what stands for a table -------------------------------------------------------------------------------------------


WRAPPERS = {
    "narwhals": nw.from_native,
    "lazy narwhals": lambda frame: nw.from_native(frame).lazy(),
    "narwhals of polars": lambda frame: nw.from_native(pl.from_pandas(frame)),
    "lazy narwhals of polars": lambda frame: nw.from_native(pl.from_pandas(frame).lazy()),
    "narwhals of arrow": lambda frame: nw.from_native(pa.Table.from_pandas(frame)),
    "dataset": lambda frame: ds.dataset(pa.Table.from_pandas(frame)),
    "scanner": lambda frame: ds.dataset(pa.Table.from_pandas(frame)).scanner(),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_stands_for_a_table_is_stored_as_that_table(store, wrap):
    frame = pd.DataFrame({"a": [2, 1], "s": ["x", None]})
    store.put("t", wrap(frame))
    assert_frame_equal(store.get("t"), frame)
    store.put("t", wrap(frame), sort_by="a")
    assert store.get("t")["a"].tolist() == [1, 2]


def test_a_series_of_narwhals(store):
    for library in ("pandas", "polars"):
        snapshot = store.put("s", nw.new_series("q", [1, 2], backend=library))
        assert_series_equal(snapshot.to_pandas(), pd.Series([1, 2], name="q"))
    snapshot = store.put("s", nw.new_series("q", [1, 2], backend="pyarrow"))  # whose columns have no names
    assert_frame_equal(snapshot.to_pandas(), pd.DataFrame({"q": [1, 2]}))


def test_a_frame_of_narwhals_keeps_the_index(store):
    frame = pd.DataFrame({"a": [1]}, index=pd.Index(["k"], name="key"))
    store.put("t", nw.from_native(frame))
    assert_frame_equal(store.get("t"), frame)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table, dict], ids=str)
def test_a_class_is_no_table(store, kind):
    with pytest.raises(cn.NotATableError, match=f"{kind.__name__} is a class"):
        store.put("t", kind)


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([{1}, {2}], pl.Object, "column 'q' has references to Python objects"),
        ([1, 2**100], pl.Int128, "column 'q' has integers of 128 bits.*Decimal"),
        ([1, 2**100], pl.UInt128, "column 'q' has integers of 128 bits"),
        ([[1]], pl.List(pl.Int128), "column 'q' has integers of 128 bits"),
        ([{"a\0": 1}], None, "the name 'a.x00' has a null character"),  # at which Polars ends the process
        ([{"a": [1]}], pl.Struct({"a": pl.Array(pl.Int128, 1)}), "column 'q' has integers of 128 bits"),
    ],
    ids=str,
)
def test_types_of_polars_that_arrow_has_not(store, values, dtype, message):
    series = pl.Series("q", values, dtype=dtype)
    for data in (series, series.to_frame(), series.to_frame().lazy()):
        with pytest.raises(cn.UnsupportedTypeError, match=message):
            store.put("t", data)
    with pytest.raises(cn.UnsupportedTypeError, match=message):
        store.load("t", series.to_frame())
    assert not store.exists("t")


# -- mappings ----------------------------------------------------------------------------------------------------------


def test_a_mapping_of_arrays(store):
    store.put("t", {"a": np.arange(3), "b": ["x", None, "z"], 7: np.array([0.5, 1, 2], "float32")})
    assert_frame_equal(
        store.get("t"),
        pd.DataFrame({"a": np.arange(3), "b": ["x", None, "z"], 7: np.array([0.5, 1, 2], "float32")}),
    )
    store.put("t", {})
    assert store.get("t").shape == (0, 0)


@pytest.mark.parametrize("unit", ["M8[ps]", "m8[ps]", "m8[M]"])
def test_a_mapping_of_times_that_pandas_would_round(store, unit):
    with pytest.raises(cn.UnsupportedTypeError, match=f"column 't' is an array of .*{unit[3:]}.*put the array alone"):
        store.put("t", {"t": np.array([1, 5], unit)})
    assert store.put("t", {"t": np.array(["2020-05"], "M8[M]")}).to_pandas()["t"][0] == pd.Timestamp("2020-05-01")


@pytest.mark.parametrize("columns", [{"a": [1], "b": [1, 2]}, {"a": 1}, {"a": np.zeros((2, 2))}], ids=repr)
def test_a_mapping_that_is_no_table(store, columns):
    with pytest.raises(cn.NotATableError, match="arrays of one length"):
        store.put("t", columns)
    assert not store.exists("t")


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"x": [1]}),
        pl.DataFrame({"x": [1]}),
        pl.LazyFrame({"x": [1]}),
        np.zeros(3),
        pa.table({"x": [1]}),
        {"x": [1]},
        [{"x": 1}],
        bytearray(b"bytes"),
    ],
    ids=type,
)
def test_the_name_comes_first(store, data):
    with pytest.raises(TypeError, match=r"the name comes first, then the data: put\('name', data\)"):
        store.put(data, "x")
    with pytest.raises(TypeError, match="the name comes first"):
        store.load(data, "x")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep": "3"}, ValueError, "keep must be an integer >= 1"),
        ({"keep": True}, ValueError, "keep must be an integer >= 1"),
        ({"keep": 2.0}, ValueError, "keep must be an integer >= 1"),
        ({"ttl": True}, ValueError, "ttl must be seconds"),
        ({"ttl": np.float64("nan")}, ValueError, "ttl must be seconds"),
        ({"ttl": np.timedelta64(1, "D")}, ValueError, "ttl must be seconds"),
        ({"key": ["x", "x"]}, ValueError, "names a column twice"),
        ({"unique": 1, "key": "x"}, TypeError, "unique must be True or False, got 1"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(store, options, error, message):
    with pytest.raises(error, match=message):
        store.put("t", pd.DataFrame({"x": [1]}), **options)
    assert not store.exists("t")


def test_numbers_of_numpy_are_numbers(store):
    for value in (1, 2):
        store.put("t", pd.DataFrame({"x": [value]}), keep=np.int64(2), ttl=np.int32(90))
    assert [table.rows for table in store.versions("t")] == [1, 1]
    assert 80 < (store.open("t").expires - store.open("t").created).total_seconds() <= 90
    with store.allocate("a", {"x": "int64"}, rows=np.int32(3)) as draft:
        draft["x"][:] = 7
    assert len(store.get("a")) == 3
    assert cn.Store(store.path, capacity=np.int64(1 << 30)).settings.capacity == 1 << 30
    assert cn.Store(store.path, capacity=1e9).settings.capacity == 10**9


@pytest.mark.parametrize("view", ["to_pandas", "to_numpy"])
def test_writable_is_true_or_false(store, view):
    snapshot = store.put("t", pd.DataFrame({"x": [1]}))
    with pytest.raises(TypeError, match="writable must be True or False, got 0"):
        getattr(snapshot, view)(writable=0)


def test_a_mapper_of_types_is_a_function(store):
    store.put("t", pd.DataFrame({"x": [1]}))
    with pytest.raises(TypeError, match=r"types_mapper must be a function of an Arrow type, got \{.*; give its get"):
        store.get("t", types_mapper={pa.int64(): pd.Int64Dtype()})


# -- metadata ----------------------------------------------------------------------------------------------------------

META = {"source": "s3://bucket/x", "rows": [1, 2.5, None, True], "nested": {"a": {"b": "ü"}}}


@pytest.mark.parametrize("data", [pd.DataFrame({"x": [1]}), pl.DataFrame({"x": [1]}), np.arange(3), b"bytes"], ids=type)
def test_meta_stays_with_the_table(store, data):
    assert store.put("t", data, meta=META).meta == META
    assert store.open("t").meta == META
    assert store.info("t").meta == META
    assert store.ls()[0].meta == META
    assert (
        json.loads(repr(store.ls()[0].meta).replace("'", '"').replace("None", "null").replace("True", "true")) == META
    )


def test_meta_survives_copies_and_is_each_versions_own(store, tmp_path):
    store.put("t", pd.DataFrame({"x": [1]}), meta={"n": 1}, keep=2)
    store.put("t", pd.DataFrame({"x": [1]}), meta={"n": 2}, keep=2)
    store.put("u", store.open("t"))
    store.put("v", store.open("t"), meta={"n": 3})
    assert [info.meta["n"] for info in store.versions("t")] == [1, 2]
    assert (store.open("u").meta, store.open("v").meta) == ({"n": 2}, {"n": 3})
    store.put("t", pd.DataFrame({"x": [1]}))
    assert store.open("t").meta == {}
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "x.parquet")
    assert store.load("w", tmp_path / "x.parquet", meta=META).meta == META


def test_arrow_readers_do_not_see_it(store):
    store.put("t", pa.table({"x": [1]}), meta=META)
    assert store.open("t").schema.metadata is None


@pytest.mark.parametrize(
    ("meta", "error", "message"),
    [
        ({"x": {1: 2}}, cn.UnsupportedTypeError, "meta\\['x'\\].*JSON"),
        ({"x": (1, 2)}, cn.UnsupportedTypeError, "meta\\['x'\\]"),
        ({"x": {1, 2}}, cn.UnsupportedTypeError, "meta\\['x'\\]"),
        ({1: 2}, ValueError, "mapping of strings"),
        ("text", ValueError, "mapping of strings"),
    ],
    ids=repr,
)
def test_meta_that_is_not_json_is_refused(store, meta, error, message):
    with pytest.raises(error, match=message):
        store.put("t", pd.DataFrame({"x": [1]}), meta=meta)
    assert not store.exists("t")


# -- the order of rows -------------------------------------------------------------------------------------------------


def frame():
    return pd.DataFrame({"k": [3, 1, 2, 1, None], "s": ["c", "a", "b", None, "e"], "n": range(5)})


def test_sort_by_is_stable_with_nulls_last(store):
    store.put("t", frame(), sort_by="k")
    assert store.get("t")["n"].tolist() == [1, 3, 2, 0, 4]
    assert store.get("t").index.equals(pd.RangeIndex(5))
    store.put("t", frame(), sort_by=["s", "k"], key="n")
    assert store.get("t")["n"].tolist() == [1, 2, 0, 4, 3]
    assert store.open("t").locate([0, 3]).tolist() == [2, 4]


def test_the_index_moves_with_its_rows(store):
    indexed = frame().set_index("n")
    store.put("t", indexed, sort_by="k")
    assert_frame_equal(store.get("t"), indexed.sort_values("k", kind="stable"))
    store.put("t", frame().set_index("s"), sort_by=True)
    assert_frame_equal(store.get("t"), frame().set_index("s").sort_index(kind="stable"))
    store.put("t", frame().set_index("s"), sort_by="s")
    assert store.get("t").index.tolist()[:4] == ["a", "b", "c", "e"]


@pytest.mark.parametrize(
    "make",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda df: pl.from_pandas(df).lazy(),
        lambda df: nw.from_native(pl.from_pandas(df)).lazy(),
        lambda df: dict(df.items()),
    ],
)
def test_sort_by_of_arrow_data(store, make):
    store.put("t", make(frame()), sort_by=["k", "s"])
    assert store.get("t")["n"].tolist() == [1, 3, 2, 0, 4]
    assert store.get("t")["s"].tolist()[0] == "a"


def test_polars_sorts_what_pyarrow_has_no_order_for(store):
    sizes = pl.Series("size", ["S", "L", None, "M"], dtype=pl.Enum(["S", "M", "L"]))
    snapshot = store.put("t", sizes.to_frame(), sort_by="size")
    assert snapshot.to_polars()["size"].to_list() == ["S", "M", "L", None]


def test_sort_by_of_series(store):
    store.put("t", pd.Series([3, 1, 2], index=list("abc"), name="x"), sort_by="x")
    assert store.get("t").index.tolist() == ["b", "c", "a"]
    store.put("t", pl.Series("x", [3, None, 2]), sort_by="x")
    assert store.open("t").to_polars().to_list() == [2, 3, None]


@pytest.mark.parametrize(
    ("data", "by", "error", "message"),
    [
        (frame(), "q", cn.NotFoundError, "no columns have this name"),
        (frame(), ["k", "kk"], cn.NotFoundError, "did you mean 'k'"),
        (pl.DataFrame({"kilo": [1]}), "kilos", cn.NotFoundError, "did you mean 'kilo'"),
        (pl.DataFrame({"k": [1]}), True, cn.NotATableError, "row index of pandas"),
        (pa.table({"k": [[1]]}), "k", cn.UnsupportedTypeError, "PyArrow cannot sort"),
        ({"kilo": [1]}, "kilos", cn.NotFoundError, "did you mean 'kilo'"),
        (np.arange(3), "k", cn.NotATableError, "is for tables"),
        (frame(), [], ValueError, "must name a column"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a", cn.NotFoundError, "2 columns"),
    ],
    ids=str,
)
def test_sort_by_what_is_not_there(store, data, by, error, message):
    with pytest.raises(error, match=message):
        store.put("t", data, sort_by=by)
    assert not store.exists("t")


# -- lifetimes and sizes as text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        ("90s", 90),
        ("90", 90),
        ("15min", 900),
        ("15m", 900),
        ("1.5h", 5400),
        ("1d", 86400),
        ("2 w", 1209600),
        (0.2, 1),
        (timedelta(hours=1), 3600),
    ],
)
def test_ttl_as_text(store, ttl, seconds):
    snapshot = store.put("t", frame(), ttl=ttl)
    assert round((snapshot.expires - snapshot.created).total_seconds()) == seconds


@pytest.mark.parametrize(
    "ttl", ["1y", "", "-1d", "d", "0s", "1d2h", "٣s", True, 0, float("nan"), float("inf"), [1], "1e400d"]
)
def test_ttl_that_is_none(store, ttl):
    with pytest.raises(ValueError, match="ttl must be"):
        store.put("t", frame(), ttl=ttl)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("1.5GiB", 3 << 29),
        ("0.5 MiB", 1 << 19),
        ("2k", 2048),
        ("1.5kB", 1500),
        ("7", 7),
        (12, 12),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_capacity_as_text(folder, text, nbytes):
    assert cn.Store(folder / "s", capacity=text).settings.capacity == nbytes
    assert cn.Store(folder / "s", spares=text).settings.spares == nbytes


@pytest.mark.parametrize("text", ["1.5", "1.5B", "GiB", "1,5GiB", "-1GiB", "1.GiB", 1.5])
def test_capacity_that_is_none(folder, text):
    with pytest.raises(ValueError, match=r"capacity is .*1\.5GiB"):
        cn.Store(folder / "s", capacity=text)


@pytest.mark.parametrize("by", [["x"], True])
def test_values_without_an_order_are_refused_by_name(store, by):
    frame = pd.DataFrame({"x": [1, "a"]}, index=[1, "a"])
    with pytest.raises(cn.UnsupportedTypeError, match="these values have no order"):
        store.put("mixed", frame, sort_by=by)
    assert not store.exists("mixed")
