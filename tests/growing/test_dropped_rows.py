"""Readers while retention drops rows."""

import gc
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_room
from growing.frames import assert_same, expected, frame


@pytest.fixture
def tiny(monkeypatch):
    """Segments of one stripe, so that few rows make many of them."""
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1)


def test_rows_that_retention_dropped(store, tiny):
    with store.appender("a/t", like=frame(0, 8), retain=STRIPE) as log:
        log.append(frame(0, 10))
        old = store.open("a/t")
        reference = pickle.dumps(old)
        for at in range(10, 5 * STRIPE, STRIPE):
            log.append(frame(at, STRIPE))
        snap = store.open("a/t")
        first, stop = snap.rows_range.start, snap.rows_range.stop
        assert 3 * STRIPE <= first < stop
        assert len(snap) == stop - first
        assert_same(snap.to_pandas(), expected(first, stop))
        assert_same(store.latest("a/t").frame, expected(first, stop))
        assert_same(old.to_pandas(), expected(0, 10))  # it has them open
        with pytest.raises(cn.RowsDroppedError, match=r"row 5 of the growing table 'a/t' is not retained"):
            store.open("a/t", version=5)
        with pytest.raises(cn.NotFoundError):
            store.open("a/t", version=5)
        old.close()
        with pytest.raises(cn.NotFoundError, match="not retained any more"):
            pickle.loads(reference).to_pandas()


def test_frames_hold_their_segments_and_nothing_else(store, tiny):
    """With retention, mapped memory is that of the frames that are held."""

    def mapped():
        lines = Path("/proc/self/maps").read_text().splitlines()
        return sum(1 for line in lines if "t@live" in line and ".arrow" in line)

    with store.appender("a/t", {"x": "float64"}, retain=STRIPE) as log:
        latest = store.latest("a/t")
        log.append({"x": np.arange(100.0)})
        frame = latest.frame
        for _ in range(8):
            log.append({"x": np.arange(STRIPE * 1.0)})
            assert len(latest.frame) >= STRIPE
        many = mapped()
        assert frame["x"].tolist() == list(range(100))
        del frame
        gc.collect()
        assert latest.frame is not None
        assert mapped() <= many - 1
        assert mapped() < 12
    assert os.listdir(store.path)


def test_a_follower_that_retention_overtakes_is_told_once(store, monkeypatch):
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1)
    with store.appender("a/t", {"x": "int64"}, retain=STRIPE) as log:
        log.append({"x": [0]})
        follow = store.follow("a/t", start="first", timeout=0)
        for at in range(1, 4 * STRIPE, STRIPE):
            log.append({"x": np.arange(at, at + STRIPE)})
        with pytest.raises(
            cn.RowsDroppedError,
            match=r"row 0 of the growing table 'a/t' is not retained any more: rows [\d,]+ to [\d,]+ are.*Ask again",
        ):
            next(follow)
        new = next(follow)
        assert new.to_pandas()["x"].tolist() == list(new.rows_range)
        assert new.rows_range.stop == log.num_rows


def test_usage_counts_the_memory_of_a_dropped_segment_and_not_its_size(store):
    """A segment is as large as its capacity, and occupies what its rows do."""
    with store.appender("a/t", {"x": "float64"}, retain=STRIPE) as log:
        log.append({"x": np.arange(100.0)})
        snapshot = store.open("a/t")
        df = snapshot.to_pandas(writable=False)
        store.delete("a/t")
        assert store.usage().nbytes < 1 << 20
        if os.geteuid() == 0:  # nobody else is told the bytes of a file that is mapped and not open
            snapshot.close()
            del snapshot
    gc.collect()
    assert store.usage().nbytes < 1 << 20
    assert df["x"].sum() == sum(range(100))
