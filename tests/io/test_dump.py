"""dump: what is written comes back the same, and a dump that fails leaves what was there."""

import decimal
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

import colonnade as cn
from colonnade.cli.commands import app


@pytest.fixture
def frame():
    index = pd.date_range("2013-01-01", periods=3, freq="h", name="time")
    return pd.DataFrame(
        {"c": pd.Categorical(["a", None, "b"]), "x": [1.5, None, 2], "s": ["x", 'y"', None]}, index=index
    )


@pytest.mark.parametrize("suffix", ["parquet", "feather", "arrow"])
def test_dump_then_load_is_the_same(suffix, frame, store, tmp_path):
    store.put("t", frame).close()
    store.dump("t", tmp_path / f"t.{suffix}")
    assert os.listdir(tmp_path) == [f"t.{suffix}"]
    assert_frame_equal(store.load("back", tmp_path / f"t.{suffix}").to_pandas(), frame, check_freq=False)
    if suffix == "parquet":
        assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame, check_freq=False)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst"])
def test_dump_csv(suffix, frame, store, tmp_path):
    store.put("t", frame).close()
    store.dump("t", tmp_path / f"t.{suffix}")
    result = pd.read_csv(pa.input_stream(tmp_path / f"t.{suffix}"), parse_dates=["time"], index_col="time")
    assert_frame_equal(result, frame.astype({"c": "str"}), check_index_type=False, check_freq=False)
    assert list(store.load("back", tmp_path / f"t.{suffix}").to_pandas()) == ["time", "c", "x", "s"]


def test_dump_of_many_rows(store, tmp_path):
    store.put("t", pa.table({"x": np.arange(2_500_000)})).close()
    store.dump("t", tmp_path / "t.parquet")
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "t.parquet")["x"].to_numpy().tolist() == list(range(2_500_000))


def test_dump_of_an_older_version(store, tmp_path):
    for x in (1, 2):
        store.put("t", pd.DataFrame({"x": [x]}), keep=2).close()
    store.dump("t", tmp_path / "t.csv", version=1)
    assert (tmp_path / "t.csv").read_text().split() == ['"x"', "1"]
    with pytest.raises(cn.NotFoundError):
        store.dump("t", tmp_path / "other.csv", version=3)
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.parametrize(("file", "error", "words"), [
    ("t.xlsx", ValueError, "ends in none of .parquet"), ("t.parquet.gz", ValueError, "ends in none of"),
    ("t.orc", ValueError, "ends in none of"), ("none/t.csv", FileNotFoundError, "No such file"),
    ("t.csv", cn.UnsupportedTypeError, "csv cannot hold this table: .*list.*Parquet and Feather hold it"),
])  # fmt: skip
def test_dump_that_fails_leaves_what_was_there(file, error, words, store, tmp_path):
    store.put("t", pa.table({"l": [[1], [2]]})).close()
    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(error, match=words):
        store.dump("t", tmp_path / file)
    assert os.listdir(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"


def test_dump_of_what_the_writer_calls_an_input_error(store, tmp_path):
    store.put("t", pa.table({"d": pa.array([decimal.Decimal("1E+2")], pa.decimal128(38, -2))})).close()
    with pytest.raises(cn.UnsupportedTypeError, match="parquet cannot hold this table: Scale must be"):
        store.dump("t", tmp_path / "t.parquet")


def test_dump_to_a_url_is_refused(store):
    with pytest.raises(ValueError, match="is a URL; dump to a file"):
        store.dump("t", "s3://bucket/t.parquet")


def test_dump_to_a_full_disk(store, small):
    store.put("t", pa.table({"x": np.random.default_rng(1).random(5_000_000)})).close()
    with pytest.raises(OSError, match="No space left") as error:
        store.dump("t", small / "t.parquet")
    assert not isinstance(error.value, cn.ColonnadeError)
    assert os.listdir(small) == []


def test_dump_from_the_shell(frame, store, tmp_path):
    store.put("t", frame).close()

    def run(*args):
        return CliRunner().invoke(app, ["--store", str(store.path), "dump", *map(str, args)])

    output = run("t", tmp_path / "t.parquet", "--json")
    assert json.loads(output.output)["nbytes"] == (tmp_path / "t.parquet").stat().st_size
    assert run("t", tmp_path / "t.parquet").output.startswith(f"{tmp_path}/t.parquet: ")
    assert run("t", tmp_path / "t.xlsx").exit_code == 2
    assert run("none", tmp_path / "t.csv").exit_code == 1
