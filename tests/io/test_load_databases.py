"""Loading from databases: SQLite in a real file, PostgreSQL as a real server, DuckDB, any DB-API connection with Arrow."""

import contextlib
import datetime
import os
import sqlite3
import subprocess
import sys
import threading
import time

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import colonnade as cn
from colonnade.cli.commands import app
from support.postgresql import Server

ROWS = 200_000  # several batches of each driver


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def before(store):
    """Put a table before the test; a failed load must leave the store exactly so."""
    store.put("t", pd.DataFrame({"x": [1.5]})).close()
    files = sorted(path for path in store.path.rglob("*"))
    yield
    assert [(info.name, info.version, info.rows) for info in store.ls()] == [("t", 1, 1)]
    assert store.get("t")["x"].tolist() == [1.5]
    assert sorted(path for path in store.path.rglob("*")) == files
    assert [segment.role for segment in store.usage().segments] == ["newest"]


# -- SQLite ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "data.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (i integer, f real, s text, b blob)")
        rows = ((i, i / 8 if i % 5 else None, f"row {i}" if i % 3 else None, b"\x00\xff") for i in range(ROWS))
        connection.executemany("insert into t values (?, ?, ?, ?)", rows)
        connection.commit()
    return path


def test_sqlite(store, sqlite):
    with store.load("t", f"sqlite:///{sqlite}", query="select * from t order by i") as snapshot:
        assert (snapshot.version, snapshot.num_rows) == (1, ROWS)
        df = snapshot.to_pandas()
    assert df["i"].tolist() == list(range(ROWS))
    assert df["f"].sum() == sum(i / 8 for i in range(ROWS) if i % 5)
    assert df["f"].isna().sum() == ROWS // 5
    assert df["s"].dropna().tolist() == [f"row {i}" for i in range(ROWS) if i % 3]
    assert df["b"].iloc[-1] == b"\x00\xff"


def test_sqlite_path_is_read_as_others_read_it(store, sqlite, monkeypatch):
    monkeypatch.chdir(sqlite.parent)
    assert store.load("t", "sqlite:///data.db", query="select count(*) as n from t").to_pandas()["n"][0] == ROWS
    assert store.load("t", "sqlite:///data.db?mode=ro&cache=private", query="select 1 as n").version == 2


