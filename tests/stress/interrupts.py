"""Interrupts at random instants: of all that changes or reads a store, by exceptions that a signal handler raises.

Python runs a signal handler between any two of its steps, and the handler may raise. Whatever is interrupted, no descriptor leaks and
none is closed twice, the store's lock is free afterwards, no draft and no shared segment is left, and the store is whole. An appender of a
growing table goes on with the row after the last one, and a follower gets each row once.

    python -m stress.interrupts --seconds 30 --seed 1

A second thread opens and closes pipes of its own meanwhile: a descriptor that is closed twice is one of them sooner or later.
"""

import argparse
import contextlib
import gc
import os
import random
import signal
import sys
import tempfile
import threading
import time

import pandas as pd

import colonnade as cn

SMALL, MAPPED = 50, 400_000
CODE = os.path.dirname(cn.__file__)


class Interrupted(BaseException):
    """What the handler raises; nothing catches it as an ordinary error."""


class Bystander(threading.Thread):
    """Opens, uses and closes descriptors of its own; `errors` says which of them somebody else closed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.errors = []

    def run(self):
        while not self.done.is_set():
            try:
                ends = os.pipe()
                os.write(ends[1], b"x")
                assert os.read(ends[0], 1) == b"x"
                for end in ends:
                    os.close(end)
            except OSError as error:
                self.errors.append(repr(error))


def descriptors():
    """What the open descriptors lead to."""
    result = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the folder that was listed
            result.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(result)


def operations(store, frames):
    """Everything that a program does to a store, each leaving nothing but the store's own files."""

    def put(name, size):
        store.put(name, frames[size]).close()

    def share():
        with store.share(frames[MAPPED]) as shared:
            shared.to_pandas()

    def allocate():
        with store.allocate("a", {"x": "float64"}, rows=MAPPED) as draft:
            draft["x"][:] = 1.0

    def get():
        with contextlib.suppress(cn.NotFoundError):
            store.get("t")

    def delete():
        with contextlib.suppress(cn.NotFoundError):
            store.delete("t")

    return [
        lambda: put("t", SMALL),
        lambda: put("t", MAPPED),
        lambda: put("a/b/t", MAPPED),
        get,
        delete,
        share,
        allocate,
        store.gc,
        store.ls,
        store.check,
    ]


class Growing:
    """A growing table whose rows count themselves, its appenders, and who follows it."""

    COLUMNS = {"x": "int64", "s": "str", "c": "category"}  # noqa: RUF012 -- of a test

    def __init__(self, store):
        self.store = store
        self.alone = store.appender("g/alone", self.COLUMNS, retain=8)
        self.shared = [store.appender("g/shared", self.COLUMNS, retain=8, shared=True) for _ in range(2)]
        for log in (self.alone, *self.shared):
            self.append(log)
        self.follow, self.latest = store.follow("g/alone", timeout=0), store.latest("g/alone")
        self.watch = store.watch("g/alone", timeout=0)
        self.wrong = []

    def append(self, log, count=5):
        start = log.num_rows
        numbers = range(start, start + count)
        stop = log.append({"x": numbers, "s": [f"{n}" for n in numbers], "c": ["a"] * count})
        assert stop == start + count

    def row(self, log):
        assert log.row(x=log.num_rows, s="1", c="b") == log.num_rows

    def roll_over(self):
        start = self.alone.num_rows
        frame = pd.DataFrame({"x": range(start, start + 40_000)}).assign(s="a", c=pd.Categorical(["a"] * 40_000))
        self.alone.append(frame)

    def open_again(self):
        try:
            self.alone.close()
            self.alone = self.store.appender("g/alone")
        except Interrupted:  # its traceback is alive here, and must not keep the lock
            self.alone.close()
            self.alone = self.store.appender("g/alone")
            raise

    def read(self):
        for frame in (self.store.get("g/alone"), self.latest.frame, self.store.get("g/shared")):
            assert (frame["x"].diff().dropna() == 1).all()

    def next_rows(self):
        before = self.follow.position
        try:
            new = next(self.follow)
        except Interrupted:
            if self.follow.position != before:
                self.wrong.append(f"a follower lost rows {before} to {self.follow.position}")
            raise
        except (cn.RowsDroppedError, cn.WaitTimeoutError):
            return
        if new.rows_range.start != before:
            self.wrong.append(f"a follower at {before} got {new.rows_range}")

    def next_version(self):
        with contextlib.suppress(cn.WaitTimeoutError):
            next(self.watch).close()

    def close(self):
        for each in (self.alone, *self.shared, self.follow, self.watch):
            each.close()
        for name in ("g/alone", "g/shared"):
            self.store.appender(name).close()  # nobody has it locked

    def operations(self):
        one, other = self.shared
        return [
            lambda: self.append(self.alone),
            lambda: self.row(self.alone),
            lambda: self.append(one),
            lambda: self.append(other),
            lambda: self.row(one),
            lambda: self.alone.flush(),  # noqa: PLW0108 -- another appender has this name later
            self.roll_over,
            self.open_again,
            self.read,
            self.next_rows,
            self.next_version,
        ]


def interrupt_at_random(seconds, seed, path):
    """Run operations under interrupts for so many seconds; gives how many were interrupted, and what was found wrong."""
    store = cn.Store(path)
    frames = {size: pd.DataFrame({"x": range(size)}) for size in (SMALL, MAPPED)}
    store.put("t", frames[SMALL]).close()
    before = statistics(store)
    growing = Growing(store)
    actions = operations(store, frames) + growing.operations()
    for action in actions:  # imports are not what is tested
        action()
    interrupts, wrong = _interrupt(actions, seconds, random.Random(seed))
    with store._catalog.directory.lock_at_once():  # nobody has it
        pass
    for action in growing.operations():
        action()
    growing.close()
    wrong += growing.wrong
    del growing, actions, action
    gc.collect()
    wrong += [f"{problem}" for problem in store.check()]
    store.put("t", frames[SMALL]).close()
    after = statistics(store)
    if after != before:
        wrong.append(f"descriptors, memory and names before {before}, after {after}")
    return interrupts, wrong


def _interrupt(actions, seconds, generator):
    """Run actions under interrupts; gives how many were interrupted, and the errors that came of it."""
    wrong = []
    interrupts = 0

    def handle(*_):
        # Only inside the library: what the test itself does is not to be interrupted.
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename.startswith(CODE):
                raise Interrupted
            frame = frame.f_back

    gc.collect()
    bystander = Bystander()
    bystander.start()
    signal.signal(signal.SIGALRM, handle)
    gc.disable()  # so that what lives too long is seen, and not collected by chance
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            action = generator.choice(actions)
            signal.setitimer(
                signal.ITIMER_REAL, generator.choice([1e-5, 1e-4, 3e-4, 1e-3, 5e-3]) * (0.1 + generator.random())
            )
            try:
                action()
            except Interrupted:
                interrupts += 1
            except Exception as error:
                wrong.append(repr(error))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        gc.enable()
        bystander.done.set()
        bystander.join()
    gc.collect()
    return interrupts, wrong + bystander.errors


def statistics(store):
    store.gc()
    for info in store.ls():
        store.delete(info.name)
    store.gc()
    names = sorted(os.path.join(folder, name) for folder, _, names in os.walk(store.path) for name in names)
    return descriptors(), names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        interrupts, wrong = interrupt_at_random(arguments.seconds, arguments.seed, os.path.join(folder, "store"))
    print(f"{interrupts:,} interrupts, {len(wrong)} wrong", *wrong[:5], sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
