"""Columns of Parquet that are decoded while they are written: the same table as from memory, whatever the file declares."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade.format.read.text_views import columns_with_views
from colonnade.format.write.batched import ColumnStream
from colonnade.format.write.plan import plan
from colonnade.io.load import read
from colonnade.io.options import ReadOptions
from colonnade.io.progress import Meter
from colonnade.io.streamed import MisdeclaredError

ROWS, GROUP, NULLS = 12_345, 1_777, 1_111  # not multiples of 8


@pytest.fixture
def streams_small_tables(monkeypatch):
    monkeypatch.setattr("colonnade.io.streamed._LEAST", 1)
    monkeypatch.setattr("colonnade.io.streamed._BATCH", 50_000)
    monkeypatch.setattr("colonnade.io.parquet_columns._MOST_COLUMNS", 4)
    monkeypatch.setattr("colonnade.io.streamed._ROWS", 3_000)
    monkeypatch.setattr("colonnade.io.batches._SMALL", 1 << 14)


def table():
    """Fixed widths of all kinds, with and without nulls, among columns that cannot be streamed."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(-100, 100, ROWS)
    mask = np.zeros(ROWS, bool)
    mask[rng.choice(ROWS, NULLS, replace=False)] = True
    text = pa.array(np.char.add("row ", numbers.astype("U4")), mask=mask)
    return pa.table({
        "i": numbers, "i8 nulls": pa.array(numbers.astype("i1"), mask=mask), "s": text, "f": rng.standard_normal(ROWS),
        "f32 nulls": pa.array(rng.random(ROWS).astype("f4"), mask=mask), "b": numbers > 0,
        "b nulls": pa.array(numbers > 0, mask=mask), "t": numbers.astype("datetime64[s]"),
        "t nulls": pa.array(numbers.astype("datetime64[ms]"), mask=mask), "c": text.dictionary_encode(),
        "zone": pa.array(numbers, pa.timestamp("us", "Europe/Berlin")), "d": pa.array(numbers.astype("i4"), pa.date32()),
        "time": pa.array(np.abs(numbers), pa.time64("us")), "dec": pa.array(numbers).cast(pa.decimal128(25, 3)),
        "bytes": pa.array([b"abc", None, b"xyz"] * (ROWS // 3), pa.binary(3)), "all": pa.nulls(ROWS, pa.float64()),
        "l": pa.array([[1], None, [2, 3]] * (ROWS // 3)), "u": pa.array(np.abs(numbers).astype("u2"), mask=mask),
    })  # fmt: skip


def read_streamed(path, **options):
    return read(path, None, None, ReadOptions(**options), Meter())


def check_same(loaded, stored):
    assert loaded.to_arrow().combine_chunks().equals(stored.to_arrow().combine_chunks())
    assert loaded.schema == stored.schema
    assert_frame_equal(loaded.to_pandas(), stored.to_pandas())
    loaded.validate()


def test_a_streamed_table_is_what_put_stores(store, tmp_path, streams_small_tables):
    path = tmp_path / "t.parquet"
    pq.write_table(table(), path, row_group_size=GROUP)
    source = read_streamed(path)
    streamed = {source.table.column_names[field] for field in source.stream_fields}
    assert streamed == set(table().column_names) - {"s", "c", "l"}
    groups = [fields for fields, _ in source.stream]
    assert sum(map(len, set(map(tuple, groups)))) == len(streamed), "each column stands in one group"
    assert len(set(map(tuple, groups))) > 2
    snapshot = store.put("p", pq.read_table(path))
    for _ in range(3):  # into fresh memory, and into spares
        check_same(store.load("t", path), snapshot)
    check_same(store.load("t", path, columns=["u", "f"]), store.put("p", pq.read_table(path, columns=["u", "f"])))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]", "boolean"])
def test_columns_that_pandas_reads_by_their_values(dtype, store, tmp_path, streams_small_tables):
    frame = pd.DataFrame({"x": pd.array(np.arange(ROWS) % 2, dtype=dtype), "y": np.arange(ROWS)})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_streamed(tmp_path / "t.parquet").stream_fields == [1]
    assert_frame_equal(store.load("t", tmp_path / "t.parquet").to_pandas(), frame)


def test_an_index_is_made_of_values(store, tmp_path, streams_small_tables):
    rng = np.random.default_rng(2)
    for levels in (["a"], ["a", "b"]):
        frame = pd.DataFrame({"a": rng.permutation(ROWS), "b": np.arange(ROWS) % 5, "x": rng.random(ROWS)})
        frame = frame.set_index(levels)
        frame.to_parquet(tmp_path / "t.parquet")
        assert_frame_equal(store.load("t", tmp_path / "t.parquet").to_pandas(), frame)


def test_a_folder_of_several_types(store, tmp_path, streams_small_tables):
    """A column is streamed if all files have it, with one type."""
    (tmp_path / "t").mkdir()
    numbers = np.arange(ROWS)
    first = pa.table({"same": numbers, "wider": numbers.astype("i4"), "once": numbers, "nulls": numbers})
    second = pa.table({"same": numbers, "wider": numbers, "nulls": pa.array(numbers, mask=numbers == 5)})
    for number, part in enumerate((first, second)):
        pq.write_table(part, tmp_path / f"t/{number}.parquet")
    source = read_streamed(tmp_path / "t")
    assert {source.table.column_names[field] for field in source.stream_fields} == {"same", "nulls"}
    second = second.append_column("once", pa.nulls(ROWS, pa.int64()))
    both = pa.concat_tables([first, second], promote_options="permissive")
    check_same(store.load("t", tmp_path / "t"), store.put("p", both))


def test_without_statistics_all_is_read_first(store, tmp_path, streams_small_tables):
    pq.write_table(table(), tmp_path / "t.parquet", write_statistics=False)
    assert read_streamed(tmp_path / "t.parquet").stream_fields == []
    check_same(store.load("t", tmp_path / "t.parquet"), store.put("p", pq.read_table(tmp_path / "t.parquet")))


def declare(path, found, declared):
    """Change each null count of a file's statistics, in its footer; both are numbers of two bytes there."""
    data = bytearray(path.read_bytes())
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = bytes(data[start:-8])

    def number(value):
        return bytes([(2 * value & 0x7F) | 0x80, 2 * value >> 7])

    assert number(found) in footer
    data[start:-8] = footer.replace(number(found), number(declared))
    path.write_bytes(data)


@pytest.mark.parametrize("declared", [0, NULLS - 1])
def test_wrong_statistics_make_no_wrong_table(declared, store, tmp_path, streams_small_tables):
    path = tmp_path / "t.parquet"
    numbers = np.arange(ROWS)
    table = pa.table({"x": pa.array(numbers, mask=numbers < NULLS), "y": numbers})
    pq.write_table(table, path)
    declare(path, NULLS, declared)
    assert pq.read_metadata(path).row_group(0).column(0).statistics.null_count == declared
    loaded = store.load("t", path)
    assert loaded.to_arrow()["x"].null_count == NULLS
    check_same(loaded, store.put("p", table))


def test_rows_and_nulls_are_compared_with_what_was_declared():
    job = plan(pa.table({"x": pa.array([1, None, 3, 4])})).columns[0].job
    places = dict.fromkeys((job.values, job.bitmap, job.pandas_buffer), 0)
    with pytest.raises(MisdeclaredError, match="0 rows instead of 4"):
        ColumnStream(job).finish()
    column = ColumnStream(job)
    part, _ = column.part(pa.array([1, 2, 3, 4]), places)
    assert part.rows == 4
    with pytest.raises(MisdeclaredError, match="no nulls in a column with nulls"):
        column.finish()
    with pytest.raises(MisdeclaredError, match="more than 4 rows"):
        column.part(pa.array([5]), places)
    without = plan(pa.table({"x": [1, 2]})).columns[0].job
    with pytest.raises(MisdeclaredError, match="nulls in a column without nulls"):
        ColumnStream(without).part(pa.array([1, None]), {without.values: 0})


def test_a_file_that_changes_between_two_scans(tmp_path, streams_small_tables):
    """The values of one column would be of another file than those of the next."""
    path = tmp_path / "t.parquet"
    pq.write_table(table(), path)
    source = read_streamed(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(cn.UnreadableFileError, match=r"t\.parquet was changed while it was read; nothing was stored"):
        list(source.stream)


def test_a_damaged_page_of_a_streamed_column(store, tmp_path, streams_small_tables):
    path = tmp_path / "t.parquet"
    pq.write_table(table().select(["f", "s"]), path, compression="zstd", row_group_size=GROUP, use_dictionary=False)
    start = pq.read_metadata(path).row_group(3).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start + 40 : start + 400] = bytes(360)
    path.write_bytes(data)
    store.put("t", pd.DataFrame({"x": [1]})).close()
    with pytest.raises(cn.UnreadableFileError, match=r"t\.parquet cannot be read as parquet.*nothing was stored"):
        store.load("t", path)
    assert store.get("t")["x"].tolist() == [1]
    assert [segment.role for segment in store.usage().segments] == ["newest"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_load_with_views(suffix, store, tmp_path, streams_small_tables):
    table = pa.table({"i": np.arange(ROWS), "s": pa.array([f"the text of row {i}" for i in range(ROWS)])})
    path = tmp_path / f"t.{suffix}"
    pq.write_table(table, path) if suffix == "parquet" else pa.csv.write_csv(table, path)
    for views in (False, True):
        loaded = store.load("t", path, views=views)
        assert [column for column, _, _ in columns_with_views(loaded._stored_file(writable=False))] == [1] * views
        assert loaded.to_polars()["s"].to_list() == table["s"].to_pylist()
        loaded.validate()
