"""Names and versions of tables, in real directories."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.frames import frame


def test_versions_grow_by_one_and_the_newest_is_got(store):
    for n in (1, 2, 3):
        snap = store.put("a/b.c", frame(n))
        assert (snap.version, snap.num_rows) == (n, n)
    assert len(store.get("a/b.c")) == 3
    assert store.exists("a/b.c")
    assert not store.exists("a/b")
    with pytest.raises(cn.NotFoundError, match=r"no version 2 of 'a/b.c'.*there are 3.*keep="):
        store.open("a/b.c", version=2)


def test_keep_retains_and_later_puts_prune(store):
    for n in range(1, 6):
        store.put("t", frame(n), keep=3)
    assert [len(store.get("t", version=v)) for v in (3, 4, 5)] == [3, 4, 5]
    with pytest.raises(cn.NotFoundError, match="there are 3, 4, 5"):
        store.get("t", version=2)
    assert [info.version for info in store.ls()] == [5]
    store.put("t", frame(6))
    with pytest.raises(cn.NotFoundError, match="there are 6"):
        store.get("t", version=5)
    with pytest.raises(ValueError, match="keep must be an integer >= 1"):
        store.put("t", frame(), keep=0)


def test_expect_version_is_compare_and_swap(store):
    store.put("t", frame(), expect_version=0)
    store.put("t", frame(), expect_version=1)
    for wrong in (0, 1, 3):
        with pytest.raises(cn.ConflictError, match=f"at version 2, and version {wrong}"):
            store.put("t", frame(), expect_version=wrong)
    with pytest.raises(cn.ConflictError, match="does not exist, and version 1"):
        store.put("other", frame(), expect_version=1)
    assert store.open("t").version == 2


def test_delete_and_start_again(store):
    for _ in range(3):
        store.put("x/y/z", frame(), keep=2)
    reader = store.get("x/y/z")
    store.delete("x/y/z")
    assert not (store.path / "x").exists()
    assert_frame_equal(reader, frame())
    with pytest.raises(cn.NotFoundError):
        store.delete("x/y/z")
    assert store.put("x/y/z", frame()).version == 1


def test_ls_tells_name_version_shape_size_and_age(store):
    store.put("b", frame(7))
    store.put("a/c", frame(3), keep=2)
    store.put("a/c", frame(4), keep=2)
    first, second = store.ls()
    assert (first.name, first.version, first.rows, first.columns) == ("a/c", 2, 4, 2)
    assert second.name == "b"
    assert second.nbytes == store.open("b").path.stat().st_size
    assert abs(pd.Timestamp.now(tz="UTC") - second.created) < pd.Timedelta(minutes=1)


def test_a_store_on_disk_and_durable(tmp_path):
    store = cn.Store(tmp_path / "deep" / "store", durable=True)
    snap = store.put("folder/t", frame(100_000))
    assert_frame_equal(cn.Store(tmp_path / "deep" / "store").get("folder/t"), frame(100_000))
    assert snap.path == tmp_path / "deep/store/folder/t.arrow"
    assert store.check() == []


def test_durable_syncs_file_and_folders_around_the_rename(folder, monkeypatch):
    calls = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(fd):
        calls.append("dir" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        real_sync(fd)

    def rename(*args, **kwargs):
        calls.append("rename")
        return real_rename(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    cn.Store(folder / "s", durable=True).put("a/t", frame())
    assert calls == ["dir", "file", "file", "rename", "dir", "dir"]  # the store itself, the data, the seal


def test_permissions_are_the_owners_alone(store):
    snap = store.put("f/t", frame())
    assert [oct(path.stat().st_mode & 0o777) for path in (store.path, store.path / "f", snap.path)] == [
        "0o700",
        "0o700",
        "0o600",
    ]


def test_default_store_functions(default_store):
    assert cn.put("t", frame()).version == 1
    assert cn.exists("t")
    assert [info.name for info in cn.ls()] == ["t"]
    assert_frame_equal(cn.get("t"), frame())
    assert cn.open("t").to_arrow().num_rows == 10
    assert cn.check() == []
    assert cn.gc()[:3] == (0, 0, 0)
    cn.delete("t")
    assert cn.ls() == []


@pytest.mark.slow
def test_two_processes_put_one_name_at_once(store):
    program = f"""
import sys, colonnade as cn, pandas as pd
store = cn.Store({str(store.path)!r})
sys.stdin.readline()
for i in range(60):
    print(store.put("t", pd.DataFrame({{"who": [int(sys.argv[1])] * 50, "i": i}})).version)
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(who)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who in range(3)
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    version = 0
    while any(writer.poll() is None for writer in writers):
        try:
            with store.open("t") as snap:
                assert snap.version >= version
                version = snap.version
                assert snap.to_pandas()["who"].nunique() == 1
        except cn.NotFoundError:
            assert version == 0, "a name that was there is missing"
    versions = [list(map(int, writer.stdout.read().split())) for writer in writers]
    for writer in writers:
        writer.stdin.close()
        writer.stdout.close()
    assert all(mine == sorted(mine) and len(mine) == 60 for mine in versions)
    assert sorted(sum(versions, [])) == list(range(1, 181))


def test_threads_put_and_get_at_once(store):
    failures = []

    def work(who):
        try:
            for i in range(25):
                store.put(f"own/{who}", frame(i + 1))
                store.put("common", pd.DataFrame({"who": [who] * (1 + i)}))
                assert len(store.get(f"own/{who}")) == i + 1
                assert store.get("common")["who"].nunique() == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.open("common").version == 150


