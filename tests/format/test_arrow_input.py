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
        values_drawn = [
            None if rng.random() < nulls else values[j] for j in rng.integers(0, len(values), rows + offset + 3)
        ]
        cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
        bounds = [0, *cuts, rows]
        whole = pa.array(values_drawn, type_)
        chunks = [whole.slice(offset + a, b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
        columns[f"{i} {name}"] = pa.chunked_array(chunks, type_)
    return pa.table(columns) if columns else pa.table({"x": pa.array(range(rows))}).select([])


@given(table=tables())
@examples(300)
@pytest.mark.slow
def test_any_table(store, table):
    snap = store.put("t", table)
    snap.validate()
    result = snap.to_arrow()
    assert result.column_names == table.column_names
    for name in table.column_names:
        assert result[name].null_count == table[name].null_count
        assert result[name].to_pylist() == table[name].to_pylist() or "float" in name
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
    result = store.put("t", table).to_pandas()
    assert result.columns.tolist() == ["x", "x"]
    assert result.iloc[:, 0].tolist() == [1, 2]
    assert result.iloc[0, 1] == "a"


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


# The values of two dictionaries. PyArrow 26 unites half floats as integers, and refuses what follows them.
DICTIONARIES = {
    "str": (["a", "b"], ["c", "a"], pa.string()),
    "half floats": (np.array([1, 2], "f2"), np.array([3, 1], "f2"), pa.float16()),
    "decimals": ([decimal.Decimal("1.5")], [decimal.Decimal("2.5")], pa.decimal32(5, 1)),
    "nulls": (["a", None], [None, "b"], pa.string()),
    "nulls of numbers": ([None, 1], [2, None], pa.int64()),
    "nulls alone": ([None], [None, None], pa.null()),
    "lists": ([[1], []], [[1], [2]], pa.list_(pa.int8())),
    "structures": ([{"a": 1}], [{"a": None}, {"a": 1}], pa.struct({"a": pa.int8()})),
}


def _of_two_dictionaries(one, other, type_):
    chunks = []
    for values in (one, other):
        indices = pa.array([*range(len(values)), None, 0], pa.int8())
        chunks.append(pa.DictionaryArray.from_arrays(indices, pa.array(values, type_)))
    return pa.table({"d": pa.chunked_array(chunks), "i": range(sum(map(len, chunks)))})


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_chunks_with_different_dictionaries_are_unified(store, tmp_path, kind):
    table = _of_two_dictionaries(*DICTIONARIES[kind])
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    for snap in (store.put("t", table), store.load("t", tmp_path / "t.arrow")):
        snap.validate()
        assert str(snap.to_arrow()["d"].type).replace("large_", "") == str(table["d"].type)
        assert snap.to_arrow()["d"].to_pylist() == table["d"].to_pylist()
        if kind in ("str", "decimals", "nulls"):  # pandas does not have the others
            assert snap.to_pandas()["d"].dropna().tolist() == [
                value for value in table["d"].to_pylist() if value is not None
            ]


def test_dictionaries_that_together_need_larger_indices(store, tmp_path):
    table = _of_two_dictionaries(range(100), range(50, 150), pa.int64())
    snap = store.put("t", table)
    assert snap.to_arrow()["d"].type == pa.dictionary(pa.int32(), pa.int64())
    assert snap.to_arrow()["d"].to_pylist() == table["d"].to_pylist()
    assert_frame_equal(snap.to_pandas(), table.to_pandas())
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(cn.UnsupportedTypeError, match="column 'd' has 150 categories, more than its indices of int8"):
        store.load("t", tmp_path / "t.arrow")
    dtype = pd.ArrowDtype(table["d"].type)
    with pytest.raises(cn.UnsupportedTypeError, match="more categories together than dictionary<values=int64"):
        store.put("t", pd.DataFrame({"d": pd.array(table["d"], dtype=dtype)}))


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("inside", [False, True])
def test_dictionaries_of_dictionaries_are_refused(store, chunks, inside):
    """PyArrow 26 ends the process when it converts a structure of them, and cannot read them from a file."""
    data = pa.DictionaryArray.from_arrays([1, 0], pa.array(["a", "b"]).dictionary_encode())
    if inside:
        data = pa.StructArray.from_arrays([data], ["x"])
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'd' is .*dictionaries of dictionaries"):
        store.put("t", pa.table({"d": pa.chunked_array([data] * chunks)}))
    assert not store.exists("t")


@pytest.mark.parametrize("storage", [pa.array(["a", None]).dictionary_encode(), pa.array([1, None], pa.timestamp("us", "UTC"))], ids=["dictionary", "zoned"])  # fmt: skip
def test_extension_types_at_which_pyarrow_ends_the_process_are_refused(store, storage):
    data = pa.ExtensionArray.from_storage(pa.opaque(storage.type, "other", "test"), storage)
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'd' is .*cast the column to the storage"):
        store.put("t", pa.table({"d": data}))
    store.put("t", pa.table({"d": storage})).close()


def test_unions_of_an_extension_type_are_refused_inside_of_others(store):
    union = pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])])
    data = pa.ExtensionArray.from_storage(pa.opaque(union.type, "other", "test"), union)
    store.put("t", pa.table({"d": data})).close()
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'd' is .*cast the column to the storage"):
        store.put("t", pa.table({"d": pa.ListArray.from_arrays([0, 1, 2], data)}))


