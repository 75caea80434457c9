"""Huge pages: where segments stand in them, and that all works without them."""

import os
import resource
import tempfile

import numpy as np
import pandas as pd
import pytest

from colonnade import _core
from support.spares import MIB, frame, inode, spares


def test_memory_is_mapped_on_huge_page_boundaries(store):
    store.put("t", frame(1, mib=8)).close()
    with store.open("t") as snapshot:
        mapping = snapshot._segment.map(writable=True)
        assert mapping.address % (2 * MIB) == 0
        assert len(mapping) == snapshot.nbytes
    df = store.get("t")
    assert df["x"].sum() == MIB


def in_huge_pages(path, size):
    """Read a whole file; returns how many of its bytes are mapped as huge pages then."""
    fd = os.open(path, os.O_RDONLY)
    mapping = _core.Mapping(fd, size, True)
    os.close(fd)
    np.frombuffer(mapping, np.uint8)[::4096].sum()
    with open("/proc/self/smaps") as file:
        lines = file.read().split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{mapping.address:x}-"))
    field = next(
        line
        for line in lines[start:]
        if line.startswith(("FilePmdMapped", "ShmemPmdMapped")) and not line.endswith(" 0 kB")
    )
    return int(field.split()[1]) << 10


def gives_huge_pages(folder):
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    os.ftruncate(fd, 4 * MIB)
    arguments = _core.Mapping.of_draft(fd, 4 * MIB).reserve(fd)
    os.close(fd)
    return arguments


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
    with pytest.raises(StopIteration):
        in_huge_pages(snapshot.path, snapshot.nbytes)
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
    with pytest.raises(StopIteration):
        in_huge_pages(snapshot.path, snapshot.nbytes)


def test_a_spare_in_small_pages_gets_some_huge_ones_with_each_put(small_spare, store, monkeypatch):
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: True)
    snapshot = store.put("t", frame(3, mib=13))  # so few that one put is enough
    assert inode(store) == small_spare
    assert (store.get("t")["x"] == 3).all()
    snapshot.validate()
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 12 * MIB
    snapshot.close()
    for mib in (12, 7, 14, 14, 10):  # a spare's next table seldom has the size of the one before
        store.put("t", frame(mib, mib=mib)).close()
        assert (store.get("t")["x"] == mib).all()


def test_huge_pages_come_step_by_step(folder):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(range(256)) * 4096 * 80)  # 80 MiB: 2 ms, and two or more steps of 16 MiB for each processor
        mapping = _core.Mapping.of_draft(file.fileno(), 80 * MIB)
        place, places = 0, []
        while place < 80 * MIB:
            place = mapping.collapse_some(place)
            places.append(place)
        assert places == sorted(set(places))
        assert (np.frombuffer(mapping, np.uint8).reshape(-1, 256) == np.arange(256)).all()
        for wrong in (1, 82 * MIB):
            with pytest.raises(ValueError, match="not the place of a huge page"):
                mapping.collapse_some(wrong)


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
