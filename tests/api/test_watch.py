"""`watch`: versions that another process puts arrive, whatever happens to the folders, and a watch keeps no snapshot."""

import itertools
import os
import platform
import shutil

import pandas as pd
import pytest

import colonnade as cn
from support import stepping
from support.users import OTHER, as_user
from support.watches import NAME, PATIENCE, content, frame, nothing_more

# -- what is given -------------------------------------------------------------------------------------------------------


def test_what_is_there_comes_first_then_each_put(store, producer, watch):
    producer.do(store, "put", NAME, 1)
    assert content(next(watch)) == 1
    for n in range(2, 6):
        producer.start(store, "put", NAME, n, after=0.01)
        snap = next(watch)
        assert (snap.name, snap.version, content(snap)) == (NAME, n, n)
        producer.done()
    assert nothing_more(store, watch)


def test_the_latest_only(store, producer, watch):
    for n in range(1, 6):
        producer.do(store, "put", NAME, n)
    assert content(next(watch)) == 5
    for n in range(6, 9):
        producer.do(store, "put", NAME, n)
    assert content(next(watch)) == 8
    assert nothing_more(store, watch)


def test_other_names_of_the_folder_wake_nobody_up(store, producer, watch):
    producer.do(store, "put", NAME, 1)
    assert content(next(watch)) == 1
    for other in ("a/b/u", "a/b/t2", "a/t", "t", "a/b/t.x"):
        producer.do(store, "put", other, 1)
        producer.do(store, "put", other, 2)
    store.put(NAME + "/inner", frame(1)).close()
    assert nothing_more(store, watch)


@pytest.mark.parametrize("there", [None, "x", "a/x", "a/b/x", "a/b.arrow/x"])
def test_a_name_whose_folders_are_not_there_yet(store, producer, there):
    """The watch waits until the store, its folders and the name exist."""
    if there:
        store.put(there, frame(0)).close()
    with store.watch(NAME, timeout=PATIENCE) as watch:
        assert nothing_more(store, watch)
        producer.start(store, "put", NAME, 1)
        assert content(next(watch)) == 1
        producer.done()


def test_a_store_whose_parents_are_not_there_yet(folder, producer):
    store = cn.Store(folder / "x/y/z/store")
    with store.watch(NAME, timeout=PATIENCE) as watch:
        assert nothing_more(store, watch)
        producer.start(store, "put", NAME, 1)
        assert content(next(watch)) == 1
        producer.done()


def test_every_name_is_checked_and_every_timeout(store):
    with pytest.raises(cn.InvalidNameError):
        store.watch("../x")
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout must be >= 0 seconds, got"):
            store.watch("x", timeout=timeout)


def test_the_default_store(default_store):
    default_store.put("t", frame(1)).close()
    assert content(next(cn.watch("t", timeout=PATIENCE))) == 1
    assert cn.latest("t").frame["n"][0] == 1


# -- deleted -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [(), ("a/b/u",)], ids=["with its folder", "and its folder stays"])
@pytest.mark.parametrize("rows", [1, 300_000], ids=["unlinked", "made a spare"])
def test_a_table_deleted_while_watched(store, producer, watch, rows, others):
    for other in others:
        store.put(other, frame(0)).close()
    store.put(NAME, pd.DataFrame({"n": range(rows)})).close()
    next(watch).close()
    producer.start(store, "delete", NAME)
    with pytest.raises(cn.NotFoundError, match="'a/b/t' was deleted while it was watched, after version 1; ask again"):
        next(watch)
    producer.done()
    assert nothing_more(store, watch)
    producer.start(store, "put", NAME, 7)
    snap = next(watch)
    assert (snap.version, content(snap)) == (1, 7)  # version 1 again: it is told by its identity
    producer.done()


def test_deleted_and_put_again_between_two_looks(store, producer, watch):
    producer.do(store, "put", NAME, 1)
    assert content(next(watch)) == 1
    producer.do(store, "delete", NAME)
    producer.do(store, "put", NAME, 2)
    snap = next(watch)
    assert (snap.version, content(snap)) == (1, 2)


@pytest.mark.parametrize("is_open", [None, "", "a", "a/b"])
def test_the_whole_store_removed_while_watched(store, producer, watch, is_open):
    """inotify reports the end of a folder only when no process has it open any more."""
    producer.do(store, "put", NAME, 1)
    next(watch).close()
    opened = [] if is_open is None else [os.open(store.path / is_open, os.O_RDONLY)]
    try:
        producer.start(store, "remove")
        with pytest.raises(cn.NotFoundError):
            next(watch)
        producer.done()
        producer.start(store, "put", NAME, 2)
        assert content(next(watch)) == 2
        producer.done()
    finally:
        for descriptor in opened:
            os.close(descriptor)


