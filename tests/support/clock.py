"""Lets lifetimes end without waiting for it."""

import contextlib
import time
from types import SimpleNamespace
from unittest import mock


@contextlib.contextmanager
def later(seconds=2):
    """In this block, tables expire in this process as they would so many seconds from now."""
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + seconds * 1_000_000_000)
    with mock.patch("colonnade.storage.capacity.time", clock):
        yield
