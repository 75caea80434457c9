"""Tables without names: how long they live, and who can open them."""

import os
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support import unnamed
from support.references import pandas_frame, total

MIB = 1 << 20


def frame(mib, value=1.0):
    return pd.DataFrame({"x": np.full(mib * MIB // 8, value)})


def segments(store):
    folder = store.path / ".segments"
    return sorted(name.partition("-")[0] for name in os.listdir(folder)) if folder.exists() else []


def start(program, *arguments):
    """A process that runs a program, prints a line, and then waits until the test ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    return process, process.stdout.readline().strip()


OWNER = """
import pickle, sys
import colonnade as cn
from support.references import pandas_frame
shared = cn.Store(sys.argv[1]).share(pandas_frame(100_000))
print(pickle.dumps(shared).hex(), flush=True)
sys.stdin.read()
"""


def test_it_has_no_name_and_no_version_of_others(store):
    with store.share(pd.DataFrame({"x": [1.5, None]})) as shared:
        assert repr(shared) == f"<colonnade.Snapshot without a name: 2 rows x 1 columns, {shared.nbytes:,} bytes>"
        assert (shared.name, store.ls(), store.check()) == ("", [], [])
        assert [(segment.role, segment.name) for segment in store.usage().segments] == [("shared", None)]
        assert store.gc().files == 0
        assert shared.path.exists()
    assert segments(store) == []


@pytest.mark.parametrize(
    "data",
    [pandas_frame(100), pl.DataFrame({"x": [1]}), pa.table({"x": ["a", None]})],
    ids=lambda data: type(data).__module__,
)
def test_a_reference_is_small_and_opens_the_same(store, data):
    with store.share(data) as shared:
        assert len(pickle.dumps(shared)) < 400
        with pickle.loads(pickle.dumps(shared)) as snapshot:
            assert snapshot.to_arrow().equals(shared.to_arrow())
            assert_frame_equal(snapshot.to_pandas(), shared.to_pandas())
            pickle.loads(pickle.dumps(snapshot)).close()  # a receiver may pass it on
        assert segments(store) == ["shared"], "a receiver that closes takes nothing away"


def test_a_frame_outlives_the_owners_hold_and_is_never_written_over(store):
    with store.share(frame(4)) as shared:
        snapshot = pickle.loads(pickle.dumps(shared))
        df = snapshot.to_pandas()
    assert segments(store) == ["spare"]
    with store.share(frame(4, 2.0)) as second:
        assert (df["x"] == 1.0).all()
        assert (snapshot.to_pandas()["x"] == 1.0).all()
        assert (second.to_pandas()["x"] == 2.0).all()
    snapshot.close()


def test_what_was_let_go_of_is_written_again(store):
    with store.share(frame(4)) as shared:
        inode = shared.path.stat().st_ino
    with store.share(frame(4, 2.0)) as second:
        assert second.path.stat().st_ino == inode
        assert (second.to_pandas()["x"] == 2.0).all()


def test_who_comes_too_late_is_told(store):
    with store.share(frame(1)) as shared:
        reference = pickle.dumps(shared)
    snapshot = pickle.loads(reference)
    assert snapshot.num_rows == MIB // 8, "a reference knows what it leads to"
    with pytest.raises(cn.NotFoundError, match=r"gone from .*its owner closed it or ended.*Keep the Snapshot"):
        snapshot.to_pandas()


def test_without_a_with_block_it_goes_with_the_last_reference_to_it(store):
    shared = store.share(frame(1))
    assert segments(store) == ["shared"]
    del shared
    assert segments(store) == []


@pytest.mark.slow
def test_it_is_gone_when_its_owner_exits(store):
    process, reference = start(OWNER, store.path)
    with pickle.loads(bytes.fromhex(reference)) as snapshot:
        assert snapshot.schema.names == ["x", "s", "t"]
        process.communicate("")
        assert segments(store) == []
        assert_frame_equal(snapshot.to_pandas(), pandas_frame(100_000))
    with pytest.raises(cn.NotFoundError):
        pickle.loads(bytes.fromhex(reference)).to_pandas()


@pytest.mark.parametrize("cleaner", ["gc", "put"])
@pytest.mark.slow
def test_it_is_freed_when_its_owner_was_killed(store, cleaner):
    process, reference = start(OWNER, store.path)
    snapshot = pickle.loads(bytes.fromhex(reference))
    assert snapshot.fileno() >= 0
    assert cn.Store(store.path).gc().files == 0, "it has an owner"
    process.kill()
    process.communicate()
    if cleaner == "gc":
        assert store.gc().nbytes > MIB
    else:
        store.put("x", frame(0)).close()
    assert segments(store) == []
    assert_frame_equal(snapshot.to_pandas(), pandas_frame(100_000))
    snapshot.close()


FORKING = """
import os, sys, signal, time
import colonnade as cn
from support.references import pandas_frame
shared = cn.Store(sys.argv[1]).share(pandas_frame(100_000))
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
    print(shared.to_pandas()["x"].sum(), flush=True)
    shared.close()
    os._exit(0)
signal.pause()
"""


@pytest.mark.slow
def test_a_forked_child_does_not_own_it(store):
    process, _ = start(FORKING, store.path)
    assert store.gc().files == 0
    process.kill()
    process.wait()
    assert store.gc().files == 1, "the child lives, and holds no lock"
    process.stdin.close()
    assert float(process.stdout.readline()) == sum(range(100_000)), "but it holds the memory"
    process.stdout.close()


def test_a_forked_child_takes_nothing_away(store):
    with store.share(frame(1)) as shared:
        child = os.fork()
        if child == 0:
            shared.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert store.gc().files == 0
        assert segments(store) == ["shared"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.slow
def test_it_is_an_argument_for_a_pool(store, method):
    with store.share(pandas_frame()) as shared, ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(total, shared).result() == sum(range(50_000))


def test_children_that_are_joined_at_exit_may_still_open_it(store):
    process, _ = start(
        """
        import multiprocessing, sys, time
        import colonnade as cn
        from support.references import pandas_frame, total
        def work(reference):
            time.sleep(0.3)
            import pickle
            print(total(pickle.loads(reference)), flush=True)
        if __name__ == "__main__":
            import pickle
            shared = cn.Store(sys.argv[1]).share(pandas_frame())
            multiprocessing.get_context("fork").Process(target=work, args=(pickle.dumps(shared),)).start()
            print("started", flush=True)
        """,
        store.path,
    )
    out, _ = process.communicate()
    assert float(out) == sum(range(50_000))
    assert segments(store) == []


def test_it_counts_for_the_capacity(folder):
    store = cn.Store(folder / "s", capacity="20MiB")
    with store.share(frame(12)):
        with pytest.raises(cn.StoreFullError, match=r"has a capacity of 20\.0MiB"):
            store.share(frame(12))
        with pytest.raises(cn.StoreFullError):
            store.put("x", frame(12))
    store.share(frame(12)).close()
    assert store.check() == []


def test_two_that_share_at_once_do_not_pass_the_capacity_together(folder, monkeypatch):
    store = cn.Store(folder / "s", capacity="20MiB")
    barrier = threading.Barrier(2)
    monkeypatch.setattr("colonnade._put.write", _and_wait(barrier))
    readers, refused = [], []

    def share():
        try:
            readers.append(store.share(frame(12)))
        except cn.StoreFullError:
            refused.append(1)

    threads = [threading.Thread(target=share) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(readers), len(refused)) == (1, 1)
    readers[0].close()


def _and_wait(barrier):
    from colonnade._put import write

    def patched(*args):
        write(*args)
        barrier.wait(30)

    return patched


def test_a_full_store_is_as_it_was(small):
    store = cn.Store(small / "s")
    with pytest.raises(cn.StoreFullError):
        store.share(frame(64))
    assert (store.check(), segments(store)) == ([], [])


def test_what_is_no_table_is_refused(store):
    with pytest.raises(cn.NotATableError):
        store.share([1, 2])
    with pytest.raises(cn.UnsupportedTypeError):
        store.share(pd.DataFrame({"x": [object()]}))
    assert segments(store) == []


def test_a_destructor_does_not_wait_for_the_lock_that_its_own_thread_holds(store):
    shared = store.share(frame(4))
    with store._catalog.directory.lock():
        shared.close()
    assert segments(store) == [], "no spare then, and no deadlock"


def test_without_nameless_files(store, monkeypatch):
    """On file systems without O_TMPFILE a draft has a temporary name and a lock."""
    unnamed.refuse(monkeypatch)
    with store.share(frame(4)) as shared:
        assert (store.gc().files, segments(store)) == (0, ["shared"])
        assert (pickle.loads(pickle.dumps(shared)).to_pandas()["x"] == 1.0).all()


@pytest.mark.privileged("users")
def test_another_user_is_told_that_it_may_not(store):
    with store.share(frame(1)) as shared:
        os.chmod(store.path.parent, 0o711)  # noqa: S103 -- the store itself is closed
        reference = pickle.dumps(shared)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                shared.close()  # a child may use what it inherits
                pickle.loads(reference).to_pandas()
                answer = "opened"
            except cn.StoreAccessError as error:
                answer = str(error)
            except BaseException as error:
                answer = repr(error)
            os.write(writer, answer.encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert "cannot be read from" in os.read(reader, 4096).decode()
        os.close(reader)
        os.close(writer)


def test_an_array_and_bytes_are_shared_too(store):
    array = np.arange(24.0).reshape(2, 3, 4)
    with store.share(array) as shared, store.share(b"bytes") as text:
        assert (pickle.loads(pickle.dumps(shared)).to_numpy() == array).all()
        assert bytes(pickle.loads(pickle.dumps(text)).to_buffer()) == b"bytes"
    both = pytest.raises(cn.UnsupportedTypeError, match="and a shared table is a table of 2 columns")
    with store.share(pd.DataFrame({"x": [1], "y": ["a"]})) as shared, both:
        shared.to_buffer()


def test_what_is_shown_of_it(store):
    with store.share(frame(1)) as shared:
        assert "without a name" in shared._repr_html_()
        assert "1 shared table" in store.usage()._repr_html_()
        reference = pickle.dumps(shared)
        attached = pickle.loads(reference)
        assert "a shared table" not in attached._repr_html_()
    assert "its memory stays until it is closed" in attached._repr_html_()
