"""The harness of `test_anomalies` finds operations that break each of its rules."""

import contextlib
import errno
import faulthandler
import fcntl
import os

import pandas as pd
import pytest

import colonnade as cn
from support import anomalies, stepping


@pytest.fixture(autouse=True)
def traced():
    if why := stepping.why_no_failures():
        pytest.skip(why)


def failing(action, folder, error=errno.EIO):
    """The outcomes of failing each call of an action."""
    calls = anomalies.run(action, folder).calls
    return [anomalies.run(action, folder, fail_at=number, error=error) for number in range(1, calls + 1)]


def test_it_counts_calls_and_makes_each_fail(folder):
    def act():
        os.mkdir(folder / "a")
        os.rmdir(folder / "a")

    outcomes = failing(act, folder, errno.ENOSPC)
    assert [outcome.failed for outcome in outcomes] == [(83,), (84,)]  # mkdir, rmdir
    assert [outcome.error.split()[0] for outcome in outcomes] == ["OSError", "OSError"]
    assert all("No space left" in outcome.text for outcome in outcomes)
    assert anomalies.run(lambda: None, folder).calls == 0


def test_from_then_on(folder):
    def act():
        for number in range(4):
            with contextlib.suppress(OSError):
                os.mkdir(folder / f"{number}")

    anomalies.run(act, folder, fail_at=3, error=errno.EIO, from_then_on=True)
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1"]


def test_a_call_that_fails_is_not_made_and_a_close_is(folder):
    def act():
        fd = os.open(folder / "file", os.O_CREAT | os.O_RDWR)
        os.close(fd)

    is_open, closed = failing(act, folder)
    assert is_open.error
    assert closed.error
    assert closed.left == ()


def test_it_sees_a_descriptor_a_lock_and_a_mapping_that_are_left(folder):
    def act():
        fd = os.open(folder / "file", os.O_CREAT | os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)

    left = anomalies.run(act, folder).left
    assert [text.split()[0] for text in left] == ["descriptor", "lock"]
    store = cn.Store(folder / "s")
    store.put("t", pd.DataFrame({"x": range(300_000)})).close()
    objects = []
    assert any("mapping" in text for text in anomalies.run(lambda: objects.append(store.get("t")), folder).left)


def test_it_sees_a_child_that_ends_in_a_signal(folder):
    def abort():
        faulthandler.disable()  # pytest's would print where this was, as if something had failed
        os.abort()

    outcome = anomalies.run(abort, folder)
    assert outcome.error == "no report"
    assert "-6" in outcome.text
