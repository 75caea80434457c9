"""Names and versions of tables, in real directories."""

import copy
import gc
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn


def frame(n=10):
    return pd.DataFrame({"x": np.arange(n), "s": [f"s{i}" for i in range(n)]})


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
    held = store.get("x/y/z")
    store.delete("x/y/z")
    assert not (store.path / "x").exists()
    assert_frame_equal(held, frame())
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
    done = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(fd):
        done.append("dir" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        real_sync(fd)

    def rename(*args, **kwargs):
        done.append("rename")
        return real_rename(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    cn.Store(folder / "s", durable=True).put("a/t", frame())
    assert done == ["dir", "file", "file", "rename", "dir", "dir"]  # the store itself, the data, the seal


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


def test_a_snapshot_pickles_as_a_reference(store):
    snap = store.put("t", frame(100_000), keep=2)
    data = pickle.dumps(snap)
    assert len(data) < 400
    assert_frame_equal(pickle.loads(data).to_pandas(), snap.to_pandas())
    store.put("t", frame(1), keep=2)
    assert pickle.loads(data).num_rows == 100_000
    store.put("t", frame(1))
    snap.close()
    reference = pickle.loads(data)
    assert (reference.name, reference.version, reference.num_rows, reference.closed) == ("t", 1, 100_000, False)
    with pytest.raises(cn.NotFoundError, match=r"version 1 of 't' was passed to this process: .* superseded \(keep= "):
        reference.to_pandas()
    store.delete("t")
    store.put("t", frame(2))
    with pytest.raises(cn.NotFoundError, match="deleted and put again"):
        reference.to_pandas()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda snap: pickle.loads(pickle.dumps(snap))])
def test_a_copy_shares_the_mapping_of_a_superseded_snapshot(store, duplicate):
    snap = store.put("t", frame(1000))
    store.put("t", frame(1)).close()
    other = duplicate(snap)
    assert other.identity == snap.identity
    assert_frame_equal(other.to_pandas(), snap.to_pandas())
    snap.close()
    assert snap.closed
    assert not other.closed
    assert other.to_pandas().shape == (1000, 2), "each is closed by itself"
    other.close()
    with pytest.raises(ValueError, match="'t' is closed"):
        copy.copy(other)
    with pytest.raises(cn.NotFoundError, match="superseded"):
        pickle.loads(pickle.dumps(other)).to_pandas()


def test_threads_that_open_one_reference_at_once(store):
    reference = pickle.loads(pickle.dumps(store.put("t", frame(1000)).close() or store.open("t")))
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(reference.to_pandas) for _ in range(64)]
        assert all(len(future.result()) == 1000 for future in futures)


def test_unpickling_opens_nothing(store):
    """Unpickling neither raises nor waits if the store is gone or belongs to another user. The first use raises."""
    data = pickle.dumps(store.put("t", frame()).close() or store.open("t"))
    shutil.rmtree(store.path)
    reference = pickle.loads(data)
    assert repr(reference).startswith("<colonnade.Snapshot 't' version 1: 10 rows x 2 columns, ")
    assert reference.created.year >= 2026
    assert pickle.dumps(reference) == data
    for use in (lambda: reference.schema, reference.to_pandas, reference.to_arrow, reference.fileno, reference.explain):
        with pytest.raises(cn.NotFoundError, match="A reference to version 1 of 't'"):
            use()
    assert "NotFound" in reference._repr_html_() or "no table" in reference._repr_html_()


def test_a_closed_snapshot_holds_no_memory_and_says_so(store):
    def mapped():
        with open("/proc/self/maps") as maps:
            return str(store.path / "t.arrow") in maps.read()

    store.put("t", frame()).close()
    snap = store.open("t")
    assert snap.schema.names
    assert mapped()
    snap.close()
    assert not mapped()
    for view in (lambda: snap.schema, snap.to_arrow, snap.to_pandas, snap.explain, snap.to_numpy, snap.validate):
        with pytest.raises(ValueError, match="'t' is closed; open it again"):
            view()
    assert pickle.loads(pickle.dumps(snap)).num_rows == 10, "what it was is known still"


def test_a_reference_passed_to_another_machine(store, folder):
    """On the other machine that path is another directory, or does not exist."""
    with store.put("t", frame()) as snap:
        data = pickle.dumps(snap)
    os.rename(store.path, folder / "elsewhere")
    for there in ([], ["u"], ["u", "t"]):
        for name in there:
            store.put(name, frame())
        with pytest.raises(cn.NotFoundError, match="another machine"):
            pickle.loads(data).to_pandas()


