"""`latest`: the newest version for many threads, across deletions, at the cost of one stat."""

import os
import threading

import pandas as pd
import pytest

import colonnade as cn
from support import stepping
from support.forks import FORKS, wait_for
from support.place import descriptors
from support.producer import Producer


@pytest.fixture(scope="module")
def producer():
    producer = Producer()
    yield producer
    producer.close()


def frame(n, rows=1):
    return pd.DataFrame({"n": [n] * rows})


def content(latest):
    return int(latest.frame["n"][0])


@pytest.mark.slow
def test_each_version_as_it_is_put(store, producer):
    latest = store.latest("a/t")
    for n in range(1, 6):
        producer.do(store, "put", "a/t", n)
        assert content(latest) == latest.snapshot.version == n
        assert latest.frame is latest.frame
        assert latest.snapshot is latest.snapshot
    assert repr(latest) == "<colonnade.Latest 'a/t': version 5>"


def test_there_is_none_yet(store):
    latest = store.latest("a/t")
    for _ in range(2):
        with pytest.raises(cn.NotFoundError, match="there is no table 'a/t'"):
            latest.frame  # noqa: B018
    assert "not asked yet" in repr(latest)
    store.put("a/t", frame(1)).close()
    assert content(latest) == 1
    with pytest.raises(cn.InvalidNameError):
        store.latest("../t")


def test_a_deleted_table_stays_until_there_is_another(store, producer):
    latest = store.latest("a/t")
    producer.do(store, "put", "a/t", 1)
    assert content(latest) == 1
    producer.do(store, "delete", "a/t")
    assert content(latest) == 1
    producer.do(store, "remove")
    assert content(latest) == 1
    producer.do(store, "put", "a/t", 2)  # version 1 again
    assert (content(latest), latest.snapshot.version) == (2, 1)


def test_a_snapshot_that_its_user_closed_is_opened_again(store):
    store.put("t", frame(1)).close()
    latest = store.latest("t")
    with latest.snapshot:
        pass
    assert latest.snapshot.to_pandas()["n"][0] == 1
    latest.snapshot.close()
    store.delete("t")
    with pytest.raises(cn.NotFoundError):
        latest.snapshot  # noqa: B018


def test_what_a_user_holds_stays_whole(store):
    store.put("t", frame(1)).close()
    latest = store.latest("t")
    snap, old = latest.snapshot, latest.frame
    store.put("t", frame(2)).close()
    assert content(latest) == 2
    assert old["n"][0] == snap.to_pandas()["n"][0] == 1


def test_the_frame_is_everybodys_and_read_only(store):
    store.put("t", frame(1)).close()
    latest = store.latest("t")
    with pytest.raises(ValueError, match="read-only"):
        latest.frame.loc[0, "n"] = 7
    assert content(latest) == 1


def test_memory_written_again_is_a_new_version(store):
    """Two segments are used alternately, so the third version has the inode of the first. It must still count as a new version."""
    latest = store.latest("t")
    inodes = []
    for n in range(12):
        with store.put("t", frame(n, 300_000)) as snap:
            inodes.append(os.stat(snap.path).st_ino)
        if n % 3 != 1:  # superseded unseen
            assert content(latest) == n
    assert len(set(inodes)) < len(inodes)
    roles = [segment.role for segment in store.usage().segments]
    assert "deleted" not in roles


def test_it_holds_one_version_and_one_descriptor(store):
    latest = store.latest("t")
    store.put("t", frame(0)).close()
    before = descriptors()
    for n in range(1, 9):
        store.put("t", frame(n, 300_000)).close()
        assert content(latest) == n
        assert descriptors() == before + 1
    del latest
    assert descriptors() == before


def test_nothing_new_costs_one_stat(store):
    """Ten looks make ten system calls more than no look."""
    if why := stepping.why_not():
        pytest.skip(why)
    store.put("a/t", frame(1)).close()
    latest = store.latest("a/t")
    assert content(latest) == 1

    def calls(times):
        with stepping.Stepped(lambda: [latest.frame for _ in range(times)]) as child:
            assert child.finish() == 0
            return child.steps

    assert calls(10) - calls(0) == 10
    store.delete("a/t")
    assert calls(10) - calls(0) == 20  # the name may be a growing table by now


def test_many_threads_while_versions_come(store):
    """No thread may get an older version than it got before."""
    store.put("t", frame(0)).close()
    latest = store.latest("t")
    stop = threading.Event()
    failures, versions = [], [set() for _ in range(4)]

    def ask(mine):
        before = 0
        try:
            while not stop.is_set():
                now = content(latest)
                assert now >= before
                before = now
                mine.add(now)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=[mine]) for mine in versions]
    for thread in threads:
        thread.start()
    for n in range(1, 60):
        store.put("t", frame(n)).close()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert content(latest) == 59
    assert all(len(mine) > 1 for mine in versions)


@FORKS
def test_a_child_forked_while_a_thread_opens(store):
    store.put("t", frame(1)).close()
    latest = store.latest("t")
    assert content(latest) == 1
    with latest._lock:  # as a thread would have it
        child = os.fork()
        if child == 0:
            store.put("t", frame(2)).close()
            os._exit(0 if content(latest) == 2 else 1)
    assert wait_for(child) == 0
    assert content(latest) == 2
