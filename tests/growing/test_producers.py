"""Who appends: one producer after the other, threads, forked children, producers that are killed or dropped."""

import os
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_folder
from colonnade.storage.log_head import LogState
from growing.files import every_type, head_of, same, shown


def test_the_next_appender_goes_on(store):
    rows = every_type(300)
    for start in range(0, 300, 100):
        assert store.append("log", rows[start : start + 100]) == start + 100
    same(shown(store, "log"), rows)


def test_one_producer_at_a_time(store):
    with store.appender("log", {"x": "float64"}) as log:
        with pytest.raises(cn.LogBusyError, match="this process"):
            store.appender("log")
        program = f"import colonnade as cn; cn.Store({str(store.path)!r}).append('log', {{'x': [1.0]}})"
        other = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        assert "LogBusyError: process" in other.stderr
        assert log.append({"x": [1.0]}) == 1
    assert store.append("log", {"x": [2.0]}) == 2


def test_a_removed_table_refuses_its_producer_and_may_be_made_anew(store):
    with store.appender("deep/log", {"x": "float64"}) as log:
        log.row(x=1.0)
        log_folder.remove(store._catalog, "deep/log")
        assert not (store.path / "deep").exists()
        with pytest.raises(cn.NotFoundError, match="was deleted"):
            log.row(x=2.0)
    assert store.append("deep/log", pd.DataFrame({"x": [1.0]})) == 1
    with pytest.raises(cn.NotFoundError, match="no growing table 'other'"):
        log_folder.remove(store._catalog, "other")


def test_an_appender_that_is_closed_says_so(store):
    log = store.appender("log", {"x": "float64"})
    assert repr(log) == "<colonnade.Appender of 'log': 0 rows>"
    log.close()
    log.close()
    with pytest.raises(ValueError, match="is closed"):
        log.row(x=1.0)
    assert "closed" in repr(log)


def test_a_forked_child_may_not_append_through_its_parents_appender(store):
    with store.appender("log", {"x": "float64"}) as log:
        log.row(x=1.0)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                log.row(x=2.0)
            except RuntimeError as error:
                os.write(writing, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert b"is a forked child of it" in os.read(reading, 1_000)
        os.close(reading)
        os.close(writing)
        assert log.row(x=3.0) == 2
    assert shown(store, "log")["x"].tolist() == [1.0, 3.0]


def test_threads_may_share_an_appender(store):
    """Single rows, short batches, and long ones during which other threads run; over several segments."""
    sizes = [20_000 if n % 50 == 0 else n % 3 for n in range(150)]

    def append(log, thread):
        for n, size in enumerate(sizes):
            if size:
                log.append({"thread": np.full(size, thread), "n": np.full(size, n)})
            else:
                log.row(thread=thread, n=n)

    with store.appender("log", {"thread": "int64", "n": "int64"}, retain=1 << 20) as log, ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(append, log, thread) for thread in range(4)]:
            future.result()
    assert len(head_of(store, "log").read().entries) > 1
    for _, rows in shown(store, "log").groupby("thread"):
        assert rows["n"].tolist() == np.repeat(range(150), np.maximum(sizes, 1)).tolist()


def test_only_the_last_segments_writer_writes_at_once(store):
    """A thread may have read which one that is before another thread begins the next segment."""
    with store.appender("log", {"x": "int64"}, retain=1 << 18) as log:
        log.row(x=0)
        before = log._segments.direct
        log.append({"x": np.arange(STRIPE)})
        assert log._segments.direct is not before
        assert before.row({"x": 1}) is None
        assert before.batch({"x": np.arange(3)}) is None
        assert log._segments.direct.row({"x": 1}) == STRIPE + 2


def test_a_killed_producer_leaves_whole_batches(store):
    program = f"""if True:
        import os, colonnade as cn, numpy as np
        log = cn.Store({str(store.path)!r}).appender("log", {{"x": "float64", "s": "str"}}, retain=1000)
        for start in range(0, 40_000, 100):
            log.append({{"x": np.arange(start, start + 100.0), "s": [str(n) for n in range(start, start + 100)]}})
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", program], check=False)
    with store.appender("log") as log:
        assert log.num_rows == 40_000
        log.append({"x": [-1.0], "s": [None]})
    found = shown(store, "log")
    first = head_of(store, "log").read().first
    assert found["x"].tolist() == [*np.arange(first, 40_000.0), -1.0]
    assert found["s"].tolist()[:-1] == [str(n) for n in range(first, 40_000)]
    assert found["s"].isna().sum() == 1


def test_shared_producers_take_turns(store):
    with store.appender("log", {"n": "int64"}, shared=True) as one, store.appender("log", shared=True) as two:
        for n in range(0, 40, 2):
            assert one.row(n=n) == n + 1
            assert two.append({"n": np.array([n + 1])}) == n + 2
    assert shown(store, "log")["n"].tolist() == list(range(40))


def test_an_appender_that_is_dropped_keeps_nothing_mapped(store):
    log = store.appender("log", {"x": "float64"})
    log.append({"x": np.zeros(3)})
    log.close()
    seen = weakref.ref(log)
    del log
    assert seen() is None, "it is part of a circle"
    assert str(store.path) not in Path("/proc/self/maps").read_text()


def test_a_child_that_was_forked_within_an_append_closes_at_once(store):
    """Another thread has the appender's lock at the fork, and is not in the child."""
    with store.appender("t", {"x": "int64"}) as log:
        locked, done = threading.Event(), threading.Event()

        def hold():
            with log._lock:
                locked.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
        if not child:
            signal.alarm(10)
            log.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        done.set()
        thread.join()


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise SystemError"])
def test_the_end_of_a_program_closes_its_appenders(store, end):
    program = (
        f"import sys, colonnade as cn; store = cn.Store({str(store.path)!r})\n"
        "log = store.appender('t', {'x': 'int64'}); log.append({'x': [1, 2]}); log.row(x=3)\n" + end
    )
    subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL)
    assert shown(store, "t")["x"].tolist() == [1, 2, 3]
    assert head_of(store, "t").read().state == LogState.CLOSED
