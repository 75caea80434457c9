"""Daemon threads that are ended with the process, at every place where they ask for the GIL.

Python before 3.14 ends a daemon thread there while the interpreter is ending, and unwinds its frames. Where one of them
cannot be unwound the process ends by SIGABRT. Here a forked child ends a thread of its own at such a place, the first,
the second and so on, until the operation has none left; `support/thread_ends.cpp` does it. Calls that the end of the
process waits for (`interop/process_end.py`) are left out. Python code is such a place everywhere, and nanobind cannot be
unwound: a thread is also ended in Python functions that the core calls.

The short form takes some places of each operation. The long form is ``python -m faults.test_thread_ends`` in ``tests/``.
"""

import argparse
import ctypes
import itertools
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.interop import process_end

SOURCE = Path(__file__).parent.parent / "support/thread_ends.cpp"
ROWS = 30_000  # large enough for threads of the core
ENDED, DONE, HANGS = 5, 4, 3  # exit codes of a child
PATIENCE = 20  # seconds
MOST_CALLBACKS = 5


def build(folder):
    """Compile the library and load it. It leads the calls of all libraries that are loaded by then."""
    library = Path(folder) / "thread_ends.so"
    subprocess.run(["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return ctypes.PyDLL(str(library))


class _Stream:
    """A table that shows nothing but its stream."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        with process_end.finished_before_exit:  # it is the producer's
            return self.table.__arrow_c_stream__(requested_schema)


def operations(store, folder):
    """What a thread does, by name."""
    x = np.arange(float(ROWS))
    frame = pd.DataFrame({"x": x, "k": np.arange(ROWS)[::-1].copy(), "s": pd.Series(["text"] * ROWS, dtype="str"),
                          "c": pd.Categorical(np.arange(ROWS) % 1000)})  # fmt: skip
    small = pd.DataFrame({"x": [1.0]})
    objects = pd.DataFrame({"o": pd.Series([1, "a", None, (1, 2.5)] * 10, dtype=object)})
    columns = {f"c{i}": pa.array(x, mask=x % 5 == 0) for i in range(8)}
    table = pa.table(columns | {"s": ["text"] * ROWS, "d": pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode()})
    wide = pa.table({f"c{i}": np.arange(100.0) for i in range(600)})
    dates = pa.table({"d": pa.array([1, 2], pa.int32()).cast(pa.date32()), "l": [[1], [2]]})
    for name, data in {"frame": frame, "objects": objects, "views": table}.items():
        store.put(name, data, views=name == "views").close()
    keyed = store.put("keyed", frame, key="k")
    store.append("growing", small)
    pa.parquet.write_table(table, folder / "table.parquet")
    frame.head(2000).to_csv(folder / "table.csv", index=False)

    def share():
        with store.share(frame) as shared:
            pickle.loads(pickle.dumps(shared)).close()

    def allocate():
        with store.allocate("t", {"x": "float64"}, rows=100) as draft:
            draft["x"][:] = 1.0

    def by_reference():
        pickler = __import__("multiprocessing").reduction.ForkingPickler
        with cn.by_reference(min_bytes=0):
            pickle.loads(pickler.dumps(frame[["x", "k"]]))

    def append():
        with store.appender("growing", shared=True) as log:
            log.append(small)
            log.row(x=2.0)

    def follow():
        with store.follow("growing", start="first", timeout=0) as rows:
            next(rows).to_pandas()

    def put(data, **options):
        return lambda: store.put("t", data, **options).close()

    return {
        "to_pandas": lambda: cn.to_pandas(table),
        "to_pandas of many columns": lambda: cn.to_pandas(wide),
        "to_pandas of a stream": lambda: cn.to_pandas(_Stream(table)),
        "to_pandas of objects": lambda: cn.to_pandas(dates, date_as_object=True),
        "from_pandas": lambda: cn.from_pandas(frame),
        "put": put(frame),
        "put with a key": put(frame, key=["s", "k"]),
        "put of objects": put(objects),
        "put of a table": put(table, views=True, checksum=True),
        "put of an array": put(np.arange(100_000)),
        "get": lambda: store.get("frame"),
        "get of objects": lambda: store.get("objects"),
        "to_arrow": lambda: store.open("frame").to_arrow(),
        "to_polars": lambda: store.open("views").to_polars(),
        "locate": lambda: keyed.locate([5, 7]),
        "latest": lambda: store.latest("frame").frame,
        "share": share,
        "allocate": allocate,
        "by reference": by_reference,
        "append": append,
        "follow": follow,
        "load of Parquet": lambda: store.load("t", folder / "table.parquet").close(),
        "load of CSV": lambda: store.load("t", folder / "table.csv").close(),
        "dump": lambda: store.dump("frame", folder / "dumped.csv"),
        "check": store.check,
    }


def end_at(library, action, number, *, within_the_core=False):
    """Do something in a thread of a child, which is ended at a place; returns the child's exit code.

    ``within_the_core``: the places are calls of Python functions by the core.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end = threading.Event()

    core = ctypes.cast(ctypes.PyDLL(_core.__file__).PyInit__core, ctypes.c_void_p)
    calls = itertools.count(1)

    def look(_, event, __):
        if event == "call" and library.is_called_by(core) and next(calls) == number:
            ctypes.CDLL(library._name).end_thread()  # without the GIL

    def work():
        if within_the_core:
            sys.setprofile(look)
        else:
            library.end_thread_at(number)
        try:
            action()
        finally:
            sys.setprofile(None)
            library.stop_counting()
            end.set()

    threading.Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + PATIENCE
    while not end.is_set() and not library.thread_has_ended() and time.monotonic() < deadline:
        time.sleep(5e-4)
    if not end.is_set():
        time.sleep(2e-3)  # its frames are unwound
    os._exit(ENDED if library.thread_has_ended() else DONE if end.is_set() else HANGS)


class _LeftOut(process_end._Finished):
    """Calls that are left out, because the end of the process waits for them."""

    __slots__ = ()
    library = None

    def __enter__(self):
        super().__enter__()
        self.library.wait_for_call(1)

    def __exit__(self, *error):
        self.library.wait_for_call(-1)
        super().__exit__(*error)


def main():
    parser = argparse.ArgumentParser(description="End a thread at each place where an operation asks for the GIL.")
    parser.add_argument("--only", nargs="+", help="these operations")
    parser.add_argument("--most", type=int, default=1000, help="about so many places of each operation")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="colonnade-thread-ends-", dir="/dev/shm"))
    os.environ["COLONNADE_STORE"] = str(folder / "default")
    wrong = 0
    try:
        actions = operations(cn.Store(folder / "store"), folder)
        for action in actions.values():
            action()  # what it imports is there from now on
        library = _LeftOut.library = build(folder)
        library.end_thread_at.argtypes = [ctypes.c_long]
        library.watch_gil()
        process_end.finished_before_exit.__class__ = _LeftOut
        for name in options.only or actions:
            wrong += end_everywhere(library, name, actions[name], options.most)
    finally:
        shutil.rmtree(folder)
    return bool(wrong)


