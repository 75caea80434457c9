"""cn.to_pandas takes whatever gives Arrow data, and any arguments as PyArrow does."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import colonnade as cn
from support.likeness import assert_same_frame, assert_same_outcome, outcome


def _batch(table):
    return pa.record_batch([column.combine_chunks() for column in table.columns], schema=table.schema)


def _reader(table):
    return pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(max_chunksize=2)))


class _Stream:
    """An object that has ``__arrow_c_stream__`` only."""

    def __init__(self, table):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


class _Array:
    """An object that has ``__arrow_c_array__`` only."""

    def __init__(self, table):
        self.__arrow_c_array__ = _batch(table).__arrow_c_array__


# What is given, and the table that PyArrow makes of it.
SOURCES = {
    "table": (lambda table: table, lambda table: table),
    "batch": (_batch, lambda table: table),
    "reader": (_reader, lambda table: _reader(table).read_all()),
    "stream": (_Stream, lambda table: pa.table(_Stream(table))),
    "array": (_Array, lambda table: table),
    "Polars": (pl.from_arrow, lambda table: pa.table(pl.from_arrow(table))),
    "Polars, lazy": (lambda table: pl.from_arrow(table).lazy(), lambda table: pa.table(pl.from_arrow(table))),
    "DuckDB": (duckdb.from_arrow, lambda table: pa.table(duckdb.from_arrow(table))),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_whatever_gives_arrow(source, rows):
    df = pd.DataFrame({"i": pd.array([1, None, 3, 4, 5, 6], "Int32"), "f": [0.5, None, 1.5, 2.5, -0.0, 0.0], "s": ["a", None, "", "b", "c", "d"],
                       "t": pd.to_datetime(["2020", None, "2021", "2022", "1999", "1970"]), "b": [True, False, True, True, False, None],
                       "c": pd.Categorical(list("xyxyxz"))})  # fmt: skip
    table = pa.Table.from_pandas(df.set_index("f")).slice(1, rows)
    give, read = SOURCES[source]
    for options in (
        {},
        {"split_blocks": True},
        {"types_mapper": pd.ArrowDtype},
        {"ignore_metadata": True},
        {"self_destruct": True},
    ):
        result = outcome(cn.to_pandas, give(table.slice(0)), **options)
        expected = outcome(read(table.slice(0)).to_pandas, **options)
        assert expected.error is None
        assert_same_outcome(result, expected, assert_same_frame, f"{source} {options}")


def test_metadata_of_any_source():
    table = pa.table({"x": [1, None], "s": ["a", "b"]}, metadata={b"other": b"kept"})
    for give, _ in SOURCES.values():
        assert cn.to_pandas(give(table)).columns.tolist() == ["x", "s"]


@pytest.mark.parametrize("options", [
    {"maps_as_pydicts": "other"}, {"maps_as_pydicts": 1}, {"types_mapper": {pa.int64(): pd.Int64Dtype()}}, {"categories": "x"}, {"categories": [1]},
    {"categories": 5}, {"categories": ("x",)}, {"categories": {"x"}}, {"categories": pd.Index(["x"])}, {"memory_pool": "pool"}, {"unknown": 1}, {"use_threads": 0}, {"split_blocks": 1}, {"safe": None},
    {"split_blocks": np.bool_(True)}, {"split_blocks": "yes"}, {"split_blocks": []}, {"use_threads": np.array([1, 2])}, {"types_mapper": lambda type_: "Int64"}, {"types_mapper": lambda: None},
    {"types_mapper": None, "categories": None, "memory_pool": None, "maps_as_pydicts": None},
])  # fmt: skip
def test_odd_arguments(options):
    maps = pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8()))
    table = pa.table({"x": ["a", "b", None], "y": [1, None, 3], "m": maps})
    result, expected = outcome(cn.to_pandas, table, **options), outcome(table.to_pandas, **options)
    assert_same_outcome(result, expected, assert_same_frame, str(options))
