"""Python objects that Arrow has no place for, by each way into a store: the very same objects come out, or they are refused by name."""

import datetime as dt
import math
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support.circular import CIRCULAR
from support.likeness import assert_same_values
from support.strategies import object_array


def by_put(store, df):
    store.put("t", df).close()
    return store.get("t")


def by_share(store, df):
    with store.share(df) as shared:
        return pickle.loads(pickle.dumps(shared)).to_pandas()


def by_reference(_, df):
    with cn.by_reference(min_bytes=0):
        return pickle.loads(ForkingPickler.dumps(df))


def as_a_copy(store, df):
    store.put("t", df).close()
    store.copy("t", "u").close()
    return store.get("u")


WAYS = {"put": by_put, "share": by_share, "by_reference": by_reference, "copy": as_a_copy}
COLUMN = {"column": lambda cells: pd.DataFrame({"x": pd.Series(object_array(cells), dtype=object)})}
INDEX = {
    "index": lambda cells: pd.DataFrame(
        {"x": range(len(cells))}, index=pd.Index(object_array(cells), dtype=object, tupleize_cols=False)
    )
}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "by_reference"])  # that one pickles them
@pytest.mark.parametrize("kind", CIRCULAR)
def test_circular_objects_are_refused(store, way, kind):
    store.put("t", pd.DataFrame({"x": [1]})).close()
    with pytest.raises(
        cn.UnsupportedTypeError, match="column 'x': it holds lists or dicts in each other to more than 60 levels"
    ):
        WAYS[way](store, COLUMN["column"]([CIRCULAR[kind], None]))
    assert store.open("t").version == 1


def test_circular_objects_by_reference_are_pickled(store):
    result = by_reference(store, COLUMN["column"]([CIRCULAR["list"]]))["x"][0]
    assert result[1] is result


def test_circular_attrs_params_and_meta_are_refused(store):
    df = pd.DataFrame({"x": [1]})
    df.attrs["a"] = CIRCULAR["dict"]
    with pytest.raises(cn.UnsupportedTypeError, match="attrs"):
        store.put("t", df)
    with pytest.raises((cn.ColonnadeError, ValueError)):
        store.put("t", pd.DataFrame({"x": [1]}), meta=CIRCULAR["dict"])
    assert not store.exists("t")


ZEROS = [
    [-0.0, 0.0],
    (-0.0, 1),
    {"a": -0.0},
    {"a": [-0.0, {"b": -0.0}]},
    np.array([-0.0, 0.0]),
    -0.0,
    np.float64(-0.0),
    np.float32(-0.0),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", ZEROS, ids=repr)
def test_a_negative_zero_keeps_its_sign(store, way, value):
    for cells in ([value, None], [value, "a"], [value]):
        result = WAYS[way](store, COLUMN["column"](cells))["x"].tolist()
        for one, other in zip(result, cells, strict=True):
            assert_same_values(one, other)


def test_a_negative_zero_is_seen_by_this_test():
    assert math.copysign(1, ZEROS[0][0]) == -1
    with pytest.raises(AssertionError):
        assert_same_values([0.0], [-0.0])


FOLDED = {
    "time": dt.time(1, 30, fold=1),
    "datetime": dt.datetime(2020, 10, 25, 2, 30, fold=1),
    "Timestamp": pd.Timestamp(2020, 10, 25, 2, 30, fold=1),
}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "by_reference"])
@pytest.mark.parametrize("shape", ["alone", "in a list", "in a dict", "beside a string"])
@pytest.mark.parametrize("kind", FOLDED)
def test_a_fold_without_a_zone_is_refused(store, way, shape, kind):
    value = FOLDED[kind]
    if not value.fold:
        pytest.skip("this pandas drops the fold itself")
    cells = {"alone": [value], "in a list": [[value]], "in a dict": [{"a": value}], "beside a string": [value, "a"]}[
        shape
    ]
    with pytest.raises(cn.UnsupportedTypeError, match="fold=1 and no zone"):
        WAYS[way](store, COLUMN["column"](cells))
    assert not store.exists("t")


@pytest.mark.parametrize("way", WAYS)
def test_objects_of_several_types_by_each_way(store, way):
    cells = [1, "a", None, np.nan, 2.5, pd.Timestamp("2020", tz="UTC"), (1, "b"), {"a": 1}, {"b": [None, 2.5, 1]}]
    result = WAYS[way](store, COLUMN["column"](cells))["x"].tolist()
    for one, other in zip(result, cells, strict=True):
        assert_same_values(one, other)
    labels = [1, "All", 2.5, pd.Timestamp("2020")]
    index = WAYS[way](store, INDEX["index"](labels)).index
    assert list(map(type, index)) == list(map(type, labels))
    assert list(index) == labels


@pytest.mark.parametrize("suffix", ["feather", "arrow"])
def test_objects_of_several_types_in_a_file_are_what_arrow_says(store, tmp_path, suffix):
    """Another file has no layout metadata: the struct is there, with every value."""
    store.put("t", COLUMN["column"]([1, "a", None])).close()
    store.dump("t", tmp_path / f"x.{suffix}")
    store.load("u", tmp_path / f"x.{suffix}").close()
    assert store.get("u")["x"].tolist() == [{"int": 1, "str": None}, {"int": None, "str": "a"}, None]
