"""`latest(prepare=)`: values that belong together, waiting for a version, and handles that are pickled."""

import logging
import multiprocessing
import pickle
import threading
import time
from datetime import timedelta

import pandas as pd
import pytest

import colonnade as cn
from support.producer import Producer

FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def producer():
    producer = Producer()
    yield producer
    producer.close()


def frame(n):
    return pd.DataFrame({"n": [n]})


def total(snapshot):
    return int(snapshot.to_pandas()["n"].sum())


def keep_putting(path, stop):
    store, n = cn.Store(path), 1
    while not stop.is_set():
        n += 1
        store.put("t", frame(n)).close()


def test_one_look_belongs_together(store):
    """Of 3,000 looks by two accesses, 14 had the frame of one version and the number of another."""
    store.put("t", frame(1)).close()
    latest = store.latest("t", prepare=total)
    stop = FORK.Event()
    writer = FORK.Process(target=keep_putting, args=[store.path, stop])
    writer.start()
    try:
        versions = set()
        for _ in range(3_000):
            look = latest.now()
            assert int(look.frame["n"][0]) == look.version == look.snapshot.version == look.prepared
            versions.add(look.version)
    finally:
        stop.set()
        writer.join()
    assert len(versions) > 10


def test_the_others_are_served_the_old_one_while_one_prepares(store):
    entered, go_on = threading.Event(), threading.Event()

    def prepare(snapshot):
        if snapshot.version == 2:
            entered.set()
            assert go_on.wait(20)
        return total(snapshot)

    latest = store.latest("t", prepare=prepare)
    store.put("t", frame(10)).close()
    assert latest.prepared == 10
    store.put("t", frame(20)).close()
    thread = threading.Thread(target=latest.now)
    thread.start()
    assert entered.wait(20)
    began = time.monotonic()
    looks = [latest.now() for _ in range(100)]
    assert time.monotonic() - began < 10
    assert {(look.version, look.prepared, int(look.frame["n"][0])) for look in looks} == {(1, 10, 10)}
    go_on.set()
    thread.join()
    assert (latest.version, latest.prepared) == (2, 20)


def test_it_is_prepared_once_by_many_threads(store):
    calls = []
    latest = store.latest("t", prepare=lambda snapshot: calls.append(snapshot.version))
    for n in (1, 2, 3):
        store.put("t", frame(n)).close()
        threads = [threading.Thread(target=latest.now) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert latest.version == n
    assert calls == [1, 2, 3]


def test_a_failure_is_raised_once_and_the_old_one_is_served(store, caplog):
    def prepare(snapshot):
        if snapshot.version in (2, 3):
            raise LookupError("no such model")
        return total(snapshot)

    latest = store.latest("t", prepare=prepare)
    store.put("t", frame(1)).close()
    assert latest.prepared == 1
    for version in (2, 3):
        store.put("t", frame(version)).close()
        with caplog.at_level(logging.ERROR, "colonnade"), pytest.raises(LookupError, match="no such model") as excinfo:
            latest.now()
        assert f"failed for version {version}; version 1 is served" in excinfo.value.__notes__[0]
        assert f"failed for version {version}" in caplog.records[-1].getMessage()
        assert caplog.records[-1].exc_info
        assert [latest.version, latest.prepared, int(latest.frame["n"][0])] == [1, 1, 1]
    store.put("t", frame(4)).close()
    assert (latest.version, latest.prepared) == (4, 4)


def test_a_failure_of_the_first_is_raised_each_time(store):
    latest = store.latest("t", prepare=lambda _: 1 / 0)
    store.put("t", frame(1)).close()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            latest.now()


def test_prepare_may_ask_for_the_version_before(store):
    latest = store.latest("t", prepare=lambda snapshot: latest.version if snapshot.version > 1 else None)
    store.put("t", frame(1)).close()
    assert latest.prepared is None
    store.put("t", frame(2)).close()
    assert (latest.version, latest.prepared) == (2, 1)
    alone = store.latest("t", prepare=lambda _: alone.version)
    with pytest.raises(RuntimeError, match="asks for the version that it prepares"):
        alone.now()


def test_an_interrupt_of_prepare_changes_nothing(store):
    interrupts = [KeyboardInterrupt()]

    def prepare(snapshot):
        if snapshot.version == 2 and interrupts:
            raise interrupts.pop()

    latest = store.latest("t", prepare=prepare)
    store.put("t", frame(1)).close()
    assert latest.version == 1
    store.put("t", frame(2)).close()
    with pytest.raises(KeyboardInterrupt):
        latest.now()
    assert latest.version == 2


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_wait_for_what_was_not_served(store, producer):
    latest = store.latest("a/t")
    with pytest.raises(cn.WaitTimeoutError, match=r"within 0 seconds; there is no such table"):
        latest.wait(timeout=0)
    producer.start(store, "put", "a/t", 1)
    assert latest.wait(timeout=30).version == 1
    producer.done()
    with pytest.raises(cn.WaitTimeoutError, match="it is at version 1"):
        latest.wait(timeout=0.01)
    producer.start(store, "put", "a/t", 2)
    look = latest.wait(timeout=30)
    producer.done()
    assert (look.version, int(look.frame["n"][0])) == (2, 2)
    producer.do(store, "put", "a/t", 3)
    assert latest.wait(timeout=0).version == 3  # put before the call, and not served yet
    with pytest.raises(TypeError, match="prepare must be a function of a Snapshot, got 5"):
        store.latest("t", prepare=5)
    with pytest.raises(ValueError, match="timeout must be"):
        latest.wait(timeout=-1)


def test_the_first_wait_gives_what_is_there(store):
    store.put("t", frame(1)).close()
    assert store.latest("t").wait(timeout=0).version == 1


def test_a_table_that_was_deleted_is_waited_for(store, producer):
    store.put("t", frame(1)).close()
    latest = store.latest("t")
    assert latest.version == 1
    store.delete("t")
    with pytest.raises(cn.WaitTimeoutError):
        latest.wait(timeout=0.01)
    producer.start(store, "put", "t", 7)
    assert int(latest.wait(timeout=30).frame["n"][0]) == 7
    producer.done()


# -- pickled -----------------------------------------------------------------------------------------------------------


def in_a_worker(latest):
    return latest.version, latest.prepared


def test_a_handle_is_pickled_with_its_store(store):
    latest = store.latest("t", prepare=total)
    store.put("t", frame(5)).close()
    assert latest.version == 1
    again = pickle.loads(pickle.dumps(latest))
    assert "not asked yet" in repr(again)
    assert in_a_worker(again) == (1, 5)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(in_a_worker, [latest]) == (1, 5)


def test_age(store):
    store.put("t", frame(5)).close()
    latest = store.latest("t")
    assert timedelta(0) < latest.age < timedelta(minutes=5)
    assert repr(latest.now()) == "<colonnade.Look at 't' version 1>"
