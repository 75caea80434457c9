"""Compares `cn.from_pandas` with PyArrow's."""

import datetime as dt
import decimal
import enum
import uuid
import zoneinfo

import numpy as np
import pandas as pd
import pyarrow as pa

import colonnade as cn
from support.arrow_extensions import Celsius
from support.likeness import assert_same_outcome, assert_same_table, outcome
from support.pyarrow_bugs import bugs_that_hit
from support.strategies import EXACT, NOT_COMPARED

KINDS = {**EXACT, **NOT_COMPARED}
OPTIONS = [{}, {"preserve_index": True}, {"preserve_index": False}, {"nthreads": 1}, {"nthreads": 3}, {"safe": False}]


def assert_like_pyarrow(df, where="", **options):
    if bugs_that_hit(df, options):
        return None
    result, expected = outcome(cn.from_pandas, df, **options), outcome(pa.Table.from_pandas, df, **options)
    if expected.error is not None and result.error is not None and not isinstance(result.error, type(expected.error)):
        # Which of several columns is the first to fail is for no one to rely on, with threads least of all.
        for field in options.get("schema") or []:
            expected = outcome(pa.Table.from_pandas, df, **options | {"schema": pa.schema([field])})
            if expected.error is not None and isinstance(result.error, type(expected.error)):
                return expected
    assert_same_outcome(result, expected, assert_same_table, f"{where} {options}")
    if result.error is None and outcome(expected.value.validate, full=True).error is None:
        result.value.validate(full=True)
    return expected


class Colour(enum.Enum):
    RED = 1


class Text(str):
    __slots__ = ()


