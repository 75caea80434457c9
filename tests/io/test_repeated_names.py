"""Files in which several columns have one name, which PyArrow's datasets refuse."""

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn

COLUMNS = pd.concat(
    [
        pd.Series([1, None, 3], dtype="Int8"),
        pd.Series(["a", None, "c"]),
        pd.Series(pd.Categorical(["u", "v", None])),
        pd.Series([1.5, None, 2]),
        pd.Series(pd.date_range("2020", periods=3, tz="UTC")),
    ],
    axis=1,
)
TEXTS = ["a", "a", "b", "a", "b"]
LABELS = {
    "texts": pd.Index(TEXTS),
    "numbers": pd.Index([1, 1, 2, 2, 3]),
    "tuples": pd.MultiIndex.from_tuples([("x", 1), ("x", 1), ("y", 2), ("y", 2), ("z", 3)]),
}
ROWS = {
    "range": pd.RangeIndex(3),
    "named": pd.Index(["x", "y", "z"], name="k"),
    "named as columns are": pd.Index([7, 5, 6], name="a"),
    "several levels": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["m", "n"]),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("suffix", "labels"), [("parquet", "texts"), ("feather", "numbers"), ("arrow", "tuples")])
def test_what_is_dumped_loads_as_the_same_frame(store, tmp_path, suffix, labels, rows):
    frame = COLUMNS.set_axis(LABELS[labels], axis=1).set_axis(ROWS[rows])
    store.put("t", frame)
    store.dump("t", tmp_path / f"t.{suffix}", progress=False)
    store.load("u", tmp_path / f"t.{suffix}", progress=False)
    assert_frame_equal(store.get("u"), frame)


TABLE = pa.table([pa.array([1, 2]), pa.array(["x", "y"]), pa.array([1.5, None])], names=["a", "b", "a"])
WRITERS = {"parquet": pq.write_table, "feather": pyarrow.feather.write_feather, "orc": pyarrow.orc.write_table}


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_of_other_programs(store, tmp_path, suffix):
    for number in (1, 2):
        WRITERS[suffix](TABLE, tmp_path / f"{number}.{suffix}")
    one, both = (store.load("t", path, progress=False).to_arrow() for path in (tmp_path / f"1.{suffix}", tmp_path))
    assert one.schema.names == both.schema.names == ["a", "b", "a"]
    assert one.to_pylist() == TABLE.to_pylist()
    assert both.num_rows == 4
    chosen = store.load("t", tmp_path / f"1.{suffix}", columns=["a"], progress=False).to_arrow()
    assert [column.to_pylist() for column in chosen.columns] == [[1, 2], [1.5, None]]
    kept = store.load("t", tmp_path / f"1.{suffix}", filters=[("b", "==", "y")], progress=False)
    assert kept.to_arrow().column(0).to_pylist() == [2]


def refused(store, path, message):
    with pytest.raises(cn.UnreadableFileError, match=message):
        store.load("t", path, progress=False)
    assert not store.exists("t")


def test_what_is_refused(store, tmp_path):
    times = pa.array([0], pa.timestamp("ns"))
    pq.write_table(
        pa.table([times, times], names=["a", "a"]), tmp_path / "t.parquet", use_deprecated_int96_timestamps=True
    )
    refused(store, tmp_path / "t.parquet", "several columns have one name, and times are of the old type INT96")
    (tmp_path / "two").mkdir()
    pq.write_table(TABLE, tmp_path / "two" / "1.parquet")
    pq.write_table(TABLE.select([0, 1]), tmp_path / "two" / "2.parquet")
    refused(store, tmp_path / "two", "duplicate field names")
