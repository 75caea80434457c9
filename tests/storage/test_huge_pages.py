"""Huge pages: where segments stand in them, and that all works without them."""

import os
import resource

import numpy as np
import pandas as pd
import pytest

from colonnade import _core
from support.pages import gives_huge_pages, in_huge_pages
from support.spares import MIB, frame, inode, spares


def test_memory_is_mapped_on_huge_page_boundaries(store):
    store.put("t", frame(1, mib=8)).close()
    with store.open("t") as snapshot:
        mapping = snapshot._segment.map(writable=True)
        assert mapping.address % (2 * MIB) == 0
        assert len(mapping) == snapshot.nbytes
    df = store.get("t")
    assert df["x"].sum() == MIB


def test_segments_stand_in_huge_pages(store, folder):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    for _ in range(3):  # fresh, fresh, recycled
        snapshot = store.put("t", frame(1, mib=9))
        assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def test_gc_gives_huge_pages_to_what_has_none(store, folder, monkeypatch):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with monkeypatch.context() as without:
        without.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
        snapshot = store.put("t", frame(1, mib=9))
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 0
    reader = store.get("t")
    store.gc()
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB
    assert (reader["x"] == 1).all()


@pytest.fixture
def small_spare(store, folder, monkeypatch):
    """A spare in small pages, and its inode."""
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with monkeypatch.context() as without:
        without.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
        store.put("t", frame(1, mib=13)).close()
        spare = inode(store)
        store.put("t", frame(2, mib=13)).close()
    return spare


def test_a_spare_in_small_pages_is_used_as_it_is_where_no_huge_ones_are_at_hand(small_spare, store, monkeypatch):
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: False)
    monkeypatch.setattr("colonnade.storage.draft.Draft.write", only_small_writes)
    snapshot = store.put("t", frame(3, mib=13))  # through the mapping
    assert inode(store) == small_spare
    assert (store.get("t")["x"] == 3).all()
    snapshot.validate()
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 0


def test_a_spare_in_huge_pages_is_used_where_none_are_at_hand(store, folder, monkeypatch):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    for value in (1, 2):
        store.put("t", frame(value, mib=9)).close()
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: False)
    monkeypatch.setattr("colonnade.storage.draft.Draft.write", only_small_writes)
    snapshot = store.put("t", frame(3, mib=9))  # through the mapping
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def only_small_writes(draft, at, data):
    assert len(data) < MIB
    os.pwrite(draft.fd, data, at)


def test_whether_huge_pages_are_at_hand_is_asked_once(folder):
    assert _core.huge_pages_at_hand() in (True, False)
    assert len({_core.huge_pages_at_hand() for _ in range(100)}) == 1


def test_pages_are_entered_at_once(store):
    store.put("t", frame(1, mib=9)).close()
    mapping = store.open("t")._segment.map(writable=False)
    assert mapping.populate()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.frombuffer(mapping, np.uint8)[::4096].sum()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100


def test_without_huge_pages_all_works_as_before(store, monkeypatch):
    monkeypatch.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
    rng = np.random.default_rng(1)
    for _ in range(4):
        df = pd.DataFrame({"x": rng.standard_normal(600_000), "b": rng.random(600_000) < 0.5})
        store.put("t", df).close()
        pd.testing.assert_frame_equal(store.get("t"), df)
    assert len(spares(store)) == 1
