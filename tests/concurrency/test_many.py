"""Many threads, forks and processes at once; many open versions; many names."""

import gc
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from support import payload
from support.forks import FORKS, wait_for
from support.place import descriptors

MAPPED = 56_000  # rows of more than 2 MiB, whose memory is written again


def work(store, name, rounds, rows=(20, 2000)):
    """Put and get alternately, and verify everything."""
    for number in range(rounds):
        with store.put(name, payload.make(number, rows[number % len(rows)]), keep=1 + number % 2) as snap:
            payload.verify_pandas(snap.to_pandas())
        df = store.get(name)
        payload.verify_pandas(df)
        df["int"] += 1
        payload.verify_arrow(store.open(name).to_arrow())


@FORKS
def test_forks_while_threads_put_and_get(store):
    """The child inherits memory in the middle of puts and gets of other threads. The store must work in it as in any process."""
    stop = threading.Event()
    failures = []

    def turn(who):
        rows = (20, MAPPED, 2000)
        try:
            while not stop.is_set():
                work(store, f"thread{who % 2}", 3, rows)
        except BaseException as error:
            failures.append(error)

    def in_child(number):
        status = 1
        try:
            work(store, f"child{number % 3}", 3, (20, MAPPED))
            payload.verify_pandas(frame)
            payload.verify_pandas(store.get("thread0"))
            status = 0
        finally:
            os._exit(status)

    work(store, "thread0", 1)
    frame = store.get("thread0")
    threads = [threading.Thread(target=turn, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    try:
        for burst in range(6):
            children = []
            for number in range(3):
                child = os.fork()
                if child == 0:
                    in_child(number + burst)
                children.append(child)
            assert [wait_for(child) for child in children] == [0] * 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    payload.verify_pandas(frame)


@FORKS
def test_a_fork_in_the_middle_of_a_read(store, monkeypatch):
    """A thread reads while its process forks. The child does not have that thread, and must not wait for it."""
    store.put("t", payload.make(1, 20))
    inside, go_on = threading.Event(), threading.Event()
    real = pa.ipc.RecordBatchFileReader

    def slow(*args):
        if threading.current_thread() is reader:
            inside.set()
            go_on.wait()
        return real(*args)

    monkeypatch.setattr(pa.ipc, "RecordBatchFileReader", slow)
    reader = threading.Thread(target=lambda: store.open("t").to_arrow())
    reader.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            payload.verify_arrow(store.open("t").to_arrow())
            status = 0
        finally:
            os._exit(status)
    try:
        assert wait_for(child) == 0
    finally:
        go_on.set()
        reader.join()


def _put_and_get(args):
    """Put and get in a process of a pool."""
    path, name = args
    work(cn.Store(path), name, 5, (20, MAPPED))
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@FORKS
def test_however_processes_are_started(store, method):
    work(store, "first", 1)  # so that a forked process inherits everything that a put leaves behind in its parent
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        pids = list(pool.map(_put_and_get, [(store.path, f"t{number % 2}") for number in range(4)]))
    assert os.getpid() not in pids
    # The other process may have put in between, but no put was lost: ten of each name.
    assert [store.open(name).version for name in ("t0", "t1")] == [10, 10]


def test_one_of_many_makes_each_name(store):
    """`expect_version=0` in processes and threads at once: exactly one of them makes each name."""
    program = f"""
import sys, threading, colonnade as cn, pandas as pd
store = cn.Store({str(store.path)!r})
won = []
def turn():
    for name in range(60):
        try:
            store.put(f"n{{name}}", pd.DataFrame({{"x": [name]}}), expect_version=0)
            won.append(name)
        except cn.ConflictError:
            pass
sys.stdin.readline()
threads = [threading.Thread(target=turn) for _ in range(2)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(*won)
"""
    makers = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for maker in makers:
        maker.stdin.write("go\n")
        maker.stdin.flush()
    names = [name for maker in makers for name in maker.communicate(timeout=60)[0].split()]
    assert sorted(map(int, names)) == list(range(60))
    assert {info.version for info in store.ls()} == {1}


def test_a_name_that_comes_and_goes(store):
    """An open gives a whole snapshot or NotFoundError, and nothing else."""
    program = f"""
import itertools, sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
import colonnade as cn
from support import payload
store = cn.Store({str(store.path)!r})
frames = [payload.make(seed, {MAPPED} + 500 * seed) for seed in range(3)]
for turn in itertools.count():
    store.put("a/t", frames[turn % 3], keep=2).close()
    store.put("a/t", frames[(turn + 1) % 3], keep=2).close()
    if turn == 0:
        print(flush=True)
    store.delete("a/t")
"""
    result = missing = 0
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        try:
            writer.stdout.readline()
            until = time.monotonic() + 1.5
            while time.monotonic() < until or not (result and missing):
                try:
                    with store.open("a/t", version=(result + missing) % 3 or None) as snap:
                        payload.verify_pandas(snap.to_pandas())
                        payload.verify_arrow(snap.to_arrow())
                        result += 1
                except cn.NotFoundError:
                    missing += 1
                assert writer.poll() is None
        finally:
            writer.kill()
    assert result > 10
    assert missing > 10


def test_a_thousand_versions_held_at_once(store):
    """Each open version keeps its values, however many came later: memory that a process still maps is never rewritten."""
    gc.collect()  # closes the descriptors of objects that earlier tests left to the garbage collector
    before = descriptors()
    readers = []
    for seed in range(1000):
        store.put("t", payload.make(seed, MAPPED if seed % 50 == 0 else 10 + seed % 100)).close()
        readers.append(store.get("t"))
    assert descriptors() == before
    assert [payload.verify_pandas(df)["seed"] for df in readers] == list(range(1000))
    # Let go of half: what the next puts write goes into their memory, and into nobody else's.
    del readers[::2]
    for seed in range(1000, 1020):
        store.put("t", payload.make(seed, MAPPED)).close()
    assert [payload.verify_pandas(df)["seed"] for df in readers] == list(range(1, 1000, 2))


def test_ten_thousand_names(folder):
    """Only a listing depends on the number of names."""
    store = cn.Store(folder / "s")
    first = store.put("first", pd.DataFrame({"x": [1]})).path

    def opens():
        def once():
            began = time.perf_counter()
            store.open("first").close()
            return time.perf_counter() - began

        return statistics.median(once() for _ in range(200))

    few = opens()
    for part in range(100):
        (store.path / f"p{part}").mkdir()
        for number in range(100):
            os.link(first, store.path / f"p{part}" / f"{number}.arrow")
    assert opens() < 3 * few + 1e-3
    took = {}
    for what, ask in {"ls": store.ls, "check": store.check, "gc": store.gc}.items():
        began = time.perf_counter()
        result = ask()
        took[what] = time.perf_counter() - began
        assert len(result) == {"ls": 10_001, "check": 0, "gc": 4}[what]
    # Wide limits: an operation whose time is not proportional to the number of names would take minutes.
    assert took["ls"] < 10
    assert took["check"] < 60
    assert took["gc"] < 10
    with pytest.raises(cn.NotFoundError, match=r"there are: .*, \.\.\."):
        store.open("nope")
    assert store.put("p7/7", payload.make(2, 20)).version == 2
