"""Parquet files whose parts have different schemas, and old files: the values are those of each file."""

import datetime as dt
import uuid

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn


def column(values, dtype):
    return pd.DataFrame({"x": pd.array(values, dtype=dtype)})


FOLDERS = {
    "Int64, Float64": ([column([1, None], "Int64"), column([1.5, None], "Float64")], "Float64"),
    "Float64, Int64": ([column([1.5, None], "Float64"), column([1, None], "Int64")], "Float64"),
    "Int8, Int64": ([column([1, None], "Int8"), column([2, None], "Int64")], "Int64"),
    "Int32, UInt32": ([column([1, None], "Int32"), column([2, None], "UInt32")], "Int64"),
    "int64, Float64": ([column([1, 2], "int64"), column([1.5, None], "Float64")], "Float64"),
    "Int64, float64": ([column([1, None], "Int64"), column([1.5, np.nan], "float64")], "float64"),
    "Int64, float64 without metadata": ([column([1, None], "Int64"), pa.table({"x": [1.5]})], "Float64"),
    "nothing, text": ([pd.DataFrame({"x": [None, None]}), pd.DataFrame({"x": ["a", "b"]})], "str"),
    "nanoseconds, seconds": (
        [column(["2020-01-01"], "datetime64[ns]"), column(["2021-01-01"], "datetime64[s]")],
        "datetime64[ns]",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_of_several_dtypes(case, store, tmp_path):
    parts, dtype = FOLDERS[case]
    for number, part in enumerate(parts):
        table = part if isinstance(part, pa.Table) else pa.Table.from_pandas(part)
        pq.write_table(table, tmp_path / f"{number}.parquet")
    store.load("t", tmp_path).close()
    frame = store.get("t")
    assert str(frame["x"].dtype) == dtype
    values = [value for part in parts for value in (part["x"].to_pylist() if isinstance(part, pa.Table) else part["x"])]
    assert [None if pd.isna(value) else value for value in frame["x"]] == [
        None if pd.isna(value) else value for value in values
    ]


def test_an_index_of_several_dtypes(store, tmp_path):
    for number, keys in enumerate([[1, 2], [1.5, 2.5]]):
        pd.DataFrame({"x": keys}, index=pd.Index(keys, name="k")).to_parquet(tmp_path / f"{number}.parquet")
    store.load("t", tmp_path).close()
    frame = store.get("t")
    assert frame.index.name == "k"
    assert frame.index.tolist() == frame["x"].tolist() == [1, 2, 1.5, 2.5]


NEAR, FAR = dt.datetime(2020, 1, 1), [dt.datetime(1000, 1, 1), dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)]


@pytest.mark.parametrize("moment", FAR)
def test_int96_outside_of_nanoseconds(moment, store, tmp_path):
    times = [NEAR, None, moment]
    time = pa.timestamp("us")
    table = pa.table({
        "t": pa.array(times, time),
        "list": pa.array([[value] for value in times], pa.list_(time)),
        "struct": pa.array([{"t": value} for value in times], pa.struct([("t", time)])),
    })  # fmt: skip
    pq.write_table(table.select(["list"]).slice(0, 1), tmp_path / "1.parquet", use_deprecated_int96_timestamps=True)
    pq.write_table(table, tmp_path / "2.parquet", use_deprecated_int96_timestamps=True)
    assert store.load("t", tmp_path / "2.parquet").to_arrow().to_pylist() == table.to_pylist()
    assert store.get("t")["t"].dtype == "datetime64[us]"
    folder = store.load("t", tmp_path).to_arrow()
    assert folder.column("list").to_pylist() == [[NEAR], *[[value] for value in times]]


def test_int96_keeps_nanoseconds_where_they_fit(store, tmp_path):
    times = pa.array(
        [1_577_836_800_000_000_001, None, pd.Timestamp.min.value + 1000, pd.Timestamp.max.value - 1000],
        pa.timestamp("ns"),
    )
    pq.write_table(pa.table({"t": times}), tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    result = store.load("t", tmp_path / "t.parquet").to_arrow().column("t")
    assert result.type == pa.timestamp("ns")
    assert result.cast(pa.int64()).to_pylist() == times.cast(pa.int64()).to_pylist()


@pytest.mark.parametrize(("metadata", "words"), [
    (b"{not JSON", "Expecting property name"), (b"\xff\xfe", "Expecting value"), (b'{"index_columns": [{"kind": "range"}], "columns": []}', "missing key 'start'"),
    (b'{"index_columns": [{"kind": "range", "start": "a", "stop": 1, "step": 1}], "columns": []}', "integer"),
    (b'{"index_columns": [{"kind": "range", "start": 0, "stop": 1, "step": 0}], "columns": []}', "zero"),
])  # fmt: skip
def test_pandas_metadata_that_is_damaged(metadata, words, store, tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}).replace_schema_metadata({b"pandas": metadata}), tmp_path / "t.parquet")
    with pytest.raises(cn.UnreadableFileError, match=f"invalid pandas metadata .schema key 'pandas'.: .*{words}"):
        store.load("t", tmp_path / "t.parquet")
    assert not store.exists("t")


@pytest.mark.parametrize(
    "metadata", [b"{}", b"[]", b"null", b'{"columns": 5}', b'{"columns": [{}], "index_columns": ["z"]}']
)
def test_pandas_metadata_that_says_nothing(metadata, store, tmp_path):
    for number in (1, 2):
        table = pa.table({"a": [number]}).replace_schema_metadata({b"pandas": metadata})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    store.load("t", tmp_path).close()
    assert store.get("t")["a"].tolist() == [1, 2]


def test_uuids_and_json_of_a_writer_that_stores_no_arrow_schema(store, tmp_path):
    duckdb.connect().execute(
        f"copy (select uuid() u, [uuid()] l, '{{}}'::json j from range(3)) to '{tmp_path}/x.parquet' (format parquet)"
    )
    expected = pq.read_table(tmp_path / "x.parquet")
    store.load("t", tmp_path / "x.parquet").close()
    with store.open("t") as snap:
        assert snap.to_arrow().equals(expected)
    result = store.get("t")
    assert type(result["u"][0]) is type(result["l"][0][0]) is uuid.UUID
    assert result["l"].tolist() == expected["l"].to_pylist()  # PyArrow 26 has no pandas form for these
    assert_frame_equal(result[["u", "j"]], expected.select(["u", "j"]).to_pandas())
