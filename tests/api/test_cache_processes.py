"""`cache` in several processes and threads: one computes, the others wait, and a killed one is replaced."""

import multiprocessing
import os
import signal
import threading
import time

import pandas as pd
import pytest

import colonnade as cn
from support.runs import runs

FORK = multiprocessing.get_context("fork")


def slow(store, path):
    """A cached function that writes a line and takes some time."""

    @store.cache
    def compute(n):
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        return pd.DataFrame({"x": range(n)})

    return compute


def call(store_path, path, barrier, lengths):
    barrier.wait()
    lengths.put(len(slow(cn.Store(store_path), path)(7)))


def test_one_computes_while_the_others_wait(store, tmp_path):
    barrier, lengths = FORK.Barrier(6), FORK.Queue()
    children = [FORK.Process(target=call, args=[store.path, tmp_path / "runs", barrier, lengths]) for _ in range(6)]
    for child in children:
        child.start()
    assert [lengths.get(timeout=60) for _ in children] == [7] * 6
    for child in children:
        child.join()
    assert runs(tmp_path / "runs") == 1


def test_threads_wait_too(store, tmp_path):
    compute = slow(store, tmp_path / "runs")
    threads = [threading.Thread(target=compute, args=[5]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs(tmp_path / "runs") == 1


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def hang_or_compute(store_path, path, lengths):
    @cn.Store(store_path).cache
    def compute():
        first = not path.exists()
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if first:
            time.sleep(600)
        return pd.DataFrame({"x": range(3)})

    lengths.put(len(compute()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_one_is_replaced(store, tmp_path, how):
    path, lengths = tmp_path / "runs", FORK.Queue()
    first, *others = (FORK.Process(target=hang_or_compute, args=[store.path, path, lengths]) for _ in range(4))
    first.start()
    wait_until(lambda: runs(path) == 1)
    for other in others:
        other.start()
    time.sleep(0.3)
    assert runs(path) == 1  # they wait
    assert store.gc().files == 0  # and gc does not take their lock away
    os.kill(first.pid, how)
    assert [lengths.get(timeout=60) for _ in others] == [3] * 3
    for child in (first, *others):
        child.join()
    assert runs(path) == 2


def test_a_child_that_is_forked_meanwhile_keeps_no_lock(store, tmp_path):
    """The process that computes is killed while a child that it forked goes on."""
    path, lengths, pids = tmp_path / "runs", FORK.Queue(), FORK.Queue()

    def with_a_child():
        @store.cache
        def compute():
            first = not path.exists()
            path.open("a").write("x\n")
            if first:
                child = os.fork()
                if child == 0:
                    time.sleep(600)
                pids.put(child)
                time.sleep(600)
            return pd.DataFrame({"x": range(3)})

        lengths.put(len(compute()))

    first, second = FORK.Process(target=with_a_child), FORK.Process(target=with_a_child)
    first.start()
    grandchild = pids.get(timeout=60)
    try:
        time.sleep(0.1)
        os.kill(first.pid, signal.SIGKILL)
        first.join()
        second.start()
        assert lengths.get(timeout=60) == 3
        second.join()
    finally:
        os.kill(grandchild, signal.SIGKILL)
