"""What a reader keeps of one file for the next: only what equal bytes say, and nothing that a frame can change."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format import schema
from colonnade.format.ipc import read_footer
from fuzz.anatomy import Anatomy, rehashed


def frame(rows, start=0):
    return pd.DataFrame({
        "a": np.arange(start, start + rows),
        "t": pd.date_range("2026", periods=rows),
        "s": [f"text {start + i}" for i in range(rows)],
        "b": np.arange(rows) + 0.5,
        "c": pd.Categorical(["x", "y"] * (rows // 2), categories=["x", "y", str(start)]),
    }).rename_axis(columns="labels")  # fmt: skip


def test_versions_of_one_layout_have_their_own_values(folder):
    store = cn.Store(folder / "s")
    for start in (0, 100, 200):
        store.put("t", frame(10, start))
        pd.testing.assert_frame_equal(store.get("t"), frame(10, start))
    store.put("t", frame(12))  # another layout
    pd.testing.assert_frame_equal(store.get("t"), frame(12))
    store.put("t", frame(12).rename(columns={"a": "z"}))
    assert store.get("t").columns[0] == "z"


def test_labels_of_one_frame_are_not_those_of_the_next(folder):
    store = cn.Store(folder / "s")
    store.put("t", frame(10))
    first = store.get("t")
    first.columns.name = "mine"
    first.columns = ["a", "t", "s", "b", "other"]
    first.index.name = "rows"
    second = store.get("t")
    pd.testing.assert_frame_equal(second, frame(10))
    second.insert(0, "new", 1)
    second = second.drop(columns="a")
    pd.testing.assert_frame_equal(store.get("t"), frame(10))
    pd.testing.assert_frame_equal(store.get("t", columns=["b", "a"]), frame(10)[["b", "a"]])


def frame_of_all_blocks(rows):
    times = pd.date_range("2026", periods=rows)
    spans = pd.interval_range(0, periods=rows)
    return pd.DataFrame({
        "a": np.arange(rows), "b": np.arange(rows) / 2, "c": np.arange(rows, dtype="f4"), "flag": np.arange(rows) % 2 == 0,
        "naive": times, "naive too": times, "zoned": times.tz_localize("UTC"), "span": times - times[0],
        "day": times.to_period("D"), "interval": spans, "masked": pd.array([1, None] * (rows // 2), "Int64"),
        "text": ["x", None] * (rows // 2), "kind": pd.Categorical(["x", None] * (rows // 2)),
        "arrow": pd.array(range(rows), pd.ArrowDtype(pa.int64())), "object": [b"x", None] * (rows // 2),
    })  # fmt: skip


def test_a_frame_of_all_kinds_of_blocks_is_the_same_each_time(folder):
    store, frame = cn.Store(folder / "s"), frame_of_all_blocks(10)
    frame.attrs["source"] = "here"
    store.put("t", frame.set_flags(allows_duplicate_labels=False))
    for _ in range(3):
        read = store.get("t")
        pd.testing.assert_frame_equal(read, frame, check_flags=False)
        assert read.attrs == {"source": "here"}
        assert not read.flags.allows_duplicate_labels
        assert [block.values.shape for block in read._mgr.blocks] == [
            block.values.shape for block in store.get("t", columns=list(frame.columns))._mgr.blocks
        ]
        read.attrs["source"] = "there"
        read["b"] += 1  # private to this frame
        read["naive"] = read["naive"].shift()


def test_nothing_that_is_kept_holds_a_mapping(folder):
    """Else the memory of a table that nobody has any more would not be used again."""
    store = cn.Store(folder / "s")
    path = store.put("t", frame(10)).path
    store.get("t")
    store.delete("t")
    with open("/proc/self/maps") as maps:
        assert os.fspath(path) not in maps.read()


def test_a_damaged_layout_is_found_after_a_good_one(folder):
    store = cn.Store(folder / "s")
    path = store.put("t", frame(10)).path
    store.get("t")
    file = Anatomy(path.read_bytes())
    layout = {**file.layout, "blocks": file.layout["blocks"][1:]}
    path.write_bytes(rehashed(file.with_layout(layout)))
    for _ in range(2):  # an error is not kept either
        with pytest.raises(cn.CorruptSnapshotError, match="do not hold every column of the frame once"):
            store.get("t")


@pytest.mark.slow
def test_texts_that_are_long_are_not_kept(folder):
    store = cn.Store(folder / "s")
    wide = pd.DataFrame({f"column {i}": [i, None, "x"] for i in range(3000)})
    store.put("t", wide)
    pd.testing.assert_frame_equal(store.get("t"), wide)
    with pytest.raises(cn.CorruptSnapshotError):
        read_footer(bytes(1 << 17))
    text = schema.encode(schema.ArrayLayout(1, "<f8", [1], "C", 0, meta=" " * (1 << 16)))
    assert schema.decode_kept(text)[1] is not schema.decode_kept(text)[1]
