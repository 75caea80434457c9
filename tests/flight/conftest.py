"""Two hosts: an origin, whose store a separate process serves, and a store that receives."""

import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support.hosts import TOKEN, Host, serving


@pytest.fixture
def token(monkeypatch):
    """The token of this process."""
    monkeypatch.setenv("COLONNADE_TOKEN", TOKEN)
    return TOKEN


@pytest.fixture(scope="module")
def served():
    """A store that a process serves to the tests of a file."""
    path = Path(tempfile.mkdtemp(prefix="colonnade-test-", dir="/dev/shm"))
    with Host(path) as host:
        yield cn.Store(path), host
    shutil.rmtree(path)


@pytest.fixture
def origin(served):
    """The store of the other host."""
    store = served[0]
    yield store
    for table in store.ls():
        store.delete(table.name)
    assert store.check() == []


@pytest.fixture
def host(served, token):
    """The process that serves the origin."""
    return served[1]


@pytest.fixture
def mortal(folder, token):
    """Another store and the process that serves it, which may be stopped and killed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, also for the processes that are started
    try:
        with serving(folder / "mortal") as (store, host):
            yield store, host
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def frame():
    """A frame of all kinds of columns."""
    rows = 1000
    return pd.DataFrame(
        {
            "x": np.where(np.arange(rows) % 5, np.arange(rows) / 7, np.nan),
            "s": pd.Series([None if row % 3 == 0 else f"row {row}" for row in range(rows)], dtype="str"),
            "c": pd.Categorical.from_codes(np.arange(rows) % 3 - 1, ["a", "b"]),
            "b": np.arange(rows) % 2 == 0,
        },
        index=pd.date_range("2026-01-01", periods=rows, freq="s", name="t"),
    )


@pytest.fixture
def large():
    """A frame of 48 MiB: it comes by two streams."""
    return pd.DataFrame({"a": np.arange(3 << 20, dtype="float64"), "b": np.arange(3 << 20)[::-1].copy()})
