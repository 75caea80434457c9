"""Kill a producer before each store that it makes to a growing table, and look at what is left: `python -m growing.every_store`.

Does not depend on: which stores those are. `support/count_stores.c` meets every one, and every system call that changes a file.

Each scenario makes a table once. For each step a copy of it gets a process that is killed before that step. Then, in this order:

1. The head declares the rows before the scenario or those after it; PyArrow reads a prefix of them; so do Colonnade's readers.
2. Another producer opens the table and appends. PyArrow reads all rows then. (Its opening is a scenario too: recovery.)
3. Nothing is left but the head and the segments that it lists.
"""

import argparse
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest.mock
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import colonnade as cn
from colonnade import _append_segments
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_room
from growing import rows
from support.sparse import copy_sparse

NAME = "t"
LIBRARY = Path(__file__).parents[1] / "support/count_stores.c"


class Scenario(NamedTuple):
    """What is there before, what is done then, and how many rows the table has before and after."""

    before: Callable[[cn.Store], None]
    act: Callable[[cn.Store, Callable[[], None]], None]  # calls its second argument where the steps begin
    rows_before: int
    rows_after: int


def filled(*stops: int, retain: int | None = None) -> Callable[[cn.Store], None]:
    def before(store: cn.Store) -> None:
        with store.appender(NAME, like=rows.make(0, 1), retain=retain) as log:
            for start, stop in itertools.pairwise((0, *stops)):
                log.append(rows.make(start, stop))

    return before


def appends(start: int, stop: int) -> Callable[[cn.Store, Callable[[], None]], None]:
    def act(store: cn.Store, begin: Callable[[], None]) -> None:
        with store.appender(NAME) as log:
            batch = rows.make(start, stop)
            begin()
            log.append(batch)

    return act


def shares(start: int, stop: int) -> Callable[[cn.Store, Callable[[], None]], None]:
    """One of two producers that share the table appends, after the other one has."""

    def act(store: cn.Store, begin: Callable[[], None]) -> None:
        with store.appender(NAME, shared=True) as one, store.appender(NAME, shared=True) as two:
            two.append(rows.make(start - 3, start))
            batch = rows.make(start, stop)
            begin()
            one.append(batch)

    return act


def fails_and_shares(store: cn.Store, begin: Callable[[], None]) -> None:
    """A shared producer's append fails, which leaves new categories, and another one appends."""
    with store.appender(NAME, shared=True) as one, store.appender(NAME, shared=True) as two:
        batch = rows.make(60, 90)
        begin()
        with contextlib.suppress(OSError), unittest.mock.patch.object(one._log, "publish", side_effect=OSError):
            one.append(batch)
        two.append(rows.make(20, 30))


def with_little_text(function: Callable[..., None]) -> Callable[..., None]:
    """The same with segments that have room for one page of text, unless a segment takes more along."""

    def call(*arguments: object) -> None:
        with (
            unittest.mock.patch.object(log_room, "_TEXT_OF_A_ROW", 0),
            unittest.mock.patch.object(_append_segments, "text_of", return_value=1),
        ):
            function(*arguments)

    return call


def flushes(store: cn.Store, begin: Callable[[], None]) -> None:
    with store.appender(NAME) as log:
        log.append(rows.make(20, 23))
        begin()
        log.flush()


def closes(store: cn.Store, begin: Callable[[], None]) -> None:
    with store.appender(NAME) as log:
        log.append(rows.make(20, 23))
        begin()


def opens(store: cn.Store, begin: Callable[[], None]) -> None:
    begin()
    store.appender(NAME).close()


def creates(store: cn.Store, begin: Callable[[], None]) -> None:
    begin()
    with store.appender(NAME, like=rows.make(0, 1)) as log:
        log.append(rows.make(0, 5))


def nothing(store: cn.Store) -> None:
    """A store without tables."""
    store.put("other", rows.make(0, 1)).close()


