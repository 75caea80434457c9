"""Whatever `put` accepts, `get` can read, whichever way the table came in.

Data that contradict themselves are refused before anything is stored.
"""

import contextlib
import ctypes
import datetime as dt
import json
import warnings

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

import colonnade as cn
from support.arrow_producer import Array, Stream
from support.arrow_tables import KINDS, recipes
from support.quick_lane import examples
from support.strategies import frames

SALES = pd.DataFrame({"a": pd.Categorical(["x", "y", "x"]), "b": [1, 2, 3], "v": [1.0, 2.0, 3.0]})
KEY = pd.Index(["k", "l", "m"], name="key")
CUT = pd.cut([1, 5, 9], 3)
LISTS = pd.array([[1], [], None], pd.ArrowDtype(pa.list_(pa.int64())))
# Frames whose metadata PyArrow writes and cannot follow.
FRAMES = {
    "labels of a categorical": SALES.pivot_table(index="b", columns="a", values="v", observed=False),
    "labels of a period": SALES.assign(a=pd.period_range("2020", periods=3, freq="M")).pivot(index="b", columns="a", values="v"),
    "labels of dates": SALES.assign(a=[dt.date(2020, 1, day) for day in (1, 2, 3)]).pivot(index="b", columns="a", values="v"),
    "ArrowDtype lists": pd.DataFrame({"l": LISTS}),
    "ArrowDtype lists beside an index": pd.DataFrame({"l": LISTS, "x": [1, 2, 3]}, index=KEY),
    "ArrowDtype structures beside a MultiIndex": pd.DataFrame(
        {"s": pd.array([{"x": 1}, None, {"x": 3}], pd.ArrowDtype(pa.struct([("x", pa.int8())])))}, index=pd.MultiIndex.from_arrays([KEY, [1, 2, 3]])
    ),
    "an index of ArrowDtype": pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index(pd.array([b"x", b"y", None], pd.ArrowDtype(pa.binary())), name="key")),
    "intervals in a categorical": pd.DataFrame({"c": CUT}),
    "intervals in a categorical, beside an index": pd.DataFrame({"c": CUT, "i": pd.array([1, None, 3], "Int64")}, index=KEY),
    "an index of intervals in a categorical": pd.DataFrame({"x": [1, 2, 3]}, index=pd.CategoricalIndex(CUT, name="key")),
    "intervals of dates in a categorical": pd.DataFrame({"c": pd.cut(pd.to_datetime(["2020", "2021", "2022"]), 2)}, index=KEY),
    "a MultiIndex of intervals in a categorical": pd.DataFrame({"x": [1, 2, 3]}, index=pd.MultiIndex.from_arrays([CUT, KEY])),
}  # fmt: skip


@pytest.mark.parametrize("what", FRAMES)
def test_frames_whose_metadata_pyarrow_cannot_follow(store, what):
    df = FRAMES[what]
    frame = store.put("frame", df)
    pd.testing.assert_frame_equal(store.get("frame"), df)
    ways = {"table": frame.to_arrow(), "stream": frame}
    with contextlib.suppress(pa.ArrowException, TypeError):
        ways["from_pandas"] = pa.Table.from_pandas(df)
    for way, table in ways.items():
        with store.put(way, table) as snap:
            snap.validate()
            snap.explain()
            result = snap.to_pandas()
        if what.startswith("a MultiIndex of intervals") and result.shape[1] > 1:
            continue  # PyArrow makes no level of them: they are columns
        assert result.shape == df.shape, way
        assert [str(label) for label in result.columns] == [str(label) for label in df.columns], way
        assert isinstance(result.index, pd.RangeIndex) == isinstance(df.index, pd.RangeIndex), way


def test_arrow_dtypes_that_pandas_cannot_name_come_back(store):
    df = FRAMES["ArrowDtype lists beside an index"]
    store.put("t", pa.Table.from_pandas(df))
    pd.testing.assert_frame_equal(store.get("t"), df)


@pytest.mark.parametrize("dtype", ["bool", "boolean"])
def test_labels_that_are_booleans_come_back(store, dtype):
    """PyArrow 26 takes the text of each for True."""
    df = pd.DataFrame([[1, 2.5, "a"]], columns=["k", "True", "False"]).set_index("k")
    df.columns = pd.Index([True, False], dtype=dtype, name="positive")
    store.put("t", pa.Table.from_pandas(df)).close()
    pd.testing.assert_frame_equal(store.get("t"), df)


