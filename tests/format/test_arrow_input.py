"""Arrow data of every shape can be put, and pandas reads it as PyArrow would."""

import datetime as dt
import decimal
import subprocess
import sys
import textwrap

import duckdb
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.arrow_types import TYPES
from support.quick_lane import examples
from support.strategies import frames


@st.composite
def tables(draw):
    """Chunked, sliced columns of any type, with nulls at any bit offset."""
    rows = draw(st.sampled_from([0, 1, 7, 64, 200]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = {}
    for i, name in enumerate(draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=6))):
        type_, values = TYPES[name]
        nulls = draw(st.sampled_from([0.0, 0.3, 1.0]))
        offset = draw(st.integers(0, 70))
        drawn = [None if rng.random() < nulls else values[j] for j in rng.integers(0, len(values), rows + offset + 3)]
        cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
        bounds = [0, *cuts, rows]
        whole = pa.array(drawn, type_)
        chunks = [whole.slice(offset + a, b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
        columns[f"{i} {name}"] = pa.chunked_array(chunks, type_)
    return pa.table(columns) if columns else pa.table({"x": pa.array(range(rows))}).select([])


@given(table=tables())
@examples(300)
@pytest.mark.slow
def test_any_table(store, table):
    snap = store.put("t", table)
    snap.validate()
    got = snap.to_arrow()
    assert got.column_names == table.column_names
    for name in table.column_names:
        assert got[name].null_count == table[name].null_count
        assert got[name].to_pylist() == table[name].to_pylist() or "float" in name
    assert_frame_equal(snap.to_pandas(), table.to_pandas())


@pytest.fixture
def table():
    return pa.table({"i": [1, None, 3], "s": ["a", None, "b"], "f": [0.5, 1.5, None], "b": [True, False, True]})


@given(df=frames())
@examples(150)
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyArrow's, about labels that it turns into strings
@pytest.mark.slow
def test_tables_that_were_frames(store, df):
    """The index, the labels and the dtypes that PyArrow restores from its metadata."""
    try:
        table = pa.Table.from_pandas(df)
        expected = table.to_pandas()
    except (TypeError, ValueError, KeyError, NotImplementedError, pa.ArrowException):
        return  # PyArrow has no words for this frame
    # An index whose name is a number may get the name of a column; PyArrow then reads all of that name as the last of them.
    if len(set(table.column_names)) == table.num_columns:
        store.put("t", table)
        assert_frame_equal(store.get("t"), expected, check_freq=False)


EXOTIC = {
    "uuid": lambda: pa.array([b"0" * 16, None], pa.uuid()),
    "json": lambda: pa.array(["{}", None], pa.json_()),
    "bool8": lambda: pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
    "fixed shape tensor": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12.0).reshape(3, 2, 2)),
    "decimal32": lambda: pa.array([decimal.Decimal("1.5"), None], pa.decimal32(5, 1)),
    "interval": lambda: pa.array([pa.MonthDayNano([1, 2, 3]), None]),
    "list of dictionary": lambda: pa.array([["a", "b"], None, []], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "struct, sliced": lambda: pa.array([{"a": 1, "b": [1]}, None, {"a": None, "b": None}, {"a": 4, "b": []}]).slice(1),
    "fixed list, sliced": lambda: pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int8(), 2)).slice(1),
    "map, sliced": lambda: pa.array([[("a", 1)], None, [("b", 2), ("c", 3)]], pa.map_(pa.string(), pa.int64())).slice(
        1
    ),
    "run ends": lambda: pa.RunEndEncodedArray.from_arrays([2, 5], [1, None]),
    "opaque nulls": lambda: pa.ExtensionArray.from_storage(pa.opaque(pa.null(), "unknown", "test"), pa.nulls(2)),
    "no bytes": lambda: pa.array([b"", None], pa.binary(0)),
    "uint64 with nulls": lambda: pa.array([2**64 - 1, None], pa.uint64()),
    "dictionary of floats": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None], pa.uint32()), pa.array([1.5, 2.5])
    ),
    "no chunk": lambda: pa.chunked_array([], pa.dictionary(pa.int8(), pa.string())),
}


