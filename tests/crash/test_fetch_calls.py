"""Killed in a fetch: the process that serves, that fetches, that waits. A few calls of each here; `make stress` takes all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import stepping

POINTS = 0 if "COLONNADE_EVERY_CALL" in os.environ else 3
ROLES = ["fetcher", "server", "waiter"]
if POINTS == 0:
    ROLES += ["stopped-fetcher", "stopped-server"]  # ten seconds for each call


@pytest.mark.slow
@pytest.mark.timeout(3600 if POINTS == 0 else 300)
@pytest.mark.parametrize("role", ROLES)
def test_killed_before_a_call(role):
    if why := stepping.why_no_failures():
        pytest.skip(why)
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "crash.fetch_calls", "--points", str(POINTS), "--roles", role],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.startswith(f"{role}: ")
