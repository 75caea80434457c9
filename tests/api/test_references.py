"""A pickled snapshot is a reference: what it opens, where, and what it says if it cannot."""

import copy
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.frames import frame


def test_a_snapshot_pickles_as_a_reference(store):
    snap = store.put("t", frame(100_000), keep=2)
    data = pickle.dumps(snap)
    assert len(data) < 400
    assert_frame_equal(pickle.loads(data).to_pandas(), snap.to_pandas())
    store.put("t", frame(1), keep=2)
    assert pickle.loads(data).num_rows == 100_000
    store.put("t", frame(1))
    snap.close()
    reference = pickle.loads(data)
    assert (reference.name, reference.version, reference.num_rows, reference.closed) == ("t", 1, 100_000, False)
    with pytest.raises(cn.NotFoundError, match=r"version 1 of 't' was passed to this process: .* superseded \(keep= "):
        reference.to_pandas()
    store.delete("t")
    store.put("t", frame(2))
    with pytest.raises(cn.NotFoundError, match="deleted and put again"):
        reference.to_pandas()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda snap: pickle.loads(pickle.dumps(snap))])
def test_a_copy_shares_the_mapping_of_a_superseded_snapshot(store, duplicate):
    snap = store.put("t", frame(1000))
    store.put("t", frame(1)).close()
    other = duplicate(snap)
    assert other.identity == snap.identity
    assert_frame_equal(other.to_pandas(), snap.to_pandas())
    snap.close()
    assert snap.closed
    assert not other.closed
    assert other.to_pandas().shape == (1000, 2), "each is closed by itself"
    other.close()
    with pytest.raises(ValueError, match="'t' is closed"):
        copy.copy(other)
    with pytest.raises(cn.NotFoundError, match="superseded"):
        pickle.loads(pickle.dumps(other)).to_pandas()


def test_threads_that_open_one_reference_at_once(store):
    reference = pickle.loads(pickle.dumps(store.put("t", frame(1000)).close() or store.open("t")))
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(reference.to_pandas) for _ in range(64)]
        assert all(len(future.result()) == 1000 for future in futures)


def test_unpickling_opens_nothing(store):
    """Unpickling neither raises nor waits if the store is gone or belongs to another user. The first use raises."""
    data = pickle.dumps(store.put("t", frame()).close() or store.open("t"))
    shutil.rmtree(store.path)
    reference = pickle.loads(data)
    assert repr(reference).startswith("<colonnade.Snapshot 't' version 1: 10 rows x 2 columns, ")
    assert reference.created.year >= 2026
    assert pickle.dumps(reference) == data
    for use in (lambda: reference.schema, reference.to_pandas, reference.to_arrow, reference.fileno, reference.explain):
        with pytest.raises(cn.NotFoundError, match="A reference to version 1 of 't'"):
            use()
    assert "NotFound" in reference._repr_html_() or "no table" in reference._repr_html_()


def test_a_closed_snapshot_holds_no_memory_and_says_so(store):
    def mapped():
        with open("/proc/self/maps") as maps:
            return str(store.path / "t.arrow") in maps.read()

    store.put("t", frame()).close()
    snap = store.open("t")
    assert snap.schema.names
    assert mapped()
    snap.close()
    assert not mapped()
    for view in (lambda: snap.schema, snap.to_arrow, snap.to_pandas, snap.explain, snap.to_numpy, snap.validate):
        with pytest.raises(ValueError, match="'t' is closed; open it again"):
            view()
    assert pickle.loads(pickle.dumps(snap)).num_rows == 10, "what it was is known still"


def test_a_reference_passed_to_another_machine(store, folder):
    """On the other machine that path is another directory, or does not exist."""
    with store.put("t", frame()) as snap:
        data = pickle.dumps(snap)
    os.rename(store.path, folder / "elsewhere")
    for there in ([], ["u"], ["u", "t"]):
        for name in there:
            store.put(name, frame())
        with pytest.raises(cn.NotFoundError, match="another machine"):
            pickle.loads(data).to_pandas()


def _rows(snap):
    return snap.num_rows, snap.to_pandas()["x"].sum()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.slow
def test_snapshots_travel_to_other_processes(store, method):
    snap = store.put("t", frame(1000))
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(_rows, snap).result() == (1000, 499500)
