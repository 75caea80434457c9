"""Readers of a growing table: `get`, `open`, and what a snapshot offers, over many segments."""

import copy
import gc
import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colonnade as cn
from colonnade import _core
from colonnade.format.growing import GrowingSchema
from colonnade.format.growing_envelope import places
from colonnade.format.read.growing_frame import layout_of
from colonnade.format.stripes import HUGE_STRIPE, STRIPE
from colonnade.storage import log_folder, log_room
from colonnade.storage.log_reader import LogReader
from growing.frames import DTYPES, assert_same, expected, frame, names


@pytest.fixture
def tiny(monkeypatch):
    """Segments of one stripe, so that few rows make many of them."""
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1)


@pytest.fixture
def three(store, tiny):
    """A table of all types, of three segments, the last one half full; and the number of its rows."""
    rows = 2 * STRIPE + 1_000
    with store.appender("a/t", like=frame(0, 8)) as log:
        log.append(frame(0, 1_001))
        log.append(frame(1_001, rows - 1_001))
        yield store, rows


def test_every_type_over_three_segments(three):
    store, rows = three
    snap = store.open("a/t")
    assert (snap.version, snap.num_rows, len(snap), snap.shape) == (rows, rows, rows, (rows, len(DTYPES)))
    assert_same(snap.to_pandas(), expected(0, rows))
    assert_same(snap.to_pandas(writable=False), expected(0, rows))
    assert_same(store.get("a/t"), expected(0, rows))
    table = snap.to_arrow()
    assert table.column("i").num_chunks == 3
    assert_same(table.to_pandas(), frame(0, rows))
    snap.validate()
    assert snap.columns == list(DTYPES)
    assert snap.kind == "table"
    assert snap.meta == {}
    assert {report.column for report in snap.explain() if report.zero_copy} == set(DTYPES)


def test_columns(three):
    store, rows = three
    labels = ["c", "g", "s", "f", "f", "m", "m"]
    frame = store.get("a/t", columns=labels)
    assert list(frame.columns) == labels
    frame.iloc[0, 3] = -1.0
    assert frame.iloc[0, 4] == 0.0
    assert_same(store.get("a/t", columns=["z", "s"]), expected(0, rows, ("z", "s")))
    assert store.get("a/t", columns="i")["i"].iloc[-1] == rows - 1
    with pytest.raises(cn.NotFoundError, match="there is no column 'x'"):
        store.get("a/t", columns=["x"])


def test_names_and_flags_belong_to_one_frame(three):
    store, rows = three
    snap = store.open("a/t")
    for make in (snap.to_pandas, lambda: snap.to_pandas(writable=False), lambda: store.latest("a/t").frame):
        mine = make()
        mine.columns.name, mine.index.name = "mine", "mine"
        mine.attrs["mine"] = 1
        assert_same(snap.to_pandas(), expected(0, rows))
        assert_same(snap.to_pandas(writable=False), expected(0, rows))
        assert store.get("a/t").attrs == {}


def test_a_block_over_many_segments_is_one_array_and_no_copy(store, tiny):
    rows = 4 * STRIPE
    with store.appender("a/t", like=pd.DataFrame({"x": [0.5], "y": [0.5]})) as log:
        log.append({"x": np.arange(rows) * 1.0, "y": np.arange(rows) * 2.0})
        df = store.get("a/t")
        values = df._mgr.blocks[0].values
        assert len(df._mgr.blocks) == 1
        assert values.shape == (2, rows)
        assert not values.flags.owndata
        latest = store.latest("a/t")
        again = latest.frame
        other = store.open("a/t").to_pandas(writable=False)
        assert np.shares_memory(again["x"].to_numpy(), other["x"].to_numpy())


