"""Commands that print: `ls`, `show`, `sql`, `explain`."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from support.command_line import facts
from support.flights import nyc


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
    store.put("repeats", pd.DataFrame([[1, 2]], columns=["x", "x"])).close()
    assert cli("show", "repeats").stdout.split() == ["x", "x", "1", "2"]
    assert "same name" in cli("show", "repeats", "--json", status=1).stderr


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
    process = subprocess.run([sys.executable, "-c", program, "sql", "x"], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (
        1,
        "colonnade: sql needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'\n",
    )


def test_explain(cli, store):
    airports = nyc("airports").assign(seen=pd.to_datetime("2013-01-01").date()).set_index("faa")
    with store.put("airports", airports) as snapshot:
        report = json.loads(cli("explain", "airports", "--json").stdout)
        schema = report.pop("schema")
        assert report == facts(snapshot)
        assert [tuple(column.values())[1:] for column in schema] == [tuple(report)[1:] for report in snapshot.explain()]
        assert [column["column"] for column in schema] == snapshot.schema.names
    lines = cli("explain", "airports").stdout.splitlines()
    assert f"size     {report['nbytes'] / 1024:.1f}KiB ({report['nbytes']:,} bytes)" in lines
    assert f"path     {snapshot.path}" in lines
    cells = {line.split()[0]: line.split() for line in lines[lines.index("") + 1 :]}
    assert cells["lat"] == ["lat", "column", "double", "float64", "11.4KiB", "0", "zero-copy"]
    assert cells["faa"][1] == "index"
    assert cells["tzone"][-2:] == ["3", "zero-copy"]
    assert "pandas holds Python objects here" in " ".join(cells["seen"])
