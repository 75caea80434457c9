"""Plain tables that are pickled by reference, in every way that processes exchange objects, and what remains afterwards."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from joblib.externals.loky.backend import reduction as loky
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade._by_reference import pickling
from support import references
from support.references import MAKE, is_mapped, look_and_release, pandas_frame, segments

METHODS = ["fork", "spawn", "forkserver"]


pytestmark = pytest.mark.usefixtures("shop")


def same(one, other):
    if isinstance(one, pd.DataFrame):
        assert_frame_equal(one, other)
    elif isinstance(one, pl.DataFrame):
        assert one.schema == other.schema
        assert one.equals(other)
    else:
        assert one.schema.equals(other.schema, check_metadata=True)
        assert one.equals(other)
    return True


def round_trip(table):
    return ForkingPickler.loads(ForkingPickler.dumps(table))


# -- ways --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow
def test_arguments_and_results_of_an_executor(method):
    """The first task has no table, so the worker must know about by_reference from its start."""
    pl.DataFrame({"x": [2, 1]}).sort("x")  # Polars' threads, which a forked child does not have
    with cn.by_reference(min_bytes=0), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        for kind, make in MAKE.items():
            result = pool.submit(references.make, kind).result()
            assert is_mapped(result)
            mapped, back = pool.submit(look_and_release, make()).result()
            assert mapped
            assert is_mapped(back)
            assert same(result, make())
            assert same(back, make())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.slow
def test_pool_queue_and_pipe(method):
    context = multiprocessing.get_context(method)
    frame = pandas_frame()
    with cn.by_reference(min_bytes=0):
        with context.Pool(1) as pool:
            actual = pool.map(look_and_release, [frame, frame])
        there, back = context.Queue(), context.Queue()
        process = context.Process(target=references.echo, args=(there, back))
        process.start()
        there.put(frame)
        actual.append(back.get())
        process.join()
        ours, theirs = context.Pipe()
        process = context.Process(target=references.echo_pipe, args=(theirs,))
        process.start()
        ours.send(frame)
        actual.append(ours.recv())
        process.join()
    for mapped, result in actual:
        assert mapped
        assert is_mapped(result)
        assert same(result, frame)
        result.iloc[0, 0] = 7.0  # it is this process' own


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_what_a_process_is_started_with(method):
    context = multiprocessing.get_context(method)
    with cn.by_reference(min_bytes=0):
        queues = [context.Queue(), context.Queue()]
        queues[0].put(pandas_frame())
        process = context.Process(target=references.echo, args=queues)
        process.start()
        mapped, result = queues[1].get()
        process.join()
    assert mapped
    assert is_mapped(result)


@pytest.mark.slow
def test_joblib():
    with cn.by_reference(min_bytes=0):
        result = joblib.Parallel(n_jobs=2)(joblib.delayed(references.make)("pandas") for _ in range(2))
        actual = joblib.Parallel(n_jobs=2)(joblib.delayed(look_and_release)(frame) for frame in result)
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    for frame, (mapped, back) in zip(result, actual, strict=True):
        assert is_mapped(frame)
        assert mapped
        assert is_mapped(back)
        assert same(back, pandas_frame())


def test_a_worker_that_was_there_before_answers_in_kind():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        assert not is_mapped(pool.submit(references.make, "pandas").result())
        with cn.by_reference(min_bytes=0):
            assert is_mapped(pool.submit(look_and_release, pandas_frame()).result()[1])
        assert is_mapped(pool.submit(references.make, "pandas").result()), "and goes on"
        assert pickling._sending == [], "which makes its parent begin nothing"


# -- what travels ------------------------------------------------------------------------------------------------------

EXACTLY = {
    "index with a frequency": pandas_frame(10),
    "levels": pd.DataFrame({("a", 1): [1, 2], ("b", 2): [3.0, None]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
    "attrs and flags": pd.DataFrame({"x": [1]}).set_flags(allows_duplicate_labels=False),
    "extension types": pd.DataFrame({"i": pd.array([1, None], "Int64"), "c": pd.Categorical(["a", None]), "d": pd.array([1, 2], pd.ArrowDtype(pa.int8()))}),
    "no rows": pd.DataFrame({"x": pd.Series([], dtype="float64")}),
    "small strings": pa.table({"s": ["a", None], "b": [b"x", b"y"]}),
    "string views": pa.table({"s": pa.array(["a", None], pa.string_view())}),
    "dictionaries": pa.table({"s": pa.array(["a", None]).dictionary_encode()}),
    "sorted keys": pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64(), keys_sorted=True))}),
    "nested": pa.table({"l": [[1], None], "t": [{"a": 1}, None]}),
    "metadata": pa.table({"x": pa.array([1])}, schema=pa.schema([pa.field("x", pa.int64(), metadata={"a": "b"}, nullable=True)], {"k": "v"})),
    "polars": pl.DataFrame({"c": pl.Series(["x"], dtype=pl.Categorical), "e": pl.Series(["x"], dtype=pl.Enum(["x", "y"])), "l": [[1]], "s": [{"a": 1}], "d": pl.Series([1]).cast(pl.Date)}),
}  # fmt: skip


@pytest.mark.parametrize("table", EXACTLY.values(), ids=EXACTLY)
def test_it_comes_back_exactly(table):
    with cn.by_reference(min_bytes=0):
        message = bytes(ForkingPickler.dumps(table))
        assert b"inflight-" in message
        back = ForkingPickler.loads(message)
    assert type(back) is type(table)
    assert same(back, table)
    if isinstance(table, pd.DataFrame):
        assert (back.flags, back.attrs) == (table.flags, table.attrs)


class Mine(pd.DataFrame):
    """A subclass of DataFrame, as in geopandas."""


PICKLED = {
    "python objects": pd.DataFrame({"x": [[1], [2, 3]]}),
    "labels of all kinds": pd.DataFrame({"x": [1], 2: [2]}),
    "an index of objects": pd.DataFrame({"x": [1]}, index=pd.Index([(1,)], dtype=object, tupleize_cols=False)),
    "categories of objects": pd.DataFrame({"x": pd.Categorical([1, "a"])}),
    "no form in Arrow": pd.DataFrame({"x": pd.arrays.SparseArray([0, 1])}),
    "attrs that JSON has no form for": pd.DataFrame({"x": [1]}).rename_axis("i"),
    "a subclass": Mine({"x": [1]}),
}
PICKLED["attrs that JSON has no form for"].attrs["t"] = (1, 2)


@pytest.mark.parametrize("table", PICKLED.values(), ids=PICKLED)
def test_what_would_not_is_pickled_as_ever(table):
    with cn.by_reference(min_bytes=0):
        message = bytes(ForkingPickler.dumps(table))
        assert b"inflight-" not in message
        assert type(ForkingPickler.loads(message)) is type(table)
        assert_frame_equal(ForkingPickler.loads(message), table)


def test_small_ones_are_pickled():
    with cn.by_reference(min_bytes="100KiB"):
        assert b"inflight-" not in bytes(ForkingPickler.dumps(pandas_frame(1_000)))
        assert is_mapped(round_trip(pandas_frame(50_000)))


def test_other_pickles_are_left_alone():
    with cn.by_reference(min_bytes=0):
        assert b"inflight-" not in pickle.dumps(pandas_frame())


@pytest.mark.parametrize("why", ["capacity", "share"])
def test_where_there_is_no_room_it_is_pickled(shop, why, monkeypatch):
    if why == "capacity":
        shop.configure(capacity="100KiB")
    else:
        monkeypatch.setattr("colonnade.storage.in_flight.SHARE", 1 << 40)
    with cn.by_reference(min_bytes=0):
        back = round_trip(pandas_frame())
    assert not is_mapped(back)
    assert same(back, pandas_frame())


# -- blocks ------------------------------------------------------------------------------------------------------------


def test_picklers_are_as_they_were_when_the_last_block_ends():
    before = dict(ForkingPickler._extra_reducers), dict(loky._dispatch_table)
    outer, inner = cn.by_reference(min_bytes=0), cn.by_reference(min_bytes="1GiB")
    with pytest.raises(ZeroDivisionError), outer:
        assert is_mapped(round_trip(pandas_frame()))
        with inner:
            assert not is_mapped(round_trip(pandas_frame()))
        assert is_mapped(round_trip(pandas_frame()))
        1 / 0  # noqa: B018
    assert before == (ForkingPickler._extra_reducers, loky._dispatch_table)


def test_a_store_that_was_removed_gets_a_process_group_again(shop):
    with cn.by_reference(min_bytes=0):
        assert segments(shop) == ["group"]
    shutil.rmtree(shop.path)
    for _ in range(2):
        with cn.by_reference(min_bytes=0):
            assert segments(shop) == ["group"]
            message = bytes(ForkingPickler.dumps(pandas_frame()))
            assert shop.gc().files == 0
            assert same(pickle.loads(message), pandas_frame())
        shop.gc()


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="min_bytes"):
        cn.by_reference(min_bytes="much")
    with pytest.raises(ValueError, match="min_bytes"):
        cn.by_reference.install(min_bytes=-1)


def test_a_store_that_cannot_be_is_an_error_at_once(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "file"))
    with pytest.raises(cn.StoreAccessError), cn.by_reference():
        pass


# -- receivers ---------------------------------------------------------------------------------------------------------


def test_pickled_bytes_are_good_for_one_receiver():
    with cn.by_reference(min_bytes=0):
        message = bytes(ForkingPickler.dumps(pandas_frame()))
    pickle.loads(message)
    with pytest.raises(cn.NotFoundError, match=r"one receiver.*received before.*share\(\) it and send the Snapshot"):
        pickle.loads(message)


def test_memory_that_was_received_is_sent_again(shop):
    frame = pd.DataFrame({"x": np.zeros(500_000)})
    with cn.by_reference(min_bytes=0):
        for number in range(5):
            round_trip(frame + number)
            assert segments(shop).count("spare") == 1
        frames = [round_trip(frame + number) for number in range(3)]
    assert [float(each["x"].max()) for each in frames] == [0.0, 1.0, 2.0]


def test_what_nobody_receives_is_removed_in_a_day(shop, monkeypatch):
    with cn.by_reference(min_bytes=0):
        message = bytes(ForkingPickler.dumps(pandas_frame()))
    assert shop.gc().files == 0
    assert [each.role for each in shop.usage().segments] == ["shared"]
    monkeypatch.setattr("colonnade.storage.in_flight.PATIENCE", 0.0)
    assert shop.gc().nbytes > 400_000
    with pytest.raises(cn.NotFoundError, match="nobody received it for a day"):
        pickle.loads(message)


@pytest.mark.parametrize("pickler", [ForkingPickler, loky])
def test_a_pickle_that_fails_leaves_no_segment(shop, pickler):
    """The frame is written first; then pickling the other argument fails."""

    class Unpicklable:
        def __reduce__(self):
            raise RuntimeError("not to be pickled")

    with cn.by_reference(min_bytes=0):
        for _ in range(3):
            with pytest.raises(RuntimeError, match="not to be pickled"):
                pickler.dumps((pandas_frame(), [pandas_frame()], Unpicklable()))
            assert "inflight" not in segments(shop)
        message = bytes(pickler.dumps((pandas_frame(), pandas_frame())))
        assert segments(shop).count("inflight") == 2, "those that succeed stay until they are received"
        one, _ = pickle.loads(message)
        assert_frame_equal(one, pandas_frame())
    assert not hasattr(pickler.dump, "removes_what_failed"), "and the picklers are as before"


def test_a_task_that_cannot_be_pickled_leaves_no_segment(shop):
    with cn.by_reference(min_bytes=0), ProcessPoolExecutor(1) as pool:
        for _ in range(3):
            future = pool.submit(len, pandas_frame(), lambda: 0)
            with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
                future.result()
        assert "inflight" not in segments(shop)


# -- those that end, or are killed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [("fork", references.result_and_end), ("spawn", references.result_and_end), ("spawn", references.install_and_end)],
)
@pytest.mark.slow
def test_a_result_outlives_the_worker_that_sent_it(shop, method, target):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with cn.by_reference(min_bytes=0) if target is references.result_and_end else open(os.devnull):
        process = context.Process(target=target, args=(queue,))
        process.start()
        process.join()
        shop.gc()
        back = queue.get()
    assert is_mapped(back)
    assert same(back, pandas_frame())


def test_a_worker_is_killed_with_a_frame_in_flight(shop):
    """A message that the killed worker had not read may go to another worker, so its segment stays until it is certainly lost."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    with cn.by_reference(min_bytes=0), pool, pytest.raises(BrokenProcessPool):
        futures = [pool.submit(references.killed, pandas_frame()) for _ in range(5)]
        [future.result() for future in futures]
    in_flight = segments(shop).count("inflight")
    assert 0 < in_flight <= 3, "as many as an executor has in its pipe"
    assert shop.gc().files <= 2
    assert segments(shop).count("inflight") == in_flight
    for path in (shop.path / ".segments").glob("inflight-*"):
        path.unlink()


