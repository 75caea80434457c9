"""Fixtures of several tests of the public functions."""

import pytest

from support.producer import Producer
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
