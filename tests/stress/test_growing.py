"""Kills of producers of a growing table at random, for seconds; `make stress` does thousands."""

import subprocess
import sys
from pathlib import Path


def run(*options):
    command = [sys.executable, "-m", "stress.growing", *map(str, options)]
    return subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=100
    )


def test_readers_see_what_was_published():
    process = run("--kills", 40, "--seed", 1)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "40 kills" in process.stdout


def test_an_overwritten_row_ends_the_run():
    process = run("--kills", 2000, "--seed", 2, "--tear")
    assert process.returncode == 1
    assert "FAILED, seed 2" in process.stdout
