"""The rows so far of growing tables, as they are written for other hosts."""

import threading
from types import SimpleNamespace

import pandas as pd
import pytest

from colonnade import _rows_so_far
from colonnade._attach import attach
from colonnade._rows_so_far import RowsSoFar
from colonnade._share import share
from colonnade.storage.opening import open_catalog


@pytest.fixture
def growing(store):
    """A growing table of one row, and its rows so far."""
    grow(store)
    yield RowsSoFar(open_catalog(store.path))
    store.delete("ticks")


def grow(store):
    store.append("ticks", pd.DataFrame({"x": [1.0]}))


def test_the_rows_are_those_of_the_time_of_asking(store, growing, monkeypatch):
    """Who waits meanwhile sees no more of them. So all who asked at one number of rows get the same table."""
    attached, tables = threading.Semaphore(0), []

    def attach_and_say(*arguments):
        snapshot = attach(*arguments)
        attached.release()
        return snapshot

    monkeypatch.setattr(_rows_so_far, "attach", attach_and_say)
    threads = [threading.Thread(target=lambda: tables.append(growing.table("ticks", None)[2])) for _ in range(2)]
    with growing._lock:
        for thread in threads:
            thread.start()
        for _ in threads:
            assert attached.acquire(timeout=10)
        grow(store)
    for thread in threads:
        thread.join()
    assert [table.version for table in tables] == [1, 1]
    assert tables[0] is tables[1]


def test_rows_that_were_dropped_are_not_those_that_were_never_there(growing, monkeypatch):
    """Neither table has any rows, but their versions differ."""
    monkeypatch.setattr(_rows_so_far, "attach", lambda *arguments: attach(*arguments).last(0))
    tables = [growing.table("ticks", version)[2] for version in (0, 1, 1)]
    assert [table.num_rows for table in tables] == [0, 0, 0]
    assert tables[0] is not tables[1]
    assert tables[1] is tables[2]


def test_rows_that_took_long_to_write_are_the_newest_for_as_long_again(store, growing, monkeypatch):
    """For those who ask for no number of rows, or for the same one though some were dropped meanwhile."""
    now, seconds = 100.0, 0.0

    def share_slowly(*arguments, **options):
        nonlocal now
        now += seconds
        return share(*arguments, **options)

    def newest():
        return growing.table("ticks", None)[2]

    monkeypatch.setattr(_rows_so_far, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(_rows_so_far, "share", share_slowly)
    first = newest()
    grow(store)
    assert newest().version == 2  # what is written at once is always new
    assert first.version == 1
    grow(store)
    seconds = 30.0
    second = newest()
    assert second.version == 3
    grow(store)
    now += 29.9
    assert newest() is second
    fourth = growing.table("ticks", 4)[2]
    assert fourth.version == 4
    monkeypatch.setattr(_rows_so_far, "attach", lambda *arguments: attach(*arguments).last(1))
    assert growing.table("ticks", 4)[2] is fourth
    monkeypatch.setattr(_rows_so_far, "attach", attach)
    del second
    assert newest().version == 4  # a table that is freed is written again
    store.delete("ticks")
    grow(store)
    assert newest().version == 1  # a growing table of the same name
