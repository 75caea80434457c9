"""A word that another process changes, and whoever waits for it."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from colonnade import _core

WAKE = """
import ctypes, mmap, sys, time
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), 4096)
word = ctypes.c_uint64.from_buffer(memory, 64)
sys.stdin.readline()
time.sleep(float(sys.argv[2]))
word.value += 5
ctypes.CDLL(None).syscall(202, ctypes.byref(word), 1, 2**31 - 1, None, None, 0)
"""


@pytest.fixture
def shared(tmp_path):
    place = "/dev/shm" if os.path.isdir("/dev/shm") else tmp_path
    path = os.path.join(place, f"colonnade-word-{os.getpid()}")
    with open(path, "w+b") as file:
        file.truncate(4096)
        yield path, file.fileno(), _core.SharedWords(os.open(path, os.O_RDONLY), 4096)
    os.unlink(path)


def producer(path, after):
    process = subprocess.Popen([sys.executable, "-c", WAKE, path, str(after)], stdin=subprocess.PIPE)
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process


@pytest.mark.parametrize("words", [1, 2])
def test_another_process_wakes_a_waiter(shared, words):
    path, _, memory = shared
    with producer(path, 0.2):
        places = [(memory, 64, 0), (memory, 128, 0)][:words]
        assert _core.wait_for_words(places, None, 0, 20.0)
        assert memory.load(64) == 5


def test_a_change_before_the_wait_is_seen_at_once(shared):
    _, fd, memory = shared
    os.pwrite(fd, np.uint64(9).tobytes(), 64)
    began = time.monotonic()
    assert _core.wait_for_words([(memory, 64, 0)], None, 0, 20.0)
    assert time.monotonic() - began < 5
    assert memory.load(64) == 9


@pytest.mark.parametrize("words", [1, 2])
def test_time_out(shared, words):
    memory = shared[2]
    began = time.monotonic()
    assert not _core.wait_for_words([(memory, 64, 0), (memory, 128, 0)][:words], None, 0, 0.05)
    assert 0.05 <= time.monotonic() - began < 5
    assert not _core.wait_for_words([(memory, 64, 0)], None, 0, 0)


def test_a_bell_ends_a_wait(shared):
    memory, bell = shared[2], _core.Bell()
    threading.Timer(0.05, bell.ring).start()
    assert _core.wait_for_words([(memory, 64, 0)], bell, 0, 20.0)
    assert bell.value == 1
    assert _core.wait_for_words([], bell, 0, 20.0)


def test_a_signal_handler_runs_and_may_end_the_wait(shared):
    class Ended(Exception):  # noqa: N818 -- it is not an error
        pass

    calls = []

    def handler(*_):
        calls.append(1)
        if len(calls) == 2:
            raise Ended

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(Ended):
            _core.wait_for_words([(shared[2], 64, 0)], None, 0, 20.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_bad_places_and_time_outs(shared):
    memory = shared[2]
    for offset in (4096, 4095, 2**63, 4092):
        with pytest.raises(ValueError, match="no aligned place"):
            memory.load(offset)
    with pytest.raises(ValueError, match="no aligned place"):
        _core.wait_for_words([(memory, 2, 0)], None, 0, 1.0)
    for timeout in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout must be >= 0"):
            _core.wait_for_words([(memory, 64, 0)], None, 0, timeout)
    with pytest.raises(OSError, match="Invalid argument"):
        _core.wait_for_words([], None, 0, 1.0)


def growth_of(memory):
    """Committed rows, the first row, segments and the state are at 64, 128, 192 and 200; a table in state 2 is deleted."""
    return _core.Growth(memory, 64, 128, 192, 200, 2)


def store(fd, **words):
    for name, value in words.items():
        os.pwrite(fd, np.uint64(value).tobytes(), {"committed": 64, "first": 128, "segments": 192, "state": 200}[name])


def test_growth_is_the_number_of_rows_where_nothing_else_changed(shared):
    _, fd, memory = shared
    growth = growth_of(memory)
    store(fd, committed=7, first=3, segments=2)
    assert growth.rows(3, 2, 10) == 7
    assert growth.rows(3, 2, 7) == 7
    assert growth.rows(3, 2, 6) is None  # more than the last segment holds
    assert growth.rows(2, 2, 10) is None
    assert growth.rows(3, 1, 10) is None
    with pytest.raises(ValueError, match="no aligned place"):
        _core.Growth(memory, 64, 128, 192, 4092, 2)


def test_a_wait_for_growth_ends(shared):
    path, fd, memory = shared
    growth, bell = growth_of(memory), _core.Bell()
    store(fd, segments=1)
    assert growth.wait(0, 0, 1, 10, bell, 0, 0.01) == 0  # the time is over
    with producer(path, 0.1):
        assert growth.wait(0, 0, 1, 10, bell, 0, 20.0) == 5
    assert growth.wait(4, 0, 1, 10, bell, 0, 20.0) == 5  # at once
    assert growth.wait(4, 0, 2, 10, bell, 0, 20.0) is None
    threading.Timer(0.05, bell.ring).start()
    assert growth.wait(5, 0, 1, 10, bell, 0, 20.0) == 5
    store(fd, state=1)  # closed: rows may come
    assert growth.wait(5, 0, 1, 10, bell, 1, 0.01) == 5
    store(fd, state=2)
    assert growth.wait(5, 0, 1, 10, bell, 1, 20.0) is None
    with pytest.raises(ValueError, match="timeout must be >= 0"):
        growth.wait(5, 0, 1, 10, bell, 1, -1.0)


def test_the_words_are_a_read_only_buffer(shared):
    _, fd, memory = shared
    os.pwrite(fd, b"COLLIVE1", 0)
    assert bytes(memoryview(memory)[:8]) == b"COLLIVE1"
    assert memoryview(memory).readonly
    assert len(memory) == 4096
