"""Spares: which segments become spares, which puts get them, and that no reader sees a page being rewritten."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.sizes import parse_size
from colonnade.storage import folders
from colonnade.storage import spares as reuse

MIB = 1 << 20


def frame(value, mib=4):
    return pd.DataFrame({"x": np.full(mib * MIB // 8, float(value))})


def spares(store):
    folder = store.path / ".segments"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime) if folder.exists() else []


def inode(store, name="t"):
    return (store.path / f"{name}.arrow").stat().st_ino


def reader(store, program="sys.stdin.readline()"):
    """A process that opens the newest version as a frame, and reports when it has it."""
    text = f"""
import sys, colonnade as cn
df = cn.Store({str(store.path)!r}).get("t")
print("ready", flush=True)
{program}
"""
    started = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert started.stdout.readline() == "ready\n"
    return started


def end(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_superseded_segment_is_written_again(store):
    store.put("t", frame(1))
    first = inode(store)
    store.put("t", frame(2))
    assert [path.stat().st_ino for path in spares(store)] == [first]
    store.put("t", frame(3))
    assert inode(store) == first
    assert (store.get("t")["x"] == 3).all()
    assert len(spares(store)) == 1


def test_deleted_and_pruned_versions_become_spares(store):
    for value in range(3):
        store.put("t", frame(value), keep=2)
    assert len(spares(store)) == 1  # version 1; 2 is retained
    store.delete("t")
    assert len(spares(store)) == 3
    assert store.gc().nbytes >= 12 * MIB
    assert spares(store) == []


def test_small_segments_are_not_kept(store):
    for value in range(3):
        store.put("t", frame(value, mib=1))
    assert spares(store) == []


def test_a_spare_that_a_process_maps_is_not_taken(store):
    """The descriptor is closed; the kernel still counts the mapping."""
    store.put("t", frame(1))
    holder = reader(store, "sys.stdin.readline(); print((df['x'] == 1).all()); sys.stdin.readline()")
    held = inode(store)
    for value in range(2, 6):
        store.put("t", frame(value))
        assert inode(store) != held
    print("look", file=holder.stdin)
    assert holder.stdout.readline() == "True\n"
    end(holder)
    seen = set()
    for value in range(3):
        store.put("t", frame(value))
        seen.add(inode(store))
    assert held in seen  # once nobody has it, it is used


def test_a_spare_that_this_process_has_open_is_not_taken(store):
    snapshot = store.put("t", frame(1))
    held = inode(store)
    for value in range(2, 5):
        store.put("t", frame(value)).close()
        assert inode(store) != held
    assert (snapshot.to_pandas()["x"] == 1).all()
    frames = snapshot.to_pandas()
    snapshot.close()
    store.put("t", frame(5)).close()
    assert inode(store) != held
    assert (frames["x"] == 1).all()


def test_a_child_that_was_forked_with_a_frame_keeps_it(store):
    store.put("t", frame(1)).close()
    held = inode(store)
    df = store.get("t")
    end_read, end_write = os.pipe()
    answer_read, answer_write = os.pipe()
    child = os.fork()
    if not child:
        os.read(end_read, 1)
        os.write(answer_write, b"y" if (df["x"] == 1).all() else b"n")
        os._exit(0)
    del df
    for value in range(2, 5):
        store.put("t", frame(value)).close()
        assert inode(store) != held
    os.write(end_write, b".")
    assert os.read(answer_read, 1) == b"y"
    os.waitpid(child, 0)
    for descriptor in (end_read, end_write, answer_read, answer_write):
        os.close(descriptor)


def test_only_what_fits_is_taken(store):
    store.put("t", frame(1, mib=64)).close()
    store.delete("t")
    (large,) = spares(store)
    store.put("small", frame(1, mib=8)).close()
    assert spares(store) == [large]
    store.put("nearly", frame(1, mib=40)).close()
    assert spares(store) == []
    path = store.path / "nearly.arrow"
    assert path.stat().st_size < 41 * MIB
    assert path.stat().st_blocks * 512 < 43 * MIB  # what was too much went back


def test_a_spare_grows(store):
    store.put("t", frame(1, mib=8)).close()
    first = inode(store)
    store.delete("t")
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.standard_normal(15 * MIB // 8), "s": ["words"] * (15 * MIB // 8)})
    store.put("t", df.iloc[: 12 * MIB // 8]).close()
    assert inode(store) != first  # with the strings it is more than twice as large
    store.put("u", df[["x"]]).close()
    assert inode(store, "u") == first
    pd.testing.assert_frame_equal(store.get("u"), df[["x"]])


def test_nothing_of_an_earlier_table_is_left_between_the_columns(store):
    """Bytes that belong to no column (padding, the rest of a bitmap) are zeros, as in fresh memory."""
    rows = 700_001  # an odd number: each column ends off every boundary
    secret = pd.DataFrame({"x": np.full(12 * rows // 8 + 100_000, -1, np.int64)})
    df = pd.DataFrame(
        {f"i{i}": np.zeros(rows, np.int8) for i in range(3)} | {"f": np.zeros(rows), "b": np.zeros(rows, bool)}
    )
    df.index = pd.MultiIndex.from_arrays([np.zeros(rows, np.int16), np.zeros(rows, np.int16)])
    store.put("t", secret).close()
    first = inode(store)
    store.put("t", frame(0, 2)).close()
    store.put("u", df).close()
    assert inode(store, "u") == first
    used = (store.path / "u.arrow").read_bytes()
    store.gc()
    store.put("u", df).close()
    fresh = (store.path / "u.arrow").read_bytes()
    differ = np.flatnonzero(np.frombuffer(used, np.uint8) != np.frombuffer(fresh, np.uint8))
    assert len(used) == len(fresh)
    assert set(differ.tolist()) <= set(range(len(used) - 4000, len(used)))  # the seal


@pytest.mark.parametrize("limit", [0, "5MiB", "9MiB"])
def test_spares_are_bounded_in_bytes(folder, limit):
    store = cn.Store(folder / "s", spares=limit)
    for value in range(4):
        store.put(f"t{value}", frame(value)).close()
    for value in range(4):
        store.delete(f"t{value}")
    held = sum(path.stat().st_blocks * 512 for path in spares(store))
    assert held <= parse_size(limit, "limit")
    assert len(spares(store)) == {0: 0, "5MiB": 1, "9MiB": 2}[limit]


def test_spares_are_bounded_in_age(store, monkeypatch):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    assert len(spares(store)) == 1
    monkeypatch.setattr(reuse, "AGE", 0.05)
    time.sleep(0.1)
    store.put("small", pd.DataFrame({"x": [1]})).close()
    assert spares(store) == []


def test_the_lease_test(folder):
    """The kernel grants the lease only if no other process has the file open or mapped."""
    path = folder / "file"
    path.write_bytes(bytes(8192))

    def is_unused():
        fd = os.open(path, os.O_RDWR)
        try:
            return reuse.is_unused(fd)
        finally:
            os.close(fd)

    assert is_unused()
    fd = os.open(path, os.O_RDONLY)
    assert not is_unused()
    for writable in (False, True):
        mapping = _core.Mapping(fd, 8192, writable)
        os.close(fd)
        assert not is_unused()
        del mapping
        assert is_unused()
        fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    assert fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_GETLEASE) == fcntl.F_UNLCK


def test_a_lease_that_is_broken_does_not_kill_its_holder(store):
    """The holder of a broken lease gets SIGURG, not SIGIO, which would end it."""
    program = f"""
