"""Plans that are kept between conversions: a second conversion gives what the first one gave, whatever came in between."""

import operator
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.conversion import frame_heads, plans
from colonnade.recent import Recent
from support.likeness import assert_same_frame, assert_same_outcome, assert_same_table, outcome
from support.pyarrow_bugs import bugs_that_hit

KINDS = {
    "int64": pa.array([1, 2, 3]),
    "int64, null": pa.array([1, None, 3]),
    "bool": pa.array([True, False, True]),
    "bool, null": pa.array([True, None, False]),
    "string": pa.array(["a", None, "c"]),
    "dictionary": pa.array(["a", "b", "a"]).dictionary_encode(),
    "dictionary, others": pa.array(["x", "y", None]).dictionary_encode(),
    "dictionary of floats": pa.DictionaryArray.from_arrays([0, 1, 0], [0.0, 1.5]),
    "dictionary of floats, signed": pa.DictionaryArray.from_arrays([0, 1, 0], [-0.0, 1.5]),
    "timestamp": pa.array([1, 2, 3], pa.timestamp("us")),
    "timestamp, overflows": pa.array([1, 2**62, 3], pa.timestamp("s")),
    "timestamp, zone": pa.array([1, None, 3], pa.timestamp("us", "Europe/Berlin")),
    "date": pa.array([1, None, 3], pa.date32()),
    "list": pa.array([[1], None, []]),
}
MAPPER = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get
OPTIONS = [{}, {"split_blocks": True}, {"types_mapper": MAPPER}, {"types_mapper": pd.ArrowDtype}, {"categories": ["x"]}, {"integer_object_nulls": True},
           {"date_as_object": False}, {"timestamp_as_object": True}, {"coerce_temporal_nanoseconds": True}, {"strings_to_categorical": True}]  # fmt: skip


def assert_like_pyarrow(table, options):
    result, expected = outcome(cn.to_pandas, table, **options), outcome(table.to_pandas, **options)
    assert_same_outcome(result, expected, assert_same_frame, str(options))


@pytest.mark.slow
def test_tables_of_one_schema_and_of_others_in_turns():
    for _ in range(2):
        for options in OPTIONS:
            for array in KINDS.values():
                for rows in (3, 1, 0, 3):
                    table = pa.table({"x": array.slice(3 - rows), "y": [1.5] * rows})
                    was_a_frame = pa.Table.from_pandas(pd.DataFrame({"y": range(rows)}))
                    for way in (table, pa.concat_tables([table] * 2), was_a_frame):
                        if not bugs_that_hit(way, options):
                            assert_like_pyarrow(way, options)


def test_columns_of_other_names_and_metadata():
    array = pa.array([1, 2, 3])
    for metadata in (None, {b"a": b"b"}):
        for names in (["x", "y"], ["y", "x"], ["x", "x"], ["", "y"]):
            table = pa.Table.from_arrays([array, array], names, metadata=metadata)
            assert cn.to_pandas(table).columns.tolist() == names


def test_what_is_kept_belongs_to_no_frame():
    """A program may change a frame's names, categories and attributes. The next frame of the same schema must not be affected."""
    df = pd.DataFrame({"x": pd.Categorical(["a", "b"]), "y": [1, 2]})
    df.attrs = {"list": [1]}
    table = pa.Table.from_pandas(df)
    for _ in range(3):
        result = cn.to_pandas(table)
        assert_same_frame(result, table.to_pandas())
        result.columns.name = result.index.name = result["x"].cat.categories.name = "changed"
        result.attrs["list"].append(2)
        result.loc[0, "y"] = 7
        for labels in (result.columns, result["x"].cat.categories):
            with pytest.raises((ValueError, TypeError)):
                labels.array[0] = "changed"


def test_a_mapper_may_change_its_mind():
    table = pa.table({"x": [1, 2], "y": [1.5, 2.5]})
    for dtype in (pd.Int64Dtype(), None, pd.ArrowDtype(pa.int64()), pd.Int64Dtype()):
        calls = []

        def mapper(type_, dtype=dtype, calls=calls):
            calls.append(type_)
            return dtype if type_ == pa.int64() else None

        assert cn.to_pandas(table, types_mapper=mapper)["x"].dtype == (dtype or np.dtype(np.int64))
        assert sorted(map(str, calls)) == ["double", "int64"]  # once for each type


