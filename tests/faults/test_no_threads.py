"""A process that can start no thread: its user, or its container, has as many as it may."""

import os
import subprocess
import sys

import pytest

from support.users import OTHER

# PyArrow starts threads when it first needs one, and they cannot be taken away. So this is a new process.
PROGRAM = """
import os, resource, sys
import numpy as np, pandas as pd, pyarrow as pa
import colonnade as cn
import colonnade._load, colonnade.io.load, encodings.unicode_escape  # other users cannot read what is imported later

folder = sys.argv[1]
frame = pd.DataFrame({"x": np.arange(300_000.0), "name": ["a"] * 300_000, "list": [[1]] * 300_000}).set_index("name")
table = pa.Table.from_pandas(frame, nthreads=1)
dates = pa.table({"d": pa.array(np.arange(50_000, dtype=np.int32)).cast(pa.date32()), "l": [[1]] * 50_000})
frame.head(10)[["x"]].to_csv(folder + "/table.csv")
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
store = cn.Store(folder + "/store")
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
store.put("t", table).close()
assert store.get("t").index.equals(frame.index)  # with the metadata that PyArrow was asked about
assert store.get("t")["list"].iloc[-1].tolist() == [1]
assert len(cn.to_pandas(dates, date_as_object=True)) == 50_000
try:
    store.load("loaded", folder + "/table.csv")
except MemoryError as error:
    assert "ulimit -u" in str(error)
else:
    raise AssertionError("loaded without a thread")
assert store.ls()[0].name == "t" and len(store.ls()) == 1
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_put_and_get_need_no_thread_and_load_says_so(folder):
    folder.chmod(0o777)
    command = [sys.executable, "-c", PROGRAM, str(folder), str(OTHER)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (process.returncode, process.stderr) == (0, "")
