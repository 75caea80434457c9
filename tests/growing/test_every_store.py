"""A producer that is killed before its stores: the short form of `python -m growing.every_store`."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="stores are stepped by the trap flag of x86-64"),
]


def every_store(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "growing.every_store", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)


def test_nothing_is_torn_lost_or_left():
    every = () if "COLONNADE_EVERY_CALL" in os.environ else ("--every", "60", "--offset", "7")
    process = every_store(*every)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "nothing torn, lost or left" in process.stdout


def test_a_producer_that_publishes_before_it_writes_is_found():
    process = every_store("--every", "20", "--offset", "5", "publish first")
    assert process.returncode == 1
    assert "killed before step" in process.stderr
