"""Tests that fork: the warning that Python gives then, and the end of the child."""

import os
import time

import pytest

FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def wait_for(child, seconds=20):
    """The exit status of a forked child. A child that hangs is killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        result, status = os.waitpid(child, os.WNOHANG)
        if result:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"