def test_intervals_of_a_categorical_come_back(store):
    for what in ("intervals in a categorical", "intervals in a categorical, beside an index", "an index of intervals in a categorical"):  # fmt: skip
        store.put("t", pa.Table.from_pandas(FRAMES[what]))
        pd.testing.assert_frame_equal(store.get("t"), FRAMES[what])


METADATA = {
    "no JSON": b"{",
    "no text": b"\xff",
    "a list": b"[]",
    "null": b"null",
    "a number": b"5",
    "brackets": b"[" * 100_000,
    "nothing": b"{}",
    "an index that is a number": b'{"index_columns": 5}',
    "an index that is not there": b'{"index_columns": ["no"], "columns": [], "column_indexes": []}',
    "an index and nothing of columns": b'{"index_columns": ["x"]}',
    "an index twice": b'{"index_columns": ["x", "x"], "columns": [], "column_indexes": []}',
    "an index that is every column": b'{"index_columns": ["x", "s"], "columns": [], "column_indexes": []}',
    "a range of step 0": b'{"index_columns": [{"kind": "range", "start": 0, "stop": 2, "step": 0, "name": null}], "columns": [], "column_indexes": []}',
    "a range without numbers": b'{"index_columns": [{"kind": "range"}], "columns": [], "column_indexes": []}',
    "a range of text": b'{"index_columns": [{"kind": "range", "start": "a", "stop": 2, "step": 1, "name": null}], "columns": [], "column_indexes": []}',
    "a range named by a list": b'{"index_columns": [{"kind": "range", "start": 0, "stop": 2, "step": 1, "name": [1]}], "columns": [], "column_indexes": []}',
    "an unknown dtype": b'{"index_columns": ["s"], "columns": [{"name": "x", "field_name": "x", "pandas_type": "int64", "numpy_type": "Nope", "metadata": null}, {"name": "s", "field_name": "s", "pandas_type": "unicode", "numpy_type": "str", "metadata": null}], "column_indexes": []}',
    "an unknown zone of labels": b'{"index_columns": [], "columns": [], "column_indexes": [{"name": null, "field_name": null, "pandas_type": "datetimetz", "numpy_type": "datetime64[ns]", "metadata": {"timezone": "Nope"}}]}',
    "columns that are numbers": b'{"index_columns": [], "columns": [1, 2], "column_indexes": []}',
    "attributes that are a list": b'{"index_columns": [], "columns": [], "column_indexes": [], "attributes": [1]}',
}  # fmt: skip


@pytest.mark.parametrize("what", METADATA)
def test_metadata_that_makes_no_sense(store, what):
    table = pa.table({"x": [1, 2], "s": ["a", "b"]}).replace_schema_metadata({"pandas": METADATA[what], "mine": "kept"})
    with store.put("t", table) as snap:
        snap.validate()
        frame = snap.to_pandas().reset_index()
        assert frame["x"].tolist() == [1, 2]
        assert frame["s"].tolist() == ["a", "b"]
        assert snap.schema.metadata[b"mine"] == b"kept"


def test_an_index_beside_a_column_that_pandas_cannot_hold(store):
    union = pa.UnionArray.from_dense(
        pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])]
    )
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index(["a", "b"], name="key")))
    store.put("t", table.append_column("u", union))
    assert store.get("t", columns=["x"]).index.tolist() == ["a", "b"]
    with pytest.raises(cn.UnsupportedTypeError, match="column 'u' is dense_union"):
        store.get("t")


@pytest.mark.parametrize("zone", ["Z", "GMT+1", "Mars/Base", "+25:00", "utc+1"])
@pytest.mark.parametrize("index", [None, "key", "t"])
def test_zones_that_nobody_knows_are_read_in_utc(store, zone, index):
    """Arrow stores times in UTC, whatever their zone. So the times are right, and the type still names the zone."""
    table = pa.table({"t": pa.array([1, None], pa.timestamp("us", zone)), "key": ["a", "b"]})
    if index:
        entries = [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": dtype, "metadata": metadata}
            for name, kind, dtype, metadata in (
                ("key", "unicode", "str", None),
                ("t", "datetimetz", "datetime64[us]", {"timezone": zone}),
            )
        ]
        metadata = json.dumps({"index_columns": [index], "columns": entries, "column_indexes": []})
        table = table.replace_schema_metadata({"pandas": metadata})
    with store.put("t", table) as snap:
        snap.validate()
        assert snap.schema.field("t").type.tz == zone
        frame = snap.to_pandas()
        assert frame.index.name == index
        times = frame.reset_index()["t"]
        assert str(times.dtype) == "datetime64[us, UTC]"
        assert times[0] == pd.Timestamp(1, unit="us", tz="UTC")
        assert times.isna().tolist() == [False, True]