@pytest.mark.parametrize("kind", EXOTIC)
def test_exotic_types(store, kind):
    table = pa.table({"x": EXOTIC[kind]()})
    snap = store.put("t", table)
    snap.validate()
    assert snap.to_arrow().to_pylist() == table.to_pylist()
    assert_frame_equal(snap.to_pandas(), table.to_pandas())


@pytest.mark.parametrize("values", [["a", None], ["a", "a"]], ids=["null", "repeated"])
def test_dictionaries_that_are_no_categories(store, values):
    table = pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(values)), "y": [1, 2, 3]})
    snap = store.put("t", table)
    assert snap.to_arrow().to_pylist() == table.to_pylist()
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'x' is dictionary.*Categorical categories"):
        snap.to_pandas()
    assert not snap.explain()[0].zero_copy


def test_columns_of_one_name(store):
    """PyArrow 26 reads the numbers as strings, because another column of the same name has strings."""
    table = pa.table([pa.array([1, 2]), pa.array(["a", None])], names=["x", "x"])
    got = store.put("t", table).to_pandas()
    assert got.columns.tolist() == ["x", "x"]
    assert got.iloc[:, 0].tolist() == [1, 2]
    assert got.iloc[0, 1] == "a"


def test_everything_that_gives_arrow(store, table):
    frame = pl.from_arrow(table)
    sources = {
        "table": table,
        "batch": table.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches())),
        "polars": frame,
        "lazy": frame.lazy().filter(pl.col("f").is_not_null() | True),
        "relation": duckdb.from_arrow(table),
        "stream only": type(
            "Stream",
            (),
            {"__arrow_c_stream__": lambda _, requested_schema=None: table.__arrow_c_stream__(requested_schema)},
        )(),
        "array only": type(
            "Array",
            (),
            {
                "__arrow_c_array__": lambda _, requested_schema=None: table.to_batches()[0].__arrow_c_array__(
                    requested_schema
                )
            },
        )(),
        "snapshot": store.put("first", table),
    }
    for name, source in sources.items():
        with store.put(f"from/{name.replace(' ', '-')}", source) as snap:
            assert snap.to_arrow().to_pydict() == table.to_pydict(), name
            assert_frame_equal(snap.to_pandas(), table.to_pandas())


def test_polars_categories_and_views(store):
    frame = pl.DataFrame({"c": pl.Series(["a", "b", None], dtype=pl.Categorical), "e": pl.Series(["x", "y", "x"], dtype=pl.Enum(["x", "y"])),
                          "l": [[1], [], None], "d": [dt.date(2020, 1, 1), None, None]})  # fmt: skip
    snap = store.put("t", frame)
    assert snap.to_polars().cast({"c": pl.String, "e": pl.String}).equals(frame.cast({"c": pl.String, "e": pl.String}))
    assert snap.to_pandas()["c"].tolist()[:2] == ["a", "b"]


