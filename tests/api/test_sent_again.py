"""Tables that are sent by reference more than once. An unchanged table is written once; a changed one is written again."""

import gc
import mmap
import multiprocessing
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade._by_reference import remembered
from colonnade.core import write_watch
from colonnade.storage import paths
from support import references
from support.references import MAKE, segments
from support.sending import CHANGES, ROWS, frame, receive, send

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture(params=["watched", "hashed"])
def look(request, monkeypatch):
    """How a change of values is detected: by the kernel, or by a hash where the kernel cannot watch memory."""
    if request.param == "hashed":
        monkeypatch.setattr(write_watch, "_watch", [])
    return request.param


# -- again, and unchanged ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKE)
def test_one_that_did_not_change_is_written_once(shop, kind, look):
    table = MAKE[kind](ROWS)
    with cn.by_reference(min_bytes=0):
        messages = [send(table) for _ in range(5)]
        assert len({inode for _, inode in messages}) == 1
        assert segments(shop).count("inflight") == 5
        for message, _ in messages:
            assert receive(message).shape == table.shape
        assert segments(shop).count("inflight") == 0
        assert send(table)[1] == messages[0][1], "also when all have received it"
        receive(send(table)[0])
        for path in (shop.path / ".segments").glob("inflight-*"):
            path.unlink()


def test_of_everything(look):
    table = frame()
    with cn.by_reference(min_bytes=0):
        (one, first), (two, second) = send(table), send(table)
        assert first == second
        assert_frame_equal(receive(one), table)
        assert_frame_equal(receive(two), table)


def test_receivers_do_not_see_each_other(look):
    table = frame()
    with cn.by_reference(min_bytes=0):
        one, two = (receive(send(table)[0]) for _ in range(2))
        one.iloc[0, 0] = -1.0
        assert_frame_equal(two, table)
        assert_frame_equal(receive(send(table)[0]), table)


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(change, look):
    """Later receivers must get the new values, and earlier ones must keep the old values."""
    table = frame()
    table.attrs["list"] = [1]
    before = table.copy(deep=True)
    with cn.by_reference(min_bytes=0):
        first, second = send(table), send(table)
        change(table)
        third, fourth = send(table), send(table)
        assert first[1] == second[1] != third[1] == fourth[1]
        for message, expected in ((first, before), (second, before), (third, table), (fourth, table)):
            back = receive(message[0])
            assert_frame_equal(back, expected, check_flags=False)
            assert (back.attrs, back.flags, list(back.columns.names)) == (
                expected.attrs, expected.flags if expected is table else before.flags, list(expected.columns.names),
            )  # fmt: skip


def test_a_change_through_another_frame_of_the_same_memory_is_seen(look):
    """The kernel reports a write once, and both frames must learn of it."""
    values = np.zeros((ROWS, 4))
    one, two = pd.DataFrame(values, copy=False), pd.DataFrame(values, copy=False, columns=list("abcd"))
    with cn.by_reference(min_bytes=0):
        assert send(one)[1] == send(one)[1]
        assert send(two)[1] == send(two)[1]
        values[1000, 2] = 5.0
        for table in (one, two, one, two):
            assert receive(send(table)[0]).iloc[1000, 2] == 5.0
        inodes_of = [(send(one)[1], send(two)[1]) for _ in range(2)]
        assert inodes_of[0] == inodes_of[1]
    for path in (paths.default_store() / ".segments").glob("inflight-*"):
        path.unlink()


def test_objects_are_pickled_with_what_they_are_now(look):
    table = pd.DataFrame({"x": np.zeros(ROWS), "o": [[1]] * ROWS})
    with cn.by_reference(min_bytes=0):
        assert receive(send(table)[0])["o"][0] == [1]
        table["o"][0].append(2)
        assert receive(send(table)[0])["o"][0] == [1, 2]


def test_memory_that_others_write_to_is_hashed(tmp_path):
    """Another process writes, so the kernel reports no write of this process."""
    path = tmp_path / "values"
    np.zeros(ROWS).tofile(path)
    shared = np.memmap(path, "float64", "r+")
    table = pd.DataFrame(np.asarray(shared).reshape(-1, 2), copy=False)
    with cn.by_reference(min_bytes=0):
        assert receive(send(table)[0]).iloc[7, 1] == 0.0
        with path.open("r+b") as other:
            other.seek(15 * 8)
            other.write(np.float64(3.0).tobytes())
        assert receive(send(table)[0]).iloc[7, 1] == 3.0


