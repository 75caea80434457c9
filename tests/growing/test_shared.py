"""Several processes append to one growing table: in turns, whole batches, whoever is killed or fails."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.storage import log as producer_log
from colonnade.storage import log_lock, log_room

# Batch `b` of producer `p`: `rows` rows, which all know p, b, their place, and have b as text and as a category.
PRODUCER = """
import signal, sys, time
import numpy as np, pandas as pd
import colonnade as cn

store, number, count, rows = cn.Store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with store.appender("t", shared=True) as log:
    print("ready", flush=True)
    sys.stdin.readline()
    for batch in range(count):
        text = [f"{number} {batch}"] * rows
        log.append(pd.DataFrame({
            "producer": np.full(rows, number), "batch": np.full(rows, batch), "place": np.arange(rows),
            "text": pd.array(text, "str"), "kind": pd.Categorical([f"{number} {batch % 50}"] * rows),
        }))
print("done", flush=True)
"""
COLUMNS = {"producer": "int64", "batch": "int64", "place": "int64", "text": "str", "kind": "category"}


@pytest.fixture
def producers(store):
    """Starts producers that wait for a line."""
    store.appender("t", COLUMNS, shared=True).close()
    started = []

    def start(number, count, rows):
        process = subprocess.Popen(
            [sys.executable, "-c", PRODUCER, str(store.path), str(number), str(count), str(rows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def go(*processes):
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def turns_of(df, rows):
    """The producers of the batches in their order; each batch is whole, and those of a producer follow each other."""
    assert len(df) % rows == 0
    count = len(df) // rows
    shaped = {name: df[name].to_numpy().reshape(count, rows) for name in ("producer", "batch", "place")}
    assert (shaped["place"] == np.arange(rows)).all()
    for name in ("producer", "batch"):
        assert (shaped[name] == shaped[name][:, :1]).all(), f"rows of several batches in one: {name}"
    turns, batches = shaped["producer"][:, 0], shaped["batch"][:, 0]
    first = df.iloc[::rows]
    assert first["text"].tolist() == [f"{p} {b}" for p, b in zip(turns, batches, strict=True)]
    assert first["kind"].astype("str").tolist() == [f"{p} {b % 50}" for p, b in zip(turns, batches, strict=True)]
    for number in np.unique(turns):
        assert (np.diff(batches[turns == number]) == 1).all(), f"producer {number} lost a batch"
    return turns


@pytest.mark.slow
def test_batches_of_several_processes_are_whole_and_one_is_killed(store, producers, monkeypatch):
    rows, count = 150, 200
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1)
    processes = [producers(number, count if number else 10_000, rows) for number in range(3)]
    go(*processes)
    victim, *others = processes
    with store.follow("t", start="first", timeout=30) as follow:
        for new in itertools.islice(follow, 40):
            df = new.to_pandas(writable=False)
            assert len(df) % rows == 0  # whole batches at each look
            assert (df["place"].to_numpy() == np.arange(len(df)) % rows).all()
        victim.kill()
        for process in others:
            assert process.stdout.readline() == "done\n"
        turns = turns_of(store.get("t"), rows)
        for number in (1, 2):
            assert (turns == number).sum() == count
        assert len(turns) * rows == store.open("t").version
    with store.appender("t") as log:  # everything is in order for one producer too
        assert log.append(store.get("t", last=rows)) == (len(turns) + 1) * rows
    assert store.check() == []


@pytest.mark.slow
def test_a_producer_that_appends_all_the_time_lets_others_in(store, producers):
    processes = [producers(number, 10_000, 2_000) for number in range(3)]
    go(*processes)
    time.sleep(0.6)
    for process in processes:
        process.kill()
        process.wait()
    turns = turns_of(store.get("t"), 2_000)
    counts = [(turns == number).sum() for number in range(3)]
    assert min(counts) * 6 > sum(counts), counts  # a third each, if all are as fast
    longest = max(len(list(run)) for _, run in itertools.groupby(turns.tolist()))
    assert longest * 3 < len(turns), counts


def test_a_producer_that_is_stopped_in_its_turn_is_named(store, monkeypatch):
    monkeypatch.setattr(producer_log, "_LONGEST_TURN", 0.2)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with store.appender("t", {"x": "int64"}, shared=True) as log:
        log.row(x=1)
        holder.stdin.write("go\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "has it\n"
        start = time.monotonic()
        for append in (lambda: log.row(x=2), lambda: log.append({"x": [2]}), log.flush):
            with pytest.raises(cn.LogBusyError, match=f"process {holder.pid}, python"):
                append()
        with pytest.raises(cn.LogBusyError, match=f"process {holder.pid}"):
            store.appender("t", shared=True)
        assert 0.6 < time.monotonic() - start < 5
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
        assert log.row(x=2) == 2  # the lock went with the process, and nothing of its turn is there
    assert store.get("t")["x"].tolist() == [1, 2]


HOLDER = """
import sys, time
import colonnade as cn
sys.stdin.readline()
log = cn.Store(sys.argv[1]).appender("t", shared=True)
log._log.wait_for_lock()
log._log.begin_turn()
print("has it", flush=True)
time.sleep(60)
"""


def shown(store):
    """What Arrow finds in the newest segment."""
    file = max((store.path / "t@live").glob("*.arrow"))
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    table.validate(full=True)
    return table


def test_what_a_producer_left_without_a_row_is_not_written_over(store):
    """Categories of an append that failed, and states that another producer has shown."""
    columns = {"n": "int64", "kind": "category"}
    with (
        store.appender("t", columns, index="n", shared=True) as one,
        store.appender("t", shared=True) as two,
    ):
        one.append({"n": [1], "kind": ["a"]})
        two.append({"n": [2], "kind": ["a"]})
        with pytest.raises(cn.InvalidDataError):
            one.append({"n": [0], "kind": ["of the one that failed"]})
        frame = store.latest("t").frame  # has its categories
        two.append({"n": [3], "kind": ["b"]})
        assert store.get("t")["kind"].tolist() == ["a", "a", "b"]
        assert store.latest("t").frame["kind"].tolist() == ["a", "a", "b"]
        assert frame["kind"].tolist() == ["a", "a"]
        for number in range(4, 30):
            first, second = (one, two) if number % 2 else (two, one)
            first.append({"n": [number], "kind": [f"kind {number}"]})
            first.flush()
            before = shown(store)
            assert before["n"].to_pylist()[-1] == number
            second.append({"n": [number], "kind": [f"kind {number}"]})
            second.flush()
            assert before["kind"].to_pylist()[-1] == f"kind {number}"
            assert len(shown(store)) == len(before) + 1
    store.open("t").validate()


def test_only_the_last_one_that_closes_says_so(store, monkeypatch):
    monkeypatch.setattr(producer_log, "_LONGEST_TURN", 0.1)
    one, two = store.appender("t", {"x": "int64"}, shared=True), store.appender("t", shared=True)
    one.row(x=1)
    one.close()
    two.row(x=2)
    assert store.open("t").log.head().state == 0
    other = store.appender("t", shared=True)
    other._log.wait_for_lock()
    two.close()  # it cannot wait for ever, and does not say that all is in order
    assert store.open("t").log.head().state == 0
    other._log.unlock()
    other.close()
    assert store.open("t").log.head().state == 1
    assert len(shown(store)) == 2


def test_an_exclusive_producer_and_shared_ones_exclude_each_other(store, monkeypatch):
    monkeypatch.setattr(producer_log, "_LONGEST_TURN", 0.1)
    with store.appender("t", {"x": "int64"}), pytest.raises(cn.LogBusyError, match="this process"):
        store.appender("t", shared=True)
    with store.appender("t", shared=True) as log:
        log._log.wait_for_lock()
        with pytest.raises(cn.LogBusyError):
            store.appender("t")
        log._log.unlock()


def test_the_queue_has_one_place(tmp_path):
    path = tmp_path / "head"
    path.write_bytes(bytes(16))
    one, two = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    assert log_lock.try_lock(one)
    assert not log_lock.try_lock(two)
    assert log_lock.try_lock(two, log_lock.NEXT)
    assert not log_lock.try_lock(one, log_lock.NEXT)
    log_lock.unlock(one)
    assert log_lock.try_lock(two)
    os.close(one)
    os.close(two)


def test_a_frame_of_any_form_may_be_appended_in_turns(store):
    with store.appender("t", {"x": "int64"}, shared=True) as one, store.appender("t", shared=True) as two:
        one.append(pd.DataFrame({"x": [1]}))
        two.append(pa.table({"x": [2]}))
        one.append({"x": np.array([3])})
        two.row(x=4)
    assert store.get("t")["x"].tolist() == [1, 2, 3, 4]
