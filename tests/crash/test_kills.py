"""Writers killed at every step of a put: the name leads to the old version or the new one, and nothing else remains."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support import unnamed

# Where a put changes what others could see, or holds something. Each is patched to kill its own process just before or after.
STEPS = {
    "before the draft": ("colonnade.storage.draft.Draft.__init__", "before"),
    "after the draft": ("colonnade.storage.draft.Draft.__init__", "after"),
    "before the bytes": ("colonnade.format.write.table.Placement.write_to_memory", "before"),
    "after the bytes": ("colonnade.format.write.table.Placement.write_to_memory", "after"),
    "holding the lock": ("colonnade.storage.catalog.Catalog.seal_in", "after"),
    "before the link": ("colonnade.storage.draft.Draft.stage", "before"),
    "after the link": ("colonnade.storage.draft.Draft.stage", "after"),
    "after retaining": ("os.link", "after"),
    "before the rename": ("os.rename", "before"),
    "after the rename": ("os.rename", "after"),
}

WRITER = """
import os, signal, sys, importlib
import numpy as np, pandas as pd
import colonnade as cn
import colonnade.store, colonnade.format.write.table
path, when, store = sys.argv[1:]
module, _, names = path.partition(".")
parts = path.split(".")
for i in range(len(parts), 0, -1):
    try:
        owner = importlib.import_module(".".join(parts[:i])); rest = parts[i:]; break
    except ModuleNotFoundError:
        pass
for name in rest[:-1]:
    owner = getattr(owner, name)
real = getattr(owner, rest[-1])
def step(*args, **kwargs):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, rest[-1], step)
cn.Store(store).put("t", pd.DataFrame({"x": np.full(400_000, 2.0)}), keep=2)
"""


@pytest.mark.parametrize("tmpfile", [True, False], ids=["unnamed", "temporary name"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(small, step, tmpfile):
    store = cn.Store(small / "store")
    store.put("t", pd.DataFrame({"x": np.full(400_000, 1.0)}), keep=2)
    free = os.statvfs(store.path).f_bavail
    frame = store.get("t")
    program = WRITER if tmpfile else unnamed.PROGRAM + WRITER
    killed = subprocess.run(
        [sys.executable, "-c", program, *STEPS[step], str(store.path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    snap = store.open("t")
    assert (snap.version, snap.to_pandas()["x"].iloc[-1]) == ((2, 2.0) if step == "after the rename" else (1, 1.0))
    assert store.check() == []
    assert (frame["x"] == 1.0).all()
    store.gc()
    if step != "after the rename":
        # The kernel drops the locks of a killed process a moment later, where somebody looks at its memory meanwhile.
        deadline = time.monotonic() + 10
        while os.statvfs(store.path).f_bavail != free and time.monotonic() < deadline:
            time.sleep(0.01)
            store.gc()
        assert os.statvfs(store.path).f_bavail == free
    assert store.put("t", pd.DataFrame({"x": [3.0]})).version == snap.version + 1
    store.gc()
    assert sorted(os.listdir(store.path)) == ["t.arrow"]


def test_killed_at_random(store):
    """Kills at random moments while readers run; the long form is in tests/stress."""
    program = f"""
import itertools, colonnade as cn, numpy as np, pandas as pd
store = cn.Store({str(store.path)!r})
for i in itertools.count():
    store.put("t", pd.DataFrame({{"x": np.full(200_000, i), "y": pd.array([str(i)] * 200_000, "str")}}), keep=1 + i % 3)
    print(flush=True)
"""
    rng = np.random.default_rng(5)
    version = 0
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(rng.random() * 0.08)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        snap = store.open("t")
        df = snap.to_pandas()
        assert df["x"].nunique() == 1
        assert df["y"].nunique() == 1
        assert snap.version > version
        version = snap.version
        assert store.check() == []