def _opaque(array):
    return pa.ExtensionArray.from_storage(pa.opaque(array.type, "other", "test"), array)


def _categories_of_identifiers():
    identifiers = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16)))
    return pa.DictionaryArray.from_arrays([0, 0], identifiers)


RUNS_OF_TIMES = pa.RunEndEncodedArray.from_arrays([2], pa.array([0], pa.timestamp("s", "Europe/Paris")))
RUNS_OF_VIEWS = pa.RunEndEncodedArray.from_arrays([2], pa.array([[1]], pa.list_view(pa.int8())))
RUNS = pa.RunEndEncodedArray.from_arrays([2], [7])
REFUSED = {
    "run ends of zoned times": (RUNS_OF_TIMES, "decode the column"),
    "run ends of list views": (RUNS_OF_VIEWS, "decode the column"),
    "run ends of list views, no rows": (RUNS_OF_VIEWS.slice(0, 0), "decode the column"),
    "run ends of list views in a structure": (pa.StructArray.from_arrays([RUNS_OF_VIEWS], ["a"]), "decode the column"),
    "run ends in two extension types": (_opaque(_opaque(RUNS)), "cast the column to the storage"),
    "a union in two extension types": (_opaque(_opaque(pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])]))), "cast the column to the storage"),
    "run ends of an extension type in a list": (pa.ListArray.from_arrays([0, 2], _opaque(RUNS)), "cast the column to the storage"),
    "categories of identifiers in a list": (pa.ListArray.from_arrays([0, 2], _categories_of_identifiers()), "cast the column to the storage"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_types_that_pyarrow_cannot_convert_or_read_are_refused(store, kind):
    """PyArrow 26 ends the process at the first four, and cannot read files of the others."""
    array, way_out = REFUSED[kind]
    with pytest.raises(cn.UnsupportedTypeError, match=f"column 'd' is .*{way_out}"):
        store.put("t", pa.table({"d": array}))
    assert not store.exists("t")


def test_lists_of_run_ends_without_a_row_are_refused(store):
    """PyArrow 26 makes no valid null of them, and there is no row that could stand in the envelope instead."""
    type_ = pa.list_(pa.run_end_encoded(pa.int32(), pa.float64()))
    for data in (pa.chunked_array([], type_), pa.chunked_array([pa.ListArray.from_arrays([0, 2], RUNS).slice(0, 0)])):
        with pytest.raises(cn.UnsupportedTypeError, match="column 'd'"):
            store.put("t", pa.table({"d": data}))


def test_lists_inside_that_have_no_rows_begin_at_zero(store):
    """PyArrow 26 writes their offsets as they are, without what is before them, and the reader's process would end."""
    lists = pa.ListArray.from_buffers(pa.list_(pa.int8()), 0, [None, pa.array([2], pa.int32()).buffers()[1]], children=[pa.array([1, 2], pa.int8())])  # fmt: skip
    empty = pa.FixedSizeListArray.from_buffers(pa.list_(lists.type, 0), 2, [None], children=[lists])
    data = pa.StructArray.from_arrays([RUNS, empty], ["runs", "lists"])
    snapshot = store.put("t", pa.table({"d": data}))
    stored = snapshot.to_arrow()["d"].chunk(0).field("lists").values
    assert stored.buffers()[1].to_pybytes()[:4] == bytes(4)
    assert [list(cell["lists"]) for cell in snapshot.to_pandas()["d"]] == [[], []]


def _halves(*values):
    return pa.DictionaryArray.from_arrays(list(range(len(values))), pa.array(np.array(values, "f2")))


def test_chunks_of_dictionaries_of_half_floats(store, tmp_path):
    """PyArrow 26 joins them inside of other types, and makes other numbers of them."""
    columns = pa.chunked_array([_halves(1, 2), _halves(2, 3)])
    assert store.put("t", pa.table({"d": columns})).to_arrow()["d"].to_pylist() == [1, 2, 2, 3]
    inside = pa.chunked_array([pa.StructArray.from_arrays([chunk], ["a"]) for chunk in columns.chunks])
    table = pa.table({"d": inside, "x": [3, 1, 2, 0]})
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    for refused in (
        lambda: store.put("new", table),
        lambda: store.put("new", table, sort_by="x"),
        lambda: store.put("new", pa.table({"d": columns, "x": [3, 1, 2, 0]}), sort_by="x"),
        lambda: store.load("new", tmp_path / "t.arrow"),
        lambda: store.put(
            "new", pa.table({"d": columns, "x": [3, 1, 2, 0]}).to_pandas(types_mapper=pd.ArrowDtype), sort_by="x"
        ),
        lambda: store.appender("new", {"d": "float32"}).append({"d": columns}),
    ):
        with pytest.raises(cn.UnsupportedTypeError, match=r"chunks of .* cannot be joined"):
            refused()
    with pytest.raises(TypeError, match=r"no stable key: chunks of .* cannot be joined"):
        store.cache(len)(table)
    assert store.put("t", table.slice(0, 2)).to_arrow()["d"].to_pylist() == [{"a": 1}, {"a": 2}]


INSIDE = {
    "list": (pl.List, [["b", "a"], None, ["a"]]),
    "array": (lambda kind: pl.Array(kind, 2), [["b", "a"], None, ["a", "a"]]),
    "structure": (lambda kind: pl.Struct({"k": kind}), [{"k": "b"}, {"k": None}]),
    "list of structures": (lambda kind: pl.List(pl.Struct({"k": kind})), [[{"k": "b"}], [], None]),
}


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["z", "b", "a"])], ids=["Categorical", "Enum"])
@pytest.mark.parametrize("place", INSIDE)
def test_categories_of_polars_inside_of_other_types(store, place, kind):
    """Polars gives dictionaries of text in views, which PyArrow 26 cannot convert."""
    make, values = INSIDE[place]
    frame = pl.DataFrame({"x": pl.Series(values, dtype=make(kind))})
    snapshot = store.put("t", frame)
    snapshot.validate()
    assert snapshot.to_polars().schema == frame.schema
    assert snapshot.to_polars().to_dicts() == frame.to_dicts()
    assert_frame_equal(snapshot.to_pandas(), frame.to_pandas())
    with pa.memory_map(str(snapshot.path)) as file:
        assert_frame_equal(pa.ipc.open_file(file).read_all().to_pandas(), frame.to_pandas())


