"""Appending to a growing table, as its producer sees it; what is there is read from the segments as Arrow files."""

import copy
import pickle

import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.storage.log_head import LogState
from growing.files import every_type, head_of, same, shown


@pytest.fixture
def store(tmp_path):
    """A store on a disk: a growing table need not be in shared memory."""
    store = cn.Store(tmp_path / "store")
    yield store
    assert store.check() == []


def test_every_type_comes_back_from_arrow(store):
    rows = every_type(1_000)
    with store.appender("log", like=rows) as log:
        for start in range(0, 1_000, 7):  # every place of a bit within its byte
            log.append(rows[start : start + 7])
        log.flush()
        same(shown(store, "log"), rows)
    assert head_of(store, "log").read().state == LogState.CLOSED


@pytest.mark.parametrize("form", ["mapping", "arrow", "polars"])
def test_a_batch_may_come_in_other_forms(store, form):
    rows = every_type(50)
    if form == "polars":
        rows = rows.drop(columns="half")
    forms = {
        "mapping": dict,
        "arrow": pa.Table.from_pandas,
        "polars": lambda df: pytest.importorskip("polars").from_pandas(df),
    }
    with store.appender("log", like=rows) as log:
        assert log.append(forms[form](rows)) == 50
    same(shown(store, "log"), rows)


def test_a_batch_that_passes_the_end_of_segments_is_whole(store):
    rows = every_type(2 * STRIPE + 100)
    with store.appender("log", like=rows, retain=5 * STRIPE) as log:
        log.append(rows[:50])
        log.append(rows[50:])
    head = head_of(store, "log").read()
    assert head.committed == len(rows)
    assert [entry.base for entry in head.entries] == [0, STRIPE, 2 * STRIPE]
    same(shown(store, "log"), rows)


def test_a_name_is_a_table_or_a_growing_table(store):
    store.put("table", pd.DataFrame({"x": [1]}))
    store.append("log", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="is a growing table already"):
        store.put("log", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="is a growing table already"):
        store.rename("table", "log")
    with pytest.raises(cn.InvalidNameError, match="is a table already"):
        store.append("table", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.NotFoundError, match="did you mean 'log'"):
        store.get("logs")
    assert [table.name for table in store.ls()] == ["log", "table"]


def test_other_columns_than_the_tables_are_refused(store):
    store.append("log", pd.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="has other columns: 'x': float64; given were 'x': int64"):
        store.appender("log", {"x": "int64"})
    with store.appender("log") as log:
        assert log.num_rows == 1
    with pytest.raises(cn.NotFoundError, match="give its columns"):
        store.appender("missing")


def test_what_is_no_appender_or_no_table_says_so(store):
    with store.appender("log", {"x": "float64"}) as log:
        for through in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match=r"neither pickled nor copied. .* shared=True"):
                through(log)
        for nothing in (None, [1.0]):
            with pytest.raises(cn.NotATableError):
                log.append(nothing)
    with pytest.raises(ValueError, match=r"index=\['x'\] must be a column"):
        store.appender("other", {"x": "float64"}, index=["x"])
