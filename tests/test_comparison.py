"""What the page of other ways says of them: which columns they map, and which they copy."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

ROWS = 100_000
NUMBERS = np.arange(ROWS, dtype="float64")
COLUMNS = {
    "numbers": NUMBERS,
    "booleans": NUMBERS % 2 == 0,
    "categories": pd.Categorical.from_codes((NUMBERS % 3).astype("int8"), ["a", "b", "c"]),
    "text": pd.array(["alpha", "beta"] * (ROWS // 2), dtype="str"),
    "times": pd.date_range("2026-01-01", periods=ROWS, freq="s").to_numpy(),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_pickle_5_copies_times(kind):
    buffers = []
    head = pickle.dumps(pd.DataFrame({"x": COLUMNS[kind]}), protocol=5, buffer_callback=buffers.append)
    assert (len(head) > ROWS) == (kind == "times")
    assert (sum(buffer.raw().nbytes for buffer in buffers) >= ROWS) == (kind != "times")


@pytest.mark.parametrize("kind", COLUMNS)
def test_joblib_copies_text(kind, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(pd.DataFrame({"x": COLUMNS[kind]}), tmp_path / "x")
    values = joblib.load(tmp_path / "x", mmap_mode="c")["x"].array
    if kind == "text":
        addresses = [
            buffer.address
            for chunk in pa.chunked_array(values.__arrow_array__()).chunks
            for buffer in chunk.buffers()
            if buffer
        ]
    else:
        array = values.codes if kind == "categories" else np.asarray(values)
        addresses = [array.__array_interface__["data"][0]]
    with open("/proc/self/maps") as maps:
        ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in maps if str(tmp_path) in line]
    mapped = [any(start <= address < stop for start, stop in ranges) for address in addresses]
    assert mapped == [kind != "text"] * len(addresses)


@pytest.mark.parametrize(
    ("kind", "options", "copied"),
    [
        ("numbers", {}, True),
        ("times", {}, True),
        ("booleans", {}, True),
        ("text", {}, False),
        ("numbers", {"split_blocks": True}, False),
        ("times", {"split_blocks": True}, False),
        ("nulls", {"split_blocks": True}, True),
        ("booleans", {"split_blocks": True}, True),
        ("nulls", {"types_mapper": pd.ArrowDtype}, False),
        ("booleans", {"types_mapper": pd.ArrowDtype}, False),
    ],
)
def test_an_arrow_file_is_copied_where_the_page_says(kind, options, copied, tmp_path):
    nulls = pa.array(NUMBERS, mask=NUMBERS % 5 == 0)
    table = pa.table({"x": nulls if kind == "nulls" else pa.Table.from_pandas(pd.DataFrame({"x": COLUMNS[kind]}))["x"]})
    with pa.OSFile(str(tmp_path / "x"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    mapped = pa.ipc.open_file(pa.memory_map(str(tmp_path / "x"))).read_all()
    before = pa.total_allocated_bytes()
    frame = mapped.to_pandas(**options)
    assert (pa.total_allocated_bytes() - before >= ROWS) == copied, frame.dtypes
