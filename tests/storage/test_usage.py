"""What occupies a store's memory, and which processes hold it: real processes map tables and drop them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade.cli.top import print_once
from colonnade.sizes import format_size
from colonnade.storage import folders
from colonnade.storage.draft import Draft

MIB = 1 << 20


def frame(mib=4, value=0.0):
    return pd.DataFrame({"x": np.full(mib * MIB // 8, value)})


def allocated(path):
    return path.stat().st_blocks * 512


def roles(store):
    """(role, name, version, bytes) of all segments."""
    return [(result.role, result.name, result.version, result.nbytes) for result in store.usage().segments]


def holders(store, role):
    """The holders of the only segment that has a role."""
    (segment,) = store.usage().of(role)
    return {(holder.pid, holder.kind) for holder in segment.holders}


@contextlib.contextmanager
def process(program, *args, before=()):
    """A Python process that has run a program and then waits for a line."""
    program = (
        f"import sys, colonnade as cn\nstore = cn.Store(sys.argv[1])\n{program}\nprint('ready', flush=True)\ninput()"
    )
    command = [*before, sys.executable, "-c", program, *map(str, args)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def reader(store, name="t", what="held = store.get(sys.argv[2])"):
    return process(what, store.path, name)


@pytest.fixture
def store(folder):
    """A store without spares, so a deleted table is really deleted."""
    store = cn.Store(folder / "store", spares=0)
    yield store
    assert store.check() == []


# -- what is there -----------------------------------------------------------------------------------------------------


def test_nothing_is_there(store):
    usage = store.usage()
    stats = os.statvfs("/dev/shm")
    assert (usage.path, usage.segments, usage.nbytes, usage.capacity) == (store.path, (), 0, None)
    assert usage.filesystem == stats.f_blocks * stats.f_frsize
    assert 0 < usage.free <= usage.filesystem
    assert not store.path.exists()


def test_versions_are_rows_of_their_own(store):
    for value in range(3):
        store.put("a/t", frame(1, value), keep=2).close()
    store.put("s", pd.DataFrame({"x": [1]})).close()
    at = store.path
    assert roles(store) == [
        ("newest", "a/t", 3, allocated(at / "a/t.arrow")),
        ("retained", "a/t", 2, allocated(at / "a/t@2.arrow")),
        ("newest", "s", 1, allocated(at / "s.arrow")),
    ]
    newest = store.usage().segments[0]
    with store.open("a/t") as snapshot:
        assert (newest.rows, newest.created) == (snapshot.num_rows, snapshot.created)
    assert store.usage().nbytes == sum(allocated(path) for path in at.rglob("*.arrow"))


def test_every_kind_of_file_has_its_role(folder):
    store = cn.Store(folder / "store")
    store.put("t", frame(1)).close()
    names = {
        ".segments/spare-1": "spare",
        ".segments/draft-1": "draft",
        ".publish": "draft",
        ".settings": "other",
        "x.txt": "other",
        "y.arrow": "other",
    }
    (store.path / ".segments").mkdir(exist_ok=True)
    for size, name in enumerate(names, 1):
        (store.path / name).write_bytes(b"x" * 4096 * size)
    (store.path / "link").symlink_to("/etc/passwd")
    os.mkfifo(store.path / "pipe.arrow")
    usage = {(segment.role, segment.nbytes) for segment in store.usage().segments if segment.role != "newest"}
    assert usage == {(role, 4096 * size) for size, role in enumerate(names.values(), 1)}


def test_a_segment_of_two_names_counts_once(folder):
    store = cn.Store(folder / "store")
    store.put("t", frame(1)).close()
    (store.path / ".segments").mkdir(exist_ok=True)
    os.link(store.path / "t.arrow", store.path / ".segments/spare-1")  # as a crash between link and rename leaves it
    assert roles(store) == [("newest", "t", 1, allocated(store.path / "t.arrow"))]


def test_a_store_that_cannot_be_read(folder):
    (folder / "file").write_text("x")
    with pytest.raises(cn.StoreAccessError, match=r"file cannot be read as a store: Not a directory"):
        cn.Store(folder / "file").usage()


# -- who holds it ------------------------------------------------------------------------------------------------------


def test_who_maps_a_table_and_who_has_it_open(store):
    store.put("t", frame()).close()
    with reader(store) as maps, reader(store, what="held = store.open(sys.argv[2])") as opens:
        assert holders(store, "newest") == {(maps.pid, "mapped"), (opens.pid, "open")}
        (segment,) = store.usage().segments
        assert {holder.command for holder in segment.holders} == {Path(f"/proc/{maps.pid}/comm").read_text().strip()}
    assert holders(store, "newest") == set()


def test_the_writer_maps_what_had_no_name_when_it_was_made(store):
    df = store.put("t", frame()).to_pandas()
    maps = Path("/proc/self/maps").read_text()
    assert f"{store.path}/#" in maps  # the kernel shows a path that leads nowhere
    assert holders(store, "newest") == {(os.getpid(), "mapped")}
    del df
    assert holders(store, "newest") == set()


@pytest.mark.parametrize("drop", ["supersede", "delete", "remove the store"])
@pytest.mark.slow
def test_a_segment_that_lost_its_name_is_its_holders(drop, store):
    store.put("a/t", frame(4)).close()
    size = allocated(store.path / "a/t.arrow")
    with reader(store, "a/t") as first, reader(store, "a/t") as second:
        if drop == "supersede":
            store.put("a/t", frame(1)).close()
        else:
            store.delete("a/t")
        if drop == "remove the store":
            store.path.rmdir()
        for _ in range(2):
            (usage,) = store.usage().of("deleted")
            assert (usage.name, usage.version, usage.nbytes) == ("a/t", None, size)
            assert {holder.pid for holder in usage.holders} == {first.pid, second.pid}
        second.communicate("\n")
        assert holders(store, "deleted") == {(first.pid, "mapped")}
    assert store.usage().of("deleted") == ()


def test_a_deleted_segment_that_is_open_alone(store):
    store.put("t", frame(2)).close()
    size = allocated(store.path / "t.arrow")
    with store.open("t"):
        store.delete("t")
        assert roles(store) == [("deleted", "t", None, size)]
        assert holders(store, "deleted") == {(os.getpid(), "open")}
    assert roles(store) == []


def test_a_mapping_in_pieces_is_as_long_as_its_farthest(store):
    store.put("t", frame(2)).close()
    size = allocated(store.path / "t.arrow")
    split = """
