"""Queries that are refused: all but a single SELECT, and a SELECT that reads anything outside of the store."""

import subprocess
import sys

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.interop.duckdb import _database
from support.flights import nyc

REFUSED = {
    "from nope": (cn.NotFoundError, "there is no table 'nope' in .*; there are: 'airlines', 'planes'"),
    "from airlines join nope using (carrier)": (cn.NotFoundError, "no table 'nope'"),
    "with nope as (from nope) from nope": (duckdb.BinderException, "Circular reference to CTE .nope."),
    'from "no such name"': (cn.InvalidNameError, "is not a name"),
    "from frame": (cn.NotFoundError, "no table 'frame'"),  # a variable of the caller
    "from query": (cn.NotFoundError, "no table 'query'"),  # a variable within
    "from duckdb": (cn.NotFoundError, "no table 'duckdb'"),  # a module within
    "from 'nope.csv'": (duckdb.PermissionException, "nope.csv"),
    "selec": (duckdb.ParserException, 'at or near "selec"'),
    "from nyc/flights": (duckdb.ParserException, 'at or near "/"'),
    "from nyc.flights": (duckdb.CatalogException, 'schema "nyc" does not exist'),
    "select nope from airlines": (duckdb.BinderException, '"nope" not found'),
    "": (ValueError, "runs one query"),
    "from airlines; from planes": (ValueError, "runs one query"),
    "create table t as from airlines": (ValueError, "put.name, sql"),
    "copy airlines to 'out.csv'": (ValueError, "runs one query"),
    "set threads = 1": (ValueError, "runs one query"),
    "explain select 1": (ValueError, "runs one query"),
    "pivot (select 1 a, 2 b) on a using sum(b)": (ValueError, "runs one query"),
    "with x as (select 1) insert into airlines select * from x": (ValueError, "runs one query"),
}

# Statements that would write a file, change a setting or load code: alone, and before or after another statement.
EFFECTS = [
    "copy (select 42) to 'x.csv'",
    "attach 'x.db'",
    "set threads = 1",
    "set global lock_configuration = false",
    "load json",
    "install httpfs",
    "pragma enable_profiling",
    "call enable_logging()",
    "create table t as select 1",
    "export database 'x'",
    "prepare p as copy (select 42) to 'x.csv'",
    "checkpoint",
]
SURROUNDED = ["{}", "{}; selec", "{}; select 1", "select 1; {}", "/* */ ;{};", "selec; {}"]

