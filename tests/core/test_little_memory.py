"""When memory runs out, every operation raises MemoryError, and none ends the process.

Where it is the kernel that refuses to map a file of the store, it is a StoreAccessError that says so.

A child prepares its data, limits its address space to a little more than it has, and does one thing. The limits begin where
nothing can be had, and grow until the work succeeds. ``tests/core/stress.cpp`` fails each single allocation of the core.
"""

import subprocess
import sys

import pytest

CHILD = """
import datetime, errno, resource, sys
import numpy as np, pandas as pd, pyarrow as pa
import colonnade as cn
from colonnade import _core

operation, folder, limits = sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3:]]
rows = 60_000
days = pa.array(np.arange(rows, dtype=np.int32) % 20_000).cast(pa.date32())
nulls = pa.array(np.arange(rows) % 3 == 0, mask=np.arange(rows) % 7 == 0)
numbers = pa.array(np.arange(float(rows)))
texts = [f"text {i}" for i in range(rows)]
table = pa.table({"d": days, "b": nulls, "x": numbers, "i": pa.array(np.arange(rows)), "s": texts})
frame = pd.DataFrame({
    "x": np.arange(float(rows)), "o": [datetime.date(2024, 1, 1 + i % 28) for i in range(rows)], "s": texts,
    "k": np.arange(rows)[::-1].copy(), "c": pd.Categorical(np.arange(rows) % 1000),
})
store = cn.Store(folder)
store.put("t", frame, key="k").close()
opened = store.open("t")
operations = {
    "to_pandas": lambda: cn.to_pandas(table),
    "from_pandas": lambda: cn.from_pandas(frame),
    "put": lambda: store.put("put", frame).close(),
    "put of a table": lambda: store.put("put", table).close(),
    "put with a key": lambda: store.put("put", frame, key=["s", "k"], checksum=True).close(),
    "get": lambda: store.get("t"),
    "rows": lambda: store.open("t").rows(np.arange(0, rows, 2)),
    "validate": lambda: opened.validate(),
}
work = operations[operation]
for _ in range(2):
    work()  # whatever is imported or made once
_core.trim_pool()
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
for limit in limits:
    resource.setrlimit(resource.RLIMIT_AS, (used + limit, resource.RLIM_INFINITY))
    try:
        work()
        said = "done"
    except MemoryError:
        said = "MemoryError"
    except cn.StoreAccessError as error:
        said = "no room for a file" if error.errno == errno.ENOMEM else repr(error)
    except BaseException as error:
        said = repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(limit, said, flush=True)
    _core.trim_pool()
work()
"""

LIMITS = [0, 50_000, 200_000, *(n << 20 for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 1024))]
OPERATIONS = (
    "to_pandas", "from_pandas", "put", "put of a table", "put with a key", "get", "rows", "validate",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_memory_that_runs_out_is_a_memory_error(operation, folder):
    command = [sys.executable, "-c", CHILD, operation, str(folder / "s"), *map(str, LIMITS)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    output = [line.partition(" ")[2] for line in process.stdout.splitlines()]
    assert process.returncode == 0, (process.returncode, process.stdout, process.stderr[-3000:])
    assert len(output) == len(LIMITS)
    assert set(output) <= {"done", "MemoryError", "no room for a file"}, process.stdout
    assert output[-1] == "done"
    if operation != "validate":  # it looks at values where they are, and may need nothing
        assert output[0] != "done"
    if operation in {"to_pandas", "from_pandas"}:  # the others map a file first
        assert "no room for a file" not in output
