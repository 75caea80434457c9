"""Publishing is one step. An error before it means that nothing happened; an error after it says that the change was made."""

import errno
import os
import signal

import pandas as pd
import pytest

import colonnade as cn
from support.clock import later
from support.descriptors import descriptors, only_free

FRAME = pd.DataFrame({"x": [1, 2, 3]})
LARGE = pd.DataFrame({"x": range(400_000)})


def listing(store):
    """Every name and the inode of its file. Spares and the empty folder of segments are left out."""
    names = {}
    for folder, _, files in os.walk(store.path):
        for file in files:
            if not file.startswith("spare-"):
                path = os.path.join(folder, file)
                names[path] = os.stat(path).st_ino
    return names


def allocate(store):
    with store.allocate("t", {"x": "float64"}, rows=3) as draft:
        draft["x"][:] = 1


CHANGES = {
    "put": lambda store: store.put("t", FRAME, expect_version=2),
    "put, retained": lambda store: store.put("t", FRAME, expect_version=2, keep=3),
    "put of a spare": lambda store: store.put("t", LARGE),
    "first put, in folders": lambda store: store.put("a/b/u", FRAME),
    "allocate": allocate,
    "share": lambda store: store.share(FRAME),
    "delete": lambda store: store.delete("t"),
    "configure": lambda store: store.configure(capacity="1GiB"),
}


@pytest.fixture
def filled(store):
    for _ in range(2):
        store.put("t", LARGE, keep=2).close()
    yield store
    (store.path / ".settings").unlink(missing_ok=True)


def tells_the_truth(store, change):
    """Whether the operation was done. If it raises, the store must be unchanged; if not, changed."""
    before = listing(store)
    try:
        result = CHANGES[change](store)  # held: a shared table goes with it
    except (cn.ColonnadeError, OSError, MemoryError):
        assert listing(store) == before
        return False
    assert listing(store) != before
    del result
    return True


@pytest.mark.parametrize("change", CHANGES)
def test_few_descriptors(filled, change):
    """Allow 0, 1, 2, ... free descriptors until the operation succeeds. With each number it succeeds or changes nothing."""
    other = cn.Store(filled.path.with_name("warm"))  # what is imported at the first use needs descriptors too
    for _ in range(2):
        other.put("t", LARGE, keep=2).close()
    CHANGES[change](other)
    outcomes = []
    for free in range(40):
        before = descriptors()
        with only_free(free):
            outcomes.append(tells_the_truth(filled, change))
        assert descriptors() == before
        if outcomes[-1]:
            break
    assert outcomes[-1]
    assert not outcomes[0]


# Whatever of these a call makes fails in turn.
CALLS = [
    "rename",
    "link",
    "unlink",
    "mkdir",
    "fsync",
    "fchmod",
    "fstat",
    "stat",
    "pwrite",
    "ftruncate",
    "rmdir",
    "listdir",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_every_call_fails_in_turn(filled, monkeypatch, change, call):
    """In a durable store, the first call of a kind fails with an input/output error, then the second, until no call is left."""
    store = cn.Store(filled.path, durable=True)
    CHANGES[change](cn.Store(filled.path.with_name("warm"))) if change == "configure" else None
    real = getattr(os, call)
    for turn in range(60):
        count = 0

        def failing(*args, _turn=turn, **kwargs):
            nonlocal count
            count += 1
            if count == _turn + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **kwargs)

        before, open_before = listing(store), descriptors()
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                result = CHANGES[change](store)
            except (cn.ColonnadeError, OSError) as caught:
                error, result = caught, None
        after = listing(store)
        del result
        if isinstance(error, cn.NotDurableError):
            assert after != before, "it says that it was done"
            assert "but it is not known to be on the disk" in str(error)
        elif error is not None:
            assert after == before, f"{error!r} at call {turn + 1}"
        else:
            assert after != before
        del error
        assert descriptors() == open_before
        assert cn.Store(store.path)._catalog.directory.lock_at_once().close() is None
        if count <= turn:
            return  # it made no more of them
        for path in listing(store).keys() - before.keys():
            os.unlink(path)
        store = _again(store)
    raise AssertionError("it makes too many calls")