import ctypes
held = store.get(sys.argv[2])
(start,) = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if line.endswith("/t.arrow\\n")]
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + 8192), 4096, 1) == 0
"""
    with reader(store, what=split) as child:
        assert Path(f"/proc/{child.pid}/maps").read_text().count(f"{store.path}/t.arrow") == 3
        store.delete("t")
        assert roles(store) == [("deleted", "t", None, size)]


def test_a_store_behind_a_link(folder):
    (folder / "link").symlink_to(folder)
    store = cn.Store(folder / "link" / "store")
    store.put("a/t", frame(1)).close()
    with store.open("a/t"):
        assert holders(store, "newest") == {(os.getpid(), "open")}
        store.delete("a/t")
        assert [(segment.role, segment.name) for segment in store.usage().segments] == [("deleted", "a/t")]


def test_a_segment_renamed_while_the_directory_is_read_is_not_deleted(folder, monkeypatch):
    store = cn.Store(folder / "store")
    reader = store.put("t", frame(1)).to_pandas()
    walk = folders.walk

    def walk_while_it_is_renamed(directory, *args):
        if (store.path / "t.arrow").exists():
            yield folders.File((), "t.arrow", directory)
            (store.path / ".segments").mkdir(exist_ok=True)
            (store.path / "t.arrow").rename(store.path / ".segments/spare-1")
        else:
            yield from walk(directory, *args)

    monkeypatch.setattr(folders, "walk", walk_while_it_is_renamed)
    assert roles(store) == []
    assert holders(store, "spare") == {(os.getpid(), "mapped")}
    del reader


def test_a_spare_that_a_reader_holds_is_named_as_it_was_opened(folder):
    store = cn.Store(folder / "store")
    store.put("t", frame(1)).close()
    reader = store.get("t")
    (store.path / ".segments").mkdir(exist_ok=True)
    os.link(store.path / "t.arrow", store.path / ".segments/spare-1")
    store.put("t", frame(1)).close()
    (spare,) = store.usage().of("spare")
    assert (spare.name, [holder.pid for holder in spare.holders]) == ("t", [os.getpid()])
    del reader


def test_a_draft_without_a_name_is_its_writers(store):
    store.put("t", frame(1)).close()
    with store._catalog.directory.opened() as directory, Draft.fresh(directory, 0o600) as draft:
        draft.write(0, bytes(MIB))
        assert roles(store) == [("newest", "t", 1, allocated(store.path / "t.arrow")), ("draft", None, None, MIB)]
        assert holders(store, "draft") == {(os.getpid(), "open")}


def test_files_of_others_are_not_the_stores(folder):
    """Not counted: a store whose path begins with the same text, and deleted files elsewhere on the file system."""
    store, other = cn.Store(folder / "store"), cn.Store(folder / "store2")
    store.put("t", frame(1)).close()
    other.put("t", frame(1)).close()
    old_frame = other.get("t")
    other.delete("t")
    assert {segment.role for segment in store.usage().segments} == {"newest"}
    assert holders(store, "newest") == set()
    assert holders(other, "deleted") == {(os.getpid(), "mapped")}
    del old_frame


@pytest.fixture
def overlay(folder, tmp_path):
    """An overlay of layers on two file systems: its files have another device number than the overlay."""
    lower, upper, work, merged = tmp_path / "lower", folder / "upper", folder / "work", folder / "merged"
    for place in (lower, upper, work, merged):
        place.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount = ["mount", "-t", "overlay", "none", "-o", options, merged]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting an overlay needs privileges")
    yield merged
    subprocess.run(["umount", "-l", merged], check=True)


@pytest.mark.slow
def test_on_overlayfs(overlay):
    store = cn.Store(overlay / "store")
    store.put("t", frame(1)).close()
    size = allocated(store.path / "t.arrow")
    with reader(store) as maps, reader(store, what="held = store.open(sys.argv[2])") as opens:
        both = {(maps.pid, "mapped"), (opens.pid, "open")}
        assert holders(store, "newest") == both
        store.put("t", frame(2)).close()
        assert holders(store, "deleted") == both
        assert store.usage().of("deleted")[0].nbytes == size
    assert {segment.role for segment in store.usage().segments} == {"newest"}


@pytest.mark.parametrize("place", ["small", "overlay"])
@pytest.mark.slow
def test_a_file_system_of_another_mount_namespace_is_not_the_stores(place, request):
    """The same paths, and on tmpfs the same inode numbers, as two containers have them."""
    store = cn.Store(request.getfixturevalue(place) / "store")
    store.put("t", frame(1)).close()
    program = """
