"""The examples run and print what their pages say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments, folder):
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    env = {**os.environ, "COLONNADE_STORE": str(folder / "store")}
    process = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert process.returncode == 0, process.stdout + process.stderr
    assert list(folder.iterdir()) == [], "it leaves nothing"
    return process.stdout


def test_web_workers_serve_from_one_table_and_go_over_to_a_new_one(folder):
    """The example itself asserts that each worker serves the new table without a restart."""
    pytest.importorskip("uvicorn")
    result = {}
    for line in run("web_workers.py", "--workers", 1, 3, "--rows", 2_000_000, folder=folder).splitlines():
        workers, table, shared, private = map(float, re.findall(r"\d+(?:\.\d+)?", line))
        result[workers] = (table, shared, private)
    assert result.keys() == {1, 3}
    for table, shared, _ in result.values():
        assert table == pytest.approx(32, rel=0.01)
        # Read whole, and there once. Pages that were put into huge ones meanwhile are mapped again when they are read.
        assert 0.5 * table < shared < 1.1 * table
    assert result[3][2] < result[1][2] + 16  # nobody has a copy of the table (32 MB)


def test_live_rows_are_streamed_and_none_is_missed(folder):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    output = run("live_rows.py", folder=folder).splitlines()
    assert output == ["received [20.0, 20.5]", "then [21.0, 21.5, 22.0], up to row 5"]