import os, sys, threading, fcntl
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from colonnade.storage import spares
path = {str(store.path.parent / "file")!r}
open(path, "wb").write(bytes(4096))
done = threading.Event()
def opener():
    while not done.is_set():
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except BlockingIOError:
            print("met", flush=True)
            done.set()
for _ in range(2):
    threading.Thread(target=opener).start()
while not done.is_set():
    fd = os.open(path, os.O_RDWR)
    spares.is_unused(fd)
    os.close(fd)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout[:3]) == (0, "met"), done.stderr


def test_nothing_is_kept_where_leases_are_not_to_be_had(folder, monkeypatch):
    real = fcntl.fcntl

    def refuse(fd, command, argument=0):
        if command == fcntl.F_SETLEASE:
            raise OSError(22, "leases are off")
        return real(fd, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    store = cn.Store(folder / "s")
    for value in range(3):
        store.put("t", frame(value)).close()
    assert spares(store) == []
    assert (store.get("t")["x"] == 2).all()


def test_spares_of_a_store_that_lost_its_leases_are_left_alone(store, monkeypatch):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    (spare,) = spares(store)
    monkeypatch.setattr(reuse, "is_unused", lambda fd: False)
    store.put("t", frame(3)).close()
    assert spare in spares(store)


def test_nothing_is_kept_on_a_disk(tmp_path):
    if _core.in_memory(os.open(tmp_path, os.O_RDONLY)):
        pytest.skip("the temporary folder is memory")
    store = cn.Store(tmp_path / "s")
    for value in range(3):
        store.put("t", frame(value)).close()
    assert spares(store) == []
    assert (store.get("t")["x"] == 2).all()


@pytest.mark.privileged("users")
def test_a_foreign_spare_is_not_taken(store):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    (spare,) = spares(store)
    os.chown(spare, 65534, 65534)
    store.put("t", frame(3)).close()
    assert spare in spares(store)
    store.gc()


def test_a_spare_with_another_name_is_not_taken(store):
    """A writer that is killed between link and rename leaves the newest version with a second name, that of a spare."""
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    store.gc()
    held = inode(store)
    (store.path / ".segments").mkdir(exist_ok=True)
    os.link(store.path / "t.arrow", store.path / ".segments" / "spare-0123456789abcdef")
    store.put("u", frame(3)).close()
    assert inode(store, "u") != held
    assert (store.get("t")["x"] == 2).all()
    assert not (store.path / ".segments" / "spare-0123456789abcdef").exists()


def test_two_names_of_one_inode_in_attach(store, monkeypatch):
    """The reader looked the name up, then the segment was superseded, taken, rewritten and published under the same name:
    what it opened is what the name leads to, and it must see the new version whole."""
    store.put("t", frame(1)).close()
    first = inode(store)
    store.put("u", frame(0)).close()
    store.delete("u")
    from colonnade.storage.segment import Segment

    real = Segment.is_at
    published = []

    def slow(self, folder, file):
        if not published:  # between open and check: the reader's own descriptor keeps the segment from being taken
            published.append(True)
            store.put("t", frame(2)).close()
            store.put("t", frame(3)).close()
            assert inode(store) != first
        return real(self, folder, file)

    monkeypatch.setattr(Segment, "is_at", slow)
    snapshot = store.open("t")
    assert snapshot.version == 3
    assert (snapshot.to_pandas()["x"] == 3).all()


def test_nothing_is_read_before_the_name_is_checked(store, monkeypatch):
    from colonnade.storage.segment import Segment

    store.put("t", frame(1)).close()
    order = []
    for name in ("is_at", "seal"):
        real = getattr(Segment, name)
        monkeypatch.setattr(
            Segment, name, lambda self, *args, _real=real, _name=name: order.append(_name) or _real(self, *args)
        )
    store.open("t")
    assert order == ["is_at", "seal"]


@pytest.mark.slow
def test_two_writers_do_not_take_one_spare(store):
    """Several processes put at once, each under its own name, and each reads back what it wrote."""
    program = f"""
import sys, numpy as np, pandas as pd, colonnade as cn
store = cn.Store({str(store.path)!r})
me = int(sys.argv[1])
sys.stdin.readline()
for i in range(25):
    df = pd.DataFrame({{"x": np.full(400_000 + 1000 * i, me * 1000.0 + i)}})
    store.put(f"t{{me}}", df).close()
    back = store.get(f"t{{me}}")
    assert (back["x"] == me * 1000 + i).all() and len(back) == len(df)
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(me)], stdin=subprocess.PIPE, text=True) for me in range(3)
    ]
    for writer in writers:
        writer.communicate("go\n")
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(spares(store)) <= 6


def test_memory_is_mapped_on_huge_page_boundaries(store):
    store.put("t", frame(1, mib=8)).close()
    with store.open("t") as snapshot:
        mapping = snapshot._segment.map(writable=True)
        assert mapping.address % (2 * MIB) == 0
        assert len(mapping) == snapshot.nbytes
    df = store.get("t")
    assert df["x"].sum() == MIB


def in_huge_pages(path, size):
    """Read a whole file; returns how many of its bytes are mapped as huge pages then."""
    fd = os.open(path, os.O_RDONLY)
    mapping = _core.Mapping(fd, size, True)
    os.close(fd)
    np.frombuffer(mapping, np.uint8)[::4096].sum()
    with open("/proc/self/smaps") as file:
        lines = file.read().split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{mapping.address:x}-"))
    field = next(
        line
        for line in lines[start:]
        if line.startswith(("FilePmdMapped", "ShmemPmdMapped")) and not line.endswith(" 0 kB")
    )
    return int(field.split()[1]) << 10


def gives_huge_pages(folder):
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    os.ftruncate(fd, 4 * MIB)
    given = _core.Mapping.of_draft(fd, 4 * MIB).reserve(fd)
    os.close(fd)
    return given


def test_segments_stand_in_huge_pages(store, folder):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    for _ in range(3):  # fresh, fresh, recycled
        snapshot = store.put("t", frame(1, mib=9))
        assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def test_gc_gives_huge_pages_to_what_has_none(store, folder, monkeypatch):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with monkeypatch.context() as without:
        without.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
        snapshot = store.put("t", frame(1, mib=9))
    with pytest.raises(StopIteration):
        in_huge_pages(snapshot.path, snapshot.nbytes)
    held = store.get("t")
    store.gc()
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB
    assert (held["x"] == 1).all()


@pytest.fixture
def small_spare(store, folder, monkeypatch):
    """A spare in small pages, and its inode."""
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with monkeypatch.context() as without:
        without.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
        store.put("t", frame(1, mib=9)).close()
        spare = inode(store)
        store.put("t", frame(2, mib=9)).close()
    return spare


def test_a_spare_in_small_pages_is_used_as_it_is_where_no_huge_ones_are_at_hand(small_spare, store, monkeypatch):
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: False)
    monkeypatch.setattr("colonnade.storage.draft.Draft.write", _only_small_writes)
    snapshot = store.put("t", frame(3, mib=9))  # through the mapping
    assert inode(store) == small_spare
    assert (store.get("t")["x"] == 3).all()
    snapshot.validate()
    with pytest.raises(StopIteration):
        in_huge_pages(snapshot.path, snapshot.nbytes)


def test_a_spare_in_small_pages_gets_some_huge_ones_with_each_put(small_spare, store, monkeypatch):
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: True)
    snapshot = store.put("t", frame(3, mib=9))  # so few that one put is enough
    assert inode(store) == small_spare
    assert (store.get("t")["x"] == 3).all()
    snapshot.validate()
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def test_huge_pages_come_step_by_step(folder):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(range(256)) * 4096 * 80)  # 80 MiB: 2 ms, and two or more steps of 16 MiB for each processor
        mapping = _core.Mapping.of_draft(file.fileno(), 80 * MIB)
        place, places = 0, []
        while place < 80 * MIB:
            place = mapping.collapse_some(place)
            places.append(place)
        assert places == sorted(set(places))
        assert (np.frombuffer(mapping, np.uint8).reshape(-1, 256) == np.arange(256)).all()
        for wrong in (1, 82 * MIB):
            with pytest.raises(ValueError, match="not the place of a huge page"):
                mapping.collapse_some(wrong)


def test_a_spare_in_huge_pages_is_used_where_none_are_at_hand(store, folder, monkeypatch):
    if not gives_huge_pages(folder):
        pytest.skip("this kernel gives no huge pages to files in memory")
    for value in (1, 2):
        store.put("t", frame(value, mib=9)).close()
    monkeypatch.setattr(_core, "huge_pages_at_hand", lambda: False)
    monkeypatch.setattr("colonnade.storage.draft.Draft.write", _only_small_writes)
    snapshot = store.put("t", frame(3, mib=9))  # through the mapping
    assert in_huge_pages(snapshot.path, snapshot.nbytes) == 8 * MIB


def _only_small_writes(draft, at, data):
    assert len(data) < MIB
    os.pwrite(draft.fd, data, at)


def test_whether_huge_pages_are_at_hand_is_asked_once(folder):
    assert _core.huge_pages_at_hand() in (True, False)
    assert len({_core.huge_pages_at_hand() for _ in range(100)}) == 1


def test_pages_are_entered_at_once(store):
    store.put("t", frame(1, mib=9)).close()
    mapping = store.open("t")._segment.map(writable=False)
    assert mapping.populate()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.frombuffer(mapping, np.uint8)[::4096].sum()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 100


def test_without_huge_pages_all_works_as_before(store, monkeypatch):
    monkeypatch.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
    rng = np.random.default_rng(1)
    for _ in range(4):
        df = pd.DataFrame({"x": rng.standard_normal(600_000), "b": rng.random(600_000) < 0.5})
        store.put("t", df).close()
        pd.testing.assert_frame_equal(store.get("t"), df)
    assert len(spares(store)) == 1


def test_holding_the_lock_is_seen_by_other_processes(store):
    """`gc` and `put` wait for a writer that publishes, and go on when it is killed."""
    program = f"""
import sys, time, colonnade as cn
store = cn.Store({str(store.path)!r})
with store._catalog.directory.lock():
    print("locked", flush=True)
    time.sleep(60)
"""
    store.put("t", frame(1)).close()
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    started = time.perf_counter()
    putter = subprocess.Popen([sys.executable, "-c", f"import colonnade as cn; cn.Store({str(store.path)!r}).gc()"])
    with pytest.raises(subprocess.TimeoutExpired):
        putter.wait(1.5)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert putter.wait(30) == 0
    assert time.perf_counter() - started >= 1.5


def test_folders_are_given_back(store):
    store.put("t", frame(1)).close()
    with store._catalog.directory.opened() as root:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with folders.below(root, ["a", "b"], None, make=0o700):
                pass
            with pytest.raises(FileNotFoundError), folders.below(root, ["a", "c"], None):
                pass
        assert len(os.listdir("/proc/self/fd")) == before
    store.gc()
