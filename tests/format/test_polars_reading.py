"""What `explain` says of Polars, compared with the memory that Polars takes for each column."""

import decimal
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.polars_reading import why_polars_converts

ROWS = 1_000_000

# A child for all types: how many bytes more does it have for itself once Polars has the column?
PROGRAM = """
import sys
import numpy as np, pyarrow as pa, polars as pl
rows = int(sys.argv[1])
def private():
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) * 1024
numbers = np.arange(rows)
text = pa.array(["abc", "a text that is longer than a view"] * (rows // 2), pa.large_string())
arrays = {
    "int8": pa.array(numbers % 100, pa.int8()),
    "uint64": pa.array(numbers, pa.uint64()),
    "nulls": pa.array(numbers, mask=numbers % 3 == 0),
    "float32": pa.array(numbers.astype("f4")),
    "bool": pa.array(numbers % 2 == 0),
    "date32": pa.array(numbers.astype("i4")).view(pa.date32()),
    "timestamp[s]": pa.array(numbers).view(pa.timestamp("s")),
    "timestamp[ns]": pa.array(numbers).view(pa.timestamp("ns", "UTC")),
    "duration[s]": pa.array(numbers).view(pa.duration("s")),
    "duration[us]": pa.array(numbers).view(pa.duration("us")),
    "time64[us]": pa.array(numbers % 86400).view(pa.time64("us")),
    "decimal": pa.array(numbers).cast(pa.decimal128(38, 0)),
    "text": text,
    "views": text.cast(pa.string_view()),
    "bytes": text.cast(pa.large_binary()),
    "fixed bytes": pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), rows, [None, pa.py_buffer(numbers)]),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array((numbers % 10).astype("i4")), pa.array(list("abcdefghij"))),
    "list": pa.ListArray.from_arrays(pa.array(np.arange(rows + 1).astype("i4")), pa.array(numbers)),
    "large list": pa.LargeListArray.from_arrays(pa.array(np.arange(rows + 1)), pa.array(numbers)),
    "struct": pa.StructArray.from_arrays([pa.array(numbers)], ["a"]),
    "struct of text": pa.StructArray.from_arrays([text], ["a"]),
}
class Stream:
    def __init__(self, table): self.table = table
    def __arrow_c_stream__(self, requested=None): return self.table.__arrow_c_stream__(requested)
pl.DataFrame(Stream(pa.table({"x": pa.array(["a"])})))
import pickle
result, kept = [], []
for name, array in arrays.items():
    table = pa.table({"x": array})
    before = private()
    frame = pl.DataFrame(Stream(table))
    result.append((name, array.type, private() - before))
    kept.append(frame)  # what is freed would be taken again
sys.stdout.buffer.write(pickle.dumps(result))
"""


@pytest.mark.slow
def test_what_polars_converts():
    import pickle

    process = subprocess.run([sys.executable, "-c", PROGRAM, str(ROWS)], capture_output=True, check=True, timeout=100)
    wrong = []
    for name, type_, is_copied in pickle.loads(process.stdout):
        if (is_copied > ROWS) != bool(why_polars_converts(type_)):
            wrong.append((name, is_copied, why_polars_converts(type_)))
    assert not wrong


def test_the_explanation_of_a_table(tmp_path):
    store = cn.Store(tmp_path)
    frame = pl.DataFrame({"text": ["a", "b"], "number": [1, 2], "kind": pl.Series(["x", "y"], dtype=pl.Categorical)})
    reports = {report.column: report for report in store.put("t", frame).explain()}
    assert reports["text"].polars == reports["number"].polars == ""
    assert "categories" in reports["kind"].polars
    (report,) = store.put("t", pa.table({"text": pa.array(["a"])})).explain()
    assert "views=True" in report.polars
    assert "Polars converts" in repr(store.open("t").explain()._repr_html_())
    (report,) = store.put("a", np.arange(3)).explain()
    assert report.polars == ""


SMALL = {"32 bits": pa.decimal32(5, 2), "64 bits": pa.decimal64(12, 2)}
NUMBERS = [decimal.Decimal("1.25"), decimal.Decimal("-1.00"), None, decimal.Decimal("120.00")]
PLACES = {
    "column": lambda array: array,
    "list": lambda array: pa.ListArray.from_arrays([0, 1, 1, 4], array),
    "large list": lambda array: pa.LargeListArray.from_arrays([0, 4], array),
    "fixed list": lambda array: pa.FixedSizeListArray.from_arrays(array, 2),
    "structure": lambda array: pa.StructArray.from_arrays([array, pa.array(range(4))], ["d", "i"]),
    "list of structures": lambda array: pa.ListArray.from_arrays([0, 4], pa.StructArray.from_arrays([array], ["d"])),
    "categories": lambda array: pa.DictionaryArray.from_arrays([0, 1, None, 3], array),
    "extension type": lambda array: pa.ExtensionArray.from_storage(pa.opaque(array.type, "a", "b"), array),
}


@pytest.mark.parametrize("width", SMALL)
@pytest.mark.parametrize("place", PLACES)
def test_small_decimals(tmp_path, width, place):
    """Polars 2.1 takes 16 bytes for each, and gives values that nobody stored."""
    array = PLACES[place](pa.array(NUMBERS, SMALL[width]))
    snapshot = cn.Store(tmp_path).put("t", pa.table({"x": array}))
    assert snapshot.to_polars()["x"].to_list() == array.to_pylist()
    assert snapshot.scan().collect()["x"].to_list() == array.to_pylist()
    (report,) = snapshot.explain()
    assert report.polars


def test_a_map_of_small_decimals(tmp_path):
    array = pa.array([[("a", NUMBERS[0])], []], pa.map_(pa.string(), SMALL["32 bits"]))
    frame = cn.Store(tmp_path).put("t", pa.table({"x": array})).to_polars()
    assert frame.to_arrow()["x"].cast(pa.map_(pa.string(), pa.decimal128(5, 2))).to_pylist() == array.to_pylist()


def test_a_scan_of_types_that_pyarrow_makes_no_empty_array_of(tmp_path):
    array = pa.ListArray.from_arrays([0, 2], pa.array(["a", "a"]).dictionary_encode())
    snapshot = cn.Store(tmp_path).put("t", pa.table({"x": array}))
    assert snapshot.scan().collect()["x"].to_list() == [["a", "a"]]