def killed_in(scenario: "Scenario", part: int) -> Callable[[cn.Store], None]:
    """A table in which a producer was killed after so many eighths of a scenario's steps."""

    def before(store: cn.Store) -> None:
        scenario.before(store)
        copy(store.path, store.path.with_name("counted"))
        steps = run(cn.Store(store.path.with_name("counted")), scenario, -1)
        assert run(store, scenario, steps * part // 8) == -signal.SIGKILL

    return before


def publishes_first(store: cn.Store, begin: Callable[[], None]) -> None:
    """A broken producer, which must be found."""
    with store.appender(NAME) as log:
        batch = rows.make(20, 30)
        begin()
        log._log.publish(30)
        log._log.committed = 20
        log.append(batch)


EDGE = STRIPE - 2
OLD = 2 * STRIPE - 2
SCENARIOS = {
    "append": Scenario(filled(20), appends(20, 30), 20, 30),
    "first rows": Scenario(filled(), appends(0, 5), 0, 5),
    "new categories": Scenario(filled(17), appends(17, 60), 17, 60),
    "show": Scenario(filled(20), flushes, 23, 23),
    "close": Scenario(filled(20), closes, 23, 23),
    "open": Scenario(filled(20), opens, 20, 20),
    "create": Scenario(nothing, creates, 0, 5),
    "roll over": Scenario(filled(EDGE, retain=8), appends(EDGE, EDGE + 5), EDGE, EDGE + 5),
    "roll over at the edge": Scenario(filled(STRIPE, retain=STRIPE), appends(STRIPE, STRIPE + 3), STRIPE, STRIPE + 3),
    "text without room": Scenario(with_little_text(filled(690)), with_little_text(appends(690, 720)), 690, 720),
    "shared": Scenario(filled(20), shares(23, 30), 23, 30),
    "shared, after one that fails": Scenario(filled(20), fails_and_shares, 20, 30),
    "shared, roll over": Scenario(filled(EDGE - 3, retain=8), shares(EDGE, EDGE + 5), EDGE, EDGE + 5),
    "retention": Scenario(filled(STRIPE, OLD, retain=8), appends(OLD, OLD + 5), OLD, OLD + 5),
}
SCENARIOS |= {
    f"recovery {part} of 7": Scenario(killed_in(SCENARIOS["roll over"], part), opens, EDGE, EDGE + 5)
    for part in range(1, 8)
}
# Most of its steps are the rows that the next segment takes along, which are stored as any others: each 40th is enough.
SPARSE = {"text without room": 40}
BROKEN = {"publish first": Scenario(filled(20), publishes_first, 20, 30)}


def build(folder: Path) -> Path:
    """Compile the library that counts stores."""
    library = folder / "count_stores.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, LIBRARY, "-ldl"], check=True)
    return library


def run(store: cn.Store, scenario: Scenario, at: int) -> int:
    """Do what a scenario does in a child that is killed before step ``at``; the exit status, or for -1 the steps."""
    steps = ctypes.CDLL(None)
    read, write = os.pipe()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Arrow has threads
        child = os.fork()
    if not child:
        status = 1
        try:
            scenario.act(cn.Store(store.path), lambda: steps.begin_steps(at))
            os.write(write, steps.end_steps().to_bytes(4, "little"))
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
    os.close(write)
    answer = os.read(read, 4)
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return int.from_bytes(answer, "little") if at == -1 and status == 0 else status


def look(store: cn.Store, scenario: Scenario) -> int:
    """See that readers find the rows before or after, before anybody has recovered anything; how many."""
    head = rows.head_of(store, NAME)
    if head is None or not rows.segments_of(store, NAME):
        assert scenario.rows_before == 0
        return 0
    committed = head.read().committed
    assert committed in (scenario.rows_before, scenario.rows_after), committed
    for path in rows.segments_of(store, NAME):
        visible = rows.verify_arrow(rows.read_file(path))
        assert not len(visible) or (visible.start == int(path.name[:20]) and visible.stop <= committed), (path, visible)
    rows.verify_pandas(store.get(NAME), stop=committed)
    return committed


def go_on(store: cn.Store, committed: int) -> None:
    """Append as another producer; see that all is there then, and nothing else."""
    with store.appender(NAME, like=rows.make(0, 1)) as log:
        assert log.num_rows == committed, (log.num_rows, committed)
        log.append(rows.make(committed, committed + 3))
    head = rows.head_of(store, NAME)
    assert head is not None
    state = head.read()
    assert state.committed == committed + 3
    following = state.entries[0].base
    for position, path in enumerate(rows.segments_of(store, NAME)):
        visible = rows.verify_arrow(rows.read_file(path), following)
        assert visible.stop >= state.end(position), (path, visible)
        following = state.end(position)
    assert following == committed + 3
    rows.verify_pandas(store.get(NAME), stop=committed + 3)
    files = {path.name for path in rows.folder_of(store, NAME).iterdir()}
    assert files == {"head"} | {path.name for path in rows.segments_of(store, NAME)}, files
    assert len(files) == 1 + len(state.entries), (files, state.entries)


def copy(source: Path, target: Path) -> None:
    """Copy a folder; holes stay holes."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=copy_sparse)


def check(name: str, every: int, offset: int) -> tuple[int, int]:
    """Go through the steps of a scenario; how many there are, and how many were killed."""
    scenario, every = (SCENARIOS | BROKEN)[name], every * SPARSE.get(name, 1)
    with tempfile.TemporaryDirectory(prefix="colonnade-test-", dir="/dev/shm") as folder:
        template, place = Path(folder, "template"), Path(folder, "store")
        scenario.before(cn.Store(template))
        copy(template, place)
        steps = run(cn.Store(place), scenario, -1)
        assert steps > 0, (name, steps)
        go_on(cn.Store(place), scenario.rows_after if "recovery" not in name else look(cn.Store(place), scenario))
        kills = 0
        for step in range(offset % every, steps, every):
            copy(template, place)
            store = cn.Store(place)
            status = run(store, scenario, step)
            if status != -signal.SIGKILL:  # a step fewer than in the first run: a name that is longer, a time
                assert status == 0, (name, step, status)
                continue
            kills += 1
            try:
                go_on(store, look(store, scenario))
                store.gc()
                assert store.check() == []
            except BaseException as error:
                error.add_note(f"{name}: killed before step {step} of {steps}")
                raise
    assert kills or offset % every >= steps, f"{name}: no kill in {steps:,} steps, every {every:,} from {offset:,}"
    return steps, kills


def main() -> int:
    """Run the scenarios that are asked for."""
    parser = argparse.ArgumentParser(description="Kill a producer of a growing table before each of its stores.")
    parser.add_argument("--every", type=int, default=1, help="only each n-th step")
    parser.add_argument("--offset", type=int, default=0, help="the first step")
    parser.add_argument("scenarios", nargs="*", default=[], help="; ".join(SCENARIOS))
    arguments = parser.parse_args()
    if not hasattr(ctypes.CDLL(None), "begin_steps"):  # start again with the library
        with tempfile.TemporaryDirectory() as folder:
            preload = {"LD_PRELOAD": str(build(Path(folder)))}
            again = [sys.executable, "-m", "growing.every_store", *sys.argv[1:]]
            return subprocess.run(again, env=os.environ | preload, check=False).returncode
    total, start = 0, time.perf_counter()
    for name in arguments.scenarios or SCENARIOS:
        steps, kills = check(name, arguments.every, arguments.offset)
        total += kills
        sys.stdout.write(f"{name:24} {steps:6,} steps {kills:6,} kills\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total:,} kills in {time.perf_counter() - start:.0f} s: nothing torn, lost or left\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
