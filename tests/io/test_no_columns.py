"""Frames with rows and no columns are dumped to files and loaded again."""

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

import colonnade as cn

FRAMES = {
    "nothing": pd.DataFrame(),
    "rows": pd.DataFrame(index=range(5)),
    "more rows than a batch": pd.DataFrame(index=range((1 << 20) + 3)),
    "an index": pd.DataFrame(index=pd.Index([1, 2, 5], name="k")),
}


@pytest.mark.parametrize("suffix", [".feather", ".arrow"])
@pytest.mark.parametrize("case", FRAMES)
def test_arrow_and_feather_keep_the_rows(case, suffix, store, tmp_path):
    frame, file = FRAMES[case], tmp_path / f"t{suffix}"
    store.put("t", frame).close()
    store.dump("t", file)
    pd.testing.assert_frame_equal(pyarrow.feather.read_table(file).to_pandas(), frame, check_column_type=False)
    assert store.load("u", file).num_rows == len(frame)
    pd.testing.assert_frame_equal(store.get("u"), frame, check_column_type=False)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_formats_that_would_lose_the_rows_refuse(suffix, store, tmp_path):
    store.put("t", FRAMES["rows"]).close()
    with pytest.raises(cn.UnsupportedTypeError, match="cannot hold rows without columns; Feather and Arrow"):
        store.dump("t", tmp_path / f"t{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_arrow_tables_and_streams(store, tmp_path):
    table = pa.table({"a": [1, 2, 3]}).select([])
    store.put("t", table).close()
    store.dump("t", tmp_path / "t.arrow")
    assert pa.ipc.open_file(tmp_path / "t.arrow").read_all().num_rows == 3
    assert store.load("u", table.to_reader()).num_rows == 3
