"""cn.from_pandas with a schema gives what PyArrow gives: each kind of column to each type, and any frame with any schema."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from support.from_pandas_comparison import (
    FLOAT,
    INT,
    KINDS,
    OBJECTS,
    OPTIONS,
    TARGETS,
    TEXT,
    assert_like_pyarrow,
    object_column,
    of_each_dtype,
)


def assert_each_schema(df):
    for target in TARGETS:
        for safe in (True, False):
            assert_like_pyarrow(df, schema=pa.schema([pa.field("x", target)]), safe=safe, preserve_index=False)
    for target in TARGETS[::5]:
        assert_like_pyarrow(df, schema=pa.schema([pa.field("x", target, nullable=False)]))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_to_each_type(kind):
    assert_each_schema(pd.DataFrame({"x": KINDS[kind](np.random.default_rng(5), 20)}))


@pytest.mark.parametrize("kind", OBJECTS)
def test_each_kind_of_object_to_each_type(kind):
    assert_each_schema(object_column(OBJECTS[kind]))


LIMIT = {bits: float(2**bits) for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64)}
FLOATS = {
    "whole": [1.0, 2.0, 3.0], "whole and NaN": [1.0, np.nan, 3.0], "zeros": [0.0, -0.0, np.nan], "not whole": [1.0, 0.5], "not whole and NaN": [np.nan, -0.5],
    "infinite": [1.0, np.inf], "minus infinity": [-np.inf, np.nan], "NaN alone": [np.nan] * 3, "negative": [-1.0, np.nan], "no rows": [],
    **{f"2**{bits}": [at, np.nan] for bits, at in LIMIT.items()}, **{f"2**{bits} - 1": [at - 1, 0.0] for bits, at in LIMIT.items()},
    **{f"-2**{bits}": [-at, np.nan] for bits, at in LIMIT.items()}, **{f"-2**{bits} - 1": [-at - 1, 0.0] for bits, at in LIMIT.items()},
    "2**53 + 2": [2.0**53 + 2], "1e300": [1e300, np.nan], "the last below 2**63": [np.nextafter(2.0**63, 0)], "the last below 2**64": [np.nextafter(2.0**64, 0), np.nan],
    "many": [float(i % 100) for i in range(300)], "many and NaN": [float(i % 100) if i % 7 else np.nan for i in range(300)], "many and one half": [float(i % 100) for i in range(299)] + [0.5],
    "many and one infinite": [float(i % 100) for i in range(299)] + [np.inf], "NaN at the end": [1.0] * 64 + [np.nan],
}  # fmt: skip


@pytest.mark.parametrize("floats", FLOATS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "Float64"])
def test_floats_to_integers(floats, dtype):
    """Whole floats become integers and NaN becomes null. With safe=True, a value that no integer has is an error."""
    with np.errstate(over="ignore"):
        df = pd.DataFrame({"x": pd.Series(FLOATS[floats], dtype="float64").astype(dtype)})
    for target in [*TARGETS[:12], pa.timestamp("s"), pa.decimal128(20, 2)]:
        for safe in (True, False):
            assert_like_pyarrow(df, schema=pa.schema([pa.field("x", target)]), safe=safe)
            if len(df) > 60:
                assert_like_pyarrow(df.iloc[1::2], schema=pa.schema([pa.field("x", target)]), safe=safe)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64", "Int64", "UInt64", "Int8", "int64[pyarrow]"]
)
def test_integers_to_narrower_integers(dtype):
    info = np.iinfo(dtype.split("[")[0].lower())
    few = [[0, 1], [info.max], [info.min], [127, 0], [128], [255], [256], [-1, 5]]
    for numbers in (*few, [*range(100)] * 3, [*range(100), info.max]):
        if min(numbers) >= info.min and max(numbers) <= info.max:
            df = pd.DataFrame({"x": pd.array(numbers, dtype=dtype)})
            for target in [*TARGETS[:14], pa.timestamp("s"), pa.date32(), pa.decimal128(20, 2), pa.decimal32(9, 2)]:
                for safe in (True, False):
                    assert_like_pyarrow(df, str(numbers), schema=pa.schema([pa.field("x", target)]), safe=safe)


TIMES = ["1970-01-01", "2020-02-29T12:34:56", "2020-02-29T12:34:56.789", "1969-12-31T23:59:59.999999",
         "2020-02-29T12:34:56.000000001", "0001-01-01", "9999-12-31", "NaT"]  # fmt: skip


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("tz", [None, "UTC", "America/New_York"])
def test_times_to_other_units(unit, tz):
    """With safe=True, a unit that drops digits or overflows is an error."""
    for text in TIMES:
        if unit == "ns" and text[:4] in ("0001", "9999"):
            continue  # nanoseconds since 1970 do not reach these years, and NumPy 2.5 raises instead of wrapping around
        column = pd.Series(np.array([text, "NaT"], "M8[us]" if len(text) < 27 else "M8[ns]").astype(f"M8[{unit}]"))
        zoned = column if tz is None else column.dt.tz_localize("UTC").dt.tz_convert(tz)
        df = pd.DataFrame({"x": zoned, "d": column - np.datetime64(0, unit)})
        for target in (*TARGETS[20:32], pa.int64(), pa.string()):
            for safe in (True, False):
                assert_like_pyarrow(df, text, schema=pa.schema([("x", target)]), safe=safe)
                assert_like_pyarrow(df, text, schema=pa.schema([("d", target)]), safe=safe)


SCHEMAS = {
    "as it is": [INT, FLOAT, TEXT],
    "in another order": [TEXT, INT],
    "nothing": [],
    "an index": [INT, ("key", pa.int64())],
    "an index of another type": [("key", pa.int8()), INT],
    "an index that has no such name": [INT, ("__index_level_0__", pa.int64())],
    "a second index that is not there": [("__index_level_1__", pa.int64())],
    "a name that is not there": [INT, ("nowhere", pa.int64())],
    "a name twice": [INT, INT],
    "not null": [pa.field("i", pa.int64(), nullable=False)],
    "not null, but null": [pa.field("f", pa.float64(), nullable=False)],
    "not null, but null in a string": [INT, pa.field("s", pa.string(), nullable=False)],
    "not null, but null in a category": [pa.field("c", pa.dictionary(pa.int8(), pa.string()), nullable=False)],
    "not null, but null in masked integers": [pa.field("n", pa.int8(), nullable=False)],
    "metadata of fields": [INT.with_metadata({"unit": "m"}), FLOAT],
    "one that fails": [INT, ("s", pa.int64()), FLOAT],
    "two that fail": [("s", pa.int64()), ("f", pa.binary(3))],
    "mixed objects": [("o", pa.string())],
    "mixed objects as bytes": [("o", pa.binary())],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_schema(schema):
    df = of_each_dtype()
    several = [df, df.reset_index(drop=True), df.rename_axis(None), df.set_index("s", append=True), df.iloc[:0]]
    for metadata in (None, {"origin": "here", "pandas": "stale"}):
        expected = pa.schema(SCHEMAS[schema], metadata=metadata)
        for options in (*OPTIONS, {"columns": ["i"]}):
            for frame in several:
                assert_like_pyarrow(frame, schema, schema=expected, **options)
        assert_like_pyarrow(pd.concat([df] * 300), schema, schema=expected)