def test_sqlite_makes_no_database(store, tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file") as error:
        store.load("t", f"sqlite:///{tmp_path}/none.db", query="select 1")
    assert error.value.filename == f"{tmp_path}/none.db"
    assert os.listdir(tmp_path) == []
    store.put("other", pd.DataFrame({"x": [1]})).close()  # the store is there


@pytest.mark.parametrize(("query", "words"), [
    (f"select case when i = {ROWS - 5} then abs(-9223372036854775808) else i end as x from t", "integer overflow"),
    (f"select case when i = {ROWS - 5} then 'text' else i end as x from t", "[Mm]ismatch"),
    ("select nothing from nowhere", "nowhere|syntax"),
    ("select", "incomplete input"),
])  # fmt: skip
@pytest.mark.slow
def test_a_query_that_fails(query, words, store, sqlite, before):
    """The first two queries fail in their last batch."""
    with pytest.raises(cn.QueryError, match=words) as error:
        store.load("t", f"sqlite:///{sqlite}", query=query)
    assert str(error.value).startswith(f"the query of sqlite:///{sqlite} failed: ")
    assert str(error.value).endswith("; nothing was stored")


def test_a_database_that_is_none(store, tmp_path, before):
    (tmp_path / "data.db").write_text("no such thing" * 100)
    with pytest.raises(cn.QueryError, match="not a database"):
        store.load("t", f"sqlite:///{tmp_path}/data.db", query="select 1")


# -- PostgreSQL --------------------------------------------------------------------------------------------------------

SERIES = f"generate_series(1, {ROWS}) as i"


@pytest.mark.slow
def test_postgresql(store, server):
    query = f"""select i::bigint, i / 8.0::float8 as f, case when i % 3 > 0 then 'row ' || i end as s, i % 2 = 0 as b,
                       date '2013-01-01' + i % 365 as d, timestamptz '2013-01-01 05:00+00' as t from {SERIES}"""
    df = store.load("t", server.url, query=query).to_pandas()
    assert len(df) == ROWS
    assert df["i"].sum() == ROWS * (ROWS + 1) // 2
    assert df["f"].iloc[-1] == ROWS / 8
    assert df["s"].isna().sum() == ROWS // 3
    assert df["b"].sum() == ROWS // 2
    assert df["d"][0] == datetime.date(2013, 1, 2)
    assert df["t"][0] == pd.Timestamp("2013-01-01 05:00", tz="UTC")


def test_postgresql_killed_in_the_middle(store, server, before):
    """All processes of the server are killed after it has sent some rows and while it computes the next one."""
    asleep = threading.Event()

    def kill_when_asleep():
        # Within one transaction a session sees one state of the others.
        connected = adbc_driver_postgresql.dbapi.connect(server.url, autocommit=True)
        with connected as connection, connection.cursor() as cursor:
            while not asleep.is_set():
                cursor.execute("select 1 from pg_stat_activity where wait_event = 'PgSleep'")
                if cursor.fetchone():
                    asleep.set()
                time.sleep(0.01)
        server.kill()

    killer = threading.Thread(target=kill_when_asleep)
    killer.start()
    query = f"select i, case when i = {ROWS} then pg_sleep(100)::text end as s from {SERIES}"
    with pytest.raises(cn.QueryError, match="nothing was stored"):
        store.load("t", server.url, query=query)
    killer.join()
    assert asleep.is_set()
    server.start()
    assert server.answers()


@pytest.mark.parametrize(("query", "words"), [
    (f"select 1 / ({ROWS - 5} - i) as x from {SERIES}", "division by zero"),
    ("select nothing", "nothing"),
])  # fmt: skip
def test_a_query_of_postgresql_that_fails(query, words, store, server, before):
    with pytest.raises(cn.QueryError, match=words):
        store.load("t", server.url, query=query)


def test_a_password_is_not_shown(store, tmp_path, before):
    url = f"postgresql://me:secret@/db?host={tmp_path}&password=secret"
    with pytest.raises(cn.QueryError, match="failed: ") as error:
        store.load("t", url, query="select 1")
    assert "secret" not in str(error.value)


def test_a_postgresql_connection(store, server):
    with adbc_driver_postgresql.dbapi.connect(server.url) as connection:
        assert store.load("t", connection, query=f"select * from {SERIES}").num_rows == ROWS


# -- connections, cursors, relations -----------------------------------------------------------------------------------


def test_duckdb(store):
    with duckdb.connect() as connection:
        query = f"select i, case when i % 3 > 0 then 'row ' || i end as s from range({ROWS}) r(i)"
        assert store.load("connection", connection, query=query).num_rows == ROWS
        store.load("relation", connection.sql(query)).close()
    expected = pd.DataFrame({"i": range(ROWS), "s": [f"row {i}" if i % 3 else None for i in range(ROWS)]})
    for name in ("connection", "relation"):
        pd.testing.assert_frame_equal(store.get(name), expected)


def test_a_duckdb_query_that_fails(store, before):
    with duckdb.connect() as connection:
        query = f"select case when i = {ROWS - 5} then error('half-way') else i end as x from range({ROWS}) r(i)"
        with pytest.raises(cn.QueryError, match="half-way"):
            store.load("t", connection, query=query)
        with pytest.raises(Exception, match="half-way") as error:  # what the relation itself says
            store.load("t", connection.sql(query))
        assert not isinstance(error.value, cn.ColonnadeError)


def test_a_cursor_that_has_run_its_query(store, sqlite):
    with adbc_driver_sqlite.dbapi.connect(str(sqlite)) as connection, connection.cursor() as cursor:
        cursor.execute("select i from t")
        assert store.load("t", cursor).num_rows == ROWS


def test_whatever_gives_arrow(store):
    table = pa.table({"x": pa.chunked_array([[1, 2, 3], [], [4]]), "s": ["a", None, "c", "d"]})
    for data in (table, table.to_reader(), pl.DataFrame(table), cn.Store(store.path).put("p", table)):
        assert store.load("t", data).to_arrow().to_pydict() == table.to_pydict()


def test_a_stream_that_fails_keeps_its_error(store, before):
    def batches():
        yield pa.record_batch({"x": range(1_000_000)})
        raise RuntimeError("the source is gone")

    with pytest.raises(pa.ArrowException, match="the source is gone"):
        store.load("t", pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches()))


# -- misuse ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "options", "error", "words"), [
    ("sqlite:///x.db", {}, ValueError, "say with query="),
    ("x.csv", {"query": "select 1"}, ValueError, "query= is for databases"),
    (pa.table({"x": [1]}), {"format": "csv"}, ValueError, "format= is for files"),
    (pa.table({"x": [1]}), {"query": "select 1"}, cn.NotATableError, "runs no query"),
    ([1, 2], {}, cn.NotATableError, "list gives no Arrow data"),
    ("x.csv", {"format": "xls"}, ValueError, "format must be one of parquet, csv"),
])  # fmt: skip
def test_what_does_not_go_together(source, options, error, words, store, before):
    with pytest.raises(error, match=words):
        store.load("t", source, **options)


def test_a_connection_without_arrow(store, sqlite, before):
    with (
        contextlib.closing(sqlite3.connect(sqlite)) as connection,
        pytest.raises(cn.NotATableError, match=r"sqlite3\.Connection give no Arrow data.*load the database's URL"),
    ):
        store.load("t", connection, query="select * from t")


def test_a_driver_that_is_not_installed(store):
    program = (
        "import sys; sys.modules['adbc_driver_sqlite'] = None\nimport colonnade as cn\n"
        f"try: cn.Store({str(store.path)!r}).load('t', 'sqlite:///x.db', query='select 1')\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output == "sqlite:// needs adbc-driver-sqlite: pip install 'colonnade[adbc]'\n"


def test_from_the_shell(store, sqlite):
    def run(*args):
        return CliRunner().invoke(app, ["--store", str(store.path), "load", *args])

    url = f"sqlite:///{sqlite}"
    output = run("nyc/t", url, "--query", "select i from t")
    assert output.output.startswith("nyc/t version 1: 200,000 rows, 1 column, ")
    assert run(url, "--query", "select 1").exit_code == 2  # no name
    assert run("t", url).exit_code == 2  # no query
    assert run("t", url, "--query", "selec").exit_code == 1