def end_everywhere(library, name, action, most):
    """End a thread at about so many places of an operation; returns in how many the process did not live on."""
    places, wrong = places_of(library, action), 0
    for number in range(1, places + 1, max(places // most, 1)):
        code = end_at(library, action, number)
        if code not in (ENDED, DONE):
            wrong += 1
            sys.stdout.write(f"WRONG {name}, place {number}: exit code {code}\n")
    number = 1
    while (code := end_at(library, action, number, within_the_core=True)) != DONE and number < MOST_CALLBACKS:
        if code != ENDED:
            wrong += 1
            sys.stdout.write(f"WRONG {name}, Python code number {number} within the core: exit code {code}\n")
        number += 1
    sys.stdout.write(f"SUM {name}: {places} places\n")
    sys.stdout.flush()
    return wrong


def places_of(library, action):
    """How often a thread asks for the GIL in an operation."""

    def count():
        library.end_thread_at(0)
        action()
        library.stop_counting()

    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    return library.gil_asked_for()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python ends no threads")
def test_no_place_ends_the_process():
    process = subprocess.run(
        [sys.executable, "-m", "faults.test_thread_ends", "--most", "12"],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    wrong = "\n".join(line for line in process.stdout.splitlines() if line.startswith("WRONG"))
    assert process.returncode == 0, (wrong, process.stdout[-300:], process.stderr[-2000:])
    places = dict(re.findall(r"^SUM (.*): (\d+) places$", process.stdout, re.MULTILINE))
    assert len(places) > 20
    assert int(places["put"]) > 5  # the library sees who asks


def test_the_end_waits_for_calls_that_run():
    """And calls that begin later stay where they are."""
    calls, events = process_end._Finished(), []

    def call(name, seconds=0.0):
        with calls:
            time.sleep(seconds)
            events.append(name)

    first = threading.Thread(target=call, args=("first", 0.05))
    first.start()
    while not calls._calls:
        time.sleep(1e-4)
    calls.end()
    assert events == ["first"]
    later = threading.Thread(target=call, args=("later",), daemon=True)
    later.start()
    later.join(0.1)
    assert later.is_alive()
    call("of the thread that ends")
    assert events == ["first", "of the thread that ends"]
    later.join()  # but what runs at exit may wait for it, so not for ever
    assert events[-1] == "later"


def test_the_end_waits_for_nobody_for_long():
    calls, end = process_end._Finished(), threading.Event()
    with calls:
        ending = threading.Thread(target=lambda: (calls.end(), end.set()))
        began = time.monotonic()
        ending.start()
        assert end.wait(PATIENCE)
        assert time.monotonic() - began >= process_end.LONGEST


if __name__ == "__main__":
    sys.exit(main())