class _Exported:
    """Arrow's C structures of a batch. A test changes them before they are imported again, like a faulty producer."""

    def __init__(self, **columns):
        self._schema, self.array = (ctypes.c_int64 * 9)(), (ctypes.c_int64 * 10)()
        pa.record_batch(columns)._export_to_c(ctypes.addressof(self.array), ctypes.addressof(self._schema))

    def child(self, *path):
        """The structure of a column, or of a child of it: length, null count, offset, ..."""
        array = self.array
        for number in path:
            children = ctypes.cast(array[6], ctypes.POINTER(ctypes.c_int64))
            array = ctypes.cast(children[number], ctypes.POINTER(ctypes.c_int64))
        return array

    def table(self):
        batch = pa.RecordBatch._import_from_c(ctypes.addressof(self.array), ctypes.addressof(self._schema))
        return pa.Table.from_batches([batch])


def _changed(values, path, field, number):
    exported = _Exported(x=values)
    exported.child(*path)[field] = number
    return exported.table()


def _with_offsets(array, *offsets):
    """A column whose offsets are changed after PyArrow has checked them."""
    validity, memory, *text = array.buffers()
    memory = np.frombuffer(memory, "i8" if pa.types.is_large_string(array.type) else "i4").copy()
    is_list = pa.types.is_list(array.type)
    buffers = [validity, pa.py_buffer(memory), *([] if is_list else text)]
    table = pa.table(
        {"x": pa.Array.from_buffers(array.type, len(array), buffers, children=[array.values] if is_list else None)}
    )
    memory[: len(offsets)] = offsets
    return table