@pytest.mark.slow
def test_exactly_one_of_many_wins_each_compare_and_swap(store):
    store.put("n", pd.DataFrame({"n": [0]}))
    program = f"""
import colonnade as cn, pandas as pd
store = cn.Store({str(store.path)!r})
won = 0
while won < 25:
    snap = store.open("n")
    try:
        store.put("n", snap.to_pandas() + 1, expect_version=snap.version)
        won += 1
    except cn.ConflictError:
        pass
"""
    workers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert store.get("n")["n"].tolist() == [75]


def test_fork_while_another_thread_holds_the_lock(store):
    """The child shares the locked descriptor; the parent's unlock must still free it for everybody."""
    store.put("t", frame())
    with store._catalog.directory.lock():
        child = os.fork()
        if child == 0:
            os.read(os.pipe()[0], 1)  # wait to be killed, with the descriptor open
            os._exit(0)
    try:
        assert store.put("t", frame()).version == 2
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_reprs(store):
    snap = store.put("t", frame())
    assert repr(snap).startswith("<colonnade.Snapshot 't' version 1: 10 rows x 2 columns, ")
    assert repr(store) == f"<colonnade.Store {str(store.path)!r}>"


def test_explain_names_what_is_converted_and_why(store):
    df = pd.DataFrame(
        {"x": [1.5, None], "d": np.array([b"x", None], dtype=object), "s": ["a", None]},
        index=pd.Index(["r", "q"], name="i"),
    )
    reports = {report.column: report for report in store.put("t", df).explain()}
    assert reports["x"].zero_copy
    assert reports["x"].nulls == 1
    assert (reports["d"].zero_copy, reports["d"].dtype, reports["d"].arrow_type) == (False, "object", "binary")
    assert "Python objects" in reports["d"].why
    assert reports["i"].role == "index"
    assert reports["s"].zero_copy


def test_expect_version_takes_the_snapshot_itself(store):
    """A number may match other data after a delete, because versions begin at 1 again."""
    snapshot = store.put("t", frame(1))
    assert store.put("t", frame(2), expect_version=snapshot).version == 2
    with pytest.raises(cn.ConflictError, match="at version 2, and version 1 was expected"):
        store.put("t", frame(3), expect_version=snapshot)
    store.delete("t")
    store.put("t", frame(4))
    assert store.open("t").version == snapshot.version == 1
    with pytest.raises(cn.ConflictError, match="deleted and put again"):
        store.put("t", frame(5), expect_version=snapshot)
    assert len(store.get("t")) == 4


def test_a_string_or_a_number_names_one_column(store):
    snap = store.put("t", frame(3))
    assert list(store.get("t", columns="s")) == list(snap.to_pandas(columns="s")) == ["s"]
    with pytest.raises(cn.NotFoundError):
        store.get("t", columns="sx")
    assert list(store.put("t", pd.DataFrame([[1, 2]])).to_pandas(columns=1)) == [1]


@pytest.mark.parametrize("method", [cn.Store("~").get, cn.get], ids=["store", "default store"])
def test_wrong_arguments_name_the_class_that_users_know(method):
    with pytest.raises(TypeError, match=r"^Store\.get\(\) missing 1 required positional argument: 'name'$"):
        method()


def test_a_store_is_a_directory_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cn.Store("~/x").path == tmp_path / "x"
    for other in ("s3://bucket/x", "C:\\x", "c:/x", "file:///tmp/x", "\\\\host\\x", Path("s3://bucket/x")):
        with pytest.raises(ValueError, match=r"a store is a directory of this machine.*load\(\) and dump\(\)"):
            cn.Store(other)
    with pytest.raises(ValueError, match="the path of a store is empty"):
        cn.Store("")
    with pytest.raises(ValueError, match="cannot contain a null character"):
        cn.Store("a\0b")
    with pytest.raises(ValueError, match="no home directory"):
        cn.Store("~nobody of this name/x")
    with pytest.raises(TypeError, match="the path of a store is text, got b'x'"):
        cn.Store(b"x")


def test_the_default_store_is_a_directory_of_this_machine_too(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLONNADE_STORE", "~/x")
    cn.put("t", frame(1)).close()
    assert (tmp_path / "x/t.arrow").exists()
    monkeypatch.setenv("COLONNADE_STORE", "s3://bucket/x")
    for verb in (cn.ls, cn.by_reference().__enter__):
        with pytest.raises(ValueError, match="a store is a directory of this machine"):
            verb()


def test_a_name_of_too_many_parts(store):
    deep = "/".join(["a"] * 64)
    assert store.put(deep, frame(1)).name == deep
    for parts in (65, 1101, 100_000):
        with pytest.raises(cn.InvalidNameError, match=f"may have 64 parts between slashes, got {parts:,}"):
            store.put("/".join(["a"] * parts), frame(1))


@pytest.mark.parametrize("wrong", ["x", [1], object()])
def test_options_of_another_type(wrong, store):
    for option in ({"ttl": wrong}, {"expect_version": wrong}, {"keep": wrong}):
        with pytest.raises(ValueError, match=f"{next(iter(option))} must be"):
            store.put("t", pd.DataFrame({"x": [1]}), **option)
    assert not store.exists("t")
