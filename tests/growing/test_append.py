"""Appending to a growing table, as its producer sees it; what is there is read from the segments as Arrow files."""

import copy
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade import _append
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
        "span": np.where(null, np.timedelta64("NaT", "ns"), number.astype("m8[ns]")),
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
    with store.appender("log", like=rows, retain=5 * STRIPE) as log:
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
    with pytest.raises(ValueError, match="has other columns: 'x': float64; given were 'x': int64"):
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
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            log.row(x=2.0)
    assert store.append("deep/log", pd.DataFrame({"x": [1.0]})) == 1
    with pytest.raises(cn.NotFoundError, match="no growing table 'other'"):
        log_folder.remove(store._catalog, "other")


@pytest.mark.parametrize("retain", [0, -1, "soon", "0B", 1.5, True, "10", "-1h", "NaT"])
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


def test_single_rows_of_any_type(store):
    rows = every_type(40)
    with store.appender("log", like=rows) as log:
        log.append(rows[:5])
        for number in range(5, 40):  # plain objects, pandas' own, and what is null
            row = {name: rows[name].array[number] for name in rows.columns}
            log.row(**row)
        plain = {"time": np.datetime64(7, "us"), "float": 1.5, "half": 0.5, "int": 3, "byte": 255, "flag": True, "masked": 7, "maybe": False,
                 "span": np.timedelta64(5, "ns"), "zoned": pd.Timestamp("2026-01-01", tz="UTC"), "text": "ü", "kind": "kind 1"}  # fmt: skip
        assert log.row(**plain) == 41
        nothing = dict.fromkeys(rows.columns) | {"int": -1, "byte": 0, "flag": False}
        assert log.row(**nothing) == 42
    found = shown(store, "log")
    same(found[:40], rows)
    assert found.iloc[40]["text"] == "ü"
    assert found.iloc[40]["maybe"] is np.False_
    assert found.iloc[41].isna().sum() == 9


@pytest.mark.parametrize("value", [256, -1, 1.5, "1", None, 1 << 70])
def test_a_single_value_that_does_not_fit_is_refused(store, value):
    with store.appender("log", {"byte": "uint8"}) as log:
        log.row(byte=1)
        with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match="'byte'"):
            log.row(byte=value)
        assert log.row(byte=255) == 2
    assert shown(store, "log")["byte"].tolist() == [1, 255]


@pytest.mark.parametrize("dtype", ["int64", "uint16", "float64", "datetime64[ns]"])
def test_an_index_ascends(store, dtype):
    with store.appender("log", {"t": dtype, "x": "float32"}, index="t") as log:
        log.append({"t": np.array([1, 2, 2], dtype), "x": [1.0, 2.0, 3.0]})
        with pytest.raises(cn.InvalidDataError, match=r"row 0 of the batch is less than the last row of the table"):
            log.append({"t": np.array([1, 3], dtype), "x": [1.0, 2.0]})
        with pytest.raises(cn.InvalidDataError, match="row 2 of the batch"):
            log.append({"t": np.array([3, 5, 4], dtype), "x": [1.0, 2.0, 3.0]})
        with pytest.raises(cn.InvalidDataError, match="row 0"):
            log.row(t=np.array([1], dtype)[0], x=1.0)
        assert log.num_rows == 3
    with store.appender("log") as log:  # a new appender reads the last value from the table
        with pytest.raises(cn.InvalidDataError):
            log.row(t=np.array([1], dtype)[0], x=1.0)
        log.row(t=np.array([2], dtype)[0], x=4.0)
    expected = np.array([1, 2, 2, 2], dtype)
    assert np.array_equal(store.get("log").index.to_numpy(), expected)


def test_an_index_ascends_over_segments(store):
    with store.appender("log", {"t": "int64"}, index="t", retain=STRIPE) as log:
        log.append({"t": np.arange(STRIPE)})
        with pytest.raises(cn.InvalidDataError):
            log.append({"t": [5]})
        log.append({"t": [STRIPE]})
        with pytest.raises(cn.InvalidDataError):
            log.row(t=5)


def test_nothing_missing_in_an_index(store):
    with store.appender("log", {"t": "datetime64[ns]"}, index="t") as log:
        with pytest.raises(cn.InvalidDataError, match="row 0"):
            log.row(t=None)
        assert log.num_rows == 0


