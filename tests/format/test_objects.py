"""Columns of Python objects come back as the very same objects, or are refused; never as others."""

import contextlib
import datetime as dt
import decimal
import uuid
import zoneinfo

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import pytz
from hypothesis import given, settings

from colonnade.errors import UnsupportedTypeError
from colonnade.format.objects import Objects, same, to_arrow, to_objects
from colonnade.format.zones import decode_zone, encode_zone
from support.likeness import assert_same_values
from support.strategies import PARIS, Colour, Point, Text, Weekday, object_array, object_cells


def converted(cells):
    """The Arrow array, and the cells that it gives back; they must be those that were put."""
    array, objects = to_arrow(object_array(cells))
    restored = to_objects(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array, objects)
    assert len(restored) == len(cells)
    for put, got in zip(cells, restored.tolist(), strict=True):
        assert same(put, got), f"{put!r} came back as {got!r}"
        if not contains(put, (dict, decimal.Decimal)):  # keys have no order, and a column of decimals has one scale
            assert_same_values(got, put)
    return array, objects


def contains(value, types):
    if isinstance(value, types):
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(contains(item, types) for item in items)


@given(object_cells())
@settings(max_examples=1500)
def test_any_objects_come_back_or_are_refused(cells):
    with contextlib.suppress(UnsupportedTypeError):
        converted(cells)


UTC = dt.UTC
TOKYO = dateutil.tz.gettz("Asia/Tokyo")
PYTZ = pytz.timezone("Europe/Paris")
EXACT = {
    "nothing": [], "None": [None, None], "NaN": [np.nan], "NaT": [pd.NaT], "NA": [pd.NA, pd.NA],
    "str": ["a", None, "数据"], "str and NaN": ["a", np.nan], "str and NA": ["a", pd.NA], "bytes": [b"a", None], "bool": [True, None], "bool and NaN": [False, np.nan],
    "int": [1, None, -(2**63)], "int and NaN": [1, np.nan], "int of 64 bits": [2**64 - 1, None], "float": [0.5, -0.0, np.inf, np.nan, None], "float and NA": [0.5, pd.NA],
    "date": [dt.date(1, 1, 1), None], "date and NaT": [dt.date(2020, 1, 1), pd.NaT], "time": [dt.time(1, 2, 3, 4), None], "timedelta": [dt.timedelta(1, 2, 3), None],
    "datetime": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), None], "datetime of UTC": [dt.datetime(2020, 1, 1, tzinfo=UTC)],
    "datetime of Paris": [dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=PARIS), dt.datetime(2020, 10, 25, 2, 30, tzinfo=PARIS), None],
    "datetime of pytz": [PYTZ.localize(dt.datetime(2020, 7, 1)), PYTZ.localize(dt.datetime(2020, 1, 1))], "datetime of dateutil": [dt.datetime(2020, 7, 1, tzinfo=TOKYO)],
    "datetime of an offset": [dt.datetime(2020, 7, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30)))],
    "Timestamp": [pd.Timestamp("2020"), pd.NaT], "Timestamp of nanoseconds": [pd.Timestamp(1)], "Timestamp of seconds": [pd.Timestamp("2500").as_unit("s"), None],
    "Timestamp of a zone": [pd.Timestamp("2020", tz="Asia/Tokyo"), pd.NaT], "Timestamp of pytz": [pd.Timestamp("2020", tz=PYTZ)], "Timedelta": [pd.Timedelta(1, "ns"), pd.NaT],
    "Decimal": [decimal.Decimal("1.50"), None, decimal.Decimal("-123.40")], "UUID": [uuid.UUID(int=5), None],
    "list": [[1, None], [], None], "list and NaN": [[1.5], np.nan], "list with NaN": [[1.5, np.nan, None]], "list of nothing": [[], []], "list of lists": [[[1], []], None, [None]],
    "list of -0.0": [[-0.0, 0.0]], "list of bytes": [[b"a"]], "list of dates": [[dt.date(2020, 1, 1), None]], "list of datetimes": [[dt.datetime(2020, 1, 1, 1)]], "list of dicts": [[{"a": 1}], []],
    "tuple": [(1, 2), (), None], "tuple of str": [("a", "b"), ("c",)], "dict": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}], "dict in another order": [{"a": 1, "b": 2}, {"b": 1, "a": 2}],
    "empty dict": [{}, None], "dict of dicts": [{"a": {"b": [1]}}, {"a": None}], "array": [np.array([1, 2], "i2"), None, np.array([], "i2")], "array with NaN": [np.array([0.5, np.nan])],
    "array of bools": [np.array([True, False])], "array of objects": [np.array(["a", None], object)], "array with steps": [np.arange(9)[::2]],
}  # fmt: skip


@pytest.mark.parametrize("kind", EXACT)
def test_these_come_back(kind):
    for cells in (EXACT[kind], EXACT[kind] * 3, [*EXACT[kind] * 9000]):
        converted(cells)