import os, subprocess
import pandas as pd
subprocess.run(["mount", "-t", "tmpfs", "none", store.path.parent], check=True)
store.put("t", pd.DataFrame({"x": [1.0]})).close()
held, opened, deleted = store.get("t"), store.open("t"), store.get("t")
store.put("t", pd.DataFrame({"x": [1.0]})).close()
"""
    with process(program, store.path, before=["unshare", "-m"]) as child:
        theirs = [os.stat(f"/proc/{child.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{child.pid}/fd")]
        mine = (store.path / "t.arrow").stat()
        assert place == "overlay" or mine.st_ino in {result.st_ino for result in theirs if result.st_dev != mine.st_dev}
        assert roles(store) == [("newest", "t", 1, allocated(store.path / "t.arrow"))]
        assert holders(store, "newest") == set()


# -- what may not be looked at -----------------------------------------------------------------------------------------


AS_NOBODY = """
import ctypes, json, os, subprocess, sys
import colonnade as cn
store = cn.Store(sys.argv[1])
others = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(3)]
held = store.get("t")
repr(store.usage())  # imported while it may be
os.setgroups([]), os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: a process that was root may not be looked at, not by itself either
found = store.usage()
print(found)
json.dump([found.unseen, os.getpid(), [tuple(holder) for segment in found.segments for holder in segment.holders]], sys.stderr)
"""


@pytest.fixture
def open_to_all(folder):
    folder.chmod(0o755)
    store = cn.Store(folder / "store")
    store.put("t", frame(1)).close()
    store.path.chmod(0o755)
    (store.path / "t.arrow").chmod(0o644)
    return store


def as_nobody(store, *before):
    command = [*before, sys.executable, "-c", AS_NOBODY, store.path]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return process.stdout, *json.loads(process.stderr)


def test_processes_of_others_are_counted(open_to_all):
    # A namespace of processes has these alone: the program, and the three that it started as root.
    visible, unseen, pid, result = as_nobody(open_to_all, "unshare", "--pid", "--fork", "--mount-proc")
    assert unseen == 3
    assert [(holder[0], holder[2]) for holder in result] == [(pid, "mapped")]
    assert "3 processes could not be looked at" in " ".join(visible.split())


def test_what_others_hold_is_not_seen_and_the_kernels_threads_do_not_count(open_to_all):
    frame = open_to_all.get("t")
    _, unseen, pid, result = as_nobody(open_to_all)
    assert [holder[0] for holder in result] == [pid]
    assert os.getpid() in {holder[0] for holder in holders(open_to_all, "newest")}
    programs = [pid for pid in os.listdir("/proc") if pid.isdigit() and _command_line(pid)]
    assert unseen <= len(programs) + 10  # others come and go meanwhile; the kernel's threads are many more
    del frame


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_processes_that_come_and_go_are_no_errors(store):
    store.put("t", frame(1)).close()
    program = """
