"""Fixtures of several tests of the public functions."""

import pytest

from colonnade._by_reference import pickling
from support.producer import Producer
from support.references import segments
from support.watches import NAME, PATIENCE


@pytest.fixture(scope="module")
def producer():
    producer = Producer()
    yield producer
    producer.close()


@pytest.fixture
def watch(store):
    with store.watch(NAME, timeout=PATIENCE) as watch:
        yield watch


@pytest.fixture
def shop(default_store):
    """The default store. After a test it may contain only a process group and spares."""
    yield default_store
    assert pickling._sending == []
    assert set(segments(default_store)) <= {"group", "spare"}
    assert default_store.check() == []
