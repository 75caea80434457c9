"""`colonnade load` and `colonnade dump`: files, pipes, versions."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest
from pandas.testing import assert_frame_equal

from colonnade.io import formats
from support.command_line import COMMAND, environment, facts
from support.flights import nyc


def write_stream(df, path):
    table = pa.Table.from_pandas(df)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "p.parquet": lambda df, path: df.to_parquet(path),
    "p.parq": lambda df, path: df.to_parquet(path),
    "p.pq": lambda df, path: df.to_parquet(path, row_group_size=1000),
    "p.csv": lambda df, path: df.to_csv(path, index=False),
    "p.csv.gz": lambda df, path: df.to_csv(path, index=False),
    "P.CSV.bz2": lambda df, path: df.to_csv(path, index=False),
    "p.tsv": lambda df, path: df.to_csv(path, index=False, sep="\t"),
    "p.feather": lambda df, path: df.to_feather(path),
    "p.arrows": write_stream,
    "p.arrow": lambda df, path: pa.feather.write_feather(df, path, compression="uncompressed", chunksize=1000),
    "p.ipc": lambda df, path: pa.feather.write_feather(df, path, compression="zstd"),
    "p.orc": lambda df, path: pa.orc.write_table(pa.Table.from_pandas(df), path),
    "p.json": lambda df, path: df.to_json(path, orient="records", lines=True),
    "p.ndjson": lambda df, path: df.to_json(path, orient="records", lines=True),
    "p.jsonl.gz": lambda df, path: df.to_json(path, orient="records", lines=True),
}


def test_every_suffix_is_written_here():
    assert {Path(name.lower().removesuffix(".gz")).suffix for name in WRITERS} >= set(formats.SUFFIXES) - {".jsonl"}


@pytest.mark.parametrize("file", WRITERS)
def test_load_then_get(file, cli, store, tmp_path):
    WRITERS[file](nyc("planes"), tmp_path / file)
    result = cli("load", "planes", tmp_path / file)
    assert result.stdout.startswith("planes version 1: 3,322 rows, 9 columns, ")
    assert result.stderr == ""
    assert_frame_equal(store.get("planes"), nyc("planes"))


@pytest.mark.parametrize("file", ["w.parquet", "w.feather"])
def test_load_keeps_what_pandas_wrote_beside_the_columns(file, cli, store, tmp_path):
    weather = nyc("weather").astype({"origin": "category"}).set_index(["origin", "time_hour"])
    writer = weather.to_parquet if file == "w.parquet" else weather.reset_index().to_feather
    writer(tmp_path / file)
    cli("load", "w", tmp_path / file)
    assert_frame_equal(store.get("w"), weather if file == "w.parquet" else weather.reset_index())


def test_load_of_nothing_keeps_the_columns(cli, store, tmp_path):
    for file in ("p.parquet", "p.arrow", "p.orc"):
        WRITERS[file](nyc("planes").iloc[:0], tmp_path / file)
        cli("load", "p", tmp_path / file)
        assert list(store.get("p")) == list(nyc("planes"))


def test_load_csv_finds_the_type_in_all_values(cli, store, tmp_path):
    (tmp_path / "late.csv").write_text("x,y\n" + "1,\n" * 600_000 + "1.5,late\n")  # over 1 MiB, PyArrow's block
    cli("load", "late", tmp_path / "late.csv")
    late = store.get("late")
    assert late["x"].sum() == 600_001.5
    assert late["y"].count() == 1


def test_load_versions(cli, store, tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "t.csv").write_text(f"n\n{number}\n")
        report = json.loads(
            cli("load", "a/b", tmp_path / "t.csv", "--keep", 2, "--expect-version", number - 1, "--json").stdout
        )
        assert report == facts(store.open("a/b")) | {"version": number}
    assert store.get("a/b", version=2)["n"].tolist() == [2]
    assert (
        "is at version 3, and version 1 was expected"
        in cli("load", "a/b", tmp_path / "t.csv", "--expect-version", 1, status=1).stderr
    )
    assert cli("load", "a/b", tmp_path / "t.csv", "--keep", 0, status=2).stdout == ""
    assert store.open("a/b").version == 3


def test_load_with_a_ttl(cli, store, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    assert cli("load", "t", tmp_path / "t.csv", "--ttl", "60").exit_code == 0
    assert store.open("t").expires is not None
    assert "--ttl" in cli("load", "t", tmp_path / "t.csv", "--ttl", "0", status=2).stderr


def test_format_goes_before_the_suffix(cli, store, tmp_path):
    (tmp_path / "planes.txt").write_text("a,b\n1,2\n")
    assert ".parquet" in cli("load", "planes", tmp_path / "planes.txt", status=2).stderr
    cli("load", "planes", tmp_path / "planes.txt", "--format", "csv")
    assert store.get("planes").to_dict("list") == {"a": [1], "b": [2]}


@pytest.mark.parametrize(
    "suffix", [".parquet", ".feather", ".arrow", ".orc", ".json", ".csv.gz", ".parquet.gz", ".arrow.gz"]
)
def test_a_file_of_something_else(suffix, cli, store, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_text("no such thing\n")
    result = cli("load", "x", path, status=1)
    assert result.stdout == ""
    assert result.stderr.startswith(f"colonnade: {path} cannot be read as ")
    assert result.stderr.count("\n") == 1
    assert store.ls() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "arrow"])
def test_a_table_goes_through_pipes(kind, store):
    frame = nyc("planes")
    store.put("t", frame).close()
    dump = subprocess.Popen(
        [*COMMAND, "dump", "t", "-", "--format", kind], stdout=subprocess.PIPE, env=environment(store)
    )
    load = subprocess.run(
        [*COMMAND, "load", "u", "-", "--format", kind, "--json"],
        stdin=dump.stdout,
        capture_output=True,
        env=environment(store),
        check=True,
    )
    dump.stdout.close()
    assert dump.wait() == 0
    assert json.loads(load.stdout)["rows"] == len(frame)
    assert_frame_equal(store.get("u"), frame)


@pytest.mark.slow
def test_standard_input_that_is_a_file(store, shell, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"x\n" + b"1\n" * 1_000_000 + b"late\n")  # it is read twice
    with (tmp_path / "t.csv").open("rb") as file:
        assert "1,000,001 rows" in shell("load", "t", "-", "--format", "csv", stdin=file).stdout
    with subprocess.Popen(["cat", tmp_path / "t.csv"], stdout=subprocess.PIPE) as cat:
        assert "1,000,001 rows" in shell("put", "t", "-", "--format", "csv", stdin=cat.stdout).stdout


def test_standard_input_and_output_need_their_options(cli, store):
    store.put("t", pd.DataFrame({"x": [1]})).close()
    assert "--format" in cli("load", "u", "-", status=2).stderr
    assert cli("dump", "t", "-").stdout == '"x"\n1\n'
    assert cli("dump", "t", "-", "--format", "tsv").stdout == '"x"\n1\n'
    assert "is a URL" in cli("dump", "t", "s3://bucket/t.csv", status=2).stderr
    assert "--json is for files" in cli("dump", "t", "-", "--json", status=2).stderr
    assert "--format is for standard output" in cli("dump", "t", "t.csv", "--format", "csv", status=2).stderr
