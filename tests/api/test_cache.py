"""`cache`: one process computes a result for all of them, and another one takes over if it is killed."""

import datetime
import decimal
import enum
import functools
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

import colonnade as cn
from colonnade._argument_key import NoKeyError, key_of
from support.runs import runs


def counting(store, path, **options):
    """A cached function that writes a line when it runs."""

    @store.cache(**options)
    def compute(n, *, factor=1):
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return pd.DataFrame({"x": np.arange(n) * factor})

    return compute


# -- one process -------------------------------------------------------------------------------------------------------


def test_equal_arguments_run_once(store, tmp_path):
    compute = counting(store, tmp_path / "runs")
    first = compute(3)
    assert_frame_equal(first, pd.DataFrame({"x": [0, 1, 2]}))
    for again in (compute(3), compute(n=3), compute(3, factor=1)):
        assert_frame_equal(again, first)
    assert runs(tmp_path / "runs") == 1
    compute(3, factor=2)
    compute(4)
    assert runs(tmp_path / "runs") == 3
    first.loc[0, "x"] = 99  # everybody's frame is private
    assert compute(3)["x"][0] == 0
    assert compute.__name__ == "compute"
    assert_frame_equal(compute.__wrapped__(2), pd.DataFrame({"x": [0, 1]}))


def test_what_is_kept_has_a_name_and_is_cleared(store, tmp_path):
    compute = counting(store, tmp_path / "runs")
    compute(3), compute(4)
    store.put("other", pd.DataFrame({"x": [1]}))
    tables = store.ls("cache")
    assert len(tables) == 2
    assert tables[0].meta["returns"] == "pandas"
    assert tables[0].meta["function"].endswith("counting.-locals-.compute")
    store.delete(tables[0].name)  # anybody may, at any time
    compute(3), compute(4)
    assert runs(tmp_path / "runs") == 3
    compute.clear()
    assert [table.name for table in store.ls()] == ["other"]
    compute(3)
    assert runs(tmp_path / "runs") == 4
    compute.clear()
    compute.clear()


def test_a_lifetime(store, tmp_path):
    compute = counting(store, tmp_path / "runs", ttl="1s")
    compute(3), compute(3)
    assert runs(tmp_path / "runs") == 1
    time.sleep(1.1)
    assert len(compute(3)) == 3
    assert runs(tmp_path / "runs") == 2
    with pytest.raises(ValueError, match="ttl must be"):
        store.cache(ttl="soon")(len)


