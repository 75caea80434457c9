"""Frames as large as a spare must be, and what tests ask about segments."""

import subprocess
import sys

import numpy as np
import pandas as pd

MIB = 1 << 20


def frame(value, mib=4):
    return pd.DataFrame({"x": np.full(mib * MIB // 8, float(value))})


def spares(store):
    folder = store.path / ".segments"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime) if folder.exists() else []


def inode(store, name="t"):
    return (store.path / f"{name}.arrow").stat().st_ino


def reader(store, program="sys.stdin.readline()"):
    """A process that opens the newest version as a frame, and reports when it has it."""
    text = f"""
import sys, colonnade as cn
df = cn.Store({str(store.path)!r}).get("t")
print("ready", flush=True)
{program}
"""
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
