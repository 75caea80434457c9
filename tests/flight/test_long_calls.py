"""Calls that take longer than a client waits."""

import threading

import pytest

from colonnade.flight import long_calls
from colonnade.flight.long_calls import LongCalls, NotYetError


class Slow:
    """A function that returns, or raises, when the test says so."""

    def __init__(self, error=None):
        self.calls, self.error, self.go = 0, error, threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self):
        self.calls += 1
        self.begun.release()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error
        return self.calls


def test_whoever_asks_again_waits_for_the_same_call(monkeypatch):
    monkeypatch.setattr(long_calls, "_SHORT", 0.0)
    calls, slow = LongCalls(), Slow()
    for _ in range(3):
        with pytest.raises(NotYetError):
            calls.result("a", slow, 0.01)
    assert slow.begun.acquire(timeout=10)
    assert slow.calls == 1
    slow.go.set()
    assert calls.result("a", slow, None) in (1, 2)  # the same call, or a new one if that has ended already
    assert calls.result("b", slow, None) == slow.calls
    assert calls._calls == {}


def test_a_call_that_has_just_begun_is_not_waited_for(monkeypatch):
    """It may not find what is there now. Later all wait for the oldest one, however many there are."""
    monkeypatch.setattr(long_calls, "_SHORT", 60.0)
    calls, slow = LongCalls(), Slow()
    for _ in range(3):
        with pytest.raises(NotYetError):
            calls.result("a", slow, 0.01)
        assert slow.begun.acquire(timeout=10)
    assert slow.calls == 3
    monkeypatch.setattr(long_calls, "_SHORT", 0.0)
    for _ in range(3):
        with pytest.raises(NotYetError):
            calls.result("a", slow, 0.01)
    assert slow.calls == 3
    slow.go.set()


def test_an_error_of_the_function_is_raised_where_it_is_waited_for():
    calls, slow = LongCalls(), Slow(TimeoutError("of the function"))
    slow.go.set()
    with pytest.raises(TimeoutError, match="of the function"):
        calls.result("a", slow, 10)
    assert calls._calls == {}
