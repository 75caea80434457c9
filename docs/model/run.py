"""Check the models of the three protocols, and that each way to break them is found: `make model`.

Knows: spin, what to define for each run, what must come of it. Does not depend on: the protocols; those are
`sharing.pml`, `growing.pml` and `fetch.pml`.

Runs of the protocol as it is are exhaustive. Runs of a mutation look for the shortest counterexample, in a smaller
world; ``build/model/<run>/trace.txt`` tells it step by step.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "model"
MEBIBYTES = 2800

EXHAUSTIVE = ("-O2", "-DSAFETY", "-DCOLLAPSE")
SHORTEST = ("-O1", "-DSAFETY", "-DCOLLAPSE", "-DBFS")
# pan ends its search early where it runs out of one of these, and still says that it found no error.
INCOMPLETE = ("max search depth too small", "Search not completed", "out of memory", "memory limit", "hash table full")


class Run(NamedTuple):
    """One run: what is defined, and which promise must break (None: all must hold)."""

    what: str
    defines: tuple[str, ...]
    breaks: int | None = None
    model: str = "sharing.pml"


def growing(what: str, defines: str, breaks: int | None = None) -> Run:
    """A run of the growing tables' model; the shortest counterexample where a promise must break."""
    shortest = () if breaks is None else ("SHORTEST",)
    return Run(what, (*shortest, *defines.split()), breaks, "growing.pml")


def fetch(what: str, defines: str = "", breaks: int | None = None) -> Run:
    """A run of the model of a fetch from another host."""
    return Run(what, tuple(defines.split()), breaks, "fetch.pml")


_SMALL = ("SHORTEST", "READERS=1", "KILLS=1")
_NO_DELETES = (*_SMALL, "DELETES=0")

RUNS = (
    Run("two readers", ()),
    Run("retained versions", ("KEEP", "READERS=1")),
    Run("all versions retained", ("KEEP", "KEEP_ALL", "READERS=0")),
    Run("no O_TMPFILE", ("NO_TMPFILE", "READERS=1")),
    Run("LEASE_BEFORE_RENAME", _NO_DELETES, 1),
    Run("NO_NAME_CHECK", _NO_DELETES, 1),
    Run("CHECK_AFTER_READ", _NO_DELETES, 1),
    Run("NO_LEASE", _NO_DELETES, 1),
    Run("MAPPING_NOT_COUNTED", _NO_DELETES, 1),
    Run("NO_LINK_COUNT_CHECK", _NO_DELETES, 2),
    Run("RETIRE_BY_RENAME", _NO_DELETES, 2),
    Run("SEAL_AFTER_RENAME", _NO_DELETES, 2),
    Run("VERSION_BEFORE_LOCK", _NO_DELETES, 2),
    Run("NO_TRIM", _NO_DELETES, 3),
    Run("RETAIN_DELETED", ("SHORTEST", "READERS=0", "KILLS=1", "KEEP", "KEEP_ALL"), 3),
    Run("CLAIM_WITHOUT_RENAME NO_LEASE", ("SHORTEST", "READERS=0", "KILLS=1", "DELETES=0"), 4),
    Run("CLAIM_WITHOUT_RENAME", _NO_DELETES, 5),
    Run("NO_DRAFT_LOCK", (*_NO_DELETES, "NO_TMPFILE"), 5),
    Run("UNLOCK_BEFORE_UNLINK", (*_NO_DELETES, "NO_TMPFILE"), 5),
    growing("growing, one reader", "FOREIGN=0 ROWS=5"),
    growing("growing, Arrow reader", "READERS=0 ROWS=5"),
    growing("growing, two readers", "READERS=2 FOREIGN=0 PRODUCERS=1 ROWS=3"),
    growing("growing, three kills", "READERS=0 FOREIGN=0 KILLS=3"),
    growing("growing, shared", "SHARED READERS=0 FOREIGN=0 ROWS=4"),
    growing("growing, shared, one reader", "SHARED FOREIGN=0 ROWS=3"),
    growing("growing, shared, Arrow reader", "SHARED READERS=0 ROWS=3"),
    growing("PUBLISH_BEFORE_ROWS", "FOREIGN=0 PRODUCERS=1", 1),
    growing("OR_BITS", "FOREIGN=0 PRODUCERS=1", 1),
    growing("CLEAR_THEN_FILL", "FOREIGN=0 PRODUCERS=1", 1),
    growing("REUSE_WITHOUT_LEASE", "FOREIGN=0 PRODUCERS=1", 1),
    growing("OPEN_WITHOUT_NAME_CHECK", "FOREIGN=0 PRODUCERS=1", 1),
    growing("FIRST_AFTER_RENAME", "FOREIGN=0 PRODUCERS=1", 2),
    growing("ENTRY_BEFORE_NAME", "READERS=0 FOREIGN=0 PRODUCERS=1", 3),
    growing("NO_SWEEP", "READERS=0 FOREIGN=0 PRODUCERS=1", 3),
    growing("KEEP_ENTRIES", "READERS=0 FOREIGN=0 PRODUCERS=1", 4),
    growing("NO_LOCK", "READERS=0 FOREIGN=0 KILLS=0", 4),
    growing("NAME_BEFORE_EMPTY_STATE", "READERS=0 PRODUCERS=1 KILLS=0", 5),
    growing("SHOW_BEFORE_PUBLISH", "READERS=0 PRODUCERS=1 KILLS=0", 5),
    growing("NO_TURNS", "SHARED READERS=0 FOREIGN=0 KILLS=0", 5),
    growing("TURNS_BY_COUNT", "SHARED READERS=0 FOREIGN=0 KILLS=0", 5),
    growing("TURN_LAST", "SHARED READERS=0 FOREIGN=0", 5),
    fetch("fetch"),
    fetch("fetch, more kills and cleans", "KILLS=3 CLEANS=3"),
    fetch("NO_FETCH_LOCK", "", 2),
    fetch("NO_LOCK_NAME_CHECK", "", 2),
    fetch("NO_SECOND_LOOK", "", 2),
    fetch("UNLOCK_FIRST", "", 2),
    fetch("UNLOCK_BEFORE_NAME", "", 2),
    fetch("NAME_BEFORE_BYTES", "", 1),
    fetch("NO_CHECK_OF_LENGTH", "", 1),
    fetch("HOLD_AFTER_NAME", "", 1),
    fetch("NAMED_DRAFT", "", 3),
)