@pytest.mark.slow
def test_polars_in_a_child_forked_by_a_process_that_used_its_threads(tmp_path):
    """Such a child does not have Polars' threads, and much of Polars would wait for them for ever."""
    program = """
        import os, signal, sys
        import polars as pl
        import colonnade as cn

        df = pl.DataFrame({"x": range(1_000_000), "s": ["a", "b"] * 500_000})
        df.sort("x", descending=True)
        snap = cn.Store(sys.argv[1]).put("t", df)
        if (child := os.fork()) == 0:
            signal.alarm(20)
            assert snap.to_polars()["x"].len() == 1_000_000
            os._exit(0)
        sys.exit(os.waitpid(child, 0)[1])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), tmp_path], check=True)


def test_what_polars_has_no_type_for(store):
    snap = store.put("t", pa.table({"x": pa.array([1], pa.decimal256(60, 2))}))
    with pytest.raises(cn.UnsupportedTypeError, match=r"Polars cannot read this table .*to_arrow\(\)"):
        snap.to_polars()


def test_out_to_polars_and_duckdb(store):
    df = pd.DataFrame({"x": np.arange(1000), "y": np.random.default_rng(0).random(1000), "s": [f"k{i % 7}" for i in range(1000)], "b": [True, False] * 500,
                       "c": pd.Categorical(["u", None] * 500)})  # fmt: skip
    snap = store.put("t", df)
    assert snap.to_polars()["x"].sum() == df["x"].sum()
    assert pl.from_arrow(pa.table(snap)).height == 1000
    assert pl.read_ipc(snap.path, use_pyarrow=False)["y"].sum() == pytest.approx(df["y"].sum())
    assert pl.read_ipc(snap.path, use_pyarrow=False)["c"].null_count() == 500
    relation = duckdb.sql("select s, count(*) n, sum(x) t from snap where b group by s order by s")
    assert relation.fetchall()[0] == ("k0", 72, df[(df.s == "k0") & df.b].x.sum())


def test_table_with_pandas_metadata_gets_its_index_back(store):
    df = pd.DataFrame(
        {"x": pd.array([1, None], "Int32"), "3": [0.5, 1.5]},
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None]),
    )
    for frame in (df, df.reset_index(drop=True).set_index(pd.date_range("2020", periods=2, name="t", tz="UTC")),
                  df.set_axis(pd.RangeIndex(4, 0, -2, name="r"))):  # fmt: skip
        table = pa.Table.from_pandas(frame)
        store.put("t", table)
        assert_frame_equal(store.get("t"), table.to_pandas())
        assert store.open("t").schema.metadata == table.schema.metadata


def test_metadata_and_nullability_are_kept(store):
    schema = pa.schema(
        [pa.field("x", pa.int32(), nullable=False, metadata={"unit": "m"})],
        metadata={"origin": "here", "colonnade": "stale"},
    )
    snap = store.put("t", pa.table({"x": pa.array([1, 2], pa.int32())}, schema=schema))
    assert snap.schema.field("x").equals(schema.field("x"), check_metadata=True)
    assert snap.schema.metadata == {b"origin": b"here"}


def test_types_that_pandas_cannot_hold_are_stored_all_the_same(store):
    union = pa.UnionArray.from_dense(
        pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["x"])]
    )
    table = pa.table({"u": union, "x": [1, 2, 3]})
    snap = store.put("t", table)
    assert snap.to_arrow().equals(table)
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'u' is dense_union.*to_arrow"):
        snap.to_pandas()
    assert snap.to_pandas(columns=["x"])["x"].sum() == 6


def test_chunks_with_different_dictionaries_are_unified(store):
    data = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", None, "a"]).dictionary_encode()])
    store.put("t", pa.table({"d": data}))
    assert store.get("t")["d"].astype(object).tolist()[:3] == ["a", "b", "c"]


def test_nested_chunks_with_different_dictionaries_are_unified(store):
    def chunk(*values):
        return pa.array([{"d": value} for value in values], pa.struct([("d", pa.dictionary(pa.int8(), pa.string()))]))

    data = pa.chunked_array([chunk("a", "b").slice(1), chunk("c", None, "a")])
    snap = store.put("t", pa.table({"x": data}))
    snap.validate()
    assert snap.to_arrow()["x"].to_pylist() == data.to_pylist()


def test_many_small_chunks(store):
    chunks = [pa.array([i, None, i + 2][: 1 + i % 3]) for i in range(3000)]
    table = pa.table(
        {
            "x": pa.chunked_array(chunks),
            "s": pa.chunked_array([pa.array([None if v is None else str(v) for v in c.to_pylist()]) for c in chunks]),
        }
    )
    snap = store.put("t", table)
    snap.validate()
    assert snap.to_arrow()["x"].to_pylist() == table["x"].to_pylist()
    assert_frame_equal(snap.to_pandas(), table.to_pandas())
