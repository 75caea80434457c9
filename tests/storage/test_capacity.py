"""The capacity of a store and of its file system, tables that expire, and what a put may free."""

import errno
import os
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support.clock import later

MIB = 1 << 20


def frame(mib, value=1.0):
    return pd.DataFrame({"x": np.full(mib * MIB // 8, value)})


def files(store):
    return sorted(path.name for path in store.path.iterdir() if not path.name.startswith("."))


def used(store):
    return sum(path.stat().st_blocks * 512 for path in store.path.rglob("*") if path.is_file())


def test_a_put_that_would_pass_the_capacity_is_refused_before_it_starts(folder, monkeypatch):
    store = cn.Store(folder / "s", capacity="20MiB")
    store.put("a", frame(8)).close()
    store.put("b/c", frame(4)).close()
    calls = []
    monkeypatch.setattr("colonnade.core.jobs.run", lambda *args: calls.append(args))
    with pytest.raises(
        cn.StoreFullError,
        match=r"has a capacity of 20\.0MiB and the table needs 12\.2MiB.*nothing was stored.*"
        r"tables hold 12\.\dMiB \('a' version 1 8\.\dMiB, 'b/c' version 1 4\.\dMiB\)\. Delete tables",
    ) as excinfo:
        store.put("d", frame(12))
    assert (excinfo.value.errno, isinstance(excinfo.value, OSError)) == (errno.ENOSPC, True)
    assert calls == []
    assert files(store) == ["a.arrow", "b"]


def test_both_versions_count_until_the_name_leads_to_the_new_one(folder):
    store = cn.Store(folder / "s", capacity="20MiB")
    store.put("a", frame(12)).close()
    with pytest.raises(cn.StoreFullError, match="A table that is replaced counts until"):
        store.put("a", frame(12))
    store.delete("a")
    assert store.put("a", frame(12)).version == 1
    assert store.check() == []


def test_who_holds_what_is_deleted_is_told(folder):
    store = cn.Store(folder / "s", capacity="20MiB", spares=0)
    store.put("a", frame(8)).close()
    reader = store.get("a")
    store.delete("a")
    store.put("b", frame(8)).close()
    with pytest.raises(cn.StoreFullError, match=rf"deleted and superseded ones hold 8\.\dMiB, for {os.getpid()} "):
        store.put("c", frame(16))
    del reader


def test_spares_stay_within_the_capacity(folder):
    store = cn.Store(folder / "s", capacity="20MiB")
    for value in range(6):
        store.put("a", frame(8, value)).close()
        assert used(store) <= 20 * MIB
    assert (store.get("a")["x"] == 5).all()


def test_two_puts_at_once_do_not_pass_the_capacity_together(folder, monkeypatch):
    """Each of the two puts would fit alone; the one that publishes second is refused."""
    store = cn.Store(folder / "s", capacity="20MiB")
    barrier = threading.Barrier(2)
    from colonnade import _put

    real = _put.write

    def together(*args):
        barrier.wait()
        real(*args)

    monkeypatch.setattr("colonnade._put.write", together)
    outcomes = []

    def put(name):
        try:
            store.put(name, frame(12)).close()
            outcomes.append("stored")
        except cn.StoreFullError:
            outcomes.append("refused")

    threads = [threading.Thread(target=put, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "stored"]
    assert len(files(store)) == 1
    assert used(store) <= 20 * MIB


def test_settings_are_kept_in_the_directory(folder):
    store = cn.Store(folder / "s")
    assert store.configure(capacity="10MiB", spares="3MiB") == (10 * MIB, 3 * MIB, None, None)
    assert store.configure(spares=0) == (10 * MIB, 0, None, None)
    with pytest.raises(cn.StoreFullError, match=r"capacity of 10\.0MiB"):
        cn.Store(folder / "s").put("a", frame(12))
    cn.Store(folder / "s", capacity="1GiB").put("a", frame(12)).close()
    assert store.check() == []
    assert [info.name for info in store.ls()] == ["a"]
    assert store.gc().files == 0


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"capacity": "much"}, "capacity is 'much'; it must be a number of bytes"),
        ({"capacity": -1}, "capacity is -1"),
        ({"spares": "5 parsecs"}, "spares is '5 parsecs'"),
        ({"mode": 0o666}, r"mode=0o666: modes are 0o600 \(this user alone\) and 0o640 \(the group may read\)"),
        ({"mode": "rw"}, "mode='rw'"),
    ],
)
def test_settings_that_make_no_sense(folder, wanted, words):
    for ask in (lambda: cn.Store(folder / "s", **wanted), lambda: cn.Store(folder / "s").configure(**wanted)):
        with pytest.raises(ValueError, match=words):
            ask()
    assert not (folder / "s").exists()


