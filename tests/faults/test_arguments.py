"""Wrong arguments: every public call gets wrong types, odd names, odd paths and damaged files.

What leaves the library is a ColonnadeError, or what a Python user expects of a wrong argument: a TypeError or a ValueError, itself and not
one of its relatives, and of files FileNotFoundError and PermissionError. Whoever raised has changed nothing and left no descriptor.

The short form runs in the tests. The long form is ``python -m faults.test_arguments --calls 100000 --seed 7`` in ``tests/``.
"""

import argparse
import collections
import contextlib
import inspect
import io
import math
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest

import colonnade as cn
from support.judge import WrongError, consume, judge, limited

NAMED = {"Store.sql": (duckdb.Error,)}
FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", None, "c"], "k": [1, 2, 3]})


class Unrepresentable:
    """An object whose every description fails."""

    def __repr__(self):
        raise RuntimeError("the producer fails")


class Stream:
    """An object that claims to give Arrow data and does not."""

    def __init__(self, result):
        self.result = result

    def __arrow_c_stream__(self, requested_schema=None):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def _circular():
    items = []
    items.append(items)
    return items


ODD = [
    None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, 2**64, -(2**70), 1.5, 1e300, math.nan, math.inf, -math.inf, 1j, b"", b"t", "", "t", "u", "a/b", "t/x", "nope", "x" * 256,
    "a/" * 1200 + "a", "..", "../t", "/", "/t", "t/", ".t", "t@1", "a b", "é", "a\0b", "\ud800", "\x1b[31m", "1GiB", "1 YiB", "-1GiB", "nan", "0o600", "full", "parquet", "*", "x,y",
    [], [1], ["x"], ["x", "x"], ["nope"], [None], [[]], [b"x"], (), (1, 2), ("x",), {}, {"x": "float64"}, {"x": None}, {"x": "nope"}, {"": "int8"}, {1: "int8"}, {"x": object}, {None: None},
    {"x": "M8"}, {"x": pd.CategoricalDtype()}, {"x": pa.int8()}, set(), {"x"}, range(3), slice(None), _circular(), object(), object, Unrepresentable(), Ellipsis, lambda: None, np.int64(1), np.float32(1),
    np.array(1), np.array([1, 2]), np.array(["a"]), np.array([], "M8[ns]"), np.array([{}], object), pd.Timestamp(1), pd.NaT, pd.NA, pd.Timedelta(1), FRAME, FRAME["x"], FRAME.iloc[:0], FRAME[[]],
    pd.DataFrame({"x": [object()]}), pd.DataFrame({1: [1], "1": [2]}), pd.DataFrame([[1, 2]], columns=["x", "x"]), pa.table({"x": [1]}), pa.table({}), pa.table({"x": [1]}).to_batches()[0], pa.array([1]),
    pa.schema([]), pa.int8(), pa.scalar(1), pa.table({"x": [1], "y": [2]}).rename_columns(["x", "x"]), io.BytesIO(b"x"), io.StringIO("x"), Path("t"), Path(), Path("/nope/t.csv"), "nope.parquet", "/dev/null", "/proc/self/mem",
    "/", ".", "select 1", "select * from t", "select", "drop table t", "select * from nope", "\0", "sqlite:///nope/x.db", "postgresql://127.0.0.1:1/x", "https://127.0.0.1:1/x.csv", "://",
    Stream(None), Stream(1), Stream(ValueError("the producer fails")), Stream(KeyError("the producer fails")), Stream(RuntimeError("the producer fails")), memoryview(b"abc"), memoryview(b"abc")[::2], bytearray(b"x"), type,
]  # fmt: skip


def _usual(folder):
    """Valid values of required parameters, by name."""
    return {
        "name": "t", "data": FRAME, "source": str(folder / "good.csv"), "path": str(folder / "out.parquet"), "schema": {"x": "float64"}, "rows": 3, "query": "select * from t",
        "keys": [1, 2], "limit": "1GiB", "df": FRAME, "timeout": 0.01, "columns": ["x"], "progress": False,
    }  # fmt: skip


# Not called: they change the process. The conversions raise what PyArrow raises, and are compared with it elsewhere.
_LEFT_OUT = {"by_reference", "set_pool_limit", "attached", "serve"}


