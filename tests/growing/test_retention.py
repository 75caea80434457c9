"""Segments that follow each other, and those that retention drops."""

import numpy as np
import pytest

import colonnade as cn
from colonnade.format.stripes import HUGE_STRIPE, STRIPE
from colonnade.storage import log_room
from colonnade.storage.log import Log
from growing.files import head_of, shown


@pytest.mark.parametrize("retain", [0, -1, "soon", "0B", 1.5, True, "10", "-1h", "NaT", "300000 days"])
def test_what_is_no_retention_is_refused(store, retain):
    with pytest.raises(ValueError, match="retain"):
        store.appender("log", {"x": "float64"}, retain=retain)


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
        frame = shown(store, "log")
        assert frame["x"].tolist() == 2 * rows["x"].tolist()
        assert set(frame["s"]) == {"text"}


@pytest.mark.parametrize("retain", ["1MiB", "1us"])
def test_retention_by_bytes_and_by_time(folder, retain):
    store = cn.Store(folder)
    with store.appender("log", {"x": "float64"}, retain=retain) as log:
        for _ in range(10):
            log.append({"x": np.zeros(STRIPE)})
        head = head_of(store, "log").read()
        nbytes = sum(path.stat().st_blocks * 512 for path in folder.glob("log@live/*.arrow"))
        assert len(head.entries) < 7
        assert retain != "1MiB" or nbytes >= 1 << 20


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
    frame = shown(store, "log")
    assert frame["s"].tolist()[:-1] == [f"{long}{n}" for n in range(6_000)]
    assert frame["n"].tolist() == list(range(6_001))
    assert frame["c"].tolist() == ["a", "b"] * 3_000 + ["c"]


@pytest.mark.parametrize("before", [100, STRIPE])
def test_a_reader_that_looks_while_text_moves_on_finds_the_rows_that_come(store, monkeypatch, before):
    """The next segment begins below the end of the one before, and has no published row yet when the reader looks."""
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 17 * HUGE_STRIPE)
    numbers, snapshots = np.arange(150_000), []
    with store.appender("log", {"n": "int64", "s": "str"}) as log:
        log.append({"n": numbers[:before], "s": ["a"] * before})

        def publish(self, committed):
            snapshots.append(store.open("log"))
            original(self, committed)

        original = Log.publish
        monkeypatch.setattr(Log, "publish", publish)
        log.append({"n": numbers[before:], "s": ["x" * 200] * (150_000 - before)})
        assert head_of(store, "log").read().segments == 2
        assert snapshots[0].version == before
        assert np.array_equal(store.get("log")["n"], numbers)
        assert np.array_equal(store.latest("log").frame["n"], numbers)


def test_a_few_long_texts_do_not_ask_for_that_much_in_each_row(store):
    """Of a whole segment of rows like this, the text would be longer than a segment can hold."""
    long = "x" * (20 << 20)
    with store.appender("log", {"s": "str"}, retain=1) as log:
        for text in (long, long, long, "y"):
            log.row(s=text)
        assert log.num_rows == 4
    assert shown(store, "log")["s"].str.len().tolist() == [20 << 20] * 3 + [1]


def test_a_segment_without_room_for_states_is_followed_by_another(store):
    with store.appender("log", {"n": "int64", "s": "str"}) as log:
        for n in range(2_100):
            log.row(n=n, s=str(n))
            log.flush()
        head = head_of(store, "log").read()
        assert head.segments == 2
        assert [entry.base for entry in head.entries] == [0]
        frame = shown(store, "log")
        assert frame["n"].tolist() == list(range(2_100))
        assert frame["s"].tolist() == [str(n) for n in range(2_100)]


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
