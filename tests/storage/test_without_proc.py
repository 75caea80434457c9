"""Without /proc: calls that need it say so at once, and all others work."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys, time
import colonnade as cn, pandas as pd

def attempt(do):
    try:
        return str(do())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def allocate():
    with store.allocate("u", {"x": "float64"}, rows=5) as draft:
        draft["x"][:] = 1

def share():
    with store.share(large) as shared:
        if os.fork() == 0:
            os._exit(0)
        return os.wait()[1]

store, large = cn.Store(sys.argv[1]), pd.DataFrame({"x": range(400_000)})
assert not os.path.exists("/proc/self")
began = time.process_time()
watched = attempt(lambda: next(store.watch("t", timeout=0)))
found = {
    "watch": [watched, time.process_time() - began < 1],
    "put": [attempt(lambda: store.put("t", large).version) for _ in range(3)],
    "put in a folder": attempt(lambda: store.put("a/t", large[:3]).version),
    "get": attempt(lambda: len(store.get("t"))),
    "share": attempt(share),
    "allocate": attempt(allocate),
    "usage": attempt(store.usage),
    "full": attempt(lambda: cn.Store(sys.argv[1], capacity="1MiB").put("v", large)),
    "check": attempt(store.check),
    "delete": attempt(lambda: store.delete("t")),
    "gc": attempt(lambda: store.gc().folders),
    "left": sorted(os.listdir(sys.argv[1])),
}
print(json.dumps(found))
"""


def test_without_proc(folder):
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'umount -l /proc && exec "$0" "$@"',
        sys.executable,
        "-c",
        PROGRAM,
        folder / "s",
    ]
    if os.geteuid() != 0:
        pytest.skip("needs root, to unmount /proc")
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if "umount" in process.stderr or "unshare" in process.stderr:
        pytest.skip(f"/proc cannot be unmounted here: {process.stderr.strip()}")
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["watch"] == ["StoreAccessError: cannot watch for new versions: /proc is not mounted. Mount it", True]
    assert result["usage"].startswith(
        "StoreAccessError: cannot see which processes hold the store: /proc is not mounted"
    )
    assert result["full"].startswith("StoreFullError: ")
    assert (result["put"], result["put in a folder"], result["get"]) == (["1", "2", "3"], "1", "400000")
    assert (result["share"], result["allocate"], result["check"], result["delete"], result["gc"]) == (
        "0",
        "None",
        "[]",
        "None",
        "0",
    )
    assert result["left"] == ["a", "u.arrow"]
