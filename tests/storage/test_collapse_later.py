"""Large tables in small pages are put into huge ones after the put, by a thread of the core, which may end anywhere."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import colonnade as cn
from colonnade import _core
from support.pages import gives_huge_pages, in_huge_pages
from support.spares import MIB, frame, inode

# A put into small pages, of a table for which the thread starts.
_SMALL = """
import os, signal, sys
seen = []  # the number of threads where Python counts them
os.register_at_fork(after_in_parent=lambda: seen.append(len(os.listdir("/proc/self/task"))))
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its threads would end at the fork too
import numpy as np, pandas as pd
import colonnade as cn
from colonnade import _core
from colonnade.storage import draft
draft.Draft.map = lambda self, size: os.ftruncate(self.fd, size)
store = cn.Store(sys.argv[1])
frame = pd.DataFrame({"x": np.full(34 << 17, 1.0)})
draft.COLLAPSED = 4 << 20
"""


@pytest.fixture(autouse=True)
def small_pages(folder, monkeypatch):
    """Puts write into small pages; the thread starts for 4 MiB."""
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    monkeypatch.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
    monkeypatch.setattr("colonnade.storage.draft.COLLAPSED", 4 * MIB)


def run(program, *arguments):
    command = [sys.executable, "-c", _SMALL + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_until_done():
    wait_until(lambda: _core.collapsing() == 0)


def descriptors_of(number):
    """How many descriptors of this process lead to a file."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.stat(f"/proc/self/fd/{fd}").st_ino == number
    return count


def threads():
    return len(os.listdir("/proc/self/task"))


def test_a_table_comes_into_huge_pages_after_its_put_while_it_is_read_and_written(store):
    before = threads()
    snapshot = store.put("t", frame(1, mib=21))
    reader = store.get("t")
    while _core.collapsing():
        assert reader["x"].sum() == 21 * MIB // 8
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 20 * MIB
    assert (reader["x"] == 1).all()
    snapshot.validate()
    number = inode(store)
    snapshot.close()
    assert descriptors_of(number) == 0
    wait_until(lambda: threads() <= before)  # it ends when it has nothing to do


