"""Processes that end while other threads are in the core. They must end with the exit code of their main thread.

Python (before 3.14) ends a thread that asks for the GIL when the interpreter is ending. It unwinds the thread's frames, and a
noexcept frame turns that into SIGABRT.
"""

import subprocess
import sys

import pytest

END = """
import sys, threading, time
import numpy as np, pandas as pd, pyarrow as pa
import colonnade as cn

kind, folder, delay = sys.argv[1], sys.argv[2], float(sys.argv[3])
store = cn.Store(folder)
values = np.arange(1_000_000, dtype=float)
table = pa.table({f"c{i}": pa.array(values, mask=values % 5 == 0) for i in range(8)})
chunked = pa.chunked_array([[1]] * 20_000)
chunks = pa.table({f"c{i}": chunked for i in range(8)})
frame = pd.DataFrame({f"c{i}": values + i for i in range(8)})
started = threading.Event()


WORK = {
    "to_pandas": lambda: cn.to_pandas(table),
    "chunks": lambda: cn.to_pandas(chunks),
    "from_pandas": lambda: cn.from_pandas(frame),
    "put": lambda: store.put("table", frame),
    "share": lambda: store.share(frame),
}


def work():
    while True:
        WORK[kind]()
        started.set()  # after the first call: what it imports is there


for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
started.wait()
time.sleep(delay)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["to_pandas", "chunks", "from_pandas", "put", "share"])
def test_a_process_ends_while_threads_are_in_the_core(kind, folder):
    for number in range(4):
        command = [sys.executable, "-c", END, kind, str(folder / "store"), str(0.01 + 0.013 * number)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (process.returncode, process.stderr) == (0, "")
