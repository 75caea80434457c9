"""cn.from_pandas gives what PyArrow's Table.from_pandas gives, for every dtype, index and label, with every schema."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade as cn
from support.from_pandas_comparison import (
    INT,
    KINDS,
    OBJECTS,
    OPTIONS,
    TARGETS,
    assert_like_pyarrow,
    object_column,
    of_each_dtype,
)
from support.likeness import assert_same_table, outcome
from support.quick_lane import examples
from support.strategies import INDEXES, frames

# ---- Dtypes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 65, 2049])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind, rows):
    """PyArrow uses threads for three columns from 300 rows on."""
    rng = np.random.default_rng(rows)
    df = pd.DataFrame({"x": KINDS[kind](rng, rows), "between": range(rows), "y": KINDS[kind](rng, rows)})
    for options in (*OPTIONS, {"columns": ["y"]}):
        assert_like_pyarrow(df, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_each_kind(kind):
    """Columns that begin in the middle of their memory, or have other strides."""
    df = pd.DataFrame({"x": KINDS[kind](np.random.default_rng(3), 300)})
    for rows in (slice(1, None), slice(9, 80), slice(None, None, 3), slice(None, None, -1), slice(3, 3), [5, 1, 1, 7]):
        part = outcome(df.iloc.__getitem__, rows)
        if part.error is None:  # pandas takes no rows from views and run ends
            assert_like_pyarrow(part.value, str(rows))


@pytest.mark.parametrize(
    "name", [None, "key", "x", "", 7, 2.5, ("a", 1), b"b", float("nan"), "__index_level_0__"], ids=str
)
@pytest.mark.parametrize("kind", ["int64", "str", "datetime64[ns, UTC]", "category of str", "object of str"])
def test_each_name_of_an_index(kind, name):
    index = pd.Index(INDEXES[kind](np.random.default_rng(2), 20), name=name)
    for preserve in (None, True, False):
        for rows in (index, pd.RangeIndex(40, 0, -2, name=name)):
            assert_like_pyarrow(pd.DataFrame({"x": range(20)}, index=rows), preserve_index=preserve)


@pytest.mark.parametrize("kind", INDEXES)
def test_each_kind_of_index(kind):
    values = INDEXES[kind](np.random.default_rng(2), 40)
    for preserve in (None, True, False):
        df = pd.DataFrame({"x": range(40)}, index=pd.Index(values, dtype=values.dtype, name="key"))
        assert_like_pyarrow(df, preserve_index=preserve)
        assert_like_pyarrow(df.iloc[:0], preserve_index=preserve)
        assert_like_pyarrow(df[[]], preserve_index=preserve)


@pytest.mark.parametrize("kind", INDEXES)
def test_each_kind_of_label(kind):
    values = pd.Index(INDEXES[kind](np.random.default_rng(8), 6)).unique()
    assert_like_pyarrow(pd.DataFrame([range(len(values))] * 2, columns=values))
    assert_like_pyarrow(pd.DataFrame([range(len(values))] * 2, columns=values.rename("name")), preserve_index=False)


@pytest.mark.parametrize("kind", OBJECTS)
def test_each_kind_of_object(kind):
    for df in (
        object_column(OBJECTS[kind]),
        object_column([None, *OBJECTS[kind]] * 3),
        object_column(OBJECTS[kind] * 100).iloc[1::2],
    ):
        for options in ({}, {"nthreads": 2}, {"safe": False}):
            assert_like_pyarrow(df, **options)
    if all(isinstance(cell, (str, int, float, bytes, dt.date, decimal.Decimal, type(None))) for cell in OBJECTS[kind]):
        assert_like_pyarrow(object_column(OBJECTS[kind]).set_index("x"))
        assert_like_pyarrow(pd.DataFrame([range(len(OBJECTS[kind]))], columns=pd.Index(OBJECTS[kind], dtype=object)))


# ---- Any frame ------------------------------------------------------------------------------------------------------------------


@st.composite
def options(draw, df):
    names = [*df.columns, "nowhere"]
    places = st.lists(st.integers(0, len(names) - 1), max_size=4)
    optional = {
        "preserve_index": st.sampled_from([None, True, False]),
        "nthreads": st.sampled_from([None, 1, 2, 5]),
        "safe": st.booleans(),
        "columns": st.none() | places.map(lambda chosen: [names[place] for place in chosen]),
    }
    return draw(st.fixed_dictionaries({}, optional=optional))


@given(data=st.data())
@examples(400)
def test_any_frame(data):
    df = data.draw(frames())
    assert_like_pyarrow(df, **data.draw(options(df), label="options"))


@given(data=st.data())
@examples(250)
def test_any_frame_with_any_schema(data):
    df = data.draw(frames())
    df.columns = [f"c{i}" for i in range(df.shape[1])]
    outcome_of_making = outcome(pa.Schema.from_pandas, df, preserve_index=data.draw(st.booleans()))
    fields = list(outcome_of_making.value) if outcome_of_making.error is None else []
    for i in data.draw(st.sets(st.integers(0, max(len(fields) - 1, 0)), max_size=2), label="changed") if fields else ():
        type_ = data.draw(st.sampled_from(TARGETS))
        fields[i] = pa.field(fields[i].name, type_, nullable=data.draw(st.booleans()) or pa.types.is_null(type_))
    fields = data.draw(st.permutations(fields), label="fields")[: data.draw(st.integers(1, 9))]
    schema = pa.schema(fields, metadata=data.draw(st.sampled_from([None, {"origin": "here"}])))
    values_drawn = data.draw(options(df), label="options")
    values_drawn.pop("columns", None)
    assert_like_pyarrow(df, schema=schema, **values_drawn)


# ---- Layouts --------------------------------------------------------------------------------------------------------------------


def _packed(values):
    """The values at every 13th byte, so that only bytes are aligned."""
    records = np.zeros(len(values), dtype=[("before", "u1"), ("x", values.dtype), ("after", "V4")])
    records["x"] = values
    return records["x"]


def _read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


LAYOUTS = {
    "rows together": lambda square: pd.DataFrame(np.ascontiguousarray(square)),
    "columns together": lambda square: pd.DataFrame(np.asfortranarray(square)),
    "turned": lambda square: pd.DataFrame(np.ascontiguousarray(square)).T,
    "columns together, turned": lambda square: pd.DataFrame(np.asfortranarray(square)).T,
    "every second row": lambda square: pd.DataFrame(np.ascontiguousarray(square))[::2],
    "every second row, columns together": lambda square: pd.DataFrame(np.asfortranarray(square))[::2],
    "backwards": lambda square: pd.DataFrame(np.asfortranarray(square))[::-1],
    "every second column": lambda square: pd.DataFrame(np.ascontiguousarray(square)).iloc[:, ::2],
    "columns backwards": lambda square: pd.DataFrame(np.asfortranarray(square)).iloc[:, ::-1],
    "the middle": lambda square: pd.DataFrame(np.ascontiguousarray(square)).iloc[3:-3, 1:-1],
    "copied": lambda square: pd.DataFrame(square).copy(),
    "blocks of one": lambda square: pd.DataFrame({i: square[:, i] for i in range(square.shape[1])}, copy=False),
    "records": lambda square: pd.DataFrame({i: _packed(square[:, i]) for i in range(square.shape[1])}, copy=False),
    "repeated": lambda square: pd.DataFrame({0: np.broadcast_to(square[0, 0], 40), 1: np.broadcast_to(square[0, 1], 40)}, copy=False),
    "read-only": lambda square: pd.DataFrame({0: _read_only(square[:, 0])}, copy=False),
    "one row": lambda square: pd.DataFrame(square[:1]),
    "inserted": lambda square: pd.DataFrame(square).assign(added=square[:, 0], between=1),
}  # fmt: skip
SQUARES = {
    **{name: lambda rng, name=name: rng.integers(0, 100, (90, 5)).astype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: lambda rng, name=name: np.where(rng.random((90, 5)) < 0.2, np.nan, rng.random((90, 5))).astype(name) for name in ("float16", "float32", "float64")},
    **{f"{name}, big-endian": lambda rng, name=name: rng.integers(0, 100, (90, 5)).astype(name) for name in (">i2", ">i8", ">u4", ">f4", ">f8", ">M8[ns]")},
    "bool": lambda rng: rng.random((90, 5)) < 0.5,
    **{f"{kind}8[{unit}]": lambda rng, kind=kind, unit=unit: np.where(rng.random((90, 5)) < 0.2, np.iinfo("i8").min, rng.integers(0, 10**9, (90, 5))).astype(f"{kind}8[{unit}]")
       for kind in "Mm" for unit in ("s", "ms", "us", "ns")},
    "object": lambda rng: np.where(rng.random((90, 5)) < 0.2, None, rng.integers(0, 9, (90, 5)).astype(str).astype(object)),
    "longdouble": lambda rng: rng.random((90, 5)).astype("longdouble"),
    "complex128": lambda rng: rng.random((90, 5)).astype("complex128"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", SQUARES)
@pytest.mark.filterwarnings("ignore:.*Big-endian")
def test_each_layout(dtype, layout):
    outcome_of_making = outcome(LAYOUTS[layout], SQUARES[dtype](np.random.default_rng(6)))
    if outcome_of_making.error is None:
        df = outcome_of_making.value.rename(columns=str)
        assert_like_pyarrow(df)
        for target in (pa.int32(), pa.float64(), pa.timestamp("us")):
            assert_like_pyarrow(df, schema=pa.schema([("0", target)]))


# ---- Frames ---------------------------------------------------------------------------------------------------------------------

FRAMES = {
    "nothing": pd.DataFrame,
    "rows only": lambda: pd.DataFrame(index=range(5)),
    "labels only": lambda: pd.DataFrame(columns=["a", "b"]),
    "an index only": lambda: pd.DataFrame(index=pd.date_range("2020", periods=3)),
    "columns of one name": lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]),
    "labels that are equal as strings": lambda: pd.DataFrame([[1, 2]], columns=["1", 1]),
    "numbers as labels": lambda: pd.DataFrame(np.ones((2, 3))),
    "None as a label": lambda: pd.DataFrame([[1, 2]], columns=["x", None]),
    "NaN as a label": lambda: pd.DataFrame([[1, 2]], columns=["x", np.nan]),
    "bytes as labels": lambda: pd.DataFrame([[1, 2]], columns=[b"x", b"\xff"]),
    "tuples as labels": lambda: pd.DataFrame([[1, 2]], columns=pd.Index([("x", 1), "y"], dtype=object)),
    "labels of two levels": lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["l", None])),
    "rows of two levels": lambda: pd.DataFrame({"x": range(4)}, index=pd.MultiIndex.from_product([["a", None], [1.5, 2.5]], names=["k", 3])),
    "rows of two levels of one name": lambda: pd.DataFrame({"x": range(4)}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", "k"])),
    "rows of levels not used": lambda: pd.DataFrame({"x": range(4)}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2]])).iloc[[0, 3]],
    "both of two levels": lambda: pd.DataFrame(np.ones((4, 4)), index=pd.MultiIndex.from_product([["a", "b"], [1, 2]]), columns=pd.MultiIndex.from_product([["x", "y"], pd.to_datetime(["2020", "2021"])])),
    "an index named as a column": lambda: pd.DataFrame({"x": [1, 2]}, index=pd.Index([3, 4], name="x")),
    "a column named as an index": lambda: pd.DataFrame({"__index_level_0__": [1, 2]}, index=[3, 4]),
    "attributes": lambda: pd.DataFrame({"x": [1]}).pipe(lambda df: (df.attrs.update(unit="m", nested={"a": [1, None]}), df)[1]),
    "attributes that JSON cannot hold": lambda: pd.DataFrame({"x": [1]}).pipe(lambda df: (df.attrs.update(unit=object()), df)[1]),
    "attributes of number keys": lambda: pd.DataFrame({"x": [1]}).pipe(lambda df: (df.attrs.update({1: 2}), df)[1]),
    "flags": lambda: pd.DataFrame({"x": [1]}).set_flags(allows_duplicate_labels=False),
    "sparse": lambda: pd.DataFrame({"x": pd.arrays.SparseArray([0, 0, 1])}),
    "an own class": lambda: type("Frame", (pd.DataFrame,), {})({"x": [1]}),
    "categories of numbers": lambda: pd.DataFrame({"c": pd.Categorical([3, None, 1], categories=[3, 1, 2], ordered=True)}),
    "categories of mixed objects": lambda: pd.DataFrame({"c": pd.Categorical([1, "a"])}),
    "categories of decimals": lambda: pd.DataFrame({"c": pd.Categorical([decimal.Decimal(1), decimal.Decimal(2)])}),
    "no categories": lambda: pd.DataFrame({"c": pd.Categorical([None, None])}),
    "300 categories": lambda: pd.DataFrame({"c": pd.Categorical([f"k{i}" for i in range(300)])}),
    "chunks": lambda: pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(pa.chunked_array([[1, None], [], [3]])), "s": pd.Series(pd.arrays.ArrowStringArray(pa.chunked_array([["a"], [None, "b"]], pa.large_string())))}),
    "chunks of two dictionaries": lambda: pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b", None]).dictionary_encode()]))}),
    "an index of chunks": lambda: pd.DataFrame({"x": range(3)}, index=pd.Index(pd.arrays.ArrowExtensionArray(pa.chunked_array([[1, None], [3]])))),
    "Arrow strings, sliced": lambda: pd.DataFrame({"s": pd.array([f"word {i}" for i in range(100)], "str")}).iloc[7:60],
    "masked, sliced": lambda: pd.DataFrame({"i": pd.array([1, None, 3] * 30, "Int32"), "b": pd.array([True, None, False] * 30, "boolean")}).iloc[5:71],
    "masked, without nulls": lambda: pd.DataFrame({"i": pd.array([1, 2, 3], "UInt16"), "f": pd.array([0.5, 1.5, 2.5], "Float32")}),
    "masked NaN": lambda: pd.DataFrame({"f": pd.arrays.FloatingArray(np.array([np.nan, 1.0, np.nan]), np.array([False, False, True]))}),
    "many columns": lambda: pd.DataFrame({f"c{i}": np.arange(5).astype(("i4", "f8", "bool", "O")[i % 4]) for i in range(400)}),
    "many rows": lambda: pd.DataFrame({"i": np.arange(300_000), "f": np.where(np.arange(300_000) % 3, np.nan, 0.5), "b": np.arange(300_000) % 7 == 0, "s": pd.array(np.arange(300_000).astype(str), "str"), "n": pd.array([1, None, 3] * 100_000, "Int16")}),
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_each_frame(frame):
    df = FRAMES[frame]()
    for options in (
        *OPTIONS,
        {"columns": []},
        {"columns": list(df.columns[-1:])},
        {"columns": [*df.columns[:2], "nowhere"]},
    ):
        assert_like_pyarrow(df, frame, **options)


@pytest.mark.parametrize("options", [
    {"nthreads": 0}, {"nthreads": -1}, {"nthreads": "2"}, {"nthreads": 1.5}, {"columns": "x"}, {"columns": 5}, {"columns": ("x",)}, {"columns": pd.Index(["s"])}, {"columns": ["x", "x"]},
    {"schema": "x"}, {"schema": [("x", pa.int64())]}, {"schema": pa.schema([("x", pa.int8())]), "columns": ["x"]}, {"preserve_index": "yes"}, {"preserve_index": 0}, {"preserve_index": np.True_},
    {"safe": 0}, {"safe": None}, {"safe": []}, {"unknown": 1},
])  # fmt: skip
def test_odd_arguments(options):
    df = pd.DataFrame({"x": [1, 2], "s": ["a", None]}, index=["r", "s"])
    assert_like_pyarrow(df, **options)


SETTINGS = [("future.infer_string", False), ("mode.string_storage", "python"), ("mode.string_storage", "pyarrow")]


@pytest.mark.parametrize(("setting", "value"), SETTINGS)
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_settings_of_pandas(setting, value):
    with pd.option_context(setting, value):
        df = pd.DataFrame(
            {"s": ["a", None], "o": pd.Series(["a", None], dtype=object), "c": pd.Categorical(["x", None])}
        )
        for frame in (df, df.set_index("s"), df.set_index(["s", "c"]), df.rename_axis("name", axis=1), df.iloc[:0]):
            assert_like_pyarrow(frame)
            assert_like_pyarrow(frame, schema=pa.schema([("o", pa.string())]))


def test_arguments_by_position():
    df = of_each_dtype()
    for arguments in ((None, False, 2, ["s", "i"], False), (pa.schema([INT]), True), ()):
        assert_same_table(cn.from_pandas(df, *arguments), pa.Table.from_pandas(df, *arguments))
