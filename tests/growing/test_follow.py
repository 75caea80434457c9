"""Waiting for rows: `follow`, `watch`, `latest`, by threads and tasks, for rows of another process."""

import asyncio
import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.snapshot import Snapshot
from colonnade.storage import log_room
from growing.frames import assert_same, expected, frame

PRODUCER = """
import sys, time
import colonnade as cn
from growing.frames import frame
store = cn.Store(sys.argv[1])
with store.appender(sys.argv[2], like=frame(0, 4)) as log:
    print("ready", flush=True)
    for line in sys.stdin:
        count, pause, rows = line.split()
        for _ in range(int(count)):
            log.append(frame(log.num_rows, int(rows)))
            time.sleep(float(pause))
        print(log.num_rows, flush=True)
"""


class Raises:
    """Raises an error in the place of a call, and counts."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, *_):
        self.calls += 1
        raise self.error


class Producer:
    """Another process that appends when it is told to."""

    def __init__(self, store, name="a/t"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRODUCER, str(store.path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdout.readline() == "ready\n"

    def append(self, count, rows, pause=0.0):
        self.process.stdin.write(f"{count} {pause} {rows}\n")
        self.process.stdin.flush()

    def done(self):
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture
def producer(store):
    producer = Producer(store)
    yield producer
    producer.close()


def test_each_row_once_from_another_process(store, producer):
    follow = store.follow("a/t", timeout=20)
    producer.append(50, 7, 0.001)
    at = 0
    while at < 350:
        new = next(follow)
        assert_same(new.to_pandas(), expected(at, follow.position))
        at = follow.position
    assert (follow.position, follow.behind) == (350, 0)
    assert producer.done() == 350


def test_watch_gives_the_whole_table_at_each_growth(store, producer):
    with store.watch("a/t", timeout=20) as watch:
        assert next(watch).version == 0
        producer.append(20, 3, 0.002)
        version = 0
        while version < 60:
            snap = next(watch)
            assert snap.version > version
            version = snap.version
            assert_same(snap.to_pandas(writable=False), expected(0, version))
        assert producer.done() == 60


def test_watch_and_latest_see_a_growing_table_that_is_made_later(store):
    versions = []

    def run():
        with store.watch("a/t", timeout=30) as watch:
            for snap in watch:
                versions.append(snap.version)
                if snap.version >= 8:
                    return

    thread = threading.Thread(target=run)
    thread.start()
    latest = store.latest("a/t")
    with pytest.raises(cn.NotFoundError):
        latest.now()
    with store.appender("a/t", like=frame(0, 8)) as log:
        log.append(frame(0, 4))
        assert latest.version == 4
        log.append(frame(4, 4))
        thread.join(30)
        assert versions[-1] == 8
        assert latest.wait(0).version == 8
        with pytest.raises(cn.WaitTimeoutError, match="it is at version 8"):
            latest.wait(0.01)
        threading.Timer(0.05, lambda: log.append(frame(8, 1))).start()
        assert latest.wait(20).version == 9
        time.sleep(0.05)


def test_latest_follows_its_name_from_a_table_to_a_growing_one_and_back(store):
    put = pd.DataFrame({"x": [1]})
    store.put("a/t", put).close()
    latest = store.latest("a/t")
    assert len(latest.frame) == 1
    store.delete("a/t")
    assert len(latest.frame) == 1
    with store.appender("a/t", {"x": "int64"}) as log:
        log.append({"x": [2, 3]})
        assert latest.frame["x"].tolist() == [2, 3]
        log.append({"x": [4]})
        assert len(latest.frame) == 3
        store.delete("a/t")
        assert len(latest.frame) == 3
        store.put("a/t", put).close()
        assert len(latest.frame) == 1


def test_latest(store, monkeypatch):
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1)
    prepared = []
    with store.appender("a/t", like=frame(0, 8)) as log:
        latest = store.latest("a/t", prepare=lambda snap: prepared.append(snap.version) or snap.version)
        for at in range(0, 3 * STRIPE, 20_000):
            log.append(frame(at, 20_000))
            look = latest.now()
            assert look.version == look.prepared == at + 20_000
            assert latest.frame is look.frame
            assert_same(look.frame, expected(0, at + 20_000))
        assert prepared == list(range(20_000, 3 * STRIPE + 20_000, 20_000))
        copy = pickle.loads(pickle.dumps(store.latest("a/t")))
        assert copy.version == log.num_rows
        last = latest.frame
    store.delete("a/t")
    assert latest.frame is last
    with store.appender("a/t", like=frame(0, 8)) as log:
        log.append(frame(0, 3))
        assert latest.version == 3


def test_where_a_follower_starts(store):
    with store.appender("a/t", like=frame(0, 8)) as log:
        log.append(frame(0, 10))
        assert store.follow("a/t").position == 10
        assert store.follow("a/t", start="first").position == 0
        follow = store.follow("a/t", start=4, timeout=0)
        assert_same(next(follow).to_pandas(), expected(4, 10))
        with pytest.raises(cn.WaitTimeoutError, match=r"no new row of 'a/t' within 0\.0 seconds; it has 10"):
            next(follow)
        log.append(frame(10, 1))
        assert_same(next(follow).to_pandas(), expected(10, 11))
        for start, error in ((12, ValueError), (-1, ValueError), ("last", ValueError), (1.5, TypeError)):
            with pytest.raises(error, match="start"):
                store.follow("a/t", start=start)
        assert repr(follow) == "<colonnade.Follow 'a/t': at row 11>"
    with pytest.raises(cn.NotFoundError, match="there is no table 'b/t'"):
        store.follow("b/t")
    store.put("c/t", frame(0, 3)).close()
    with pytest.raises(cn.NotFoundError, match="'c/t' is a table that was put"):
        store.follow("c/t")


def test_a_deleted_table_ends_all_that_wait(store):
    store.appender("a/t", {"x": "int64"}).close()
    cn.append  # noqa: B018 -- it is there
    store.append("a/t", {"x": [1, 2]})
    follow, watch = store.follow("a/t", start="first", timeout=20), store.watch("a/t", timeout=20)
    assert next(watch).version == 2
    threading.Timer(0.1, lambda: store.delete("a/t")).start()
    assert len(next(follow)) == 2
    with pytest.raises(cn.NotFoundError, match="was deleted, after 2 rows"):
        next(follow)
    with pytest.raises(cn.NotFoundError, match="'a/t' was deleted while it was watched, after version 2"):
        next(watch)
    store.put("a/t", pd.DataFrame({"x": [1]})).close()
    assert next(watch).version == 1
    watch.close()


@pytest.mark.parametrize("kind", ["follow", "watch"])
def test_close_ends_a_loop_of_another_thread(store, kind):
    with store.appender("a/t", like=frame(0, 8)):
        waiter = getattr(store, kind)("a/t")
        arguments = []
        thread = threading.Thread(target=lambda: arguments.extend(waiter))
        thread.start()
        time.sleep(0.05)
        waiter.close()
        thread.join(20)
        assert not thread.is_alive()
        assert len(arguments) == (kind == "watch")


def test_two_threads_may_not_wait_for_one_follower(store):
    with store.appender("a/t", like=frame(0, 8)):
        follow = store.follow("a/t")
        thread = threading.Thread(target=lambda: list(follow))
        thread.start()
        time.sleep(0.05)
        with pytest.raises(RuntimeError, match="is being waited for already"):
            next(follow)
        follow.close()
        thread.join(20)


def test_tasks(store, producer):
    async def count(waiter, until):
        rows = 0
        async for new in waiter:
            rows = rows + len(new) if waiter is not None and hasattr(waiter, "position") else len(new)
            if rows >= until:
                return rows
        return -1

    async def main():
        follows = [store.follow("a/t") for _ in range(5)]
        tasks = [asyncio.create_task(count(each, 60)) for each in [*follows, store.watch("a/t")]]
        closed = store.follow("a/t")
        task = asyncio.create_task(count(closed, 10**9))
        await asyncio.sleep(0.05)
        closed.close()
        assert await asyncio.wait_for(task, 20) == -1
        producer.append(20, 3, 0.001)
        assert await asyncio.wait_for(asyncio.gather(*tasks), 30) == [60] * 6
        with pytest.raises(cn.WaitTimeoutError):
            await anext(store.follow("a/t", timeout=0.05))
        waiting = asyncio.create_task(anext(store.follow("a/t")))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert producer.done() == 60


def test_a_forked_child_follows_by_itself(store):
    with store.appender("a/t", {"x": "int64"}) as log:
        follow, latest = store.follow("a/t", timeout=20), store.latest("a/t")
        log.append({"x": [1]})
        assert len(latest.frame) == 1
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = next(follow).to_pandas()["x"].tolist() == [1] and next(follow).to_pandas()["x"].tolist() == [2]
                ok = ok and latest.frame["x"].tolist() == [1, 2]
            finally:
                os._exit(not ok)
        time.sleep(0.1)
        log.append({"x": [2]})
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert next(follow).to_pandas()["x"].tolist() == [1, 2]


def test_a_forked_child_follows_though_a_thread_of_its_parent_waits(store):
    with store.appender("a/t", {"x": "int64"}) as log, store.follow("a/t", timeout=20) as follow:
        thread = threading.Thread(target=next, args=(follow,))
        thread.start()
        while not follow._waiting:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            ok = False
            try:
                ok = next(follow).to_pandas()["x"].tolist() == [1]
            finally:
                os._exit(not ok)
        time.sleep(0.1)
        log.append({"x": [1]})
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        thread.join()


def test_ctrl_c_ends_a_wait(store):
    with store.appender("a/t", {"x": "int64"}):
        code = f"import colonnade as cn; f = cn.Store({str(store.path)!r}).follow('a/t'); print(1, flush=True); next(f)"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            process.stdout.readline()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]


def test_rows_that_could_not_be_given_are_given_the_next_time(store, monkeypatch):
    """An error or an interrupt while they are made, and one while it is said that rows were dropped."""
    with store.appender("t", like=frame(0, 4), retain=8) as log, store.follow("t", timeout=0) as follow:
        log.append(frame(0, 4))
        with monkeypatch.context() as patch:
            patch.setattr("colonnade._follow.GrowingSnapshot", raises := Raises(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                next(follow)
        assert raises.calls == 1
        assert follow.position == 0
        assert_same(next(follow).to_pandas(), expected(0, 4))
        for start in range(4, 3 * STRIPE, STRIPE):
            log.append(frame(start, STRIPE))
        with monkeypatch.context() as patch:
            patch.setattr("colonnade.storage.log_reader.RowsDroppedError", Raises(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                next(follow)
        with pytest.raises(cn.RowsDroppedError, match="row 4 of"):
            next(follow)


def test_a_version_that_could_not_be_given_is_given_the_next_time(store, monkeypatch):
    store.put("t", pd.DataFrame({"x": [1]})).close()
    with store.watch("t", timeout=0) as watch:
        with monkeypatch.context() as patch:
            patch.setattr(Snapshot, "log", property(Raises(KeyboardInterrupt)))
            with pytest.raises(KeyboardInterrupt):
                next(watch)
        assert next(watch).version == 1


def test_what_waits_can_be_neither_pickled_nor_copied(store):
    with store.appender("t", like=frame(0, 4)), store.follow("t") as follower, store.watch("t") as watch:
        for waiting in (follower, watch):
            for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="'t' belongs to its process"):
                    duplicate(waiting)
