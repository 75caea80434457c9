"""The tables that are mutated: a few dozen small ones, of every kind that a store holds.

Does not depend on: files.
"""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa

from support.strategies import EXACT, INDEXES, NOT_COMPARED

_COLUMNS = 4  # of each table of many dtypes


def _frames_of_every_dtype(rng):
    makers = {**EXACT, **NOT_COMPARED}
    names = sorted(makers)
    for first in range(0, len(names), _COLUMNS):
        labels = names[first : first + _COLUMNS]
        rows = int(rng.integers(1, 24))
        columns = {f"c{i}": pd.Series(makers[name](rng, rows)) for i, name in enumerate(labels)}
        yield ", ".join(labels), pd.DataFrame(columns)


def _indexed(index):
    return pd.DataFrame(
        {"x": np.arange(len(index)), "s": pd.array(["a", None] * len(index), "str")[: len(index)]}, index=index
    )


def _multi_index(rng):
    levels = [
        rng.choice(["a", "b", "naïve"], 12),
        rng.integers(0, 3, 12),
        pd.to_datetime(rng.integers(0, 9, 12), unit="D"),
    ]
    return pd.MultiIndex.from_arrays(levels, names=["l", None, ("t", 1)])


def _labelled(labels):
    return pd.DataFrame(np.arange(3 * len(labels), dtype="float64").reshape(3, -1), columns=labels)


def _with_attrs():
    df = pd.DataFrame({"x": [1, 2]})
    df.attrs = {"source": {"list": [1, 2.5, None, "s"]}}
    return df.set_flags(allows_duplicate_labels=False)


def tables(seed=0):
    """{what it is: a frame or Arrow table}; always the same ones for a seed."""
    rng = np.random.default_rng(seed)
    result = dict(_frames_of_every_dtype(rng))
    for name in ("str", "category of str", "Int64", "period[D]", "interval of int", "boolean", "arrow string"):
        result[f"index of {name}"] = _indexed(pd.Index(INDEXES[name](rng, 9), name="key"))
    result |= {
        "one block": pd.DataFrame(rng.random((16, 5))),
        "blocks whose columns alternate": pd.DataFrame({i: np.full(7, i, "int64" if i % 2 else "float32") for i in range(6)}),
        "bools": pd.DataFrame({f"b{i}": rng.random(17) < 0.5 for i in range(3)}),
        "dates with a frequency": _indexed(pd.date_range("2020-01-31", periods=6, freq="ME", tz="Europe/Paris")),
        "MultiIndex": _indexed(_multi_index(rng)),
        "labels in a nested table: numbers": _labelled(pd.Index([7, 8, 9])),
        "labels in a nested table: a category": _labelled(pd.CategoricalIndex(["k", "l", "k"])),
        "labels in a nested table: strings": _labelled(pd.Index(["a", None, "b"], dtype="str")),
        "labels in nested tables: a MultiIndex": _labelled(pd.MultiIndex.from_product([["a", "b"], pd.to_datetime(["2020", "2021"])])),
        "labels of all kinds": _labelled(pd.Index([1, "1", None, True, ("t", 0.5)], dtype=object)),
        "attrs": _with_attrs(),
        "no rows": pd.DataFrame({"x": np.array([], "int64"), "s": pd.array([], "str"), "c": pd.Categorical([])}),
        "no columns": pd.DataFrame(index=pd.RangeIndex(5)),
        "nothing": pd.DataFrame(),
        "from Arrow: nulls": pa.table({"i": [1, None, 3], "b": [True, None, False], "n": pa.nulls(3), "f": [0.5, float("nan"), None]}),
        "from Arrow: nested": pa.table(
            {"l": [[1], None, [2, 3]], "s": [{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}], "m": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64()))}
        ),
        "from Arrow: objects": pa.table({"d": [dt.date(2020, 1, 1), None], "t": [dt.time(1), None], "v": [b"\0\1", None], "s": ["a", None]}),
        "from Arrow: dictionaries": pa.table({"d": pa.array(["x", None, "y"]).dictionary_encode(), "n": pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.uint16()), pa.array([5, 7]))}),
        "from Arrow: a dictionary with nulls": pa.table({"d": pa.DictionaryArray.from_arrays(pa.array([0, 1, 1]), pa.array(["x", None]))}),
        "from Arrow: unions and run ends": pa.table(
            {
                "u": pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]),
                "d": pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["a"])]),
                "r": pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], pa.int32()), pa.array(["a", None])),
            }
        ),
        "from Arrow: an index": pa.Table.from_pandas(pd.DataFrame({"x": [1.5, None]}, index=pd.Index(["a", "b"], name="k"))),
        "bytes": b"any bytes-like object",
        "array: one axis, bools": rng.random(17) < 0.5,
        "array: two axes in C's order": rng.random((5, 4)),
        "array: columns": np.asfortranarray(rng.integers(0, 9, (8, 3))),
        "array: columns of times": np.asfortranarray(rng.integers(0, 9, (4, 2)).astype("M8[s]")),
        "array: three axes of times": np.array([[["2020", "NaT"]], [["1970", "2021"]]], "M8[us]"),
        "array: no axis, complex": np.array(1 + 2j),
        "array: nothing in it": np.zeros((3, 0, 2), "f2"),
        "array: the other byte order, Fortran's order": np.asfortranarray(rng.random((3, 2, 2)).astype(">f4")),
        "array: texts": np.array([["a", "naïve"], ["", "xyz"]]),
        "array: structures": np.array([(1, [2.5, 3], ("x",))] * 4, [("a", ">i4"), ("b", "f8", (2,)), ("c", [("d", "S3")])]),
        "from Arrow: a MultiIndex": pa.Table.from_pandas(_indexed(_multi_index(rng))),
    }  # fmt: skip
    return result