def _rows(snap):
    return snap.num_rows, snap.to_pandas()["x"].sum()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.slow
def test_snapshots_travel_to_other_processes(store, method):
    snap = store.put("t", frame(1000))
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(_rows, snap).result() == (1000, 499500)


def test_no_descriptor_is_held_by_a_frame_and_none_leaks(store):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    store.put("t", frame(), keep=2)
    gc.collect()  # what an earlier test left has descriptors, until some collection closes them
    before = descriptors()
    frames = [store.get("t") for _ in range(50)]
    tables = [store.open("t").to_arrow() for _ in range(50)]
    assert descriptors() == before
    for _ in range(20):
        store.put("t", frame(), keep=2)
        with pytest.raises(cn.NotFoundError):
            store.open("t", version=99)
        with pytest.raises(cn.UnsupportedTypeError):
            store.put("t", pd.DataFrame({"x": [object()]}))
    assert descriptors() == before
    del frames, tables


def test_mappings_go_when_frames_go(store):
    def mapped():
        return Path("/proc/self/maps").read_text().count(str(store.path))

    store.put("t", frame())
    got, arrow = store.get("t"), store.open("t").to_arrow()
    assert mapped() == 2
    part = got["x"].iloc[3:]
    del got, arrow
    assert mapped() == 1
    assert part.sum() == sum(range(3, 10))
    del part
    assert mapped() == 0


@pytest.mark.slow
def test_private_memory_of_a_reader_that_reads_everything(store):
    n = 4_000_000
    store.put("t", pd.DataFrame({f"c{i}": np.full(n, float(i)) for i in range(4)}))
    program = f"""
import colonnade as cn, numpy as np
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:"))
store = cn.Store({str(store.path)!r})
store.get("t").iloc[:1].sum()
before = anonymous()
df = store.get("t")
total = sum(float(np.add.reduce(df[name].to_numpy())) for name in df)
print(anonymous() - before, total)
"""
    kib, total = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(total) == n * 6.0
    assert int(kib) <= 2048


@pytest.mark.slow
def test_put_makes_no_second_copy_in_memory(store):
    """A put of 240 MB, from pandas and from Arrow, needs only a few MiB more memory."""
    program = f"""
import threading, numpy as np, pandas as pd, pyarrow as pa, colonnade as cn
store = cn.Store({str(store.path)!r})
n = 3_000_000
df = pd.DataFrame({{f"f{{i}}": np.full(n, i + 0.5) for i in range(8)}})
df["b"], df["s"], df["i"] = df.f0 > 0, pd.array(["some words"] * n, "str"), pd.array(np.arange(n), "Int64")
table = pa.Table.from_pandas(df)
store.put("warm", df.iloc[:10]), store.put("warm", table.slice(0, 10))
def anonymous():  # the segment itself is mapped while it is written, and is no copy
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
for source in (df, table):
    before, done, seen = anonymous(), threading.Event(), []
    def watch():
        while not done.wait(0.001):
            seen.append(anonymous() - before)
    watcher = threading.Thread(target=watch)
    watcher.start()
    store.put("t", source)
    done.set()
    watcher.join()
    assert len(seen) > 10
    print(max(seen))
"""
    grown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(kib) < 32 * 1024 for kib in grown] == [True, True], grown
    store.delete("warm")


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
    seen = 0
    while any(writer.poll() is None for writer in writers):
        try:
            with store.open("t") as snap:
                assert snap.version >= seen
                seen = snap.version
                assert snap.to_pandas()["who"].nunique() == 1
        except cn.NotFoundError:
            assert seen == 0, "a name that was there is missing"
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
    seen = store.put("t", frame(1))
    assert store.put("t", frame(2), expect_version=seen).version == 2
    with pytest.raises(cn.ConflictError, match="at version 2, and version 1 was expected"):
        store.put("t", frame(3), expect_version=seen)
    store.delete("t")
    store.put("t", frame(4))
    assert store.open("t").version == seen.version == 1
    with pytest.raises(cn.ConflictError, match="deleted and put again"):
        store.put("t", frame(5), expect_version=seen)
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
    for other in ("s3://bucket/x", "C:\\x", "c:/x", "file:///tmp/x"):
        with pytest.raises(ValueError, match=r"a store is a directory of this machine.*load\(\) and dump\(\)"):
            cn.Store(other)
    with pytest.raises(ValueError, match="the path of a store is empty"):
        cn.Store("")
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
