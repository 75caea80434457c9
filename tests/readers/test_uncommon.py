"""Types that not every reader supports. If a reader cannot read ours, it cannot read PyArrow's own file either."""

import decimal
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

ENCODED = pa.array(["a", "b"]).dictionary_encode()
POINT = decimal.Decimal("1.5")
ARRAYS = {
    "float16": pa.array(np.array([1, 2.5], "float16")),
    "binary": pa.array([b"a", None]),
    "fixed size binary": pa.array([b"ab", None], pa.binary(2)),
    "large list": pa.array([[1], None], pa.large_list(pa.int64())),
    "fixed size list": pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
    "list view": pa.array([[1], None], pa.list_view(pa.int64())),
    "list of encoded": pa.ListArray.from_arrays([0, 1, 2], ENCODED),
    "list of bool": pa.array([[True, None], None]),
    "list of struct": pa.array([[{"a": 1, "b": ["x"]}], None]),
    "list of decimal": pa.array([[POINT], None]),
    "struct of encoded": pa.StructArray.from_arrays([ENCODED], ["c"]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "time32": pa.array([1, None], pa.time32("s")),
    "time64": pa.array([1000, None], pa.time64("ns")),
    "date64": pa.array([86_400_000, None], pa.date64()),
    "decimal32": pa.array([POINT, None], pa.decimal32(5, 2)),
    "decimal64": pa.array([POINT, None], pa.decimal64(12, 2)),
    "decimal256": pa.array([POINT, None], pa.decimal256(50, 2)),
    "nulls": pa.nulls(2),
    "string view": pa.array(["a", None], pa.string_view()),
    "binary view": pa.array([b"a", None], pa.binary_view()),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([7])),
    "sparse union": pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
    "dense union": pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["b"])]),
    "months and days": pa.array([pa.MonthDayNano([1, 2, 3]), None]),
    "uuid": pa.array([b"0" * 16, None], pa.uuid()),
    "encoded, unsigned": pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint32()), ["a"]),
    "encoded, ordered": pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), ["a"], ordered=True),
    "encoded times": pa.array([1, None], pa.timestamp("us")).dictionary_encode(),
    "zone of an offset": pa.array([1, None], pa.timestamp("us", "+05:30")),
}  # fmt: skip
FRAMES = {
    "periods": pd.DataFrame({"x": pd.period_range("2020", periods=2, freq="M")}),
    "intervals": pd.DataFrame({"x": [1, 2]}, index=pd.interval_range(0, 2)),
    "two of a name": pd.DataFrame([[1, 2.5]], columns=["x", "x"]),
    "labels of two parts": pd.DataFrame([[1, 2.5]], columns=[("a", 1), ("b", 2)]),
    "no columns": pd.DataFrame(index=[1, 2]),
    "nothing": pd.DataFrame(),
}

# A panic of Rust is not an Exception; it names threads and numbers that differ from run to run.
PROGRAM = """
import json, sys
def attempt(path):
    try:
        return str(read(path))
    except BaseException as error:
        return f"{type(error).__name__}"
print(json.dumps([attempt(path) for path in sys.argv[1:]]))
"""
READERS = {
    "Polars": "import polars as pl\ndef read(path): return pl.read_ipc(path).rows()",
    "Polars, lazily": "import polars as pl\ndef read(path): return pl.scan_ipc(path).collect().rows()",
    "arrow-rs": """
import arro3.io
def read(path):
    table = arro3.io.read_ipc(path).read_all()
    return [table.column(i).to_pylist() for i in range(table.num_columns)]""",
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_what_it_reads_of_pyarrows_own_file(name, store, folder):
    mine, theirs = [], []
    for what, data in {**{what: pa.table({"x": array}) for what, array in ARRAYS.items()}, **FRAMES}.items():
        snapshot = store.put(what.replace(" ", "-").replace(",", ""), data)
        mine.append(str(snapshot.path))
        theirs.append(str(folder / what))
        with pa.ipc.new_file(theirs[-1], snapshot.schema) as file:
            file.write_table(snapshot.to_arrow())
    program = [sys.executable, "-c", READERS[name] + PROGRAM, *mine, *theirs]
    process = subprocess.run(program, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    read = json.loads(process.stdout)
    of_mine = dict(zip([*ARRAYS, *FRAMES], read[: len(mine)], strict=True))
    of_theirs = dict(zip([*ARRAYS, *FRAMES], read[len(mine) :], strict=True))
    assert of_mine == of_theirs
    assert sum(output.endswith(("Error", "Exception")) for output in of_mine.values()) < 12