import os
while True:
    pids = [os.fork() for _ in range(1)]
    if pids == [0]:
        fds = [os.open(store.path / "t.arrow", os.O_RDONLY) for _ in range(20)]
        os._exit(0)
    os.waitpid(pids[0], 0)
"""
    writer = "import pandas as pd\nwhile True:\n    store.put('t', pd.DataFrame({'x': [1.0]}), keep=2).close()"
    with contextlib.ExitStack() as running:
        for busy in (program, writer):
            command = [
                sys.executable,
                "-c",
                f"import sys, colonnade as cn\nstore = cn.Store(sys.argv[1])\n{busy}",
                store.path,
            ]
            child = running.enter_context(subprocess.Popen(command))
            running.callback(child.kill)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            usage = store.usage()
            assert len(usage.of("newest")) <= 1
            assert {segment.name for segment in usage.segments} <= {"t", None}


# -- how it looks ------------------------------------------------------------------------------------------------------


def test_it_prints_as_a_table(store):
    store.put("a/t", frame(1)).close()
    reader = store.get("a/t")
    lines = repr(store.usage()).splitlines()
    command = Path("/proc/self/comm").read_text().strip()
    size = format_size(allocated(store.path / "a/t.arrow"))
    assert lines[0] == f"Usage {store.path}"
    assert lines[1].startswith(f"{size} used, ")
    assert lines[-3].split() == ["name", "version", "rows", "size", "age", "processes"]
    assert lines[-2].split()[:4] == ["a/t", "1", "131,072", size]
    assert lines[-2].endswith(f"{command} {os.getpid()}")
    assert lines[-1] == "1 segment"
    del reader


def test_a_stores_own_capacity(store, capsys):
    store.put("t", frame(1)).close()
    usage = cn.Store(store.path, capacity="8MiB").usage()
    assert usage == store.usage()._replace(capacity=8 << 20, free=usage.free)
    store.configure(capacity="8MiB")
    assert store.usage().capacity == 8 << 20
    (store.path / ".settings").unlink()
    assert f"{format_size(usage.nbytes)} of 8.0MiB used, " in repr(usage)
    print_once(usage)
    assert "1.0MiB of 8.0MiB used, " in capsys.readouterr().out


def test_the_default_stores_usage(default_store):
    default_store.put("t", frame(1)).close()
    assert cn.usage().segments == default_store.usage().segments
    assert cn.usage().path == default_store.path
