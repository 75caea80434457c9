"""Each allocation of the core fails, in turn, in each operation that uses it.

The operation then succeeds or raises MemoryError (where the kernel refuses to map a file: StoreAccessError), an error means that the store is
unchanged, the process keeps no descriptor, lock or mapping, and no run ends by a signal. Memory, mappings and threads all fail. A library that
is preloaded makes them fail: `support/failing_allocations.cpp`.

The short form fails a fifth of the allocations, which a seed chooses, and some of them and all later ones. The long form is ``python -m faults.test_allocations`` in ``tests/``.
"""

import argparse
import contextlib
import ctypes
import datetime as dt
import errno
import gc
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.format.stripes import STRIPE
from growing import rows
from support import anomalies

SHIM = "COLONNADE_TEST_SHIM"
SOURCE = Path(__file__).parent.parent / "support/failing_allocations.cpp"
ROWS = 30_000  # large enough to be mapped, and for threads


def build(folder):
    """Compile the library that is preloaded."""
    shim = Path(folder) / "failing_allocations.so"
    subprocess.run(["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o", shim, SOURCE, "-ldl"], check=True)
    return shim


# ---- What is done ----------------------------------------------------------------------------------------------------


def _frame(rows):
    return pd.DataFrame({
        "x": np.arange(float(rows)), "k": np.arange(rows)[::-1].copy(), "s": pd.Series(["text"] * rows, dtype="str"),
        "c": pd.Categorical(np.arange(rows) % 1000), "b": pd.array([True, None] * (rows // 2), "boolean"), **{f"y{i}": np.arange(float(rows)) for i in range(8)},
    })  # fmt: skip


def _frame_of_objects(rows):
    return _frame(rows).assign(
        o=pd.Series([dt.date(2024, 1, 1 + i % 28) for i in range(rows)], dtype=object),
        m=pd.Series([1, "a", None, (1, 2.5)] * (rows // 4), dtype=object),
    )


def _table(rows):
    days = pa.array(np.arange(rows, dtype=np.int32) % 20_000).cast(pa.date32())
    nulls = pa.array(np.arange(rows) % 3 == 0, mask=np.arange(rows) % 7 == 0)
    text = pa.array(["text", "a text of more than twelve bytes"] * (rows // 2))
    table = pa.table({"d": days, "b": nulls, "x": np.arange(float(rows)), "i": pa.array([1, None] * (rows // 2)),
                      "s": text, "v": text.cast(pa.string_view()), "c": text.dictionary_encode()})  # fmt: skip
    return pa.concat_tables([table.slice(0, rows // 3), table.slice(rows // 3)])


class _Stream:
    """A table that shows nothing but its stream."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def operations(store):
    """Each operation by its name: (the table that it changes, by how many versions; or None; and what it does)."""
    frame, table, small = _frame(ROWS), _table(ROWS), _frame_of_objects(40)
    wide = pa.table({f"c{i}": np.arange(100.0) for i in range(600)})
    expected = pd.DataFrame({"k": [5, 7, -1]})
    store.put("keyed", frame, key="k").close()
    store.put("views", table, views=True).close()
    store.put("array", np.arange(100_000).reshape(100, 1000)).close()
    keyed, viewed = store.open("keyed"), store.open("views")

    def put(data, **options):
        return ("t", 1), lambda: store.put("t", data, **options).close()

    def share():
        with store.share(frame) as shared:
            pickle.loads(pickle.dumps(shared)).close()

    def allocate():
        with store.allocate("t", {"x": "float64"}, rows=ROWS) as draft:
            draft["x"][:] = 1.0

    def by_reference():
        pickler = __import__("multiprocessing").reduction.ForkingPickler
        with cn.by_reference(min_bytes=0):
            plain = frame[["x", "k"]]
            for _ in range(2):  # the second time it is known
                pickle.loads(pickler.dumps(plain))

    log = store.appender("g", like=rows.make(0, 1), retain=8)
    log.append(rows.make(0, 20))
    plain = store.appender("plain", {"x": "float64", "n": "int64"}, retain=8)
    latest = store.latest("g")

    def append(count):
        return ("g", count), lambda: log.append(rows.make(log.num_rows, log.num_rows + count))

    def follows():
        with store.follow("g", start="first", timeout=0) as follow:
            rows.verify_pandas(next(follow).to_pandas())
        rows.verify_pandas(latest.frame)

    return {
        "put of a small frame": put(small),
        "put": put(frame),
        "put of a table": put(table),
        "put of a stream": put(_Stream(table)),
        "put of many columns": put(wide),
        "put with a key": put(frame, key=["s", "k"]),
        "put with a checksum": put(frame, checksum=True),
        "put with views": put(table, views=True),
        "put, sorted": put(frame, sort_by="k"),
        "put of an array": put(np.arange(100_000).reshape(100, 1000)),
        "load": (("t", 1), lambda: store.load("t", _Stream(table)).close()),
        "allocate": (("t", 1), allocate),
        "share": (None, share),
        "by reference": (None, by_reference),
        "get": (None, lambda: store.get("keyed").sum(numeric_only=True)),
        "get of an array": (None, lambda: store.open("array").to_numpy().sum()),
        "open": (None, lambda: store.open("keyed").to_arrow()),
        "to_polars": (None, viewed.to_polars),
        "locate": (None, lambda: keyed.locate(expected["k"])),
        "rows": (None, lambda: store.open("keyed").rows(np.arange(0, ROWS, 2))),
        "validate": (None, lambda: (keyed.validate(), viewed.validate())),
        "check": (None, store.check),
        "to_pandas": (None, lambda: cn.to_pandas(table)),
        "to_pandas of a stream": (None, lambda: cn.to_pandas(_Stream(wide))),
        "to_pandas of dates": (None, lambda: cn.to_pandas(table.select(["d", "b", "i", "c"]), date_as_object=True)),
        "from_pandas": (None, lambda: cn.from_pandas(frame)),
        "append": append(5),
        "append into another segment": append(STRIPE + 5),
        "append of arrays": (("plain", 5), lambda: plain.append({"x": np.arange(5.0), "n": np.arange(5)})),
        "append of a row": (("g", 1), lambda: log.row(**rows.make(log.num_rows, log.num_rows + 1).iloc[0].to_dict())),
        "append of a row of numbers": (("plain", 1), lambda: plain.row(x=1.5, n=2)),
        "flush": (None, log.flush),
        "get of a growing table": (None, lambda: rows.verify_pandas(store.get("g"))),
        "follow and latest": (None, follows),
    }  # fmt: skip


# ---- One run ---------------------------------------------------------------------------------------------------------


class Allocations:
    """The library that was preloaded, and where the core's code is."""

    def __init__(self):
        self._shim = ctypes.CDLL(os.environ[SHIM])
        ranges = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines()
                  if line.endswith(_core.__file__) and "x" in line.split()[1]]  # fmt: skip
        self._first, self._last = (int(part, 16) for part in ranges[0].split("-"))
        self._shim.watch_allocations.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]

    @contextlib.contextmanager
    def failing(self, fail_at, from_then_on=False):
        self._shim.watch_allocations(self._first, self._last, fail_at, from_then_on)
        try:
            yield
        finally:
            self.counted, self.failed = self._shim.allocations_counted(), self._shim.allocations_failed()
            self._shim.watch_allocations(0, 0, 0, 0)


def run(allocations, store, action, fail_at, from_then_on):
    """Run an operation once; returns what it raised, None for nothing. Its frames and their memory are gone."""
    _core.trim_pool()  # so that each run takes fresh memory
    error = None
    try:
        with allocations.failing(fail_at, from_then_on):
            action()
    except BaseException as caught:
        error = caught.with_traceback(None)
        error.__cause__ = error.__context__ = None
    gc.collect()
    return error


def version_of(store, name):
    """The version of a table; of a growing one the number of rows."""
    with store.open(name) as snap:
        return snap.version


def _is_of_a_segment(held):
    return "@live/0" in held or "/store/#" in held  # with a name, or from before it had one


def wrong_with(store, changes, error, before):
    """What does not hold after a run: a list of sentences."""
    wrong = []
    is_right = error is None or type(error) is MemoryError
    if not is_right and not (isinstance(error, cn.StoreAccessError) and error.errno == errno.ENOMEM):
        wrong.append(f"raised {error!r}")
    version, holdings = before
    name, by = changes
    expected = version + (by if error is None else 0)
    if (result := version_of(store, name)) != expected:
        wrong.append(f"version {result} is there, not {expected}; raised {error!r}")
    left = anomalies.holdings(store.path) - holdings
    if (
        name != "t"
    ):  # its appender goes from segment to segment, and has none after an append that it could not take back
        left = {each for each in left if not _is_of_a_segment(each)}
    wrong += [f"left: {each}" for each in sorted(left)]
    return wrong


def fail_each(allocations, store, name, changes, action, chosen):
    """Fail allocations of an operation; yields (number, mode, what is wrong) for each run."""
    for _ in range(2):
        action()  # what is imported or remembered at the first use
    gc.collect()
    gc.freeze()  # each run ends with a collection, of what is new
    number, at_first = 0, len(anomalies.holdings(store.path))
    while True:
        number += 1
        for from_then_on in (False, True):
            if not chosen(number, from_then_on):
                continue
            sys.stdout.write(f"{name}: allocation {number}{' and all later ones' if from_then_on else ''} ")
            sys.stdout.flush()
            before = version_of(store, changes[0]), anomalies.holdings(store.path)
            error = run(allocations, store, action, number, from_then_on)
            failed = allocations.failed
            wrong = wrong_with(store, changes, error, before)
            sys.stdout.write(f"of {allocations.counted}: {type(error).__name__ if error else 'done'}\n")
            yield number, from_then_on, wrong
            if not failed:
                if (
                    len(anomalies.holdings(store.path)) > at_first + 4
                ):  # of segments of growing tables, one for each run
                    yield number, from_then_on, ["descriptors or mappings are left"]
                yield number, from_then_on, [f"check: {problem}" for problem in store.check()]
                return


def main():
    parser = argparse.ArgumentParser(description="Fail each allocation of the core in each operation.")
    parser.add_argument("--only", nargs="+", help="these operations")
    parser.add_argument("--short", action="store_true", help="some of the allocations, chosen by the seed")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    if SHIM not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            shim = str(build(folder))
            command = [sys.executable, "-m", "faults.test_allocations", *sys.argv[1:]]
            return subprocess.run(command, env={**os.environ, SHIM: shim, "LD_PRELOAD": shim}, check=False).returncode
    generator = random.Random(options.seed)

    def chosen(_, from_then_on):
        return not options.short or generator.random() < (0.03 if from_then_on else 0.2)

    folder = Path(tempfile.mkdtemp(prefix="colonnade-allocations-", dir="/dev/shm"))
    os.environ["COLONNADE_STORE"] = str(folder / "store")
    anomaly_count = 0
    try:
        store, allocations = cn.Store(folder / "store"), Allocations()
        store.put("t", pd.DataFrame({"x": [1.0]})).close()
        for name, (changes, action) in operations(store).items():
            if options.only and name not in options.only:
                continue
            number = 0
            for number, from_then_on, wrong in fail_each(allocations, store, name, changes or ("t", 0), action, chosen):
                for sentence in wrong:
                    anomaly_count += 1
                    sys.stdout.write(f"WRONG {name}, {number}, {from_then_on}: {sentence}\n")
            sys.stdout.write(f"SUM {name}: {number - 1} allocations\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder)
    return bool(anomaly_count)


# ---- The short form --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_each_allocation_fails():
    process = subprocess.run(
        [sys.executable, "-m", "faults.test_allocations", "--short"],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    output = "\n".join(line for line in process.stdout.splitlines() if line.startswith("WRONG"))
    assert process.returncode == 0, (output, process.returncode, process.stdout[-300:], process.stderr[-2000:])
    numbers = dict(re.findall(r"^SUM (.*): (\d+) allocations$", process.stdout, re.MULTILINE))
    assert len(numbers) > 30
    assert sum(map(int, numbers.values())) > 500  # the library was preloaded, and saw the core's allocations
    assert "MemoryError" in process.stdout


if __name__ == "__main__":
    sys.exit(main())