def test_an_arrow_dtype_of_dictionaries_of_views_comes_back(store):
    categories = pa.DictionaryArray.from_arrays([0, 1, None], pa.array(["a", "b"], pa.string_view()))
    for array in (categories, pa.ListArray.from_arrays([0, 2, 3], categories)):
        frame = pd.DataFrame({"x": pd.array(array, dtype=pd.ArrowDtype(array.type))})
        result = store.put("t", frame).to_pandas()
        assert result.dtypes.equals(frame.dtypes)
        assert result["x"].tolist() == frame["x"].tolist()


def test_a_dictionary_that_has_nan_in_a_later_chunk(store):
    """pandas has no such categories, which the first chunk does not tell."""
    first, later = pa.array([2.0]), pa.array([1.0, np.nan])
    chunks = [pa.DictionaryArray.from_arrays([0], first), pa.DictionaryArray.from_arrays([0, 1], later)]
    snapshot = store.put("t", pa.table({"d": pa.chunked_array(chunks)}))
    snapshot.validate()
    assert repr(snapshot.to_arrow()["d"].to_pylist()) == "[2.0, 1.0, nan]"
    with pytest.raises(cn.UnsupportedTypeError, match="column 'd'"):
        snapshot.to_pandas()


TEXTS = pa.array(["x" * 20, "a", None, "y" * 30], pa.string_view())
VIEWS_INSIDE = {
    "list view": lambda: pa.ListViewArray.from_arrays(pa.array([2, 0], pa.int32()), pa.array([0, 3], pa.int32()), TEXTS),
    "run ends": lambda: pa.RunEndEncodedArray.from_arrays(pa.array([1, 3, 4, 6], pa.int32()), TEXTS),
    "union": lambda: pa.UnionArray.from_sparse(pa.array([0, 1, 0, 1], pa.int8()), [TEXTS, TEXTS.cast(pa.binary_view())]),
    "union in a list": lambda: pa.LargeListArray.from_arrays([0, 0, 4], VIEWS_INSIDE["union"]()),
    "run ends in a list view": lambda: pa.ListViewArray.from_arrays(pa.array([0], pa.int32()), pa.array([2], pa.int32()), pa.RunEndEncodedArray.from_arrays([2], [7])),
}  # fmt: skip


@pytest.mark.parametrize("kind", VIEWS_INSIDE)
def test_views_inside_of_rare_types(store, kind):
    for array in (VIEWS_INSIDE[kind](), VIEWS_INSIDE[kind]().slice(1), VIEWS_INSIDE[kind]().slice(0, 0)):
        if kind == "run ends in a list view" and not len(array):  # PyArrow makes no null of this type
            with pytest.raises(cn.UnsupportedTypeError, match="Run end encoded"):
                store.put("t", pa.table({"x": array}))
            continue
        snap = store.put("t", pa.table({"x": array}))
        snap.validate()
        assert snap.to_arrow()["x"].to_pylist() == array.to_pylist()


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
