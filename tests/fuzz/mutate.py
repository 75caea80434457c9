"""Break stored files in every way that is known, and see that each is an error and never a crash.

Run it by its path::

    python tests/fuzz/mutate.py --files 100000 --seed 1 --processes 2
    python tests/fuzz/mutate.py --replay tests/fuzz/findings/1-4711.arrow

File i of a seed is always broken in the same way. Workers look at the files. A worker that dies by a signal, takes longer than
``--patience``, or raises an error that `fuzz.look` does not list leaves a finding: the file, and the output. The exit status is 1
if there is any finding.
"""

import argparse
import collections
import faulthandler
import json
import os
import random
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

if core := os.environ.get("COLONNADE_FUZZ_CORE"):
    from fuzz.other_core import import_core_from

    import_core_from(core)

import colonnade as cn
from fuzz.anatomy import SEAL_FIELDS, Anatomy, rehashed
from fuzz.look import NAME, FindingError, look, write
from fuzz.mutations import MUTATIONS, mutate
from fuzz.tables import tables

_REPORT_EVERY = 0.25  # seconds
_MEMORY = 4 << 30  # of a worker: who asks for more gets a MemoryError, and the machine goes on


def make_corpus(folder):
    """Store every table, and give the files' bytes; the same ones each time."""
    store = cn.Store(folder)
    files = []
    for i, table in enumerate(tables().values()):
        data = bytearray(store.put(NAME, table).path.read_bytes())
        seal = Anatomy(bytes(data)).seal_at
        for name, value in (("version", 1), ("identity", i), ("created", 10**18)):
            at = seal + SEAL_FIELDS[name]
            data[at : at + 8] = value.to_bytes(8, "little")
        files.append(rehashed(bytes(data)))
    store.delete(NAME)
    return files


def make_file(files, seed, i):
    """(kind of mutation, bytes) of file i."""
    rng = random.Random(f"{seed} {i}")
    return mutate(rng, Anatomy(rng.choice(files)), Anatomy(rng.choice(files)))


def _address_space(limit):
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # which maps terabytes for itself
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def work(args):
    """A worker: looks at file first, first + step, ... and reports what it found on stdout, as lines of JSON."""
    faulthandler.enable()
    _address_space(_MEMORY)
    folder = Path(args.work)
    files = [path.read_bytes() for path in sorted(folder.glob("corpus/*"))]
    store = cn.Store(folder / f"store-{args.first}")
    store.path.mkdir(mode=0o700, exist_ok=True)
    kinds, outcomes = collections.Counter(), collections.Counter()
    due = 0.0

    def report(**more):
        print(json.dumps({"kinds": kinds, "outcomes": outcomes, **more}), flush=True)  # noqa: T201 -- to the parent
        kinds.clear()
        outcomes.clear()

    for i in range(args.start, args.files, args.step):
        kind, data = make_file(files, args.seed, i)
        (folder / f"at-{args.first}").write_text(f"{i} {kind}")
        write(store, data)
        try:
            result = look(store)
        except FindingError as error:
            report(finding=i, kind=kind, what=str(error), trace=traceback.format_exc())
        else:
            outcomes.update(f"{step}: {outcome}" for step, outcome in result.items())
        kinds[kind] += 1
        if time.monotonic() > due:
            report()
            due = time.monotonic() + _REPORT_EVERY
    report()


class Worker:
    """A process that looks at files, started again behind the one that ended it."""

    def __init__(self, args, folder, first):
        self.args, self.folder, self.first = args, folder, first
        self.start(first)

    def start(self, at):
        self.log = self.folder / f"stderr-{self.first}"
        command = [sys.executable, __file__, "--work", self.folder, "--first", self.first, "--start", at,
                   "--files", self.args.files, "--seed", self.args.seed, "--step", self.args.processes]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=log)
        self.seen, self.heard = None, time.monotonic()

    def at(self):
        """(file, kind) that it is looking at."""
        try:
            i, _, kind = (self.folder / f"at-{self.first}").read_text().partition(" ")
            return int(i), kind
        except (FileNotFoundError, ValueError):
            return self.first - self.args.processes, "?"

    def is_stuck(self):
        if self.at() != self.seen:
            self.seen, self.heard = self.at(), time.monotonic()
        return time.monotonic() - self.heard > self.args.patience