UTC, PARIS = dt.UTC, zoneinfo.ZoneInfo("Europe/Paris")
OBJECTS = {
    "nothing": [], "None": [None, None], "NaN": [np.nan, None], "NaT": [pd.NaT, None], "NA": [pd.NA, None],
    "integers": [1, 2, -3], "integers and None": [1, None, 2], "integers and NaN": [1, np.nan], "integers and NA": [1, pd.NA], "integers and NaT": [1, pd.NaT],
    "large integers": [2**63 - 1, -(2**63)], "integers of uint64": [2**64 - 1, None], "too large integers": [2**64, 1], "too small integers": [-(2**63) - 1, 1],
    "integers of both kinds": [2**64 - 1, -1], "integers and floats": [1, 2.5], "large integers and floats": [2**53 + 1, 2.5], "floats and integers": [2.5, 1, None],
    "integers and bools": [1, True], "bools": [True, None, False], "bools and integers": [True, 1], "bools and NaN": [True, np.nan],
    "floats": [0.5, None, np.inf, -0.0, np.nan], "complex": [1j], "strings": ["a", None, "", "数据"], "strings and NaN": ["a", np.nan, pd.NA, pd.NaT], "strings and integers": ["a", 1],
    "integers and strings": [1, "a"], "strings and bytes": ["a", b"b"], "bytes": [b"a", None, b""], "bytes and strings": [b"\xff", "b"], "bytearrays": [bytearray(b"a"), None],
    "memoryviews": [memoryview(b"a")], "surrogates": ["\ud800"], "strings of their own class": [Text("a"), "b"], "NumPy strings": [np.str_("a"), "b"],
    "NumPy scalars": [np.int8(1), np.int64(2)], "NumPy floats": [np.float32(0.5), np.float64(1.5), np.float16(2)], "NumPy bools": [np.bool_(True), False], "NumPy uint64": [np.uint64(2**64 - 1), np.int8(1)],
    "NumPy dates": [np.datetime64("2020-01-01", "D"), None], "NumPy times": [np.datetime64("2020-01-01", "ns"), np.datetime64("NaT", "ns")], "NumPy durations": [np.timedelta64(5, "s"), None],
    "dates": [dt.date(2020, 1, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)], "dates and NaT": [dt.date(2020, 1, 1), pd.NaT], "dates and times": [dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 5)],
    "times and dates": [dt.datetime(2020, 1, 1, 5), dt.date(2020, 1, 1)], "datetimes": [dt.datetime(2020, 1, 1, 1, 2, 3, 4), None, dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)],
    "zoned datetimes": [dt.datetime(2020, 1, 1, tzinfo=UTC), None], "datetimes of Paris": [dt.datetime(2020, 7, 1, tzinfo=PARIS)], "datetimes of two zones": [dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=PARIS)],
    "datetimes, some zoned": [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=UTC)], "Timestamps": [pd.Timestamp("2020-01-01 00:00:00.000000001"), pd.NaT], "zoned Timestamps": [pd.Timestamp("2020", tz="Asia/Tokyo"), None],
    "Timestamps of seconds": [pd.Timestamp("2500-01-01").as_unit("s"), None], "timedeltas": [dt.timedelta(days=1, microseconds=1), None], "Timedeltas": [pd.Timedelta(1, "ns"), pd.NaT], "times": [dt.time(1, 2, 3, 4), None],
    "decimals": [decimal.Decimal("1.50"), None, decimal.Decimal("-123.4")], "decimals and NaN": [decimal.Decimal("1.5"), decimal.Decimal("NaN")], "decimals and integers": [decimal.Decimal("1.5"), 1],
    "long decimals": [decimal.Decimal("1" * 40), decimal.Decimal("0.5")], "too long decimals": [decimal.Decimal("1" * 80)], "infinite decimals": [decimal.Decimal("Infinity")], "UUIDs": [uuid.UUID(int=5), None],
    "lists": [[1, None], [], None, [3]], "lists of floats and integers": [[1, 2.5], [3]], "lists of strings": [["a", None], ["b"]], "lists of lists": [[[1], []], None], "lists of nothing": [[], None], "lists of None": [[None], []],
    "lists and scalars": [[1], 1], "lists of mixed": [[1], ["a"]], "tuples": [(1, 2), None], "sets": [{1}, None], "ranges": [range(3), None], "dicts": [{"a": 1, "b": "x"}, None, {"a": 2}], "dicts of other keys": [{"a": 1}, {"b": 2}],
    "empty dicts": [{}, {}], "dicts of number keys": [{1: 2}], "dicts of dicts": [{"a": {"b": [1]}}, None], "lists of dicts": [[{"a": 1}], []], "pairs": [[("k", 1)], []],
    "arrays": [np.array([1, 2]), None, np.array([], "i8")], "arrays of floats": [np.array([0.5, np.nan])], "arrays of two dtypes": [np.array([1], "i1"), np.array([0.5])], "arrays of objects": [np.array(["a", None], object)],
    "arrays of dates": [np.array(["2020-01-01"], "M8[D]"), np.array(["NaT"], "M8[D]")], "arrays of bools": [np.array([True])], "arrays of strings": [np.array(["a", "b"])], "square arrays": [np.ones((2, 2))], "arrays with steps": [np.arange(9)[::2]], "scalar arrays": [np.array(1)],
    "Series": [pd.Series([1, 2])], "Arrow scalars": [pa.scalar(1), None], "Arrow arrays": [pa.array([1])], "periods": [pd.Period("2020", "M"), None], "intervals": [pd.Interval(0, 1), None], "offsets": [pd.DateOffset(days=1), None],
    "month, day, nano": [pa.MonthDayNano([1, 2, 3]), None], "enumerations": [Colour.RED], "objects": [object()], "functions": [len], "types": [int], "exceptions": [ValueError()],
}  # fmt: skip


def object_column(cells):
    values = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        values[i] = cell
    return pd.DataFrame({"x": pd.Series(values, dtype=object)})


TARGETS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.null(),
    pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3), pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("us"),
    pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Paris"), pa.duration("s"), pa.duration("ns"),
    pa.decimal32(9, 2), pa.decimal128(20, 2), pa.decimal128(2, 0), pa.decimal256(50, 3), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string(), ordered=True), pa.dictionary(pa.int8(), pa.int64()),
    pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float32(), 2), pa.struct([("x", pa.int64()), ("y", pa.string())]), pa.map_(pa.string(), pa.int64()), pa.month_day_nano_interval(), pa.uuid(), Celsius(),
]  # fmt: skip


def of_each_dtype():
    return pd.DataFrame({"i": [1, 2, 3], "f": [0.5, None, 1.5], "s": ["a", None, "b"], "o": pd.Series(["a", None, b"b"], dtype=object), "t": pd.to_datetime(["2020", None, "2021"]),
                         "c": pd.Categorical(["x", None, "x"]), "n": pd.array([1, None, 3], "Int8")}, index=pd.Index([7, 8, 9], name="key"))  # fmt: skip


INT, FLOAT, TEXT = pa.field("i", pa.int64()), pa.field("f", pa.float64()), pa.field("s", pa.string())
