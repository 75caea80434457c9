"""Appending to a growing table, as its producer sees it; what is there is read from the segments as Arrow files."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_folder
from colonnade.storage.log_head import HeadReader, LogState


def every_type(rows: int, start: int = 0) -> pd.DataFrame:
    """Each type that can grow, with nulls in all that have nulls; the rows differ."""
    number = np.arange(start, start + rows)
    null = number % 7 == 3
    text = pd.Series([None if gone else f"text {n}" for n, gone in zip(number, null, strict=True)], dtype="str")
    return pd.DataFrame({
        "time": (number * 1_000).astype("M8[us]"),
        "float": np.where(null, np.nan, number),
        "half": np.where(null, np.nan, number % 100).astype(np.float16),
        "int": number,
        "byte": (number % 200).astype(np.uint8),
        "flag": number % 3 == 0,
        "masked": pd.arrays.IntegerArray(number.astype(np.int32), null.copy()),
        "maybe": pd.arrays.BooleanArray(number % 2 == 0, null.copy()),
        "span": np.where(null, np.timedelta64("NaT"), number.astype("m8[ns]")),
        "zoned": pd.Series(number.astype("M8[ms]")).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        "text": text,
        "kind": pd.Categorical([None if gone else f"kind {n % 5}" for n, gone in zip(number, null, strict=True)]),
    })  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = cn.Store(tmp_path / "store")
    yield store
    assert store.check() == []


def shown(store: cn.Store, name: str) -> pd.DataFrame:
    """The rows that Arrow finds in the segments."""
    files = sorted((store.path / f"{name}@live").glob("*.arrow"))
    tables = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files]
    for table in tables:
        table.validate(full=True)
    return pa.concat_tables(tables).unify_dictionaries().to_pandas()


def head_of(store: cn.Store, name: str) -> HeadReader:
    path = store.path / f"{name}@live/head"
    return HeadReader(memoryview(path.read_bytes()), path)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    plain = [frame.assign(kind=frame["kind"].astype("str")).reset_index(drop=True) for frame in (left, right)]
    pd.testing.assert_frame_equal(*plain)


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
    given = {
        "mapping": dict,
        "arrow": pa.Table.from_pandas,
        "polars": lambda df: pytest.importorskip("polars").from_pandas(df),
    }
    with store.appender("log", like=rows) as log:
        assert log.append(given[form](rows)) == 50
    same(shown(store, "log"), rows)


def test_a_batch_that_passes_the_end_of_segments_is_whole(store):
    rows = every_type(2 * STRIPE + 100)
    with store.appender("log", like=rows, retain=STRIPE) as log:
        log.append(rows[:50])
        log.append(rows[50:])
    head = head_of(store, "log").read()
    assert head.committed == len(rows)
    assert [entry.base for entry in head.entries] == [0, STRIPE, 2 * STRIPE]
    same(shown(store, "log"), rows)


def test_the_next_appender_goes_on(store):
    rows = every_type(300)
    for start in range(0, 300, 100):
        assert store.append("log", rows[start : start + 100]) == start + 100
    same(shown(store, "log"), rows)


def test_one_producer_at_a_time(store):
    with store.appender("log", {"x": "float64"}) as log:
        with pytest.raises(cn.LogBusyError, match="this process"):
            store.appender("log")
        program = f"import colonnade as cn; cn.Store({str(store.path)!r}).append('log', {{'x': [1.0]}})"
        other = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        assert "LogBusyError: process" in other.stderr
        assert log.append({"x": [1.0]}) == 1
    assert store.append("log", {"x": [2.0]}) == 2


def test_a_name_is_a_table_or_a_growing_table(store):
    store.put("table", pd.DataFrame({"x": [1]}))
    store.append("log", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="is a growing table already"):
        store.put("log", pd.DataFrame({"x": [1]}))
    with pytest.raises(cn.InvalidNameError, match="is a growing table already"):
        store.rename("table", "log")
    with pytest.raises(cn.InvalidNameError, match="is a table already"):
        store.append("table", pd.DataFrame({"x": [1]}))
    assert [table.name for table in store.ls()] == ["log", "table"]


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ({"x": [1.0]}, ValueError, r"missing \['n'"),
        ({"x": [1.0], "n": [1], "s": ["a"], "y": [1]}, ValueError, r"unknown \['y'\]"),
        ({"x": [1.0, 2.0], "n": [1], "s": ["a"]}, ValueError, "different lengths"),
        ({"x": [1.0], "n": [1.5], "s": ["a"]}, cn.InvalidDataError, "'n' holds int32, and row 0 is"),
        ({"x": [1.0], "n": [1 << 40], "s": ["a"]}, cn.InvalidDataError, "'n' holds int32"),
        ({"x": [1.0], "n": pa.array([None], pa.int32()), "s": ["a"]}, cn.InvalidDataError, "has no nulls"),
        ({"x": ["a"], "n": [1], "s": ["a"]}, cn.UnsupportedTypeError, "'x' holds float64"),
        ({"x": [1.0], "n": [1], "s": [1]}, cn.UnsupportedTypeError, "'s' holds str"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(store, rows, error, words):
    with store.appender("log", {"x": "float64", "n": "int32", "s": "str"}) as log:
        log.append({"x": [0.5], "n": [1], "s": ["kept"]})
        with pytest.raises(error, match=words):
            log.append(rows)
        assert log.num_rows == head_of(store, "log").committed == 1
        log.row(x=1.5, n=2, s=None)
    assert shown(store, "log")["x"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": object}, "cannot grow"),
        ({"x": "datetime64[D]"}, "cannot grow"),
        ({"x": pd.CategoricalDtype([1, 2])}, "cannot grow"),
        ({"x": "period[D]"}, "cannot grow"),
        ({"x": "nonsense"}, "no dtype"),
    ],
)
def test_columns_that_cannot_grow_are_named(store, columns, words):
    with pytest.raises(cn.UnsupportedTypeError, match=rf"column 'x'.*{words}"):
        store.appender("log", columns)
    assert not log_folder.is_there(store._catalog, "log")


def test_other_columns_than_the_tables_are_refused(store):
    store.append("log", pd.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="has other columns: x: float64; given were x: int64"):
        store.appender("log", {"x": "int64"})
    with store.appender("log") as log:
        assert log.num_rows == 1
    with pytest.raises(cn.NotFoundError, match="give its columns"):
        store.appender("missing")


def test_a_removed_table_refuses_its_producer_and_may_be_made_anew(store):
    with store.appender("deep/log", {"x": "float64"}) as log:
        log.row(x=1.0)
        log_folder.remove(store._catalog, "deep/log")
        assert not (store.path / "deep").exists()
        with pytest.raises(ValueError, match="was deleted"):
            log.row(x=2.0)
    assert store.append("deep/log", pd.DataFrame({"x": [1.0]})) == 1
    with pytest.raises(cn.NotFoundError, match="no growing table 'other'"):
        log_folder.remove(store._catalog, "other")


@pytest.mark.parametrize("retain", [0, -1, "soon", "0B", 1.5])
def test_what_is_no_retention_is_refused(store, retain):
    with pytest.raises(ValueError, match="retain"):
        store.appender("log", {"x": "float64"}, retain=retain)


def test_an_appender_that_is_closed_says_so(store):
    log = store.appender("log", {"x": "float64"})
    assert repr(log) == "<colonnade.Appender of 'log': 0 rows>"
    log.close()
    log.close()
    with pytest.raises(ValueError, match="is closed"):
        log.row(x=1.0)
    assert "closed" in repr(log)