# Selects that read something outside of the store.
REACHING = [
    "from 'a.csv'", "from read_csv('a.csv')", "from read_text('/etc/passwd')", "from read_blob('a.csv')", "from glob('*')", "from sniff_csv('a.csv')",
    "from 'https://127.0.0.1:1/x.parquet'", "from parquet_scan('a.parquet')", "from read_json('a.csv')", "from duckdb_secrets()", "from enable_logging()",
    "from enable_logging('QueryLog', storage='file', storage_path='logs')", "from enable_profiling()", "from add_grammar_extension('x')",
    "from query($$copy (select 1) to 'x.csv'$$)", "from query($$from 'a.csv'$$)", "from query_table('a.csv')",
    "select (select content from read_text('a.csv'))", "with a as (from 'a.csv') from a", "from airlines where name in (select content from read_text('a.csv'))",
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_wrong_is_said(query, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = nyc("airlines")
    for name in ("planes", "airlines"):
        store.put(name, frame).close()
    error, words = REFUSED[query]
    with pytest.raises(error, match=words) as excinfo:
        store.sql(query)
    hinted = any("double quotes" in note for note in getattr(excinfo.value, "__notes__", []))
    assert hinted == (query in ("from nyc/flights", "from nyc.flights"))
    assert list(tmp_path.iterdir()) == []
    assert store.sql("select count(*) from airlines").fetchall() == [(16,)]


@pytest.mark.parametrize("effect", EFFECTS)
def test_nothing_but_one_select_ever_runs(effect, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = "select name, value from duckdb_settings() order by all"
    before = store.sql(settings).fetchall(), store.sql(settings, external_access=True).fetchall()
    for external_access in (False, True):
        for text in SURROUNDED:
            with pytest.raises((ValueError, duckdb.ParserException)):
                store.sql(text.format(effect), external_access=external_access)
    assert list(tmp_path.iterdir()) == []
    assert (store.sql(settings).fetchall(), store.sql(settings, external_access=True).fetchall()) == before


@pytest.mark.parametrize("query", REACHING)
def test_a_select_reaches_nothing_but_the_store(query, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    store.put("airlines", nyc("airlines")).close()
    with pytest.raises((duckdb.Error, cn.ColonnadeError)):
        store.sql(query).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_external_access_is_asked_for(store, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    query = f"from '{tmp_path}/a.csv'"
    with pytest.raises(duckdb.PermissionException, match="disabled by configuration") as excinfo:
        store.sql(query)
    assert "external_access=True" in excinfo.value.__notes__[0]
    with pytest.raises(duckdb.PermissionException):
        store.sql("select 1").to_csv(str(tmp_path / "b.csv"))
    relation = store.sql(query, external_access=True)
    assert relation.fetchall() == [(1,)]
    relation.to_csv(str(tmp_path / "b.csv"))
    assert (tmp_path / "b.csv").read_text() == "x\n1\n"
    with pytest.raises(duckdb.PermissionException):  # the two share nothing
        store.sql(query)


INTERRUPTED = """
import random, signal, sys, time, colonnade as cn
signal.signal(signal.SIGALRM, signal.default_int_handler)
store, raised = cn.Store(sys.argv[1]), 0
store.sql("select 1").fetchall()  # an interrupt while DuckDB is imported ends the process: nanobind aborts
end = time.monotonic() + 4
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.random() * 0.02 + 1e-5)
        store.sql("select count(*) from wide where c0 >= ?", params=[0])
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        raised += 1
print(raised > 20, store.sql("select 1").fetchall())
"""


@pytest.mark.slow
def test_ctrl_c_stays_keyboard_interrupt(store):
    store.put("wide", pd.DataFrame({f"c{i}": [1, 2] for i in range(300)})).close()
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, store.path], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout) == (0, "True [(1,)]\n")
    # Python itself prints an interrupt that comes while it drops an object or a dead weak reference, and goes on.
    ignored = process.stderr.count("Exception ignored in")
    assert process.stderr.count("KeyboardInterrupt") == process.stderr.count("Traceback") == ignored, process.stderr


def test_types_that_duckdb_cannot_read_are_named(store):
    """PyArrow makes no empty array of the first. DuckDB 2.0 ends the process when it reads the others."""
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    runs = pa.RunEndEncodedArray.from_arrays([1], pa.RunEndEncodedArray.from_arrays([1], [7]))
    for array in (union, runs, pa.ListArray.from_arrays([0, 1], runs)):
        store.put("t", pa.table({"x": [1], "d": array}))
        with pytest.raises(cn.UnsupportedTypeError, match=r"cannot read 't': 'd' \("):
            store.sql("select x from t")


def test_a_query_that_fails_half_way_leaves_the_store_as_it_was(store):
    store.put("weather", nyc("weather")).close()
    before = store.ls()
    failing = store.sql("select if(month = 12, error('half way'), month) as month from weather")
    for _ in range(2):
        with pytest.raises(duckdb.Error, match="half way"):
            failing.fetchall()
        with pytest.raises(OSError, match="half way"):
            store.put("weather", failing)
    assert store.ls() == before
    assert store.sql("select max(month) from weather").fetchall() == [(12,)]


def test_columns_that_duckdb_cannot_read_are_named(store):
    table = pa.table(
        {"half": np.ones(2, "f2"), "x": [1, 2], "wide": pa.array([1, None], pa.decimal128(4)).cast(pa.decimal256(50))}
    )
    store.put("t", table).close()
    with pytest.raises(
        cn.UnsupportedTypeError, match=r"'t': 'half' \(halffloat\), 'wide' \(decimal256\(50, 0\)\)\. Query"
    ):
        store.sql("select x from t")
    t = store.open("t").to_arrow().drop_columns(["half", "wide"])  # noqa: F841 -- what the error says
    assert duckdb.sql("select x from t").fetchall() == [(1,), (2,)]
    store.put("t", pd.DataFrame()).close()
    with pytest.raises(cn.UnsupportedTypeError, match=r"'t': .*column"):
        store.sql("from t")


def test_names_that_sql_does_not_tell_apart_are_not_mixed_up(store):
    for n, name in enumerate(["Prices", "prices"]):
        store.put(name, pd.DataFrame({"n": [n]})).close()
        assert store.sql(f"from {name}").fetchall() == [(n,)]
    with pytest.raises(ValueError, match="'Prices' and 'prices' are one name to SQL"):
        store.sql("from Prices, prices")


class Changing:
    """A table whose type changes after DuckDB has looked at it."""

    looks = 0

    def _table(self):
        self.looks += 1
        return pa.table({"x": pa.array([None], pa.decimal128(5, -2) if self.looks > 3 else pa.int64())})

    def __arrow_c_schema__(self):
        return self._table().schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table().__arrow_c_stream__()


def test_an_error_within_duckdb_does_not_outlive_its_query(store):
    """Such an error makes the database useless, and all queries of a process share it."""
    store.put("n", pd.DataFrame({"n": [1]})).close()
    cursor = _database().cursor()
    cursor.register("changing", Changing())
    with pytest.raises(duckdb.InternalException):
        cursor.sql("from changing").fetchall()
    with pytest.raises(duckdb.FatalException, match="invalidated"):
        _database().cursor().execute("select 1")
    assert store.sql("from n").fetchall() == [(1,)]


@pytest.mark.parametrize("missing", ["sys.modules['duckdb'] = None", "import duckdb; duckdb.__version__ = '1.5.6'"])
@pytest.mark.slow
def test_without_duckdb_it_says_what_to_install(missing):
    program = f"import sys; {missing}\nimport colonnade as cn\ncn.sql('select 1')"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: sql() needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'" in process.stderr