def test_old_segments_go_and_their_memory_is_used_again(folder):
    store = cn.Store(folder)
    rows = {"x": np.arange(STRIPE, dtype=float), "y": np.arange(STRIPE, dtype=float), "s": ["text"] * STRIPE}
    with store.appender("log", {"x": "float64", "y": "float64", "s": "str"}, retain=2 * STRIPE) as log:
        inodes = set()
        for _ in range(12):
            log.append(rows)
            inodes |= {path.stat().st_ino for path in folder.glob("log@live/*.arrow")}
        assert log.num_rows == 12 * STRIPE
        head = head_of(store, "log").read()
        assert head.first == head.entries[0].base == 10 * STRIPE
        assert len(list(folder.glob("log@live/*.arrow"))) == len(head.entries) == 2
        assert len(inodes) <= 6
        log.flush()
        found = shown(store, "log")
        assert found["x"].tolist() == 2 * rows["x"].tolist()
        assert set(found["s"]) == {"text"}


@pytest.mark.parametrize("retain", ["1MiB", "1us"])
def test_retention_by_bytes_and_by_time(folder, retain):
    store = cn.Store(folder)
    with store.appender("log", {"x": "float64"}, retain=retain) as log:
        for _ in range(10):
            log.append({"x": np.zeros(STRIPE)})
        head = head_of(store, "log").read()
        kept = sum(path.stat().st_blocks * 512 for path in folder.glob("log@live/*.arrow"))
        assert len(head.entries) < 7
        assert retain != "1MiB" or kept >= 1 << 20


def test_text_without_room_takes_its_last_stripe_along(store):
    long = "x" * 1_000
    with store.appender("log", {"s": "str", "c": "category", "n": "int64"}, retain=100) as log:
        for start in range(0, 6_000, 500):
            log.append(
                {
                    "s": [f"{long}{n}" for n in range(start, start + 500)],
                    "c": ["a", "b"] * 250,
                    "n": np.arange(start, start + 500),
                }
            )
        head = head_of(store, "log").read()
        assert len(head.entries) == 1
        assert head.segments > 1
        log.append({"s": ["y" * 50_000_000], "c": ["c"], "n": [6_000]})
    found = shown(store, "log")
    assert found["s"].tolist()[:-1] == [f"{long}{n}" for n in range(6_000)]
    assert found["n"].tolist() == list(range(6_001))
    assert found["c"].tolist() == ["a", "b"] * 3_000 + ["c"]


def test_too_many_categories_are_refused_and_leave_the_table_as_it_was(store):
    with store.appender("log", {"c": "category"}) as log:
        log.append({"c": ["a"]})
        with pytest.raises(cn.UnsupportedTypeError, match="use str"):
            log.append({"c": [f"{n}" for n in range(70_000)]})
        log.append({"c": ["b", "a"]})
    assert shown(store, "log")["c"].tolist() == ["a", "b", "a"]


def test_a_forked_child_may_not_append_through_its_parents_appender(store):
    with store.appender("log", {"x": "float64"}) as log:
        log.row(x=1.0)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                log.row(x=2.0)
            except RuntimeError as error:
                os.write(writing, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert b"is a forked child of it" in os.read(reading, 1_000)
        os.close(reading)
        os.close(writing)
        assert log.row(x=3.0) == 2
    assert shown(store, "log")["x"].tolist() == [1.0, 3.0]


def test_threads_may_share_an_appender(store):
    with store.appender("log", {"thread": "int64", "n": "int64"}) as log, ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(lambda t=t: [log.row(thread=t, n=n) for n in range(500)]) for t in range(4)]:
            future.result()
    found = shown(store, "log")
    assert found.groupby("thread")["n"].apply(list).tolist() == [list(range(500))] * 4


