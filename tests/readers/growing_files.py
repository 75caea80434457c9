"""Other libraries read the segments of a table that grows meanwhile, and every value is checked: `python -m readers.growing_files`.

Does not depend on: Colonnade's own readers.

A process appends, in batches of 1 to 300 rows, with a state for Arrow after each, and segments that follow each other. Each way of
reading takes the newest segment as a file, as often as it is told. Ways that read a file from its front to its back are counted too,
and are not promised anything: the footer that they read last belongs to more rows than the pages that they read first.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

import colonnade as cn
from growing import rows

ROOT = Path(__file__).parents[2]
NAME = "t"


class Found(NamedTuple):
    """What a way of reading came to."""

    right: int
    wrong: int
    sizes: int  # different numbers of rows
    first: str  # the first error


def by_arrow_mapped(path: str) -> pa.Table:
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()


def by_arrow_file(path: str) -> pa.Table:
    with pa.OSFile(path) as source:
        return pa.ipc.open_file(source).read_all()


def by_polars(path: str) -> pa.Table:
    import polars

    return polars.read_ipc(path).to_arrow()


def by_arrow_rs(path: str) -> pa.Table:
    import arro3.io

    return pa.table(arro3.io.read_ipc(path).read_all())


def by_bytes(path: str) -> pa.Table:
    """From the front to the back: not promised."""
    return pa.ipc.open_file(Path(path).read_bytes()).read_all()


IN_PYTHON: dict[str, Callable[[str], pa.Table]] = {
    "PyArrow, mapped": by_arrow_mapped,
    "PyArrow, file": by_arrow_file,
    "Polars": by_polars,
    "arrow-rs": by_arrow_rs,
    "front to back, PyArrow": by_bytes,
}
JAVA_OPTIONS = ["-cp", f"{ROOT}/build/readers/java/*", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx512m"]
PROGRAMS = {
    "Arrow JavaScript": ["node", "growing_files.mjs", "handle"],
    "Arrow Java": ["java", *JAVA_OPTIONS, "growing_files.java"],
    "front to back, JavaScript": ["node", "growing_files.mjs", "bytes"],
}
# Readings from front to back: to JavaScript, each that is torn takes ten seconds.
_NOT_PROMISED = 5
PROMISED = [name for name in (*IN_PYTHON, *PROGRAMS) if not name.startswith("front")]


def missing(name: str) -> str | None:
    """What a way of reading needs and is not here."""
    needs = {"Arrow Java": "build/readers/java/.ready", "JavaScript": "examples/javascript/node_modules"}
    for word, where in needs.items():
        if name.endswith(word) and not (ROOT / where).exists():
            return f"{where} (make readers)"
    program = PROGRAMS.get(name, [sys.executable])[0]
    return None if shutil.which(program) else program


def produce(store: cn.Store, seed: int) -> int:
    """Start a process that appends until it is killed."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Arrow has threads
        child = os.fork()
    if child:
        return child
    try:
        dice = random.Random(seed)
        with store.appender(NAME) as log:
            while True:
                log.append(rows.make(log.num_rows, log.num_rows + dice.randrange(1, 300)))
                log.flush()
    finally:
        os._exit(1)


def store_rows(store: cn.Store) -> int:
    """How many rows the table has."""
    head = rows.head_of(store, NAME)
    return 0 if head is None else head.committed


def read_in_python(name: str, count: int, store: cn.Store) -> Found:
    """Read the newest segment so many times."""
    read, right, wrong, sizes, first = IN_PYTHON[name], 0, 0, set(), ""
    while right + wrong < count:
        path = rows.segments_of(store, NAME)[-1]
        try:
            with contextlib.suppress(FileNotFoundError):  # retention was faster
                table = read(str(path))
                if not name.startswith("Polars"):  # Polars' tables are not PyArrow's any more
                    table.validate(full=True)
                sizes.add(rows.verify_arrow(table, int(path.name[:20])))
                right += 1
        except Exception as error:  # a torn file is any error of any library
            wrong += 1
            first = first or f"{type(error).__name__}: {error}"[:200]
    return Found(right, wrong, len(sizes), first)


def read_by_program(name: str, count: int, store: cn.Store) -> Found:
    """Let a program do it."""
    # Node looks for packages beside the program.
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for path in Path(__file__).parent.glob("growing_files.[mj]*"):
            shutil.copy(path, here)
        (here / "node_modules").symlink_to(ROOT / "examples/javascript/node_modules")
        command = [*PROGRAMS[name], str(count), str(rows.folder_of(store, NAME))]
        process = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return Found(**json.loads(process.stdout))


def read(name: str, count: int, store: cn.Store) -> Found:
    """Read in one way while a process appends."""
    return (read_in_python if name in IN_PYTHON else read_by_program)(name, count, store)


@contextlib.contextmanager
def growing(folder: Path, seed: int):
    """A store with a table that a process appends to until the block ends."""
    store = cn.Store(folder / "store")
    with store.appender(NAME, like=rows.make(0, 1), retain=8) as log:
        log.append(rows.make(0, 10))
    child = produce(store, seed)
    try:
        while store_rows(store) < 1000:
            time.sleep(0.001)
        yield store
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the producer has ended"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main() -> int:
    """Read in all ways that are possible here."""
    parser = argparse.ArgumentParser(prog="readers.growing_files", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--readings", type=int, default=10_000, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("ways", nargs="*", default=[], help="; ".join((*IN_PYTHON, *PROGRAMS)))
    options = parser.parse_args()
    ways = options.ways or [name for name in (*IN_PYTHON, *PROGRAMS) if missing(name) is None]
    count = -(-options.readings // max(sum(name in PROMISED for name in ways), 1))
    wrong = total = 0
    with tempfile.TemporaryDirectory(prefix="colonnade-test-", dir="/dev/shm") as folder:
        for number, name in enumerate(ways):
            start = time.perf_counter()
            with growing(Path(folder, str(number)), options.seed) as store:
                result = read(name, count if name in PROMISED else min(count, _NOT_PROMISED), store)
            took = time.perf_counter() - start
            sys.stdout.write(
                f"{name:26} {result.right:7,} right {result.wrong:5,} wrong, {result.sizes:6,} numbers of rows {took:6.0f} s"
                f"  {result.first}\n"
            )
            sys.stdout.flush()
            if name in PROMISED:
                wrong += result.wrong
                total += result.right + result.wrong
    sys.stdout.write(f"{total:,} readings of files that grow, {wrong:,} wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