class Run:
    """All workers, what they say, and the findings."""

    def __init__(self, args):
        self.args = args
        self.workers = []
        self.kinds, self.outcomes = collections.Counter(), collections.Counter()
        self.findings = []

    @property
    def files(self):
        return sum((worker.at()[0] - worker.first) // self.args.processes + 1 for worker in self.workers)

    def finding(self, i, kind, what, data, details):
        self.args.findings.mkdir(parents=True, exist_ok=True)
        path = self.args.findings / f"{self.args.seed}-{i}.arrow"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(
            f"{kind}\n{what}\n\n{details}\nreplay: python tests/fuzz/mutate.py --replay {path}\n"
        )
        self.findings.append((path, kind, what))

    def run(self, show):
        folder = Path(tempfile.mkdtemp(prefix="colonnade-fuzz-", dir="/dev/shm"))
        try:
            (folder / "corpus").mkdir()
            self.corpus = make_corpus(folder / "making")
            for i, data in enumerate(self.corpus):
                (folder / "corpus" / f"{i:04}").write_bytes(data)
            self._run(folder, show)
            self.looked = self.files
        finally:
            shutil.rmtree(folder)

    def _run(self, folder, show):
        until = time.monotonic() + self.args.seconds
        self.workers = workers = [Worker(self.args, folder, first) for first in range(self.args.processes)]
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(0.5):
                    line = key.fileobj.readline()
                    if line:
                        self._hear(json.loads(line))
                    else:
                        selector.unregister(key.fileobj)
                        self._ended(key.data, selector)
                for worker in workers:
                    if worker.process.poll() is None and worker.is_stuck():
                        worker.process.kill()
                show(self)
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            worker.process.stdout.close()

    def _hear(self, said):
        self.kinds.update(said["kinds"])
        self.outcomes.update(said["outcomes"])
        if "finding" in said:
            i = said["finding"]
            self.finding(i, said["kind"], said["what"], make_file(self.corpus, self.args.seed, i)[1], said["trace"])

    def _ended(self, worker, selector):
        code = worker.process.wait()
        worker.process.stdout.close()
        if code == 0:
            return
        i, kind = worker.at()
        stuck = time.monotonic() - worker.heard > self.args.patience
        what = f"no end in {self.args.patience} s" if stuck else f"a worker ended with {code}"
        self.finding(
            i, kind, what, make_file(self.corpus, self.args.seed, i)[1], worker.log.read_text(errors="replace")
        )
        worker.start(i + self.args.processes)
        selector.register(worker.process.stdout, selectors.EVENT_READ, worker)


def replay(paths):
    """Look at files, in this process."""
    faulthandler.enable()
    _address_space(_MEMORY)
    with tempfile.TemporaryDirectory(prefix="colonnade-fuzz-", dir="/dev/shm") as folder:
        store = cn.Store(folder)
        for path in paths:
            write(store, path.read_bytes())
            print(path, *(problem.what for problem in store.check()), flush=True)  # noqa: T201 -- that is what it is for
            for step, outcome in look(store).items():
                print(f"  {step}: {outcome}", flush=True)  # noqa: T201 -- the same


def _printed(run, seconds):
    lines = [f"{run.looked:,} files in {seconds:.0f} s, seed {run.args.seed}, {len(run.findings)} findings"]
    lines += [f"  {run.kinds[kind]:9,}  {kind}" for kind in MUTATIONS if run.kinds[kind]]
    lines += ["outcomes"]
    lines += [f"  {count:9,}  {outcome}" for outcome, count in sorted(run.outcomes.items())]
    lines += [f"FINDING {path}: {kind}: {what}" for path, kind, what in run.findings]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--patience", type=float, default=20, help="seconds that one file may take")
    parser.add_argument("--findings", type=Path, default=Path(__file__).parent / "findings", help="where findings go")
    parser.add_argument("--replay", type=Path, nargs="+", help="look at these files and say what happens")
    for hidden, kind in (("--work", str), ("--first", int), ("--start", int), ("--step", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # PyArrow's, on names that its own reading does not keep; pandas', on odd dtypes
    if args.work:
        return work(args)
    if args.replay:
        return replay(args.replay)
    run, start = Run(args), time.monotonic()
    if sys.stdout.isatty():
        from rich.progress import Progress

        with Progress() as progress:
            task = progress.add_task("files", total=args.files)
            run.run(
                lambda run: progress.update(
                    task, completed=run.files, description=f"files, {len(run.findings)} findings"
                )
            )
    else:
        run.run(lambda _: None)
    print(_printed(run, time.monotonic() - start))  # noqa: T201 -- the report
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