LENGTH, NULLS = 0, 1
TEXT = pa.array(["a", "b"])
INVALID = {
    "a batch longer than its columns": lambda: _changed(pa.array([1, 2]), (), LENGTH, 100),
    "more nulls than rows": lambda: _changed(pa.array([1, None]), (0,), NULLS, 3),
    "a structure longer than its children": lambda: _changed(pa.array([{"a": 1}, {"a": 2}]), (0, 0), LENGTH, 1),
    "a list of a fixed size with too few values": lambda: _changed(pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), (0, 0), LENGTH, 3),
    "a list with too few values": lambda: _changed(pa.array([[1, 2], [3, 4]]), (0, 0), LENGTH, 3),
    "string offsets past the text": lambda: _with_offsets(TEXT, 0, 1, 99),
    "string offsets of a negative length": lambda: _with_offsets(TEXT, 2, 1, 1),
    "negative string offsets": lambda: _with_offsets(TEXT, -8, 1, 2),
    "offsets of a large_string past the text": lambda: _with_offsets(TEXT.cast(pa.large_string()), 0, 1, 2**40),
    "list offsets past the child": lambda: _with_offsets(pa.array([[1], [2]]), 0, 1, 99),
    "an index past the dictionary": lambda: pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a"]), safe=False)}),
    "a negative index": lambda: pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, -1], pa.int32()), pa.array(["a"]), safe=False)}),
    "an index past an empty dictionary": lambda: pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0], pa.uint64()), pa.array([], pa.string()), safe=False)}),
    "an index past the dictionary, in the second chunk": lambda: pa.table(
        {"x": pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(i, pa.int8()), pa.array(["a"]), safe=False) for i in ([0, None], [0, None, 9])])}
    ),
    "an index past a dictionary of repeated values": lambda: pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a", "a"]), safe=False)}),
    "an index past a dictionary inside of a structure": lambda: pa.table(
        {"x": pa.StructArray.from_arrays([pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a"]), safe=False)], ["d"])}
    ),
    "an index past a dictionary inside of a list": lambda: pa.table(
        {"x": pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a"]), safe=False))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", INVALID)
@pytest.mark.parametrize("way", ["table", "batch", "stream", "share", "ArrowDtype"])
def test_invalid_arrow_data_is_refused_and_nothing_is_stored(store, what, way):
    table = INVALID[what]()
    store.put("t", pd.DataFrame({"good": [1]})).close()
    if way in ("batch", "stream", "ArrowDtype") and what == "a batch longer than its columns":
        pytest.skip("PyArrow cuts a table into batches by its columns; and a column alone is as long as it is")
    if way == "stream" and "past the text" in what:
        pytest.skip("C's structures have no sizes of buffers: the text is as long as the last offset says")
    if way == "ArrowDtype":
        data = pd.DataFrame({"x": pd.arrays.ArrowExtensionArray(table["x"])})
    elif way == "stream":
        data = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    else:
        data = table.to_batches()[-1] if way == "batch" else table
    with pytest.raises(cn.InvalidDataError, match=r"the Arrow data is not valid \(.*\), and nothing was stored"):
        store.share(data) if way == "share" else store.put("t", data)
    assert store.get("t")["good"].tolist() == [1]
    assert store.check() == []


def _read_all_ways(snap):
    snap.validate()
    with contextlib.suppress(cn.UnsupportedTypeError):  # a type that is Arrow's alone, and named in the error
        snap.to_pandas()
    snap.to_arrow().validate()
    snap.explain()


def _ways(store, data):
    """Each way to store a frame or a table, with the stored table."""
    with store.put("t", data) as snap:
        yield snap
        with store.put("again", snap) as again:
            yield again
        with store.put("table", snap.to_arrow()) as again:
            yield again
    with store.share(data) as snap:
        yield snap


@given(df=frames())
@examples(60)
@pytest.mark.slow
def test_any_frame_is_readable_whichever_way_it_comes_in(store, df):
    for snap in _ways(store, df):
        _read_all_ways(snap)
    try:
        with warnings.catch_warnings(action="ignore"):
            table = pa.Table.from_pandas(df)
    except (pa.ArrowException, TypeError, ValueError):
        return
    for snap in _ways(store, table):
        _read_all_ways(snap)


@given(recipe=recipes(sorted(KINDS)))
@examples(150)
@pytest.mark.slow
def test_any_table_is_readable_whichever_way_it_comes_in(store, folder, recipe):
    table = recipe.build()
    try:
        store.put("t", table).close()
    except cn.UnsupportedTypeError:  # refused by name: PyArrow cannot join the dictionaries of the chunks
        return
    for snap in _ways(store, table):
        _read_all_ways(snap)
    try:
        pq.write_table(table, folder / "t.parquet")
    except (pa.ArrowException, NotImplementedError, OSError):
        return
    with contextlib.suppress(cn.UnreadableFileError), store.load("loaded", folder / "t.parquet") as snap:
        _read_all_ways(snap)


@given(
    kinds=st.lists(
        st.sampled_from(["bool", "int8", "float16", "float64", "M8[s]", "m8[ns]", "datetime64[us, UTC]"]), max_size=4
    ),
    rows=st.integers(0, 70),
    nulls=st.booleans(),
    seed=st.integers(0, 9),
)
@examples(60)
def test_any_draft_is_readable(store, kinds, rows, nulls, seed):
    rng = np.random.default_rng(seed)
    with store.allocate("t", {f"{i}": kind for i, kind in enumerate(kinds)}, rows, nulls=nulls) as draft:
        for array in draft.values():
            array.view(np.uint8)[...] = rng.integers(0, 2 if array.dtype == bool else 256, array.nbytes)
    with store.open("t") as snap:
        _read_all_ways(snap)
        with store.put("again", snap) as again:
            _read_all_ways(again)


def test_indices_under_nulls_may_be_anything(store):
    """If chunks have different dictionaries, PyArrow 26 follows such indices and reads outside of its memory."""
    indices = pa.Array.from_buffers(pa.int32(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, 2**30, 1], "i4"))])
    chunks = [
        pa.DictionaryArray.from_arrays(indices, pa.array([1, 2])),
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([7])).cast(pa.dictionary(pa.int32(), pa.int64())),
    ]
    store.put("t", pa.table({"x": pa.chunked_array(chunks)}))
    assert store.get("t", validate="full")["x"].tolist()[::2] == [1, 2]
    assert store.get("t")["x"].isna().tolist() == [False, True, False, False]


def test_dates_with_a_time_of_day(store):
    dates = pa.array([0, 1, None, 86_400_000], pa.date64())
    store.put("t", pa.table({"x": dates, "l": [[1], [], None, [2]]}))
    assert store.get("t", validate="full")["x"].tolist() == [
        dt.date(1970, 1, 1),
        dt.date(1970, 1, 1),
        None,
        dt.date(1970, 1, 2),
    ]
    assert store.open("t").to_arrow()["x"].cast(pa.int64()).to_pylist() == [0, 1, None, 86_400_000]