@pytest.mark.parametrize("text", ["[]", '{"colour": 1}', '{"capacity": "x"}', "\0"])
def test_settings_that_cannot_be_read(folder, text):
    store = cn.Store(folder / "s")
    store.put("t", frame(1)).close()
    (store.path / ".settings").write_text(text)
    with pytest.raises(cn.StoreAccessError, match=r"settings cannot be read .*; set them anew with configure\(\)"):
        store.put("t", frame(1))
    assert len(store.get("t")) == MIB // 8  # readers need none
    store.configure(capacity="1GiB")
    assert store.put("t", frame(1)).version == 2


def test_empty_settings_are_none(folder):
    """An empty settings file, as a power failure can leave it, counts as no settings."""
    store = cn.Store(folder)
    (folder / ".settings").touch()
    assert store.put("t", frame(1)).version == 1
    assert store.settings == (None, None, None, None)


def test_tables_expire(store):
    now = datetime.now(UTC)
    brief = store.put("brief", frame(1), ttl=0.2)
    assert now + timedelta(seconds=0.9) < brief.expires < now + timedelta(seconds=3)
    assert store.put("long", frame(1), ttl=timedelta(days=1)).expires > now + timedelta(hours=23)
    assert store.put("for ever".replace(" ", "-"), frame(1)).expires is None
    time.sleep(1.1)
    reader = store.get("brief")  # it may go, and is still there
    freed = store.gc()
    assert (freed.files, freed.nbytes >= MIB) == (1, True)
    assert not store.exists("brief")
    assert [info.name for info in store.ls()] == ["for-ever", "long"]
    assert reader["x"].sum() == MIB // 8


@pytest.mark.parametrize("keep", [1, 3])
def test_an_expired_table_is_replaced(folder, keep):
    """If there is no room for both versions, the expired one is removed before the new one is written."""
    store = cn.Store(folder / "s", capacity="7MiB")
    store.put("t", frame(4), ttl=1).close()
    with later():
        assert store.put("t", frame(4, 2.0), keep=keep).version == 1
    assert (store.get("t")["x"] == 2).all()
    assert store.check() == []


@pytest.mark.parametrize("ttl", [0, -1, 1 << 32, float("nan"), timedelta(0)])
def test_a_ttl_that_makes_no_sense(store, ttl):
    with pytest.raises(ValueError, match="ttl must be"):
        store.put("t", frame(1), ttl=ttl)


def test_expired_tables_count_as_free(folder):
    store = cn.Store(folder / "s", capacity="20MiB")
    store.put("old", frame(12), ttl=1).close()
    with pytest.raises(cn.StoreFullError):
        store.put("new", frame(12))
    with later():
        store.put("new", frame(12)).close()
    assert files(store) == ["new.arrow"]
    assert used(store) <= 20 * MIB


def test_a_put_frees_spares_and_expired_tables_where_the_file_system_is_full(small):
    store = cn.Store(small / "s", spares="32MiB")
    store.put("a", frame(8)).close()
    store.put("b", frame(8), ttl=1).close()
    store.delete("a")
    assert len(list((store.path / ".segments").iterdir())) == 1
    store.put("c", frame(20)).close()  # more than is free with the spare there
    assert files(store) == ["b.arrow", "c.arrow"]
    store.delete("c")
    with later():
        store.put("d", frame(28)).close()
    assert files(store) == ["d.arrow"]
    assert store.check() == []