FRAMES = {
    "pandas": pd.DataFrame({"x": [1.5, None]}, index=["a", "b"]),
    "Series": pd.Series([1, 2], name="s"),
    "polars": pl.DataFrame({"x": ["a", None]}),
    "polars Series": pl.Series("x", [1, 2]),
    "pyarrow": pa.table({"x": [1, 2]}),
    "numpy": np.arange(24).reshape(2, 3, 4),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_was_returned_comes_back(store, kind):
    value = FRAMES[kind]
    cached = store.cache(lambda: value)
    for result in (cached(), cached()):
        assert type(result) is type(value)
        if isinstance(value, pd.DataFrame):
            assert_frame_equal(result, value)
        elif isinstance(value, pd.Series):
            assert_series_equal(result, value)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(result, value)
        else:
            assert result.equals(value)
    cached.clear()


@pytest.mark.parametrize(
    "value", [None, 1, "text", [1], {"x": [1]}, pl.LazyFrame({"x": [1]})], ids=lambda value: type(value).__name__
)
def test_what_cannot_be_kept(store, value):
    with pytest.raises(TypeError, match="what is cached is a frame or a Series"):
        store.cache(lambda: value)()
    assert store.ls() == []


def test_an_exception_is_not_kept(store):
    failures = [ValueError("first"), ValueError("second")]

    @store.cache
    def compute():
        if failures:
            raise failures.pop(0)
        return pd.DataFrame({"x": [1]})

    for message in ("first", "second"):
        with pytest.raises(ValueError, match=message):
            compute()
    assert len(compute()) == 1


def test_a_full_store_still_gives_the_result(folder, caplog):
    store = cn.Store(folder / "s", capacity="1MiB")
    big = store.cache(lambda: pd.DataFrame({"x": np.zeros(1 << 20)}))
    with caplog.at_level("WARNING", "colonnade"):
        assert len(big()) == 1 << 20
    assert "was not kept: the store" in caplog.records[-1].getMessage()
    assert store.ls() == []


def test_changed_code_has_results_of_its_own(store):
    results = []
    for source in ("return pd.DataFrame({'x': [n]})", "return pd.DataFrame({'x': [n + 1]})"):
        names = {"pd": pd, "__name__": "module"}
        exec(f"def compute(n):\n    {source}", names)  # noqa: S102 -- two functions of one name
        results.append(int(store.cache(names["compute"])(1)["x"][0]))
    assert results == [1, 2]


def test_a_cell_of_a_notebook_is_the_same_in_every_session(store):
    runs = []
    for session in (1, 2):
        names = {"pd": pd, "runs": runs, "__name__": "__main__"}
        source = "def compute(n):\n    runs.append(n)\n    return pd.DataFrame({'x': [n]})"
        exec(compile(source, f"/tmp/ipykernel_{session}/{session}.py", "exec"), names)  # noqa: S102 -- as IPython does
        assert len(store.cache(names["compute"])(7)) == 1
    assert runs == [7]


def test_a_method_and_ignored_parameters(store):
    class Source:
        def __init__(self):
            self.runs = 0

        @store.cache(ignore=["self"])
        def table(self, n):
            self.runs += 1
            return pd.DataFrame({"x": range(n)})

        @store.cache
        def strict(self, n):
            return pd.DataFrame({"x": range(n)})

    source = Source()
    assert len(source.table(3)) == len(source.table(3)) == len(Source().table(n=3)) == 3
    assert source.runs == 1
    with pytest.raises(NoKeyError, match=r"the argument 'self' has no stable key: a .*Source has none.*ignore="):
        source.strict(3)
    with pytest.raises(ValueError, match="no parameter 'q'"):
        store.cache(ignore=["q"])(len)


def test_calls_that_would_wait_for_themselves(store):
    @store.cache
    def compute(n):
        return compute(n - 1 if n else 0)

    with pytest.raises(RecursionError, match="calls itself with the same arguments"):
        compute(2)


def test_two_functions_of_one_code_do_not_wait_for_each_other(store):
    def reader(inner):
        @store.cache
        def read():
            return inner()

        return read

    with pytest.raises(RecursionError, match="calls itself with the same arguments"):
        reader(reader(lambda: pd.DataFrame({"x": [1]})))()


async def asynchronous():
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (asynchronous, "asynchronous"),
        (functools.partial(len, [1]), "has no name"),
        (cn.cache(len), "is cached already"),
        (5, "has no name"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_decorated(store, function, message):
    with pytest.raises(TypeError, match=message):
        store.cache(function)


def test_values_of_the_enclosing_function_are_part_of_the_key(store):
    runs = []

    def reader(table, connection):
        @store.cache
        def read():
            runs.append((table, connection))
            return pd.DataFrame({"x": [table]})

        return read

    first, second = reader("a", object()), reader("b", object())
    for _ in range(2):
        assert [read()["x"][0] for read in (first, second, reader("a", object()))] == ["a", "b", "a"]
    assert [table for table, _ in runs] == ["a", "b", "a"]  # `runs` itself had other values when the last was made


def test_wrong_arguments_are_the_functions_error(store):
    with pytest.raises(TypeError, match="missing a required argument: 'n'"):
        store.cache(lambda n: n)()


@cn.cache(ttl="1d")
def of_the_module(n):
    """A function with a docstring, in a module."""
    return pd.DataFrame({"x": [n]})


def test_the_default_store_and_pickling(default_store):
    assert pickle.loads(pickle.dumps(of_the_module)) is of_the_module
    assert int(of_the_module(5)["x"][0]) == 5
    assert len(default_store.ls("cache/*of_the_module/*")) == 1
    assert of_the_module.__doc__ == "A function with a docstring, in a module."
    assert "cache of <function of_the_module" in repr(of_the_module)
    of_the_module.clear()


# -- keys --------------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Span:
    first: int
    last: int


DIFFERENT = [
    None, True, 1, 1.0, 1 + 0j, "1", b"1", [1], (1,), {1}, frozenset([1]), {1: 1}, [[1]], [1, 1], ["a", "b"], ["ab"], ["a,b"], 0.0, -0.0, float("nan"), float("inf"),
    Colour.RED, Colour.BLUE, Colour, Span, int, np.int64, pd.DataFrame, Span(1, 2), Span(2, 1), range(3), slice(1, 2), ..., uuid.UUID(int=1), pathlib.PurePosixPath("a"),
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1), datetime.time(1), decimal.Decimal("1"), decimal.Decimal("1.0"),
    np.int64(1), np.float64(1), np.datetime64("2020", "D"), np.arange(3), np.arange(3.0), np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2), np.array(["a", 1], object),
    pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.NaT, pd.NA, pd.Period("2020"), pd.Timedelta(1, "s"), pd.Interval(1, 2), pd.Index([1]), pd.MultiIndex.from_tuples([(1, 2)]), pd.MultiIndex.from_tuples([(1, 2)], names=["k", 0]), pd.MultiIndex.from_tuples([(3, 2)], names=["k", 0]),
    pd.Series([1]), pd.Series([1], name="x"), pd.Series([1], index=[7]), pd.Series([1.0]), pd.Series(["a"]), pd.Series(["a"], dtype=object), pd.Series(pd.Categorical(["a"])), pd.Series(pd.Categorical(["a"], ["a", "b"])),
    pd.Series(["a", None]), pd.Series(pd.array([1, None])), pd.DataFrame({"x": [1]}), pd.DataFrame({"y": [1]}), pd.DataFrame({"x": [1], "y": [2]}), pd.DataFrame(),
    pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [2]}), pl.Series("x", [1]), pa.table({"x": [1]}),
]  # fmt: skip


