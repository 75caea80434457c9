"""What type checkers see of the public API: a typed program passes, and its wrong lines are errors."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

USER = Path(__file__).parent / "public_api.py"
WRONG = {number for number, line in enumerate(USER.read_text().splitlines(), 1) if line.endswith("# error")}


def test_mypy():
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes", str(USER)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in process.stdout.splitlines() if ": error:" in line]
    assert {int(line.split(":")[1]) for line in lines} == WRONG, process.stdout + process.stderr


def test_pyright(tmp_path):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(USER)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=tmp_path)
    try:
        report = json.loads(process.stdout)
    except ValueError:
        pytest.skip(f"pyright does not run here: {(process.stdout + process.stderr).strip()[-200:]}")
    errors = [item for item in report["generalDiagnostics"] if item["severity"] == "error"]
    assert {item["range"]["start"]["line"] + 1 for item in errors} == WRONG, process.stdout