def test_a_forked_child_watches_by_itself():
    """The watch that a child inherits would report on the parent's memory."""
    table = pd.DataFrame({"x": np.zeros(ROWS)})
    with cn.by_reference(min_bytes=0):
        receive(send(table)[0])
        process = multiprocessing.get_context("fork").Process(target=_change_and_send, args=(table,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert receive(send(table)[0])["x"].max() == 0.0


def _change_and_send(table):
    receive(send(table)[0])
    table.iloc[ROWS // 2, 0] = 1.0
    assert receive(send(table)[0])["x"].max() == 1.0
    table.iloc[ROWS // 2, 0] = 2.0
    assert receive(send(table)[0])["x"].max() == 2.0
    remembered.forget()


# -- how long it is there ----------------------------------------------------------------------------------------------


def test_what_was_written_dies_with_the_table_and_its_messages(shop):
    table = pd.DataFrame({"x": np.zeros(ROWS)})
    with cn.by_reference(min_bytes=0):
        message, _ = send(table)
        assert segments(shop).count("shared") == 1
        del table
        gc.collect()
        assert segments(shop).count("shared") == 0
        assert receive(message)["x"].sum() == 0.0
    assert "inflight" not in segments(shop)


def test_only_so_many_are_remembered(shop, monkeypatch):
    monkeypatch.setattr(remembered, "_MOST", 2)
    tables = [pd.DataFrame({"x": np.full(ROWS, number)}) for number in range(4)]
    with cn.by_reference(min_bytes=0):
        messages = [send(table)[0] for table in tables]
        assert segments(shop).count("shared") == 2
        assert [receive(message)["x"].max() for message in messages] == [0, 1, 2, 3]


def test_what_is_remembered_makes_room(shop):
    """Memory that is kept for a repeated table must not prevent other tables from being sent."""
    tables = [pd.DataFrame({"x": np.full(ROWS, number)}) for number in range(4)]
    shop.configure(capacity="4MiB")
    with cn.by_reference(min_bytes=0):
        for table in tables:
            message, inode = send(table)
            assert inode is not None
            receive(message)


PROGRAM = """
import os, signal, sys
import numpy as np, pandas as pd
import colonnade as cn
from multiprocessing.reduction import ForkingPickler

cn.by_reference.install(min_bytes=0)
table = pd.DataFrame({"x": np.zeros(200_000)})
messages = [bytes(ForkingPickler.dumps(table)) for _ in range(3)]
print("sent", flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ended", ["in order", "killed"])
def test_nothing_is_left_of_a_process_that_ended(shop, ended):
    subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM), ended], check=ended != "killed")
    if ended == "killed":
        assert segments(shop) != []
        shop.gc()
    assert segments(shop) == []


@pytest.mark.slow
def test_of_an_executor():
    table = pd.DataFrame({"x": np.arange(ROWS)})
    with cn.by_reference(min_bytes=0), ProcessPoolExecutor(2) as pool:
        result = list(pool.map(references.inode_of, [table] * 8))
        table.iloc[0, 0] = 5
        later = list(pool.map(references.inode_of, [table] * 8))
    assert len(set(result)) == len(set(later)) == 1
    assert set(result) != set(later)


# -- the memory --------------------------------------------------------------------------------------------------------


def test_parts_of_pages_are_hashed(look):
    values = np.zeros(1 << 20, np.uint8)
    address = values.__array_interface__["data"][0]
    stretches = [write_watch.Stretch(address + 100, len(values) - 205)]
    memory = write_watch.Memory(stretches)
    assert not memory.differs(stretches)
    for position in (100, 101, len(values) - 106, 5000):
        values[position] += 1
        assert memory.differs(stretches), position
        assert not memory.differs(stretches)
    if look == "hashed":  # the first and the last page belong to other memory too
        for position in (99, len(values) - 105):
            values[position] += 1
            assert not memory.differs(stretches)


def test_memory_that_was_unmapped_is_not_what_it_was():
    """Other memory that is mapped later at the same address is not watched, so it must not be mistaken for the table."""
    size = 1 << 20
    block = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = np.frombuffer(block, np.uint8).__array_interface__["data"][0]
    stretches = [write_watch.Stretch(address, size)]
    block[:] = b"x" * size
    memory = write_watch.Memory(stretches)
    assert not memory.differs(stretches)
    block.madvise(mmap.MADV_DONTNEED)
    assert memory.differs(stretches)
    assert not memory.differs(stretches)
    block[5] = 1
    assert memory.differs(stretches)


def test_two_lists_of_stretches_overlap():
    page = 4096
    make = lambda *places: [write_watch.Stretch(start * page, size * page) for start, size in places]  # noqa: E731
    assert write_watch._overlap(make((0, 2), (8, 2)), make((9, 1)))
    assert write_watch._overlap(make((9, 1)), make((0, 2), (8, 2)))
    assert not write_watch._overlap(make((0, 2), (8, 2)), make((2, 6), (10, 5)))
    assert not write_watch._overlap(make(), make((2, 6)))
    assert write_watch._overlap(make((5, 1)), make((1, 1), (3, 3)))


def test_pyarrow_with_dictionaries_and_slices(look):
    table = pa.table({"d": pa.array(["a", None, "b"] * 1000).dictionary_encode(), "l": [[1], None, [2, 3]] * 1000})[10:]
    with cn.by_reference(min_bytes=0):
        one, two = send(table), send(table)
        assert one[1] == two[1]
        assert receive(one[0]).equals(table)
        assert receive(two[0]).equals(table)


def test_polars_changed_in_place(look):
    table = pl.DataFrame({"x": np.arange(ROWS), "s": ["a"] * ROWS})
    with cn.by_reference(min_bytes=0):
        one, two = send(table), send(table)
        table[5, "x"] = -1
        three = send(table)
        assert one[1] == two[1] != three[1]
        assert receive(one[0])[5, "x"] == 5
        assert receive(two[0])[5, "x"] == 5
        assert receive(three[0])[5, "x"] == -1