def _calls(store, folder):
    """Every public function and method: its name, how to get it, and its parameters."""
    snapshots = {"snapshot": lambda: store.open("t"), "snapshot with a key": lambda: store.open("keyed")}
    makers = {"Store": (lambda: cn.Store, inspect.signature(cn.Store))}
    for name, method in inspect.getmembers(cn.Store, callable):
        if not name.startswith("_") and name not in _LEFT_OUT:
            makers[f"Store.{name}"] = (lambda name=name: getattr(store, name), inspect.signature(method))
    for kind, make in snapshots.items():
        for name, method in inspect.getmembers(cn.Snapshot, callable):
            if not name.startswith("_") and name not in _LEFT_OUT:
                makers[f"{kind}.{name}"] = (
                    lambda name=name, make=make: getattr(make(), name),
                    inspect.signature(method),
                )
    return makers


class Bench:
    """A store with two tables, and a folder of files."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.store = cn.Store(self.folder / "store")
        FRAME.to_csv(self.folder / "good.csv", index=False)
        self.prepare()
        self.usual = _usual(self.folder)
        self.calls = _calls(self.store, self.folder)

    def prepare(self):
        shutil.rmtree(self.store.path, ignore_errors=True)
        self.store.put("t", FRAME).close()
        self.store.put("keyed", FRAME, key="k").close()
        self.before = self.contents()

    def contents(self):
        """Tables and settings, and whatever else there is outside of the store."""
        tables = [(info.name, info.version) for info in cn.Store(self.store.path).ls()]
        return tables, cn.Store(self.store.path).settings, sorted(os.listdir(self.folder))

    def arguments(self, generator, signature):
        """Arguments of which one or two are odd."""
        options = [
            name for name, parameter in signature.parameters.items() if name != "self" and parameter.kind not in (2, 4)
        ]
        arguments = {
            name: self.usual.get(name)
            for name in options
            if signature.parameters[name].default is inspect.Parameter.empty or name in ("timeout", "progress")
        }
        for name in generator.sample(options, min(len(options), generator.choice([1, 1, 1, 2]))):
            arguments[name] = generator.choice(ODD)
        timeout = arguments.get("timeout", 0)
        if timeout is None or (isinstance(timeout, (int, float)) and timeout > 1):
            arguments["timeout"] = 0.01  # None and a large number wait, and rightly
        return arguments

    def run(self, name, arguments):
        """One call."""
        call, _ = self.calls[name]
        descriptors = set(os.listdir("/proc/self/fd"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                consume(call()(**arguments))
            raised = None
        except Exception as error:
            raised = error
            error.__traceback__, text = None, traceback.format_exc(limit=-3)
        if raised is None:
            if self.contents() != self.before:
                self.clean()
            return
        wrong = judge(raised, text, NAMED.get(name, ()))
        raised.__context__ = raised.__cause__ = None
        if self.contents() != self.before:
            wrong.append(f"it raised, and there is {self.contents()}, not {self.before}")
            self.clean()
        if len(os.listdir("/proc/self/fd")) > len(descriptors) + 4:
            wrong.append(f"descriptors are left: {sorted(set(os.listdir('/proc/self/fd')) - descriptors)}")
        if wrong:
            raise WrongError("\n".join(wrong))

    def clean(self):
        self.prepare()
        for path in self.folder.iterdir():
            if path.name not in ("store", "files", "good.csv"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.before = self.contents()


def odd_calls(folder, calls, seed):
    """Make so many calls; yields a text for each wrong one."""
    generator = random.Random(seed)
    bench = Bench(folder)
    names = sorted(bench.calls)
    home = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(calls):
            name = generator.choice(names)
            arguments = bench.arguments(generator, bench.calls[name][1])
            try:
                with limited():
                    bench.run(name, arguments)
            except WrongError as wrong:
                text = ", ".join(f"{key}={_shown(value)}" for key, value in arguments.items())
                yield f"{name}({text}): {wrong}"
    finally:
        os.chdir(home)


def _shown(value):
    try:
        return repr(value)[:80]
    except Exception:  # an odd value may have no repr
        return f"<{type(value).__name__}>"


# ---- Damaged files -----------------------------------------------------------------------------------------------------------


def _write_sqlite(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (x int, y text)")
        connection.executemany("insert into t values (?, ?)", [(row, str(row)) for row in range(50)])
        connection.commit()


_LONG = pd.concat([FRAME] * 20, ignore_index=True)
_TABLE = pa.Table.from_pandas(_LONG)
WRITERS = {
    "parquet": lambda path: pa.parquet.write_table(_TABLE, path),
    "pq.zstd": lambda path: pa.parquet.write_table(_TABLE, path, compression="zstd", use_dictionary=False),
    "feather": lambda path: pa.feather.write_feather(_TABLE, path),
    "arrow": lambda path: _write_ipc(path, pa.ipc.new_file),
    "ipc": lambda path: _write_ipc(path, pa.ipc.new_stream),
    "orc": lambda path: pa.orc.write_table(_TABLE.replace_schema_metadata(None), path),
    "csv": _LONG.to_csv,
    "csv.gz": _LONG.to_csv,
    "csv.bz2": _LONG.to_csv,
    "csv.zst": lambda path: pa.CompressedOutputStream(str(path), "zstd").write(_LONG.to_csv().encode()),
    "json": lambda path: _LONG.to_json(path, orient="records", lines=True),
    "jsonl.gz": lambda path: _LONG.to_json(path, orient="records", lines=True),
    "sqlite": _write_sqlite,
}  # fmt: skip


def _write_ipc(path, writer):
    with pa.OSFile(str(path), "wb") as file, writer(file, _TABLE.schema) as out:
        out.write_table(_TABLE, max_chunksize=7)


def damage(generator, data):
    """Some bytes changed, cut off, doubled, or of another kind."""
    kind = generator.randrange(8)
    if kind == 0:
        return data[: generator.randrange(len(data))]
    if kind == 1:
        return generator.choice([b"", b"\0", b"\n", b"\xef\xbb\xbf", b"PAR1", b"ARROW1", generator.randbytes(200)])
    if kind == 2:
        start = generator.randrange(len(data))
        return data[:start] + data[start + generator.randrange(1, 200) :]
    if kind == 3:
        start, end = sorted(generator.randrange(len(data)) for _ in range(2))
        return data[:end] + data[start:]
    changed = bytearray(data)
    for _ in range(generator.choice([1, 1, 2, 10])):
        where = generator.randrange(len(data)) if kind < 6 else len(data) - 1 - generator.randrange(min(len(data), 300))
        changed[where] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)])
    return bytes(changed)


def damaged_loads(folder, loads, seed):
    """Load so many damaged files; yields a text for each wrong result."""
    generator = random.Random(seed)
    bench = Bench(folder)
    originals, files = {}, bench.folder / "files"
    files.mkdir()
    for suffix, write in WRITERS.items():
        path = files / f"file.{suffix.replace('pq.zstd', 'pq')}"
        write(path)
        originals[suffix] = path, path.read_bytes()
    bench.before = bench.contents()
    for number in range(loads):
        suffix = generator.choice(sorted(originals))
        path, data = originals[suffix]
        damaged = damage(generator, data)
        path.write_bytes(damaged)
        source, options = (f"sqlite:///{path}", {"query": "select * from t"}) if suffix == "sqlite" else (path, {})
        try:
            with limited():
                bench.calls["Store.load"] = lambda: bench.store.load, None
                bench.run("Store.load", {"name": "t", "source": source, "progress": False, **options})
                bench.store.check()
        except WrongError as wrong:
            copy = Path(tempfile.gettempdir()) / f"colonnade-damaged-{seed}-{number}.{suffix}"
            copy.write_bytes(damaged)
            yield f"{copy}: {wrong}"
        finally:
            path.write_bytes(data)


# ---- Tests -------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_odd_arguments(folder):
    assert list(odd_calls(folder, 4000, seed=1)) == []


@pytest.mark.slow
def test_damaged_files(folder):
    assert list(damaged_loads(folder, 800, seed=1)) == []


def test_the_judge_sees_what_is_wrong():
    for error in (
        KeyError("x"),
        AttributeError("x"),
        OSError(5, "x"),
        UnicodeDecodeError("utf-8", b"", 0, 0, ""),
        RecursionError(),
        pa.ArrowInvalid("x"),
        IndexError(),
    ):
        assert judge(error)
    for error in (cn.NotFoundError("x"), cn.StoreFullError(28, "x"), TypeError("x"), ValueError("x")):
        assert not judge(error)
    assert judge(cn.NotFoundError("x" * 9000))


def test_a_call_that_raises_and_changes_something_is_seen(folder):
    bench = Bench(folder)

    def half_done():
        bench.store.delete("t")
        raise ValueError("half done")

    bench.calls["half"] = lambda: half_done, None
    with pytest.raises(WrongError, match="it raised, and there is"):
        bench.run("half", {})


def main():
    parser = argparse.ArgumentParser(description="Odd arguments for every public call, and damaged files for load.")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--loads", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = collections.Counter()
    for what, count in ((odd_calls, options.calls), (damaged_loads, options.loads)):
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="colonnade-arguments-") as folder:
            for text in what(folder, count, options.seed):
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
                counts[what.__name__] += 1
    sys.stdout.write(f"{options.calls} calls, {options.loads} loads: {dict(counts)}\n")
    return bool(counts)


if __name__ == "__main__":
    sys.exit(main())
