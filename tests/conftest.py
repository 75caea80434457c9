"""Stores for tests: in shared memory, as in real use; each ends with a check of everything in it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import colonnade as cn

settings.register_profile(
    "colonnade",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("colonnade")


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
    command = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "none", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs privileges")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
