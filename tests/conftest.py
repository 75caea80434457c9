"""Stores for tests: in shared memory, as in real use; each ends with a check of everything in it.

Tests that need privileges run as root, else in a user namespace; `support.privileges` says how.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import colonnade as cn
from support import order, privileges, quick_lane

_HERE = Path(__file__).parent
_SLOW_FOLDERS = {"concurrency", "crash", "examples", "flight", "readers", "stress", "typing"}

settings.register_profile(
    "colonnade",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("quick", settings.get_profile("colonnade"), max_examples=10)
settings.load_profile("colonnade")


def pytest_configure(config):
    if config.getoption("quick"):
        settings.load_profile("quick")
    config.option.loadscopereorder = False  # of pytest-xdist, which would begin with the files of the most tests


def pytest_collection_modifyitems(config, items):
    """Mark whole folders as slow: each of their tests starts processes, or runs for a time that was chosen."""
    for item in items:
        folder = item.path.relative_to(_HERE).parts[0] if item.path.is_relative_to(_HERE) else None
        if folder in _SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    if config.getoption("quick"):
        selection, left_out = quick_lane.select(items)
        config.hook.pytest_deselected(items=left_out)
        items[:] = selection
    if hasattr(config, "workerinput"):  # one of several processes
        items[:] = order.long_files_first(items)


def pytest_runtest_protocol(item, nextitem):
    """Run a test that needs privileges in a namespace where this user is root."""
    kind = privileges.needed(item)
    if kind is None or privileges.why_not_here(kind) is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    item.ihook.pytest_runtest_logreport(report=privileges.run_elsewhere(item, kind))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say how many tests of security and of full disks were skipped, and why, in the last lines."""
    yield
    for line in privileges.summary(terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture
def folder():
    """A fresh directory in shared memory."""
    path = Path(tempfile.mkdtemp(prefix="colonnade-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def store(folder):
    """A store that is clean at the end of the test."""
    store = cn.Store(folder / "store")
    yield store
    assert store.check() == []
    store.gc()
    assert not [name for name in os.listdir(store.path) if name.startswith(".")] if store.path.exists() else True


@pytest.fixture
def default_store(folder, monkeypatch):
    """The default store, moved to a fresh directory."""
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "default"))
    return cn.Store()


@pytest.fixture
def small(folder):
    """A real file system of 32 MiB, of this test alone."""
    place = folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)