class Outcome(NamedTuple):
    """What a search came to: the promise that broke, or why it says nothing, or neither; and what it took."""

    broken: int | None
    trouble: str
    states: int
    seconds: float
    steps: int


def find_spin() -> str:
    """Where spin is; root gets it installed."""
    path = shutil.which("spin")
    apt = shutil.which("apt-get")
    if path is None and apt is not None and os.geteuid() == 0:
        subprocess.run([apt, "install", "-y", "-q", "spin"], check=True, stdout=subprocess.DEVNULL)
        path = shutil.which("spin")
    if path is None:
        sys.exit("make model needs spin (spinroot.com) and found none; install it: sudo apt-get install spin")
    return path


def find_compiler() -> str:
    """Where gcc is: spin's own preprocessor, and the compiler of what it prints."""
    path = shutil.which("gcc")
    if path is None:
        sys.exit("make model needs gcc and found none; install it: sudo apt-get install gcc")
    return path


def search(run: Run, spin: str, compiler: str) -> Outcome:
    """Make the run's verifier, and let it search."""
    folder = BUILD / run.what.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(HERE / run.model, folder)
    mutations = () if run.breaks is None else tuple(run.what.split())
    defines = [f"-D{name}" for name in (*run.defines, *mutations)]
    subprocess.run([spin, "-a", *defines, run.model], cwd=folder, check=True)
    flags = EXHAUSTIVE if run.breaks is None else SHORTEST
    subprocess.run([compiler, "-w", *flags, f"-DMEMLIM={MEBIBYTES}", "-o", "pan", "pan.c"], cwd=folder, check=True)
    start = time.perf_counter()
    searched = subprocess.run([folder / "pan", "-m100000"], cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    output = searched.stdout + searched.stderr
    (folder / "pan.txt").write_text(output)
    trail = folder / f"{run.model}.trail"
    steps = tell(trail, spin, defines) if trail.exists() else 0
    return Outcome(*judge(output), states(output), seconds, steps)


def judge(output: str) -> tuple[int | None, str]:
    """Which promise broke, if one did, and why else the search says nothing."""
    broken = re.search(r"assertion violated .*\|\|\((\d)==0\)\)", output)
    if broken:
        return int(broken[1]), ""
    if "errors: 0" in output and not any(word in output for word in INCOMPLETE):
        return None, ""
    match = re.search(r"^pan:.*", output, re.MULTILINE)
    return None, match[0] if match else "the search did not end"


def states(output: str) -> int:
    """How many states were stored."""
    match = re.search(r"^\s*([\d.e+]+) states, stored", output, re.MULTILINE)
    return int(float(match[1])) if match else 0


def tell(trail: Path, spin: str, defines: list[str]) -> int:
    """Write the counterexample down in words; how many steps it has."""
    folder = trail.parent
    replay = [spin, "-t", "-T", "-B", *defines, trail.stem]
    output = subprocess.run(replay, cwd=folder, capture_output=True, text=True, check=False).stdout
    lines = [
        line
        for line in output.splitlines()
        if re.match(r"(writer|producer|reader|foreign|fetcher|cleaner) \d|spin: text of failed", line)
    ]
    (folder / "trace.txt").write_text("\n".join(lines) + "\n")
    return sum(not line.startswith("spin") for line in lines)


def verdict(run: Run, outcome: Outcome) -> tuple[bool, str]:
    """Whether a run ended as it should, and a text that says how it ended."""
    if outcome.trouble:
        return False, f"NO VERDICT: {outcome.trouble}"
    if outcome.broken == run.breaks:
        return True, f"breaks {run.breaks}, in {outcome.steps} steps" if run.breaks else "holds"
    result = f"breaks {outcome.broken}" if outcome.broken else "holds"
    return False, f"{result.upper()}, and must {'hold' if run.breaks is None else f'break {run.breaks}'}"


def main() -> int:
    """Run them all, or those whose name contains the argument, and print the table."""
    spin, compiler = find_spin(), find_compiler()
    start = time.perf_counter()
    failed = 0
    runs = [run for run in RUNS if all(word in f"{run.what} {run.model}" for word in sys.argv[1:])]
    sys.stdout.write(f"{'protocol, or mutation':31}{'promises':28}{'states':>12}{'seconds':>9}\n")
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a search is a process, of one thread
        for run, outcome in zip(runs, pool.map(lambda run: search(run, spin, compiler), runs), strict=True):
            good, words = verdict(run, outcome)
            failed += not good
            sys.stdout.write(f"{run.what:31}{words:28}{outcome.states:12,}{outcome.seconds:9.1f}\n")
            sys.stdout.flush()
    took = time.perf_counter() - start
    came = f"{failed} of {len(runs)} did not come out as they must" if failed else "all as they must be"
    sys.stdout.write(f"{came}; {took:.0f} s, spin and gcc included; counterexamples are in {BUILD}/*/trace.txt\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