def test_shared_tables_too(store):
    with store.share(frame(1, mib=9)) as snapshot:
        wait_until_done()
        assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def test_small_tables_do_not_start_it(store, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
    monkeypatch.setattr(_core, "collapse_later", lambda fd: pytest.fail("started"))
    store.put("t", frame(1, mib=9)).close()


def test_files_on_a_disk_are_left_alone(tmp_path):
    with (tmp_path / "x").open("wb+") as file:
        if _core.in_memory(file.fileno()):
            pytest.skip("temporary files are in memory")
        file.truncate(4 * MIB)
        _core.collapse_later(file.fileno())
        assert _core.collapsing() == 0


def test_a_put_takes_the_spare_that_waits_for_huge_pages(store):
    numbers = []
    for value in range(8):
        store.put("t", frame(value, mib=33)).close()
        numbers.append(inode(store))
        assert (store.get("t")["x"] == value).all()
    assert len(set(numbers)) == 2
    wait_until_done()
    # A page that a put used whenever the thread tried it stays small.
    assert in_huge_pages(store.path / "t.arrow", 33 * MIB) >= 30 * MIB
    store.put("t", frame(8, mib=33)).close()
    wait_until_done()
    store.put("t", frame(9, mib=33)).close()
    assert _core.collapsing() == 0  # both are known to be in huge pages


def test_what_is_deleted_is_closed(folder):
    store = cn.Store(folder / "without spares")
    store.configure(spares=0)
    store.put("t", frame(1, mib=65)).close()
    number = inode(store)
    store.delete("t")
    wait_until_done()
    assert descriptors_of(number) == 0


def test_many_puts_take_few_descriptors(store):
    wait_until_done()  # with what the test before has put
    before = len(os.listdir("/proc/self/fd"))
    for number in range(24):
        store.put(f"t{number}", frame(number, mib=5)).close()
        assert len(os.listdir("/proc/self/fd")) <= before + 18
    wait_until_done()
    assert len(os.listdir("/proc/self/fd")) == before
    for number in range(24):
        assert (store.get(f"t{number}")["x"] == number).all()


def test_a_child_has_neither_its_thread_nor_its_files(store):
    store.put("t", frame(1, mib=65)).close()
    number = inode(store)
    child = os.fork()
    if child == 0:
        os._exit(_core.collapsing() + descriptors_of(number) + (threads() > 1))
    assert os.waitpid(child, 0)[1] == 0
    wait_until_done()
    assert in_huge_pages(store.path / "t.arrow", 65 * MIB) == 64 * MIB


def test_a_child_may_go_on_with_files_of_its_own(store):
    store.put("t", frame(1, mib=17)).close()
    child = os.fork()
    if child == 0:
        try:
            store.put("u", frame(2, mib=17)).close()
            wait_until_done()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    wait_until_done()
    for name in "tu":
        assert in_huge_pages(store.path / f"{name}.arrow", 17 * MIB) == 16 * MIB


def test_no_thread_is_there_when_python_forks(store):
    """Python looks between the fork and the handlers of the parent, and warns if there is more than one thread."""
    program = """
print(seen == [] and _core.collapsing() == 0)
threads = len(os.listdir("/proc/self/task"))
import warnings
warnings.simplefilter("ignore" if threads > 1 else "error", DeprecationWarning)  # PyArrow may have one
store.put("t", frame).close()
busy = _core.collapsing()
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
print(busy, seen[0] - threads)
"""
    process = run(program, store.path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "True\n1 0\n", "")


@pytest.mark.parametrize("ends", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_process_may_end_in_the_middle(store, ends):
    process = run(f"store.put('t', frame).close()\nassert _core.collapsing()\n{ends}", store.path)
    assert (process.returncode, process.stderr) == (-signal.SIGKILL if "KILL" in ends else 0, "")
    with store.open("t") as snapshot:
        snapshot.validate()
        assert (snapshot.to_pandas()["x"] == 1).all()


_LIMITED = """
import resource
draft.COLLAPSED = 1 << 60  # only the call below starts the thread
store.put("t", frame).close()
with store.open("t") as snapshot:
    descriptor = snapshot.fileno()
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    kind, least = {
        "none": (resource.RLIMIT_AS, resource.RLIM_INFINITY),
        "addresses": (resource.RLIMIT_AS, used),
        "window": (resource.RLIMIT_AS, used + (4 << 20)),  # it is larger; the thread has the stack of one that ended
        "descriptors": (resource.RLIMIT_NOFILE, 3),
    }[sys.argv[2]]
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (least, before[1]))
    _core.collapse_later(descriptor)
    while _core.collapsing():
        pass
    resource.setrlimit(kind, before)
    snapshot.validate()
"""


@pytest.mark.parametrize("limit", ["none", "addresses", "window", "descriptors"])
def test_without_room_for_it_the_file_stays_as_it_is(store, limit):
    process = run(_LIMITED, store.path, limit)
    assert (process.returncode, process.stderr) == (0, "")
    with store.open("t") as snapshot:
        assert (in_huge_pages(snapshot.path, snapshot.nbytes) > 0) == (limit == "none")


def test_what_was_cut_off_a_file_is_done_again(store):
    files = set()
    for size in (9, 7, 9):  # MiB; the spares have no place for a huge page at their end in between
        with store.put("t", frame(1, mib=size)) as snapshot:
            files.add(inode(store))
            wait_until_done()
        assert in_huge_pages(snapshot.path, snapshot.nbytes) == size // 2 * 2 * MIB
    assert len(files) < 3


def test_values_stay_while_a_spare_is_rewritten_and_moved(store):
    rng = np.random.default_rng(1)
    for size in (9, 6, 13, 12, 7, 14, 9):  # a spare's next table seldom has the size of the one before
        table = frame(0, mib=size)
        table["x"] = rng.random(len(table))
        store.put("t", table).close()
        assert store.get("t").equals(table)
    wait_until_done()
    assert store.get("t").equals(table)
