"""Runs the examples, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples/python"


def run(*arguments, folder):
    env = {**os.environ, "COLONNADE_STORE": str(folder / "store")}
    process = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


LOOK = """
import runpy, sys
from pathlib import Path
example, folder, view = sys.argv[1:]
names = runpy.run_path(example, run_name="__main__")
view = eval(view)
mapped = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if folder in line]
print("shared:", any(int(first, 16) <= view.ctypes.data < int(last, 16) for first, last in mapped))
"""
