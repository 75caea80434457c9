"""A producer of a growing table that is killed at random instants, under readers that verify every value; nothing may be torn,
lost or leaked.

Does not depend on: how rows are stored.

    make stress
    PYTHONPATH=tests python -m stress.growing --kills 2000 --seed 1

This process imports everything once and forks the rest. Two producers are born and killed in turn: each appends batches of random
sizes, flushes, closes and opens again. The readers live on: they open all rows, the newest rows, follow, or map a segment with
PyArrow, and look at what they hold again after the next kill. The first failure ends the run, and it says the seed.
`--tear` overwrites published rows: it must fail.
"""

import argparse
import contextlib
import ctypes
import gc
import os
import random
import signal
import struct
import sys
import time
import traceback
import warnings
from mmap import mmap

import colonnade as cn
from colonnade.format.stripes import STRIPE
from growing import rows
from support.place import Place, entries

NAME = "t"
_PDEATHSIG = 1
_READY = 4095  # a byte of the shared memory: the producer has opened the table
READINGS = ("get", "latest", "follow", "arrow")


def produce(store: cn.Store, dice: random.Random, counts: mmap) -> None:
    """Append until killed."""
    while True:
        with store.appender(NAME, like=rows.make(0, 1)) as log:
            counts[_READY] = 1
            for _ in range(dice.randrange(1, 40)):
                size = dice.choice((1, 3, 50, 50, 700, 9_000))
                log.append(rows.make(log.num_rows, log.num_rows + dice.randrange(1, size + 1)))
                if dice.random() < 0.1:
                    log.flush()


def read(store: cn.Store, dice: random.Random, counts: mmap, slot: int) -> None:
    """Read and verify for ever; what is held is looked at again after the next reading."""
    readers = []
    latest, follow = store.latest(NAME), store.follow(NAME, start="now", timeout=0.01)
    counts_of_readings = [0] * len(READINGS)
    while True:
        kind = dice.randrange(len(READINGS))
        if kind == 0:
            frame = store.get(NAME)
        elif kind == 1:
            frame = latest.frame
        elif kind == 2:
            frame = None
            with contextlib.suppress(cn.WaitTimeoutError):
                try:
                    frame = next(follow).to_pandas(writable=False)
                except cn.RowsDroppedError:
                    follow.close()
                    follow = store.follow(NAME, start="now", timeout=0.01)
        else:
            frame = None
            with contextlib.suppress(FileNotFoundError):
                path = dice.choice(rows.segments_of(store, NAME))
                rows.verify_arrow(rows.read_file(path))
        if frame is not None:
            readers.append((frame, rows.verify_pandas(frame)))
        if len(readers) > 2:
            frame, result = readers.pop(dice.randrange(len(readers)))
            rows.verify_pandas(frame, result.start, result.stop)
        counts_of_readings[kind] += 1
        struct.pack_into(f"<{len(READINGS)}Q", counts, slot * 64, *counts_of_readings)


def fork(work) -> int:
    """Run something in a child, which ends with 1 where it raises."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Arrow has threads
        child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    try:
        work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def tear(store: cn.Store) -> None:
    """Overwrite the values of rows that are published: what no producer ever does."""
    path = rows.segments_of(store, NAME)[-1]
    visible = rows.read_file(path)["number"]
    values = path.read_bytes().index(struct.pack("<2q", visible[0].as_py(), visible[1].as_py()))
    with path.open("r+b") as file:
        file.seek(values)
        file.write(b"\xff" * 8)


def settle(store: cn.Store) -> int:
    """What must hold when everybody is gone; the number of rows."""
    with store.appender(NAME) as log:
        total = log.append(rows.make(log.num_rows, log.num_rows + 5))
    head = rows.head_of(store, NAME)
    assert head is not None
    state = head.read()
    assert state.committed == total
    following = state.entries[0].base
    for position, path in enumerate(rows.segments_of(store, NAME)):
        visible = rows.verify_arrow(rows.read_file(path), following)
        following = state.end(position)
        assert visible.stop >= following
    assert following == total
    rows.verify_pandas(store.get(NAME), stop=total)
    files = {path.name for path in rows.folder_of(store, NAME).iterdir()}
    assert len(files) == 1 + len(state.entries), files
    store.gc()
    assert store.check() == []
    return total


def run(options: argparse.Namespace, place: Place) -> None:
    """One run; an exception is a finding."""
    dice = random.Random(options.seed)
    store = cn.Store(place.folder / "store")
    with store.appender(NAME, like=rows.make(0, 1), retain=options.retain) as log:
        log.append(rows.make(0, 10))
    del log  # a closed appender keeps the head mapped
    settle(store)
    gc.collect()
    gc.freeze()  # pages of what was imported stay shared
    counts = mmap(-1, 4096)
    readers = {
        fork(lambda n=number: read(cn.Store(store.path), random.Random(f"{options.seed}/r{n}"), counts, n))  # type: ignore[misc]
        for number in range(options.readers)
    }
    start = time.monotonic()
    kills = 0
    try:
        while kills < options.kills:
            counts[_READY] = 0
            child = fork(lambda k=kills: produce(cn.Store(store.path), random.Random(f"{options.seed}/p{k}"), counts))  # type: ignore[misc]
            while dice.random() < 0.99 and not counts[_READY]:  # a few die while they open, and recover, the table
                time.sleep(0.0002)
            time.sleep(dice.uniform(0, 0.02) if dice.random() < 0.9 else dice.expovariate(1 / 0.1))
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                raise AssertionError(f"the producer after kill {kills} ended with {os.waitstatus_to_exitcode(status)}")
            kills += 1
            if options.tear and kills % 5 == 0:
                tear(store)
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                readers.discard(pid)
                raise AssertionError(f"a reader ended with {os.waitstatus_to_exitcode(status)} after {kills} kills")
    finally:
        for reader in readers:
            os.kill(reader, signal.SIGKILL)
            os.waitpid(reader, 0)
    seconds = time.monotonic() - start
    total = settle(store)
    place.settle()
    store.delete(NAME)
    store.gc()
    if left := entries(store.path):
        raise AssertionError(f"the table is deleted, and there are still {left}")
    place.settle()
    done = [sum(struct.unpack_from("<Q", counts, n * 64 + 8 * k)[0] for n in range(options.readers)) for k in range(4)]
    readings = ", ".join(f"{name} {count:,}" for name, count in zip(READINGS, done, strict=True))
    sys.stdout.write(
        f"seed {options.seed}: {kills:,} kills in {seconds:.0f} s, {total:,} rows published; readings: {readings}\n"
    )


def main() -> int:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(prog="stress.growing", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="default: from the clock")
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--retain", type=int, default=STRIPE, help="rows")
    parser.add_argument("--size", default="512m", help="of the tmpfs that is mounted for the run")
    parser.add_argument("--tear", action="store_true", help="overwrite rows under the readers, to see that they notice")
    options = parser.parse_args()
    with Place(options.size) as place:
        try:
            run(options, place)
        except Exception:
            sys.stdout.write(f"FAILED, seed {options.seed}\n{traceback.format_exc()}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
