"""Text in Arrow's view layout: what is stored beside the offsets, which readers use it, and how damage is reported."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from colonnade import _core
from colonnade.core import text_views
from colonnade.errors import CorruptSnapshotError, InvalidDataError
from colonnade.format.read.text_views import columns_with_views
from colonnade.storage.publish import Publisher

TEXTS = [
    "",
    "a",
    "twelve bytes",
    "thirteen byte",
    None,
    "äöü € 𝄞",
    "long enough for a buffer of its own",
    "",
    None,
    "x" * 1000,
]


def many(rows):
    return [TEXTS[i * 7 % len(TEXTS)] for i in range(rows)]


def views_of(snapshot):
    with snapshot._located():
        return {field: views for field, _, views in columns_with_views(snapshot._stored_file(writable=False))}


@pytest.mark.parametrize("rows", [0, 1, 10, 1000, 200_000])
def test_what_comes_from_polars_goes_back_in_its_own_layout(store, rows):
    frame = pl.DataFrame({"s": many(rows), "n": range(rows), "b": [None if t is None else t.encode() for t in many(rows)]}, {"s": pl.String, "n": pl.Int64, "b": pl.Binary})  # fmt: skip
    snapshot = store.put("t", frame)
    assert list(views_of(snapshot)) == [0, 2]
    assert snapshot.to_polars().equals(frame)
    assert snapshot.to_polars(validate="full").equals(frame)
    snapshot.validate()
    assert snapshot.schema.types == [pa.large_string(), pa.int64(), pa.large_binary()], "which every reader knows"
    assert snapshot.to_pandas()["s"].dtype == "str"
    assert snapshot.to_pandas()["s"].to_list() == pd.Series(many(rows), dtype="str").to_list() or rows == 0
    assert pa.ipc.open_file(snapshot.path).read_all()["s"].to_pylist() == many(rows)


def test_text_of_polars_is_not_copied(store):
    frame = pl.DataFrame({"s": many(100_000)})
    snapshot = store.put("t", frame)
    views = snapshot.to_polars()
    data = pa.table(views)["s"].chunk(0).buffers()
    with snapshot._located():
        ((_, column, stored),) = columns_with_views(snapshot._stored_file(writable=False))
    there = [_mapped_file(buffer.address) for buffer in data if buffer is not None]
    assert len(there) == 3
    assert set(there) == {_mapped_file(stored.__array_interface__["data"][0])}
    assert column.type == pa.large_string()


def _mapped_file(address):
    with open("/proc/self/maps") as maps:
        for line in maps:
            start, _, end = line.split()[0].partition("-")
            if int(start, 16) <= address < int(end, 16):
                return line.split()[4]
    raise AssertionError("not mapped")


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"s": pd.Series(many(50), dtype="str"), "o": pd.array(many(50), "string[pyarrow]"), "n": range(50)}),
        pd.DataFrame({"s": pd.Series(many(50), dtype=pd.ArrowDtype(pa.string()))}, index=pd.Index(map(str, range(50)))),
        pa.table({"s": pa.array(many(50)), "l": pa.array(many(50), pa.large_string())}),
    ],
    ids=["str", "ArrowDtype", "PyArrow"],
)  # fmt: skip
def test_others_have_views_when_they_are_asked_for(store, data):
    assert views_of(store.put("without", data)) == {}
    snapshot = store.put("with", data, views=True)
    assert len(views_of(snapshot)) >= 1
    snapshot.validate()
    assert snapshot.to_polars().equals(store.open("without").to_polars())
    assert snapshot.to_arrow().equals(store.open("without").to_arrow())
    pd.testing.assert_frame_equal(snapshot.to_pandas(), store.get("without"))
    assert len(views_of(store.put("copied", store.open("without"), views=True))) >= 1


def test_chunks_slices_and_what_stands_under_nulls(store):
    chunks = [pa.array(many(n), pa.string_view())[2:] for n in (20, 3, 50)]
    table = pa.table({"s": pa.chunked_array([*chunks, pa.array([], pa.string_view())])})
    snapshot = store.put("t", table)
    assert snapshot.to_arrow()["s"].to_pylist() == table["s"].to_pylist()
    views = np.frombuffer(pa.array(["long enough for a buffer"] * 2, pa.string_view()).buffers()[1], np.uint8).copy()
    views[16:] = 255  # a view of nowhere, which is null
    odd = pa.Array.from_buffers(pa.string_view(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(views), pa.py_buffer(b"long enough for a buffer")])  # fmt: skip
    assert store.put("odd", pa.table({"s": odd})).to_arrow()["s"].to_pylist() == ["long enough for a buffer", None]


def test_text_inside_of_lists_and_structures(store):
    text = pa.array(many(30), pa.string_view())
    lists = pa.ListArray.from_arrays(pa.array(range(0, 31, 3), pa.int32()), text)
    table = pa.table({"l": lists[1:], "s": pa.StructArray.from_arrays([text[2:11], lists[1:]], ["t", "l"])})
    snapshot = store.put("t", table)
    assert snapshot.to_arrow().to_pylist() == table.to_pylist()
    snapshot.validate()


def test_text_that_is_changed_while_it_is_stored_is_refused(store, monkeypatch):
    views = np.frombuffer(pa.array(["long enough for a buffer"], pa.string_view()).buffers()[1], np.uint8).copy()
    buffers = [None, pa.py_buffer(views), pa.py_buffer(b"long enough for a buffer")]
    table = pa.table({"s": pa.Array.from_buffers(pa.string_view(), 1, buffers)})
    draft = Publisher.draft

    def change_first(*arguments):
        views[0] += 1
        return draft(*arguments)

    monkeypatch.setattr(Publisher, "draft", change_first)
    with pytest.raises(InvalidDataError, match="was changed while it was stored"):
        store.put("t", table)
    assert store.ls() == []


@pytest.mark.parametrize(("at", "value"), [(0, 1 << 30), (0, -1), (8, 7), (8, -1), (12, 1 << 30), (12, -1)])
def test_views_that_lead_out_of_their_buffers_are_refused(at, value):
    views = np.frombuffer(pa.array(["long enough for a buffer"], pa.string_view()).buffers()[1], np.uint8).copy()
    views[at : at + 4] = np.frombuffer(np.int32(value).tobytes(), np.uint8)
    array = pa.Array.from_buffers(
        pa.string_view(), 1, [None, pa.py_buffer(views), pa.py_buffer(b"long enough for a buffer")]
    )
    with pytest.raises(InvalidDataError, match="leads out of its buffers"):
        text_views.without_text(array)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("offsets", [[0, 5, 3], [0, 2, 7], [-1, 2, 3], [0, -5, 2], [2**31 - 1, 2, 3]])
def test_offsets_that_lead_nowhere_have_no_views(offsets, width):
    numbers = np.array(offsets, "int32" if width == 4 else "int64").view(np.uint8)
    assert not _core.write_views(numbers, width, np.zeros(6, np.uint8), np.zeros(32, np.uint8))


def test_views_are_those_that_pyarrow_and_polars_make():
    array = pa.array(many(1000), pa.large_string())
    views = np.empty(16 * len(array), np.uint8)
    text_views.write_views("s", array, views)
    result = text_views.with_views(array, views)
    result.validate(full=True)
    assert result.equals(array.cast(pa.string_view()))
    assert text_views.are_views_of(array, views)


def test_data_are_seen_through_windows():
    """The text covers more than 2 GiB of address space, but only a few pages are touched."""
    size = (5 << 29) + 100
    data = np.zeros(size, np.uint8)
    places = [0, (1 << 30) - 5, (1 << 30) + 20, (1 << 31) - 7, (1 << 31) + 13, size - 20]
    whole = np.array([0, size], np.int64).view(np.uint8)
    assert not _core.write_views(whole, 8, data, np.empty(16, np.uint8)), "a text of more than 1 GiB"
    for place in places:
        data[place : place + 20] = np.frombuffer(b"a text of 20 bytes..", np.uint8)
    ends = np.array([each for place in places for each in (place, place + 20)], np.int64)
    every = np.empty(16 * (len(ends) - 1), np.uint8)
    assert _core.write_views(ends.view(np.uint8), 8, data, every)
    array = pa.Array.from_buffers(pa.large_string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    view_array = text_views.with_views(array, every)
    assert len(view_array.buffers()) == 5
    assert [view_array[i].as_py() for i in range(0, len(view_array), 2)] == ["a text of 20 bytes.."] * len(places)


DAMAGE = {
    "a length": (0, 1000),
    "the first bytes": (4, 0x61616161),
    "a buffer": (8, 1),
    "a place": (12, 1 << 30),
    "a null that is not empty": (64, 3),
}


@pytest.mark.parametrize(("at", "value"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_views_are_found(store, at, value):
    frame = pl.DataFrame({"s": ["long enough for a buffer of its own", "b", "c", "d", None]})
    snapshot = store.put("t", frame)
    with snapshot._located():
        file = snapshot._stored_file(writable=False)
    place = file.body.start + file.frame.views[0].at
    with snapshot.path.open("r+b") as damaged:
        damaged.seek(place + at)
        damaged.write(np.int32(value).tobytes())
    with pytest.raises(CorruptSnapshotError, match="'s' has damaged views"):
        snapshot.to_polars(validate="full")
    with pytest.raises(CorruptSnapshotError, match="'s' has damaged views"):
        store.open("t").validate()
    assert snapshot.to_arrow()["s"].to_pylist() == frame["s"].to_list(), "others do not read them"
    store.delete("t")


def test_a_series_and_a_shared_table_have_views(store):
    series = pl.Series("s", many(100))
    back = store.put("t", series).to_polars()
    assert isinstance(back, pl.Series)
    assert back.equals(series)
    with store.share(series.to_frame()) as shared:
        assert list(views_of(shared)) == [0]
        assert shared.to_polars().equals(series.to_frame())


def test_with_a_key_index_and_checksums(store):
    frame = pl.DataFrame({"s": many(100_000), "k": range(100_000)})
    snapshot = store.put("t", frame, key="k", checksum=True)
    snapshot.validate()
    assert snapshot.locate(77) == 77
    assert snapshot.to_polars().equals(frame)


def test_no_bytes_of_earlier_tables_are_left_between(store):
    for rows in (300_000, 280_001, 260_003):
        frame = pl.DataFrame({"s": many(rows)})
        snapshot = store.put("t", frame)
        snapshot.validate()
        assert snapshot.to_polars().equals(frame)
        snapshot.close()


def test_what_is_written_is_there_when_a_draft_is_mapped_later(store):
    """A key index and views are written through a mapping of what `pwrite` has written."""
    store.put("t", pl.DataFrame({"x": [1]}))
    size = 8 << 20
    with Publisher(store._writer.catalog).draft(size) as draft:
        content = np.random.default_rng(1).integers(1, 255, size, np.uint8)
        draft.write(0, content.tobytes())
        assert np.array_equal(np.frombuffer(draft.map_written(size), np.uint8), content)