def _again(store):
    """Empty the store and fill it again."""
    plain = cn.Store(store.path)
    for info in plain.ls():
        plain.delete(info.name)
    (store.path / ".settings").unlink(missing_ok=True)
    for _ in range(2):
        plain.put("t", LARGE, keep=2).close()
    return cn.Store(store.path, durable=True)


def test_data_is_synced_without_the_lock(store, monkeypatch):
    """A sync may take seconds, and other processes can put meanwhile. Only the seal is synced under the lock."""
    real = os.fsync
    locked = []

    def fsync(fd):
        if os.fstat(fd).st_size > 1 << 20:
            try:
                store._catalog.directory.lock_at_once().close()
                locked.append(False)
            except BlockingIOError:
                locked.append(True)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    cn.Store(store.path, durable=True).put("t", LARGE).close()
    assert locked == [False, True], "the data, and then the seal alone"


def test_what_is_given_up_frees_its_memory_at_once(small):
    """A notebook keeps the traceback, which refers to the draft and its mapping. The memory must be freed all the same."""
    store = cn.Store(small / "s")
    store.put("t", FRAME).close()
    free = os.statvfs(small).f_bavail

    def interrupt(*_):
        raise KeyboardInterrupt

    errors = []
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        for _ in range(6):  # 12 MiB each, and the file system has 32
            try:
                with store.allocate("t", {"x": "float64"}, rows=1_500_000) as draft:
                    array = draft["x"]
                    array[:] = 1.0
                    signal.raise_signal(signal.SIGUSR1)
            except KeyboardInterrupt as error:
                errors.append((error, array))
            assert os.statvfs(small).f_bavail == free
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(errors) == 6
    assert all(array.sum() == 0 for _, array in errors), "what somebody still has is zeros, and no signal"
    assert store.check() == []


def test_a_put_interrupted_while_it_writes(small, monkeypatch):
    from colonnade.format.write.table import Placement

    store = cn.Store(small / "s")
    store.put("t", FRAME).close()
    free = os.statvfs(small).f_bavail
    real = Placement._finish  # whether the kernel has huge pages for a mapping or not

    def interrupted(self, *arguments):
        real(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Placement, "_finish", interrupted)
    errors = []
    for _ in range(6):
        try:
            store.put("t", pd.DataFrame({"x": range(1_500_000)}))
        except KeyboardInterrupt as error:
            errors.append(error)
        assert os.statvfs(small).f_bavail == free
    assert len(errors) == 6


def test_a_conflict_after_a_delete_is_seen_by_identity(store):
    """After a delete, versions start at 1 again, so a number may match other data. A Snapshot as expected version does not."""
    first = store.put("t", FRAME)
    store.delete("t")
    second = store.put("t", FRAME)
    assert (first.version, second.version) == (1, 1)
    with pytest.raises(cn.ConflictError, match="was deleted and put again"):
        store.put("t", FRAME, expect_version=first)
    assert store.put("t", FRAME, expect_version=second).version == 2
    with pytest.raises(cn.ConflictError, match="is at version 2, and version 1 was expected"):
        store.put("t", FRAME, expect_version=second)


@pytest.mark.parametrize("remove", ["gc", "put"])
def test_a_retained_version_outlives_the_newest(folder, remove):
    """The newest version expires and the one before it does not: then the name leads to the older one."""
    store = cn.Store(folder / "s", capacity="20MiB")
    store.put("t", FRAME).close()
    store.put("t", FRAME * 2, keep=3).close()
    store.put("t", LARGE, keep=3, ttl=1).close()
    with later():
        if remove == "gc":
            store.gc()
        else:
            store.put("u", pd.DataFrame({"x": range(2_250_000)})).close()
    assert store.get("t").equals(FRAME * 2)
    assert store.open("t", version=1).to_pandas().equals(FRAME)
    assert store.put("t", FRAME, keep=3).version == 3
    assert store.check() == []
