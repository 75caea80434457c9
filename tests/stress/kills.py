"""Writers and readers, killed with SIGKILL at random instants, thousands of times; nothing may be torn, lost or leaked.

Does not depend on: what the processes do.

    make stress
    PYTHONPATH=tests python -m stress.kills --seconds 60 --seed 1 --writers 4 --readers 4

This process imports everything once and forks the workers, so that a life costs milliseconds. It stops at the first failure, says
the seed and what was being done, and leaves a copy of the store. `--tear` overwrites a page under the readers: it must fail.
"""

import argparse
import ctypes
import gc
import heapq
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import colonnade as cn
from stress import workers
from stress.board import OPERATIONS, Board
from support import payload
from support.place import LeakError, Place, descriptors, entries

LIVES = {"writer": workers.write, "reader": workers.read}
_PDEATHSIG = 1
_PAGE = 4096
_TICK = 0.0005


class FailureError(Exception):
    """The run found a failure and has written it down."""


class Arena:
    """The workers of one run: starts them, kills them, and looks at how they ended."""

    def __init__(self, root, roles, seed, evidence):
        self.root = root
        self.roles = roles
        self.seed = seed
        self.evidence = evidence
        self.random = random.Random(seed)
        self.board = Board(len(roles), len(workers.NAMES))
        self.alive = {}  # process: slot
        self.due = []  # (when, process)
        self.started = 0
        self.killed = Counter()
        self.libc = ctypes.CDLL(None)

    def start(self, slot):
        """Fork a worker for a slot, and choose when to kill it: mostly very early, sometimes later."""
        role = self.roles[slot]
        self.started += 1
        life = self.random.uniform(0, 0.02) if self.random.random() < 0.7 else self.random.expovariate(1 / 0.2)
        seed = f"{self.seed}/{self.started}"
        self.board.do(slot, "start")
        process = os.fork()
        if process == 0:
            self.libc.prctl(_PDEATHSIG, signal.SIGKILL)
            workers.run(LIVES[role], workers.Worker(self.root, self.board, slot, seed), self.evidence)
        self.alive[process] = slot
        heapq.heappush(self.due, (time.monotonic() + life, process))

    def collect(self, flags=0):
        """Collect a worker that ended, and return its slot; None if all are running.

        A worker that ended by itself has found a failure.
        """
        process, status = os.waitpid(-1, flags)
        if not process:
            return None
        slot = self.alive.pop(process)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise FailureError(f"{self.roles[slot]} {process} ended with {os.waitstatus_to_exitcode(status)}")
        self.killed[self.roles[slot], OPERATIONS[self.board.doing[slot]]] += 1
        self.board.end_delete(slot)
        return slot

    def run(self, seconds, disturb):
        """Kill and start workers until the time is over."""
        end = time.monotonic() + seconds
        for slot in range(len(self.roles)):
            self.start(slot)
        while (now := time.monotonic()) < end:
            while self.due and self.due[0][0] <= now:
                os.kill(heapq.heappop(self.due)[1], signal.SIGKILL)
            while len(self.alive) and (slot := self.collect(os.WNOHANG)) is not None:
                self.start(slot)
            disturb()
            time.sleep(_TICK)
        for _, process in self.due:
            os.kill(process, signal.SIGKILL)
        while self.alive:
            self.collect()

    def stop(self):
        """End all workers that are left, whatever they do."""
        for process in self.alive:
            os.kill(process, signal.SIGKILL)
        for process in self.alive:
            os.waitpid(process, 0)
        self.alive.clear()