@pytest.mark.parametrize("which", ["", "a", "a/b"])
def test_a_folder_renamed_and_another_in_its_place(store, folder, producer, watch, which):
    producer.do(store, "put", NAME, 1)
    next(watch).close()
    aside = folder / "aside"
    producer.start(store, "rename", str(store.path / which), str(aside))
    with pytest.raises(cn.NotFoundError):
        next(watch)
    producer.done()
    producer.do(cn.Store(aside), "put", "t", 5)  # where it was moved to concerns nobody
    assert nothing_more(store, watch)
    producer.start(store, "put", NAME, 2)
    assert content(next(watch)) == 2
    producer.done()


def test_what_cannot_be_opened_is_said_once(store, watch):
    path = store.put(NAME, frame(1)).path
    next(watch).close()
    (store.path / "garbage").write_bytes(b"not Arrow at all")
    os.rename(store.path / "garbage", path)
    with pytest.raises(cn.CorruptSnapshotError):
        next(watch)
    assert nothing_more(store, watch)
    store.put(NAME, frame(2)).close()
    assert content(next(watch)) == 2


def test_a_link_is_not_followed(store, folder, watch):
    store.put("x", frame(1)).close()
    (folder / "elsewhere").mkdir()
    os.symlink(folder / "elsewhere", store.path / "a")
    with pytest.raises(cn.StoreAccessError, match="leads out of the store"):
        next(watch)
    os.unlink(store.path / "a")
    store.put(NAME, frame(1)).close()
    assert content(next(watch)) == 1


# -- nothing is missed ---------------------------------------------------------------------------------------------------


def put_first(store):
    store.put(NAME, frame(2)).close()


def put_again(store):
    store.delete(NAME)
    store.put(NAME, frame(2)).close()


def put_in_a_new_store(store):
    shutil.rmtree(store.path)
    store.put(NAME, frame(2)).close()


@pytest.mark.parametrize("burst", [put_first, put_again, put_in_a_new_store])
@pytest.mark.slow
def test_whatever_happens_between_two_of_its_system_calls(store, burst):
    """The watcher is stopped before each system call until it waits, and other processes do all their work in between."""
    if why := stepping.why_not():
        pytest.skip(why)
    poll = {"x86_64": 7, "aarch64": 73}.get(platform.machine())

    def wait_for_the_second():
        with store.watch(NAME, timeout=5) as watch:
            while True:
                try:
                    if content(next(watch)) == 2:
                        return
                except cn.NotFoundError:
                    pass

    store.watch(NAME).close()  # imports make calls that are not its own
    for steps in itertools.count():
        shutil.rmtree(store.path, ignore_errors=True)
        if burst is not put_first:
            store.put(NAME, frame(1)).close()
        with stepping.Stepped(wait_for_the_second) as child:
            assert child.run(steps), "it cannot have ended before the second was put"
            waits = child.call == poll
            burst(store)
            assert child.finish() == 0, f"missed, when it came before system call {steps}"
        if waits:
            break
    assert steps >= 10


def test_more_events_than_the_kernel_keeps(store, watch):
    store.put(NAME, frame(1)).close()
    next(watch).close()
    place = store.path / "a/b"
    with open("/proc/sys/fs/inotify/max_queued_events") as limit:
        rounds = int(limit.read()) // 4 + 10
    (place / "p").touch()
    for _ in range(rounds):  # four events each
        os.rename(place / "p", place / "q")
        os.rename(place / "q", place / "p")
    os.unlink(place / "p")
    store.put(NAME, frame(2)).close()  # and the event of this one is lost
    assert content(next(watch)) == 2
    store.put(NAME, frame(3)).close()
    assert content(next(watch)) == 3


@pytest.mark.privileged("users")
def test_a_folder_above_the_store_that_may_not_be_read(folder):
    """If the store exists, its own folder is enough."""
    folder.chmod(0o711)
    (folder / "store").mkdir()
    os.chown(folder / "store", OTHER, OTHER)
    output = as_user(f"""[
        attempt(lambda: cn.Store({str(folder / "store")!r}).put("a/t", frame).version),
        attempt(lambda: next(cn.Store({str(folder / "store")!r}).watch("a/t", timeout=0)).version),
        attempt(lambda: next(cn.Store({str(folder / "store")!r}).watch("a/u", timeout=0)).version),
        attempt(lambda: next(cn.Store({str(folder / "none")!r}).watch("a/t", timeout=0)).version)]""")
    assert output[:2] == ["1", "1"]
    assert output[2].startswith("WaitTimeoutError: ")
    assert output[3] == f"StoreAccessError: {folder} cannot be watched: this user may not read it"
