"""Every system call of every operation fails: an error means that nothing happened, and no error means that it did.

After each run the store holds what it held before, if the operation raised, or what it holds when nothing fails, if it did not; every
value of it is verified. The process has closed its descriptors and mappings, and released its locks. What lies around is freed by the next `gc`.

The short form fails some 24 calls of each operation (on a disk 12), with an error that a seed chooses, a tenth of them from then on. The long form is
``python -m faults.test_anomalies`` in ``tests/``: each call, each error, once and from then on.
"""

import argparse
import collections
import itertools
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

import colonnade as cn
from growing import rows
from support import anomalies, stepping
from support.operations import OPERATIONS, contents, make

# What an operation may raise: errors of the library, and those of Python that its page on errors names.
ALLOWED = {"ColonnadeError", "MemoryError"}
# The table is stored, and the error says so.
STORED = "NotDurableError"


class AnomalyError(AssertionError):
    """A run that broke one of the rules."""


class Bench:
    """One operation on one file system: prepares it anew for each run, and knows what must hold afterwards."""

    def __init__(self, name, folder):
        self.name, self.operation = name, OPERATIONS[name]
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-anomalies-", dir=folder))
        self.store = cn.Store(self.folder / "store", durable=self.operation.durable)
        self.prepare()
        self.operation.act(self.store)  # what is imported at the first use is not a step of the operation
        self.prepare()
        self.before = contents(self.store)
        self.calls = self.run(None).calls
        self.after = contents(self.store)

    def prepare(self):
        shutil.rmtree(self.store.path, ignore_errors=True)
        self.store.path.mkdir(mode=0o700)
        self.operation.prepare(self.store)

    def run(self, fail_at, **how):
        store = cn.Store(self.store.path, durable=self.operation.durable)
        return anomalies.run(lambda: self.operation.act(store), self.folder, fail_at=fail_at, **how)

    def check(self, fail_at, error, from_then_on):
        """One run with one kind of failure; raises AnomalyError where something is wrong."""
        self.prepare()
        outcome = self.run(fail_at, error=error, from_then_on=from_then_on)
        wrong = list(outcome.left)
        words = outcome.error.split() if outcome.error else []
        if words and not ALLOWED & set(words):
            wrong.append(f"the error is not one of the library's: {outcome.error}: {outcome.text}")
        result = contents(self.store)
        nothing_done = words and STORED not in words
        if not _is_as(
            _tables(result), *map(_tables, (self.before, self.before) if nothing_done else (self.after, self.before))
        ):
            wrong.append(f"it {'raised' if words else 'returned'}, and the store holds {result}, not {self.after}")
        wrong += [f"check: {problem}" for problem in self.store.check()]
        self.store.gc()
        leftover = [path.name for path in self.store.path.rglob(".*") if path.name != ".settings"]
        if leftover:
            wrong.append(f"gc leaves {leftover}")
        self.store.put("afterwards", make(77, 50)).close()
        for name, stop in [key for key in result if key[0] == "g"]:
            self.store.append(name, rows.make(stop, stop + 3))
        if wrong:
            raise AnomalyError(
                f"{self.name}, call {fail_at} of {self.calls} (system calls {outcome.failed[:3]}) fails with "
                f"{os.strerror(error)}{' from then on' if from_then_on else ''}; raised: {outcome.error}: {outcome.text}\n  "
                + "\n  ".join(wrong)
            )

    def remove(self):
        shutil.rmtree(self.folder)


def _is_as(result, expected, before):
    """Whether a store holds what is expected. What follows a commit may be left to the next put: versions that are too many."""
    return expected.items() <= result.items() <= (before | expected).items() and _newest(result) == _newest(expected)


def _newest(result):
    return dict(sorted(key for key in result if key != "settings"))


def _tables(result):
    """Contents without what depends on the directory being there."""
    return {key: value for key, value in result.items() if key != "settings" or value != cn.Store("/nowhere").settings}


def _short(calls, generator, step=1):
    """Every ``step``-th call once, with an error that is drawn; and some of these calls and all later ones."""
    for fail_at in range(generator.randint(1, step), calls + 1, step):
        yield fail_at, generator.choice(anomalies.ERRORS), generator.random() < 0.1


def _long(calls, _):
    return itertools.product(range(1, calls + 1), anomalies.ERRORS, (False, True))


@pytest.fixture(scope="module", autouse=True)
def traced():
    if why := stepping.why_no_failures():
        pytest.skip(why)
    with stepping.one_processor():
        yield


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", ["memory", "disk"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_fails(name, place, tmp_path):
    bench = Bench(name, "/dev/shm" if place == "memory" else tmp_path)
    try:
        wrong = []
        generator, most = random.Random(f"{name} {place}"), 24 if place == "memory" else 12
        for fail_at, error, from_then_on in _short(bench.calls, generator, step=max(bench.calls // most, 1)):
            try:
                bench.check(fail_at, error, from_then_on)
            except AnomalyError as anomaly:
                wrong.append(str(anomaly))
        assert not wrong, "\n".join(wrong)
    finally:
        bench.remove()


def main():
    parser = argparse.ArgumentParser(description="Fail each system call of each operation, with each error.")
    parser.add_argument("--folder", default="/dev/shm", help="where the stores are made")
    parser.add_argument("--only", nargs="+", default=list(OPERATIONS), choices=OPERATIONS)
    parser.add_argument("--stop", action="store_true", help="stop at the first anomaly")
    parser.add_argument("--short", action="store_true", help="the short form")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    counts = collections.Counter()
    for name in options.only:
        bench = Bench(name, options.folder)
        for fail_at, error, from_then_on in (_short if options.short else _long)(
            bench.calls, random.Random(options.seed)
        ):
            counts["runs"] += 1
            try:
                bench.check(fail_at, error, from_then_on)
            except AnomalyError as anomaly:
                counts["anomalies"] += 1
                sys.stdout.write(f"{anomaly}\n")
                if options.stop:
                    return 1
        sys.stdout.write(f"{name}: {bench.calls} calls; so far {dict(counts)}\n")
        sys.stdout.flush()
        bench.remove()
    return bool(counts["anomalies"])


if __name__ == "__main__":
    with stepping.one_processor():
        sys.exit(main())