def tear(root, dice):
    """Overwrite a page of some table in its place: what no writer of a store ever does."""
    try:
        paths = [path for path in root.rglob("*.arrow") if path.is_file()]
        if not paths:
            return
        with dice.choice(paths).open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size > 4 * _PAGE:
                file.seek(dice.randrange(2, size // _PAGE - 1) * _PAGE)
                file.write(dice.randbytes(_PAGE))
    except FileNotFoundError:
        pass  # superseded since it was listed, or its folder removed


def settle(arena, place):
    """Check what must hold when all workers have ended.

    Raises
    ------
    FailureError, LeakError, payload.TornError
    """
    store = cn.Store(arena.root)
    board = arena.board
    if problems := store.check():
        raise FailureError(f"check finds {problems}")
    for number, name in enumerate(workers.NAMES):
        before = board.before(number)
        version = store.open(name).version if store.exists(name) else 0
        board.after(0, number, before, version)
        done, begun = int(board.puts_done[:, number].sum()), int(board.puts_begun[:, number].sum())
        if name in workers.STEADY and not done <= version <= begun:
            raise FailureError(f"{name!r} is at version {version} after {done} puts that returned, of {begun}")
        after = store.put(name, payload.make(number, 1000))
        if after.version != version + 1:
            raise FailureError(f"a put of {name!r} after version {version} made version {after.version}")
        payload.verify_pandas(after.to_pandas())
        after.close()
    store.gc()
    place.settle()
    if problems := store.check():
        raise FailureError(f"after gc, check finds {problems}")
    if left := set(entries(arena.root)) - {f"{name}.arrow" for name in workers.NAMES}:
        raise FailureError(f"after puts with keep=1 and gc there are still {sorted(left)}")
    for name in workers.NAMES:
        store.delete(name)
    store.gc()
    if left := entries(arena.root):
        raise FailureError(f"all tables are deleted, and there are still {left}")
    if folders := [path for path in arena.root.iterdir() if path.is_dir()]:
        raise FailureError(f"all tables are deleted, and there are still the folders {folders}")
    place.settle()
    if store.put("again", payload.make(0, 10)).version != 1:
        raise FailureError("a put into the emptied store is not version 1")


def warm(root):
    """Import everything that a worker would import."""
    store = cn.Store(root)
    snap = store.put("warm", payload.make(0, 1000), keep=2)
    payload.verify_pandas(snap.to_pandas())
    payload.verify_arrow(snap.to_arrow())
    payload.verify_head(snap)
    snap.close()
    store.check()
    store.delete("warm")
    store.gc()
    gc.collect()
    gc.freeze()  # pages of what was imported stay shared


def main():
    parser = argparse.ArgumentParser(prog="stress.kills", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="default: from the clock")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--size", default="1g", help="of the tmpfs that is mounted for the run")
    parser.add_argument(
        "--tear", action="store_true", help="overwrite pages under the readers, to see that they notice"
    )
    options = parser.parse_args()
    evidence = Path(tempfile.mkdtemp(prefix=f"colonnade-stress-{options.seed}-"))
    with Place(options.size) as place:
        warm(place.folder / "store")
        open_before = descriptors()
        roles = ["writer"] * options.writers + ["reader"] * options.readers
        arena = Arena(place.folder / "store", roles, options.seed, evidence)
        dice = random.Random(options.seed)
        began = time.monotonic()
        try:
            arena.run(options.seconds, (lambda: tear(arena.root, dice)) if options.tear else lambda: None)
            settle(arena, place)
            if descriptors() != open_before:
                raise LeakError(f"{open_before} descriptors before, {descriptors()} after")
        except Exception as error:
            arena.stop()
            shutil.copytree(arena.root, evidence / "store", symlinks=True)
            print(f"FAILED, seed {options.seed}, after {sum(arena.killed.values())} kills: {error!r}")
            for answer in sorted(evidence.glob("failure-*.txt")):
                print(answer.read_text())
            print(f"the store as it was, and what the workers wrote: {evidence}")
            sys.exit(1)
        print_figures(options, arena, time.monotonic() - began, place)
    shutil.rmtree(evidence)


def print_figures(options, arena, seconds, place):
    """Print what was done, for readers of a log."""
    totals = arena.board.totals()
    by_operation = Counter()
    for (_, operation), count in arena.killed.items():
        by_operation[operation] += count
    killed = sum(arena.killed.values())
    print(f"seed {options.seed}: {killed:,} kills in {seconds:.0f} s, {killed / seconds:.0f} a second")
    print("  killed while: " + ", ".join(f"{name} {count:,}" for name, count in by_operation.most_common()))
    print("  done: " + ", ".join(f"{name} {count:,}" for name, count in totals.items()))
    print(
        "  bytes accounted for by " + ("a file system of its own" if place.own else "files alone: no mount was allowed")
    )


if __name__ == "__main__":
    main()
