"""Tables of a store that are sent by reference: an unchanged one is not written again."""

import os

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.sending import CHANGES, ROWS, frame, inodes, receive, send

pytestmark = pytest.mark.usefixtures("shop")


def test_of_a_store_goes_where_it_is(shop):
    shop.put("t", frame())
    inode = (shop.path / "t.arrow").stat().st_ino
    for table in (shop.get("t"), shop.get("t", writable=False), shop.open("t").to_arrow(), shop.open("t").to_polars()):
        with cn.by_reference(min_bytes=0):
            messages = [send(table) for _ in range(2)]
            back = [receive(message) for message, _ in messages]
        if isinstance(table, pd.DataFrame):
            assert {each for _, each in messages} == {inode}
            assert_frame_equal(back[0], table)
            back[0].iloc[0, 0] = 5.0
            assert_frame_equal(back[1], table)
        else:
            assert back[0].equals(table)
    assert (shop.path / "t.arrow").stat().st_nlink == 1


def test_what_was_received_goes_on_where_it_is(shop):
    """A received table is passed on as it is; its file has a name for as long as its sender remembers it."""
    table = frame()
    with cn.by_reference(min_bytes=0):
        message, _ = send(table)
        back = receive(message)
        assert_frame_equal(receive(send(back)[0]), table)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_of_a_store_and_changed_it_is_written(shop, change):
    table = frame()
    table.attrs["list"] = [1]
    shop.put("t", table)
    inode = (shop.path / "t.arrow").stat().st_ino
    mine = shop.get("t")
    change(mine)
    with cn.by_reference(min_bytes=0):
        message, sent = send(mine)
        assert sent != inode
        back = receive(message)
        assert_frame_equal(back, mine, check_flags=False)
        assert (back.attrs, back.flags) == (mine.attrs, mine.flags)


@pytest.mark.parametrize("end", ["superseded", "deleted"])
def test_of_a_store_and_gone(shop, end):
    shop.put("t", frame()).close()
    table = shop.get("t")
    with cn.by_reference(min_bytes=0):
        before, _ = send(table)
        if end == "deleted":
            shop.delete("t")
        else:
            shop.put("t", frame().head(3)).close()
        assert inodes()
        after, other = send(table)
        assert other is not None
        for _ in range(4):  # whose memory may not be that of the message
            shop.put("u", frame() if end == "deleted" else frame().head(5)).close()
        assert_frame_equal(receive(before), frame())
        assert_frame_equal(receive(after), frame())


def test_of_a_store_on_another_file_system(shop, tmp_path):
    other = cn.Store(tmp_path / "store")
    if os.stat(tmp_path).st_dev == os.stat(shop.path.parent).st_dev:
        pytest.skip("there is one file system")
    other.put("t", frame())
    table = other.get("t")
    with cn.by_reference(min_bytes=0):
        message, inode = send(table)
        assert inode is not None
        assert_frame_equal(receive(message), frame())


def test_of_another_store_of_this_file_system(shop):
    other = cn.Store(shop.path.parent / "other")
    other.put("t", frame())
    table = other.get("t")
    with cn.by_reference(min_bytes=0):
        message, inode = send(table)
        assert inode == (other.path / "t.arrow").stat().st_ino
        assert_frame_equal(receive(message), frame())
    assert other.check() == []


def test_a_part_of_a_stored_table_is_written(shop):
    shop.put("t", frame())
    with cn.by_reference(min_bytes=0):
        for table in (shop.get("t", columns=["x", "s"]), shop.get("t")[["x"]], shop.get("t").iloc[:1000]):
            message, inode = send(table)
            assert inode != (shop.path / "t.arrow").stat().st_ino
            assert_frame_equal(receive(message), table)


def test_capacity_counts_what_is_in_flight_several_times_once(shop):
    table = pd.DataFrame({"x": np.zeros(ROWS)})
    shop.configure(capacity="4MiB")
    with cn.by_reference(min_bytes=0):
        messages = [send(table) for _ in range(8)]
        assert len({inode for _, inode in messages}) == 1
        shop.put("t", pd.DataFrame({"x": np.zeros(ROWS // 2)}))
        for message, _ in messages:
            receive(message)