# What was stored as something else before it was compared, with a word of the message.
REFUSED = {
    "date and datetime": ([dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 13, 30)], "datetime.date and datetime.datetime"),
    "datetime and date": ([dt.datetime(2024, 1, 1, 13, 30), dt.date(2024, 1, 1)], "datetime.date and datetime.datetime"),
    "datetime and Timestamp": ([dt.datetime(2024, 1, 1), pd.Timestamp("2024")], "Timestamp"),
    "str and bytes": (["a", b"b"], "bytes and str"),
    "naive and zoned Timestamps": ([pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC")], "different zones"),
    "naive and zoned datetimes": ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=UTC)], "different zones"),
    "datetimes of two zones": ([dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=PARIS)], "different zones"),
    "Timestamps of two units": ([pd.Timestamp(1), pd.Timestamp("2020").as_unit("s")], "different units"),
    "a datetime that the clocks skip": ([dt.datetime(2020, 3, 29, 2, 30, tzinfo=PARIS)], "does not have"),
    "fold without a zone": ([dt.datetime(2020, 1, 1, fold=1)], "fold"),
    "a time of a zone": ([dt.time(1, tzinfo=UTC)], "zone"),
    "a zone without a name": ([dt.datetime(2020, 1, 1, tzinfo=dateutil.tz.tzlocal())], "no name"),
    "Decimal NaN": ([decimal.Decimal("NaN"), decimal.Decimal(1)], "null"),
    "Decimal -0": ([decimal.Decimal("-0")], "-0"),
    "Decimal infinity": ([decimal.Decimal("Infinity")], "Decimal"),
    "dicts of other keys": ([{"a": 1}, {"b": 2}], "row 0 holds {'a': 1}, which would come back as {'a': 1, 'b': None}"),
    "an empty dict among others": ([{"a": 1}, {}], "row 1"),
    "int and float": ([1, 2.5], "float and int"),
    "int and bool": ([1, True], "bool and int"),
    "int and str": ([1, "a"], "int and str"),
    "large int and small": ([2**64 - 1, -1], "int"),
    "NumPy int": ([np.int64(1)], "numpy.int64"),
    "NumPy str": ([np.str_("a")], "numpy.str_"),
    "NumPy bool": ([np.bool_(True), True], "bool"),
    "subclass of str": ([Text("a"), "b"], "str and support.strategies.Text"),
    "subclass of int": ([Weekday.MONDAY], "Weekday"),
    "Enum": ([Colour.RED], "Colour"),
    "namedtuple": ([Point(1, 2)], "Point"),
    "set": ([{1}], "set"),
    "bytearray": ([bytearray(b"a")], "bytearray"),
    "surrogates": (["\ud800"], "str"),
    "None and NaN": (["a", None, np.nan], "None and nan both"),
    "NA and NaN": (["a", pd.NA, np.nan], "both"),
    "None and NaT": ([None, pd.NaT], "both"),
    "list and tuple": ([[1], (1,)], "list and tuple"),
    "list of tuples": ([[(1, 2)]], "row 0 holds [(1, 2)], which would come back as [[1, 2]]"),
    "list of ints and floats": ([[1, 2.5]], "row 0"),
    "lists of ints and of floats": ([[1], [2.5]], "row 0"),
    "list of bools and ints": ([[True], [1]], "list"),
    "list of NumPy ints": ([[np.int64(1)]], "row 0"),
    "list of bytearrays": ([[bytearray(b"a")]], "row 0"),
    "list of a date and a datetime": ([[dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 5)]], "row 0"),
    "list of Timestamps": ([[pd.Timestamp("2020")]], "row 0"),
    "list of arrays": ([[np.array([1])]], "row 0"),
    "dict of a tuple": ([{"a": (1, 2)}], "row 0"),
    "dict of number keys": ([{1: 2}], "dict"),
    "arrays of two dtypes": ([np.array([1]), np.array([0.5])], "float64 and int64"),
    "arrays at which PyArrow 26 ends the process": ([np.array([], "M8[ns]"), np.array([], "i8")], "different dtypes"),
    "array of str": ([np.array(["a"])], "row 0"),
    "array of two axes": ([np.ones((2, 2))], "ndarray"),
    "array in the other byte order": ([np.array([1], ">i4")], "ndarray"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_these_are_refused(kind):
    cells, reason = REFUSED[kind]
    with pytest.raises(UnsupportedTypeError) as caught:
        to_arrow(object_array(cells))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UnsupportedTypeError):
        to_arrow(object_array([None, *cells, None]))


def test_the_row_that_differs_is_named_in_long_columns():
    cells = [[1]] * 40_000 + [[1, 2.5]]
    with pytest.raises(UnsupportedTypeError, match=r"row 0 holds \[1\], which would come back as \[1.0\]"):
        to_arrow(object_array(cells))
    with pytest.raises(UnsupportedTypeError, match="row 40000 holds"):
        to_arrow(object_array([{"a": 1, "b": 1}] * 40_000 + [{"a": 1}]))


ZONES = [
    dt.UTC, zoneinfo.ZoneInfo("UTC"), PARIS, dt.timezone(dt.timedelta(hours=5, minutes=30)), PYTZ, pytz.UTC, pytz.FixedOffset(-330), TOKYO, dateutil.tz.UTC,
]  # fmt: skip


@pytest.mark.parametrize("zone", ZONES, ids=repr)
def test_zones_keep_their_library(zone):
    restored = decode_zone(encode_zone(zone))
    assert type(restored) is type(zone)
    assert str(restored) == str(zone)


def test_zones_of_a_library_that_the_reader_lacks(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pytz", None)
    decode_zone.cache_clear()
    assert decode_zone("pytz:Europe/Paris") == PARIS
    decode_zone.cache_clear()


@pytest.mark.parametrize("zone", [dt.timezone(dt.timedelta(hours=1), "CET"), dt.timezone(dt.timedelta(seconds=30)), dateutil.tz.tzlocal()], ids=repr)  # fmt: skip
def test_zones_that_text_does_not_express(zone):
    with pytest.raises(UnsupportedTypeError, match="tz_convert"):
        encode_zone(zone)


def test_no_type_says_more_than_it_knows():
    assert to_arrow(object_array(["a"]))[1] == Objects()
    assert to_arrow(object_array(["a", None]))[1] == Objects(missing="None")