def test_values_of_fixed_width_may_be_anything(store):
    """PyArrow makes such values, against Arrow's specification. They are stored, and an error names values that pandas does not have."""
    import decimal

    table = pa.table(
        {
            "time64": pa.array([0, 86_400_000_000], pa.int64()).view(pa.time64("us")),
            "time32": pa.array([0, 86_400], pa.int32()).view(pa.time32("s")),
            "decimal": pa.array([decimal.Decimal("1.5"), decimal.Decimal("99.9")], pa.decimal128(3, 1)).view(
                pa.decimal128(2, 1)
            ),
            "x": [1, 2],
        }
    )
    with store.put("t", table) as snap:
        snap.validate()
        assert snap.to_pandas(columns=["x", "decimal"])["x"].tolist() == [1, 2]
        with pytest.raises(cn.UnsupportedTypeError, match="column 'time64' is time64"):
            snap.to_pandas()


@pytest.mark.parametrize("type_", [pa.sparse_union([pa.field("a", pa.int8())]), pa.dense_union([pa.field("a", pa.string())]), pa.list_view(pa.int8()), pa.run_end_encoded(pa.int16(), pa.string())])  # fmt: skip
@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_no_rows_of_rare_types(store, type_, chunks):
    empty = pa.array([], type_) if not pa.types.is_union(type_) else pa.nulls(1, type_).slice(0, 0)
    with store.put(
        "t", pa.table({"x": pa.chunked_array([empty] * chunks, type_), "i": pa.array([], pa.int8())})
    ) as snap:
        _read_all_ways(snap)
        assert snap.to_arrow().schema.field("x").type == type_ or pa.types.is_list_view(type_)


def test_strings_of_an_arrow_dtype_in_more_bytes_than_its_offsets_count(store, monkeypatch):
    """Stored as large_string, they are cast back in several chunks."""
    from colonnade.format.read import column
    from colonnade.format.write import flatten

    real = pa.Array.cast
    limit = 10

    def cast(array, type_):
        if type_ == pa.string() and array.buffers()[2].size > limit:
            raise pa.ArrowInvalid("input array too large")
        return real(array, type_)

    monkeypatch.setattr(flatten, "OFFSET_LIMIT", limit)
    monkeypatch.setattr(column, "_cast_array", cast)
    texts = ["abc", None, "defgh", "", "ij", "klmnop"]
    df = pd.DataFrame({"x": pd.array(texts, pd.ArrowDtype(pa.string())), "l": pd.array([[text] for text in texts], pd.ArrowDtype(pa.list_(pa.string())))})  # fmt: skip
    store.put("t", df)
    assert store.open("t").schema.field("x").type == pa.large_string()
    pd.testing.assert_frame_equal(store.get("t"), df)


def test_a_range_level_of_another_length_is_left_out(store):
    df = pd.DataFrame({"x": [1, 2, 3], "key": ["a", "b", "c"]}).set_index("key", append=True)
    table = pa.Table.from_pandas(df)
    for part in (table, table.slice(0, 2), table.slice(0, 1), table.slice(0, 0)):
        with store.put("t", part) as snap:
            snap.validate()
            pd.testing.assert_frame_equal(snap.to_pandas(), part.to_pandas())


@pytest.mark.parametrize(("way", "bitmap", "lie", "reason"), [
    ("put", b"\xdf\x03", 0, "declares no nulls, and has 1"), ("load", b"\xdf\x03", 0, "declares no nulls, and has 1"),
    ("put", b"\xdf\x03", 11, "exceeds"), ("load", b"\xdf\x03", 11, "exceeds"), ("load", b"\xdf\x03", -2, "Negative"),
])  # fmt: skip
def test_a_producer_that_lies_about_nulls_is_refused(store, way, bitmap, lie, reason):
    """Row 5 is null, and the values are of fixed width: nothing but the bitmap says so."""
    stream = Stream([Array(10, children=[Array(10, values=np.arange(10).tobytes(), validity=bitmap, null_count=lie)])])
    store.put("t", pd.DataFrame({"good": [1]})).close()
    with pytest.raises(cn.InvalidDataError, match=reason):
        store.put("t", stream) if way == "put" else store.load("t", stream)
    assert store.get("t")["good"].tolist() == [1]


@pytest.mark.parametrize("way", ["put", "load"])
def test_a_wrong_number_of_nulls_is_counted_anew(store, way):
    stream = Stream(
        [Array(10, children=[Array(10, values=np.arange(10).tobytes(), validity=b"\xdf\x03", null_count=7)])]
    )
    store.put("t", stream) if way == "put" else store.load("t", stream)
    with store.open("t", validate="full") as snap:
        assert snap.to_arrow()["c0"].null_count == 1
        assert snap.to_pandas()["c0"].isna().tolist() == [row == 5 for row in range(10)]