PROGRAM = """
import multiprocessing, os, signal, sys, time
import colonnade as cn
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from support.references import killed, make, pandas_frame

if __name__ == "__main__":
    cn.by_reference.install(min_bytes=0)
    context = multiprocessing.get_context(sys.argv[1])
    pool = ProcessPoolExecutor(1, mp_context=context)
    kept = pool.submit(make, "pandas").result()
    try:
        futures = [pool.submit(killed, pandas_frame()) for _ in range(5)]
        [future.result() for future in futures]
    except BrokenProcessPool:
        pass
    process = context.Process(target=time.sleep, args=(0.0,))
    process.start()
    process.join()
    print("lost", flush=True)
    sys.stdin.read()
"""


def run(program, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    return process, process.stdout.readline()


@pytest.mark.parametrize(
    ("method", "ended"), [("fork", "in order"), ("fork", "killed"), ("spawn", "killed"), ("forkserver", "in order")]
)
@pytest.mark.slow
def test_a_process_group_that_has_ended_leaves_nothing(shop, method, ended):
    process, answer = run(PROGRAM, method)
    assert answer == "lost\n"
    shop.gc()
    assert "inflight" in segments(shop), "others may not remove what the process group may still receive"
    if ended == "killed":
        process.kill()
    process.communicate("")
    if ended == "killed":
        _until(lambda: shop.gc().files == 0 and segments(shop) == [])  # a fork server ends a little later
    assert segments(shop) == []


def _until(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("never")


@pytest.mark.slow
def test_the_example_runs():
    program = os.path.join(Path(__file__).parents[2], "examples", "process_pool.py")
    process = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert "flights were more than half an hour late" in process.stdout
    assert process.stderr == ""