def test_gc_puts_full_segments_into_huge_pages(store, monkeypatch):
    """And the rows stay what they are, in frames that were made before too."""
    results, collapse = [], log_folder.collapse
    monkeypatch.setattr(log_folder, "collapse", lambda *segment: results.append(collapse(*segment)))
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 16 << 20)
    rows = 2_200_000
    with store.appender("a/t", {"x": "int64"}) as log:
        log.append({"x": np.arange(rows)})
        before = store.latest("a/t").frame
        store.gc()
        assert len(results) == 2
        if store.path.is_relative_to("/dev/shm"):
            assert sorted(results) == [False, True]  # the second one has few rows
        for df in (before, store.get("a/t")):
            assert np.array_equal(df["x"], np.arange(rows))


def test_long_columns_are_in_huge_pages_from_the_start(folder):
    """Those of a reader too: its addresses and the places in the file begin at huge pages."""
    store, rows = cn.Store(folder), 3 * HUGE_STRIPE
    if not has_huge_pages(folder):
        pytest.skip("the kernel has no huge pages of shared memory, or none now")
    with store.appender("t", {"x": "float64", "n": "int64"}, retain=100 * rows) as log:
        for start in range(0, rows, 10_000):
            log.append({"x": np.arange(start, start + 10_000) * 0.5, "n": np.arange(start, start + 10_000)})
        df = store.latest("t").frame
        assert df["n"].sum() == log.num_rows * (log.num_rows - 1) // 2
        assert df["x"].sum() * 2 == df["n"].sum()
        lines = Path("/proc/self/smaps").read_text().splitlines()
        mapped = [int(line.split()[1]) for line in lines if line.startswith("ShmemPmdMapped")]
        assert sum(mapped) * 1024 >= 2 * 2 * rows * 8 * 0.8  # by the producer and by the reader
    del df