def test_full_in_every_way_of_writing(small):
    """Writing through a mapping, with pwrite, in place, and into a spare that is too small: always ENOSPC, never SIGBUS."""
    store = cn.Store(small / "s", spares=0)
    store.put("kept", frame(12)).close()
    free = os.statvfs(small).f_bavail
    for put in (
        lambda: store.put("t", frame(24)),
        lambda: store.put("t", pd.DataFrame({"s": ["x" * 100] * 250_000})),
        lambda: store.allocate("t", {"x": "float64"}, rows=3_000_000).__enter__(),
    ):
        with pytest.raises(cn.StoreFullError):
            put()
        assert os.statvfs(small).f_bavail == free
    assert [info.name for info in store.ls()] == ["kept"]
    assert store.check() == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 32 MiB, in a file."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    make = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", image]
    mount = ["mount", "-o", "loop", image, place]
    for command in (make, mount):
        subprocess.run(command, capture_output=True, check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("blind", [False, True], ids=["looked at", "others were faster"])
def test_a_full_disk(small_disk, monkeypatch, blind):
    store = cn.Store(small_disk / "s")
    store.put("kept", frame(8)).close()
    if blind:
        monkeypatch.setattr("colonnade.storage.capacity.free_bytes", lambda *_: 1 << 40)
    for _ in range(2):
        with pytest.raises(cn.StoreFullError):
            store.put("kept", frame(28))
        with pytest.raises(cn.StoreFullError), store.allocate("t", {"x": "float64"}, rows=4 * MIB):
            raise AssertionError("nobody may fill what has no room")
    assert store.get("kept")["x"].sum() == MIB
    assert [info.name for info in store.ls()] == ["kept"]
    assert store.check() == []


@pytest.mark.parametrize("mapped", [True, False])
def test_a_file_system_that_fills_up_meanwhile(small, monkeypatch, mapped):
    """Another process uses the room after this one has checked it."""
    store = cn.Store(small / "s")
    store.put("kept", frame(2)).close()
    monkeypatch.setattr("colonnade.storage.capacity.free_bytes", lambda *_: 1 << 40)
    if not mapped:
        monkeypatch.setattr("colonnade.storage.draft.Draft.map", lambda self, size: os.ftruncate(self.fd, size))
    free = os.statvfs(small).f_bavail
    with pytest.raises(cn.StoreFullError, match="no room in"):
        store.put("t", frame(40))
    with pytest.raises(cn.StoreFullError, match="no room in"), store.allocate("t", {"x": "float64"}, rows=5 * MIB):
        raise AssertionError("nobody may fill what has no pages")
    assert os.statvfs(small).f_bavail == free
    assert store.check() == []


def test_a_retained_version_outlives_a_newer_one_with_a_ttl(store):
    """A ttl belongs to a version, not to a name: when the newest version has expired, the one before it is the newest."""
    store.put("t", frame(1)).close()
    store.put("t", frame(2), keep=2, ttl=1).close()
    assert store.open("t", version=1).expires is None
    with later():
        store.gc()
    with store.open("t") as snapshot:
        assert (snapshot.version, snapshot.expires) == (1, None)
    assert [path.name for path in store.path.glob("t*")] == ["t.arrow"]
    with store.put("t", frame(3), keep=3, ttl=1) as snapshot:
        assert snapshot.version == 2
    with later():
        store.put("other", frame(1)).close()  # a put alone removes nothing that has expired
        store.gc()
    assert store.open("t").version == 1


def test_a_file_system_that_is_read_only(small):
    store = cn.Store(small / "store")
    store.put("t", pd.DataFrame({"x": [1.0]})).close()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    for change in (lambda: store.put("t", pd.DataFrame({"x": [2.0]})), lambda: store.delete("t")):
        with pytest.raises(cn.StoreAccessError, match=r"is read-only|Read-only file system"):
            change()
    assert store.get("t")["x"].tolist() == [1.0]
    subprocess.run(["mount", "-o", "remount,rw", small], check=True)
    assert store.put("t", pd.DataFrame({"x": [2.0]})).version == 2