def test_a_killed_producer_leaves_whole_batches(store):
    program = f"""if True:
        import os, colonnade as cn, numpy as np
        log = cn.Store({str(store.path)!r}).appender("log", {{"x": "float64", "s": "str"}}, retain=1000)
        for start in range(0, 40_000, 100):
            log.append({{"x": np.arange(start, start + 100.0), "s": [str(n) for n in range(start, start + 100)]}})
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", program], check=False)
    with store.appender("log") as log:
        assert log.num_rows == 40_000
        log.append({"x": [-1.0], "s": [None]})
    found = shown(store, "log")
    first = head_of(store, "log").read().first
    assert found["x"].tolist() == [*np.arange(first, 40_000.0), -1.0]
    assert found["s"].tolist()[:-1] == [str(n) for n in range(first, 40_000)]
    assert found["s"].isna().sum() == 1


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("datetime64[ns, UTC]", pd.Timestamp("2026-01-01")),
        ("str", b"bytes"),
        ("datetime64[ms]", pd.Timestamp("2026-01-01 00:00:00.000000001")),
        ("int64", np.uint64(1 << 63)),
        ("bool", 2),
        ("datetime64[ns]", np.datetime64("3000-01-01", "s")),
        ("timedelta64[ns]", np.timedelta64(10**12, "s")),
        ("float16", 70_000.0),
        ("float32", 1e300),
        ("Float32", 1e300),
        ("Int64", "1"),
        ("boolean", "True"),
    ],
)
def test_what_is_not_exact_is_refused(store, dtype, value):
    with store.appender("log", {"x": dtype}) as log:
        for append in (lambda: log.append({"x": [value]}), lambda: log.row(x=value)):
            with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match="column 'x' holds"):
                append()
        assert log.num_rows == 0


@pytest.mark.parametrize(
    ("dtype", "values", "words"),
    [
        ("datetime64[us]", pa.array([1], pa.timestamp("us", "Europe/Paris")), "times of the zone Europe/Paris"),
        ("datetime64[ns]", pa.array([10**6], pa.date32()), "4707-11-29"),  # an error of NumPy from 2.5 on
        ("int64", np.ma.array([1, 2], mask=[False, True]), "a masked array of NumPy"),
        ("float64", np.ma.array([1.0, 2.0], mask=[False, True]), "a masked array of NumPy"),
        ("category", pa.DictionaryArray.from_arrays([0, 9], ["a"], safe=False), "indices from 0 to 9"),
    ],
    ids=["zone", "far date", "masked", "masked floats", "indices"],
)
def test_arrays_that_are_not_exact_are_refused(store, dtype, values, words):
    with store.appender("log", {"x": dtype}) as log:
        with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match=words):
            log.append({"x": values})
        assert log.num_rows == 0


@pytest.mark.parametrize(
    ("dtype", "values", "nulls"),
    [
        ("Int32", pa.nulls(2), 2),
        ("boolean", pa.nulls(2), 2),
        ("category", pd.Categorical([np.nan, np.nan]), 2),
        ("category", pd.Categorical(np.array([], float)), 0),
        ("str", np.array([], float), 0),
        ("float32", np.array([3.4e38, np.inf]), 0),
    ],
)
def test_nulls_in_all_their_forms(store, dtype, values, nulls):
    with store.appender("log", {"x": dtype}) as log:
        assert log.append({"x": values}) == len(values)
    assert store.get("log")["x"].isna().sum() == nulls
    store.open("log").validate()


def test_a_single_number_that_would_be_infinite(store):
    with store.appender("log", {"x": "float32"}) as log:
        log.row(x=1.0)  # the core takes the next ones
        with pytest.raises(cn.InvalidDataError, match="'x' holds float32"):
            log.row(x=1e300)
        assert log.row(x=float("inf")) == 2


def test_labels_are_unique(store):
    with pytest.raises(ValueError, match="repeated"):
        store.appender("log", like=pd.DataFrame([[1, 2]], columns=["x", "x"]))


def test_shared_producers_take_turns(store):
    with store.appender("log", {"n": "int64"}, shared=True) as one, store.appender("log", shared=True) as two:
        for n in range(0, 40, 2):
            assert one.row(n=n) == n + 1
            assert two.append({"n": np.array([n + 1])}) == n + 2
    assert shown(store, "log")["n"].tolist() == list(range(40))


def test_a_segment_without_room_for_states_is_followed_by_another(store):
    with store.appender("log", {"n": "int64", "s": "str"}) as log:
        for n in range(2_100):
            log.row(n=n, s=str(n))
            log.flush()
        head = head_of(store, "log").read()
        assert head.segments == 2
        assert [entry.base for entry in head.entries] == [0]
        found = shown(store, "log")
        assert found["n"].tolist() == list(range(2_100))
        assert found["s"].tolist() == [str(n) for n in range(2_100)]


def test_retention_is_kept_for_the_next_producer(store):
    store.appender("log", {"x": "float64"}, retain=STRIPE).close()
    with store.appender("log") as log:
        for _ in range(4):
            log.append({"x": np.zeros(STRIPE)})
    assert head_of(store, "log").read().first > 0
    store.appender("log", retain="1h").close()
    assert head_of(store, "log").retention.ns == 3_600 * 10**9


def test_single_rows_follow_a_full_segment(store):
    with store.appender("log", {"n": "int64", "c": "category"}, index="n", retain=10) as log:
        log.append({"n": np.arange(STRIPE - 2), "c": ["a"] * (STRIPE - 2)})
        for n in range(STRIPE - 2, STRIPE + 3):
            log.row(n=n, c="ab"[n % 2])
        assert log.num_rows == STRIPE + 3
    assert shown(store, "log")["c"].tolist()[-3:] == ["a", "b", "a"]


def test_the_last_state_of_a_segment_is_kept_for_all_of_its_rows(store):
    with store.appender("log", {"n": "int64"}, retain=20 * STRIPE) as log:
        for n in range(2_046):
            log.row(n=n)
            log.flush()
        rows = STRIPE * 5 // 2
        log.append({"n": np.arange(2_046, rows)})
        log.flush()
    assert shown(store, "log")["n"].tolist() == list(range(rows))


def test_an_appender_that_is_dropped_keeps_nothing_mapped(store):
    log = store.appender("log", {"x": "float64"})
    log.append({"x": np.zeros(3)})
    log.close()
    seen = weakref.ref(log)
    del log
    assert seen() is None, "it is part of a circle"
    assert str(store.path) not in Path("/proc/self/maps").read_text()


def test_errors_do_not_move_the_cursor_of_a_terminal(store):
    label = "a\x1b[31m\u202e"
    with store.appender("t", {label: "int64"}) as log:
        for call in (
            lambda: store.appender("u", {label: label}),
            lambda: store.appender("u", {"a": "int64"}, retain=label),
            lambda: store.appender("u", {"a\ud800": "int64"}),
            lambda: log.append({"other": [1]}),
            lambda: log.append({label: ["text"]}),
        ):
            with pytest.raises((ValueError, cn.ColonnadeError)) as caught:
                call()
            assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match="other columns") as caught:
        store.appender("t", {label: "int32"})
    assert str(caught.value).isprintable()


def test_a_child_that_was_forked_within_an_append_closes_at_once(store):
    """Another thread has the appender's lock at the fork, and is not in the child."""
    with store.appender("t", {"x": "int64"}) as log:
        locked, done = threading.Event(), threading.Event()

        def hold():
            with log._lock:
                locked.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
        if not child:
            signal.alarm(10)
            log.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        done.set()
        thread.join()


@pytest.mark.parametrize("shared", [False, True])
def test_a_store_that_was_removed_by_other_means_is_noticed(store, shared, monkeypatch):
    monkeypatch.setattr(_append, "_BETWEEN_LOOKS", 0.0)
    log = store.appender("t", {"x": "float64"}, shared=shared)
    log.append({"x": [1.0]})
    with store.follow("t", start="first", timeout=5) as follow:
        next(follow)
        shutil.rmtree(store.path)
        log.row(x=2.0)  # the one that notices it
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            log.row(x=3.0)
        next(follow)
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            next(follow)
    log.close()
    assert not store.path.exists()


def test_a_first_append_that_fails_makes_no_table(store):
    store.put("other", pd.DataFrame({"x": [1.0]})).close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # larger than a head, smaller than a segment
    try:
        with pytest.raises(cn.StoreAccessError, match="ulimit -f"):
            store.append("folder/t", pd.DataFrame({"x": [1.0]}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [table.name for table in store.ls()] == ["other"]
    assert not (store.path / "folder").exists()
    assert store.append("folder/t", pd.DataFrame({"x": [1.0]})) == 1