def test_different_values_have_different_keys():
    keys = {key_of({"value": value}): repr(value) for value in DIFFERENT}
    assert len(keys) == len(DIFFERENT)
    assert key_of({"a": 1}) != key_of({"b": 1})
    assert key_of({"a": 1}, "f") != key_of({"a": 1}, "g")


def test_keys_are_the_same_in_every_process():
    program = """if True:
        import sys
        sys.path.insert(0, "tests")
        from api.test_cache import DIFFERENT, key_of
        print(" ".join(key_of({"value": value}) for value in DIFFERENT))
    """
    own = [key_of({"value": value}) for value in DIFFERENT]
    for seed in ("1", "2"):
        root = pathlib.Path(__file__).parents[2]
        output = subprocess.run(
            [sys.executable, "-c", program], cwd=root, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        # Types that are defined in this file have another module there.
        assert sum(one != other for one, other in zip(own, output.split(), strict=True)) <= 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (np.arange(6)[::2], np.array([0, 2, 4])),
        (pl.concat([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [2]})], rechunk=False), pl.DataFrame({"x": [1, 2]})),
        (pa.table({"x": [1, 2, 3]}).slice(1), pa.table({"x": [2, 3]})),
        (pd.DataFrame({"x": [1, 2], "y": [1, 2]})[["x"]], pd.DataFrame({"x": [1, 2]})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_equal_values_have_one_key(one, other):
    assert key_of({"value": one}) == key_of({"value": other})


def test_a_snapshot_is_its_identity(store):
    first, second = (store.put("t", pd.DataFrame({"x": [1]})) for _ in range(2))
    assert key_of({"value": first}) == key_of({"value": pickle.loads(pickle.dumps(first))})
    assert key_of({"value": first}) != key_of({"value": second})


def cyclic():
    items = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, type("Local", (), {"__qualname__": "f.<locals>.Local"}), [object()], {"a": {object()}}, iter([1]), threading.Lock(), pl.LazyFrame(), cyclic()], ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_key(value):
    with pytest.raises(NoKeyError, match="the argument 'value' has no stable key"):
        key_of({"value": value})