def has_huge_pages(folder):
    with open(folder / "probe", "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, 8 << 20)
        is_huge = _core.Mapping.of_draft(file.fileno(), 8 << 20).collapse()
    os.unlink(folder / "probe")
    return is_huge


def test_a_frame_may_be_written_to_and_nobody_sees_it(three):
    store, rows = three
    mine, other = store.get("a/t"), store.get("a/t")
    mine.loc[5, "g"] = -1.0
    mine.loc[rows - 1, "g"] = -2.0
    mine.loc[STRIPE, "m"] = 7
    assert_same(other, expected(0, rows))
    assert_same(store.get("a/t"), expected(0, rows))
    shared = store.open("a/t").to_pandas(writable=False)
    with pytest.raises(ValueError, match="read-only"):
        shared._mgr.blocks[0].values[0, 0] = 1


def test_a_frame_stays_as_it_is_while_the_table_grows(store, tiny):
    with store.appender("a/t", like=frame(0, 8)) as log:
        frames, at = [], 0
        for rows in (1, 10, 0, 4_095, 30_000, 2, 40_000, 33_000):
            log.append(frame(at, rows))
            at += rows
            snap = store.open("a/t")
            frames.append((at, snap, snap.to_pandas(), snap.to_pandas(writable=False), snap.to_arrow()))
        for stop, snap, private, shared, table in frames:
            assert snap.version == stop
            for df in (private, shared):
                assert_same(df, expected(0, stop))
            assert_same(table.to_pandas(), frame(0, stop))
            assert_same(store.get("a/t", version=stop), expected(0, stop))


@settings(max_examples=8)
@given(names, st.lists(st.integers(0, 3 * STRIPE // 2), min_size=1, max_size=4), st.data())
def test_appends_are_a_concat_through_every_way(folder, columns, sizes, data):
    store, columns = cn.Store(folder / uuid4().hex), tuple(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_room, "SEGMENT_BYTES", 1)
        with store.appender("p/t", like=frame(0, 4, columns)) as log:
            latest, follow = store.latest("p/t"), store.follow("p/t", timeout=0)
            at = 0
            for size in sizes:
                batch = frame(at, size, columns)
                log.append(batch)
                at += size
                assert latest.version == at
                if size:
                    new = next(follow)
                    for writable in (True, False):
                        assert_same(new.to_pandas(writable=writable), expected(at - size, at, columns))
                    assert_same(latest.frame, expected(0, at, columns))
            joined = expected(0, at, columns)
            assert_same(latest.frame, joined)
            assert_same(store.get("p/t"), joined)
            assert_same(store.open("p/t").to_arrow().to_pandas(), joined.reset_index(drop=True))
            version = data.draw(st.integers(0, at))
            assert_same(store.get("p/t", version=version), expected(0, version, columns))
            last = data.draw(st.integers(0, at + 3))
            assert_same(store.get("p/t", last=last), expected(max(at - last, 0), at, columns))
            assert store.check() == []


def test_versions_are_numbers_of_rows(three):
    store, rows = three
    for version in (0, 1, 1_001, STRIPE, STRIPE + 1, rows):
        assert store.open("a/t", version=version).version == version
        assert_same(store.get("a/t", version=version), expected(0, version))
    with pytest.raises(
        cn.NotFoundError, match=f"no version {rows + 1:,} of the growing table 'a/t': it has {rows:,} rows"
    ):
        store.open("a/t", version=rows + 1)
    with pytest.raises(ValueError, match="versions of the growing table 'a/t' are numbers of rows"):
        store.open("a/t", version=-2)
    assert store.open("a/t", version=-1).version == rows
    assert [info.version for info in store.versions("a/t")] == [rows]


def test_a_table_without_rows(store):
    with store.appender("a/t", like=frame(0, 8)):
        snap = store.open("a/t")
        assert_same(snap.to_pandas(), expected(0, 0))
        assert_same(store.latest("a/t").frame, expected(0, 0))
        assert snap.to_arrow().num_rows == 0
        assert store.get("a/t", last=5).empty
        snap.validate()


def test_windows(store, tiny):
    rows = 2 * STRIPE + 500
    times = pd.date_range("2026-01-01", periods=rows, freq="s")
    with store.appender("a/t", {"time": "datetime64[ns]", "x": "int64"}, index="time") as log:
        log.append({"time": times, "x": np.arange(rows)})
        df = store.get("a/t")
        assert df.index.name == "time"
        assert list(df.columns) == ["x"]
        pd.testing.assert_index_equal(df.index, pd.DatetimeIndex(times.to_numpy("datetime64[ns]"), name="time"))
        for last, count in (
            ("5min", 300),
            ("1s", 1),
            ("0s", 0),
            ("1500ms", 2),
            (timedelta(hours=12), 43_200),
            (np.timedelta64(2, "m"), 120),
            ("1000D", rows),
            (7, 7),
            (rows + 7, rows),
            (0, 0),
        ):
            assert store.get("a/t", last=last)["x"].tolist() == list(range(rows - count, rows)), last
        assert store.open("a/t").columns == ["x"]
        assert_same(store.open("a/t").to_arrow().to_pandas(), df)
        for bad in ("no time", "-5min", "5", "NaT"):
            with pytest.raises(ValueError, match="last="):
                store.get("a/t", last=bad)
        for bad in (True, 1.5):
            with pytest.raises(TypeError, match="last must be a number of rows or a time"):
                store.get("a/t", last=bad)
        with pytest.raises(ValueError, match="last must be >= 0 rows"):
            store.get("a/t", last=-1)


def test_a_window_may_be_longer_than_times_can_say(store):
    with store.appender("a/t", {"time": "datetime64[ns]"}, index="time") as log:
        log.append({"time": np.array(["1700-01-01", "1700-01-02"], "datetime64[ns]")})
    assert len(store.get("a/t", last="60000D")) == 2


def test_the_last_rows_open_only_their_segments(store, tiny, monkeypatch):
    opened, open_segment = [], LogReader.open_segment
    monkeypatch.setattr(LogReader, "open_segment", lambda log, entry: opened.append(1) or open_segment(log, entry))
    rows = 4 * STRIPE + 500
    times = pd.date_range("2026-01-01", periods=rows, freq="s")
    with store.appender("a/t", {"time": "datetime64[ns]", "x": "int64"}, index="time") as log:
        log.append({"time": times, "x": np.arange(rows)})
        for last, count, segments in (
            (0, 0, 0),
            (500, 500, 1),
            (501, 501, 2),
            (rows, rows, 5),
            ("5min", 300, 1),
            ("500s", 500, 3),  # the first look ends where the window does, so another one goes further back
            ("20h", 72_000, 8),
            ("1000D", rows, 8),
        ):
            for validate in (None, "full"):
                opened.clear()
                df = store.get("a/t", last=last, validate=validate)
                assert df["x"].tolist() == list(range(rows - count, rows))
                assert len(opened) == segments, last
        opened.clear()
        with store.open("a/t"):
            assert len(store.get("a/t", last=501)) == 501
            assert len(opened) == 5, "what is open already is not opened again"
        assert store.get("a/t", version=501, last=1)["x"].tolist() == [500]
        log.append({"time": times[-1:], "x": [rows]})
        assert store.get("a/t", last="0s").empty


def test_a_window_of_time_needs_an_index_of_times(three):
    store, _ = three
    with pytest.raises(ValueError, match="needs an index of times, and 'a/t' has none"):
        store.get("a/t", last="5min")
    store.put("b/t", pd.DataFrame({"x": [1]})).close()
    with pytest.raises(ValueError, match="last=5 is for growing tables"):
        store.get("b/t", last=5)


def test_a_reference_finds_the_same_rows_in_another_process(three):
    store, _ = three
    snap = store.open("a/t", version=STRIPE + 5)
    code = "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s.version, s.to_pandas()['i'].sum(), len(s))"
    process = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(snap), capture_output=True, check=True)
    assert process.stdout.split() == [b"%d" % n for n in (STRIPE + 5, sum(range(STRIPE + 5)), STRIPE + 5)]
    assert len(pickle.dumps(snap)) < 400
    again = copy.copy(snap)
    snap.close()
    with pytest.raises(ValueError, match="is closed; open it again"):
        snap.to_pandas()
    assert_same(again.to_pandas(), expected(0, STRIPE + 5))
    reference = pickle.loads(pickle.dumps(again))
    store.delete("a/t")
    assert_same(again.to_pandas(), expected(0, STRIPE + 5))
    with pytest.raises(cn.NotFoundError, match="was deleted, or it is on another machine"):
        reference.to_pandas()
    del again
    gc.collect()


@pytest.mark.slow
def test_polars_numpy_sql_and_put(three):
    store, rows = three
    polars = pytest.importorskip("polars")
    snap = store.open("a/t")
    polars_frame = snap.to_polars()
    assert polars_frame["i"].to_list() == list(range(rows))
    assert polars_frame["s"].null_count() == snap.to_pandas()["s"].isna().sum()
    assert isinstance(polars_frame, polars.DataFrame)
    assert snap.scan().select(polars.col("g").sum()).collect().item() == sum(range(rows)) * 0.25
    assert store.open("a/t")[5:7]["i"].tolist() == [5, 6]
    assert snap["i"].iloc[-1] == rows - 1
    assert snap.head(2)["i"].tolist() == [0, 1]
    assert snap.tail(2)["i"].tolist() == [rows - 2, rows - 1]
    assert snap.to_numpy().shape == snap.shape
    assert pa.table(snap).num_rows == rows
    pytest.importorskip("duckdb")
    assert store.sql('select sum(i) from "a/t"').fetchall() == [(sum(range(rows)),)]
    store.put("eod/t", snap).close()
    assert_same(store.get("eod/t"), expected(0, rows))
    store.copy("a/t", "eod/copy").close()
    assert_same(store.get("eod/copy"), expected(0, rows))


def test_what_a_growing_table_does_not_offer(three):
    store, _ = three
    snap = store.open("a/t")
    for ask in (lambda: snap.locate(1), lambda: snap.rows(1), snap.to_buffer):
        with pytest.raises(cn.UnsupportedTypeError, match="'a/t' is a growing table"):
            ask()
    with pytest.raises(cn.InvalidNameError, match="growing table"):
        store.rename("a/t", "a/u")


def test_lists(three):
    store, rows = three
    store.put("a/u", frame(0, 3)).close()
    assert store.exists("a/t")
    assert "a/t" in store
    assert list(store) == ["a/t", "a/u"]
    (info, other) = store.ls()
    assert (info.name, info.version, info.rows, info.columns, info.live) == ("a/t", rows, rows, len(DTYPES), True)
    assert not other.live
    assert store.info("a/t") == info
    assert store.sizes().keys() == {"a/t", "a/u"}
    usage = store.usage()
    live = usage.of("live")
    assert {segment.name for segment in live} == {"a/t"}
    assert sum(segment.nbytes for segment in live) > rows * 50
    assert "a/t" in repr(usage)
    assert store.check() == []
    store.gc()
    assert_same(store.get("a/t"), expected(0, rows))
    store.delete("a/t")
    assert not store.exists("a/t")
    with pytest.raises(cn.NotFoundError, match="there is no table 'a/t'"):
        store.get("a/t")
    assert [file for file in Path(store.path).rglob("*") if "@" in file.name] == []


def test_the_summary(three):
    store, rows = three
    text = repr(store.open("a/t"))
    assert text.startswith(f"<colonnade.Snapshot 'a/t' version {rows}: {rows:,} rows x {len(DTYPES)} columns")
    html = store.open("a/t")._repr_html_()
    assert f"{rows:,} of a growing table" in html
    assert "kind 0" in html
    assert f"{rows} live" in store.ls()._repr_html_()
    snapshot = store.open("a/t")
    store.delete("a/t")
    assert "was deleted since" in snapshot._repr_html_()


def test_categories_with_wide_codes_work_as_any_others(store):
    """pandas' operations on int32 codes give what they give on its own."""
    plain = frame(0, 500, ("c", "g"))
    with store.appender("a/t", like=plain) as log:
        log.append(plain)
        grown = store.get("a/t")
    assert grown["c"].array.codes.dtype == "int32"
    plain = plain.assign(c=plain["c"].cat.set_categories(grown["c"].cat.categories))
    for run in (
        lambda df: df.groupby("c", observed=True)["g"].sum(),
        lambda df: df.merge(df.drop_duplicates("c"), on="c"),
        lambda df: pd.concat([df, df]),
        lambda df: df[df["c"] == "kind 3"],
        lambda df: pd.get_dummies(df["c"]),
        lambda df: df.sort_values("c", kind="stable")["g"],
        lambda df: df["c"].cat.rename_categories(str.upper),
        lambda df: df["c"].value_counts(),
        lambda df: df["c"].isna(),
        lambda df: df["c"].cat.add_categories(["new"]).fillna("new"),
        lambda df: pickle.loads(pickle.dumps(df)),
        lambda df: df.pivot_table(index="c", values="g", observed=True),
    ):
        result, expected = run(grown), run(plain)
        (pd.testing.assert_frame_equal if isinstance(result, pd.DataFrame) else pd.testing.assert_series_equal)(
            result, expected, check_categorical=False
        )


def test_a_segment_can_be_mapped_by_column_with_pages_of_any_size():
    """Each part of a column begins at a multiple of 64 KiB, which aarch64 may have as its page."""
    table = GrowingSchema.of(DTYPES.items())
    where = places(table, 3 * STRIPE, 4096)
    for column in where.columns:
        regions = [*column[:6], *(column.dictionary or ())]
        assert all(at % 65_536 == 0 for at in regions if at is not None)
    assert all(block.stride % 65_536 == 0 for block in where.blocks)
    assert all(region.width * STRIPE % 65_536 == 0 for region in layout_of(table.encode()).regions)
