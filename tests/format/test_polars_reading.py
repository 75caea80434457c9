"""What `explain` says of Polars, compared with the memory that Polars takes for each column."""

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