def test_extension_types_of_others_are_not_kept():
    class Moody(pa.ExtensionType):
        answer = pd.Int64Dtype()

        def __init__(self):
            super().__init__(pa.int64(), "moody")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, _storage, _serialized):
            return cls()

        def to_pandas_dtype(self):
            return type(self).answer

    table = pa.table({"x": pa.ExtensionArray.from_storage(Moody(), pa.array([1, None]))})
    assert cn.to_pandas(table)["x"].dtype == pd.Int64Dtype()
    Moody.answer = pd.Float64Dtype()
    assert cn.to_pandas(table)["x"].dtype == pd.Float64Dtype()


@pytest.mark.slow
def test_a_frame_after_another_of_the_same_dtypes():
    frames = []
    for columns in (
        ["a", "b"],
        ["b", "a"],
        ["a", None],
        [0, 1],
        [1, 0],
        range(2),
        range(1, 3),
        [True, False],
        [1.0, 2.0],
        pd.date_range("2020", periods=2),
    ):
        for name in (None, "name", 5):
            for rows in (3, 0, 1):
                df = pd.DataFrame(np.arange(2 * rows).reshape(rows, 2), columns=pd.Index(columns, name=name))
                frames += [
                    df,
                    df.set_axis(pd.RangeIndex(1, 1 + 2 * rows, 2, name="r")),
                    df.set_axis(pd.Index([*"abc"][:rows], name="s")),
                ]
                frames += [
                    df.set_axis(pd.Index(np.arange(rows) / 2)),
                    df.assign(c=pd.Categorical([*"xyz"][:rows])),
                    df.assign(c=[["x"], None, ["y"]][:rows]),
                ]
    for _ in range(2):
        for df in frames:
            for options in ({}, {"preserve_index": True}, {"preserve_index": False}, {"columns": list(df.columns)[:1]}):
                result, expected = outcome(cn.from_pandas, df, **options), outcome(pa.Table.from_pandas, df, **options)
                assert_same_outcome(result, expected, assert_same_table, str(options))


def test_attributes_and_subclasses_are_looked_at_each_time():
    class Doubled(pd.DataFrame):
        def __getitem__(self, key):
            return super().__getitem__(key) * 2

    df = pd.DataFrame({"x": [1, 2]})
    assert cn.from_pandas(df)["x"].to_pylist() == [1, 2]
    assert cn.from_pandas(Doubled(df))["x"].to_pylist() == pa.Table.from_pandas(Doubled(df))["x"].to_pylist() == [2, 4]
    for value in (1, 2):
        df.attrs = {"a": value}
        assert_same_table(cn.from_pandas(df), pa.Table.from_pandas(df))


def test_categories_that_are_replaced():
    """The dictionary is remembered by the identity of the categories: others must not be taken for them."""
    for number in range(300):
        values = pd.Categorical([f"{number}", "b"], ordered=bool(number % 2))
        assert cn.from_pandas(pd.DataFrame({"x": values}))["x"].to_pylist() == [f"{number}", "b"]


def test_a_cache_is_bounded():
    cache = Recent(50_000)
    for number in range(100):
        for weight in (1, 3_000):
            cache.add((number, weight), number, weight)
    numbers = [number for number in range(100) if cache.find((number, 3_000), lambda _: True) is not None]
    assert numbers == list(range(84, 100))
    assert cache.find((83, 1), lambda _: True) is None
    for number in range(20):
        cache.add("key", number, 1)
    numbers = {number for number in range(20) if cache.find("key", partial(operator.eq, number)) is not None}
    assert numbers == set(range(12, 20))
    cache.add("wide", 0, 40_000)
    assert cache.find("wide", lambda _: True) is None


def test_wide_tables_do_not_stay():
    plans._PLANS = before = Recent(50_000)
    heads = frame_heads._HEADS = Recent(50_000)
    try:
        for number in range(3):
            table = pa.table({f"{number} {i}": [i] for i in range(30_000)})
            df = cn.to_pandas(table)
            assert (before._weight, df.shape) == (0, (1, 30_000))
        cn.from_pandas(df.iloc[:, :100])
        assert heads._weight == 100
    finally:
        plans._PLANS, frame_heads._HEADS = Recent(50_000), Recent(50_000)


def test_an_entry_is_not_added_by_a_call_within_another():
    """A signal handler or a finalizer may put within a put of its thread. An interrupt may leave a weight of nothing."""
    cache = Recent(1000)
    with cache._lock:
        cache.add("a", 1, 10)
    assert cache.find("a", lambda _: True) is None
    cache._weight = 10_000
    cache.add("a", 1, 10)
    assert cache.find("a", lambda _: True) is None
