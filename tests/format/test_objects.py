"""Columns of Python objects come back as equal objects of the same types, or are refused."""

import contextlib
import datetime as dt
import decimal
import uuid
import zoneinfo

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pytest
import pytz
from hypothesis import given

from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError
from colonnade.format.read.objects import to_objects
from colonnade.format.same import same
from colonnade.format.schema import Objects
from colonnade.format.write.objects import to_arrow
from colonnade.format.zones import decode_zone, encode_zone
from support.circular import CIRCULAR
from support.likeness import assert_same_values
from support.quick_lane import examples
from support.strategies import PARIS, Colour, Point, Text, Weekday, object_array, object_cells


def converted(cells):
    """The Arrow array, and the cells that are read from it, which must be those that were put."""
    array, objects = to_arrow(object_array(cells))
    restored = to_objects(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array, objects)
    assert len(restored) == len(cells)
    for put, result in zip(cells, restored.tolist(), strict=True):
        assert same(put, result), f"{put!r} came back as {result!r}"
        if not contains(put, (dict, decimal.Decimal)):  # keys have no order, and a column of decimals has one scale
            assert_same_values(result, put)
    return array, objects


def contains(value, types):
    if isinstance(value, types):
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(contains(item, types) for item in items)


@given(object_cells())
@examples(1500)
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


# What has no one Arrow type, and is stored by its parts.
BY_PARTS = {
    "date and datetime": [dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 13, 30)],
    "datetime and date": [dt.datetime(2024, 1, 1, 13, 30), dt.date(2024, 1, 1)],
    "datetime and Timestamp": [dt.datetime(2024, 1, 1), pd.Timestamp("2024")],
    "str and bytes": ["a", b"b"],
    "naive and zoned Timestamps": [pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC")],
    "naive and zoned datetimes": [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=UTC)],
    "datetimes of two zones": [dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=PARIS)],
    "Timestamps of two units": [pd.Timestamp(1), pd.Timestamp("2020").as_unit("s")],
    "dicts of other keys": [{"a": 1}, {"b": 2}],
    "an empty dict among others": [{"a": 1}, {}],
    "int and float": [1, 2.5],
    "int and bool": [1, True],
    "int and str": [1, "a"],
    "NumPy int": [np.int64(1)],
    "NumPy bool": [np.bool_(True), True],
    "None and NaN": ["a", None, np.nan],
    "NA and NaN": ["a", pd.NA, np.nan],
    "None and NaT": [None, pd.NaT],
    "list and tuple": [[1], (1,)],
    "list of tuples": [[(1, 2)]],
    "list of ints and floats": [[1, 2.5]],
    "lists of ints and of floats": [[1], [2.5]],
    "list of bools and ints": [[True], [1]],
    "list of NumPy ints": [[np.int64(1)]],
    "list of a date and a datetime": [[dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 5)]],
    "list of Timestamps": [[pd.Timestamp("2020")]],
    "list of arrays": [[np.array([1])]],
    "dict of a tuple": [{"a": (1, 2)}],
    "dict of number keys": [{1: 2}],
    "arrays of two dtypes": [np.array([1]), np.array([0.5])],
    "arrays at which PyArrow 26 ends the process": [np.array([], "M8[ns]"), np.array([], "i8")],
    "a bit of everything": [1, 2.5, "x", None, np.nan, pd.NaT, pd.NA, np.float32(1.5), b"y", True, uuid.UUID(int=1), decimal.Decimal("1.5"), (1,), [2], {"a": 3}],
    "all that is missing": [None, np.nan, pd.NaT, pd.NA], "NaT and NaN": [pd.NaT, np.nan], "NA and NaT": [pd.NA, pd.NaT, pd.NA],
    "floats and all that is missing": [0.5, -0.0, None, np.nan, pd.NA], "NaN among ints and strings": [1, "a", np.nan],
    "NumPy scalars": [np.float16(1.5), np.float32(-0.0), np.float64("nan"), np.uint8(1), np.bool_(False), None, True], "NumPy floats alone": [np.float64("nan"), np.float64(-0.0), None, np.nan],
    "-0.0 in containers": [[-0.0, 1], (-0.0,), {"a": -0.0}, np.array([-0.0])], "-0.0 in a dict": [{"a": -0.0}, {"b": 0.0}], "-0.0 beside ints": [-0.0, 0, [0, -0.0]],
    "dicts with and without None": [{"a": 1}, {"a": None}, {"a": np.nan}, {}, None], "records": [{"id": 1, "tags": ["a"]}, {"id": "2", "tags": None, "sub": {"x": 1.5}}, {"id": None, "sub": {}}],
    "dicts of many keys": [{f"k{i}": i for i in range(300)}, {"k1": "x"}], "dicts of any keys": [{1: 2, "a": None, (1, "x"): [1]}, {}, None, {None: 1}],
    "keys that differ by case": [{"a": 1, "A": "x"}, {"b": [1, "y"]}], "tuples of everything": [(1, "a", None), (), (2.5, (1, "b"))],
    "lists in lists in tuples": [[[1, "a"], ([2.5, None],)], [], None], "Timedeltas of two units": [pd.Timedelta(1, "ns"), pd.Timedelta(1, "s").as_unit("s")],
    "folds of a zone beside a string": [dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=PARIS), dt.datetime(2020, 10, 25, 2, 30, tzinfo=PARIS), "x"], "fold in a list of a zone": [[pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert(PARIS), pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert(PARIS)]],
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_PARTS)
def test_these_come_back_by_parts(kind):
    for cells in (BY_PARTS[kind], [None, *BY_PARTS[kind] * 3], [*BY_PARTS[kind] * 300, {"a": 1}]):
        array, _ = converted(cells)
        array.validate(full=True)


def test_other_readers_see_the_type_of_each_value():
    array, objects = to_arrow(object_array([1, "a", None, 2.5, np.nan, pd.NaT]))
    assert str(array.type) == "struct<int: int64, str: string, float: double, NaT: bool>"
    assert [part.type for part in objects.parts] == ["value", "value", "value", "missing"]
    assert array.to_pylist()[2] is None
    assert array.field("float").null_count == 4
    assert pa.compute.is_nan(array.field("float")).to_pylist()[4] is True
    assert array.to_pylist()[5] == {"int": None, "str": None, "float": None, "NaT": True}


def test_nan_in_a_container_stays_a_value_beside_a_missing_one():
    for cells in ([np.array([1.5, np.nan]), np.nan], [[1.5, np.nan], pd.NA], [(np.nan, 2.5), pd.NaT]):
        array, objects = converted(cells)
        assert (array.null_count, array.values.null_count, objects.parts) == (1, 0, [])


def test_fields_that_readers_would_take_for_one_have_other_names():
    naive, zoned, other = pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020").as_unit("s")
    array, _ = to_arrow(object_array([naive, zoned, other, np.bool_(True), True]))
    assert [field.name for field in array.type] == ["Timestamp", "Timestamp_2", "Timestamp_3", "numpy_bool", "bool"]


@pytest.mark.parametrize(("change", "reason"), [
    (lambda objects: objects.replaced(parts=objects.parts[:1]), "1 parts"),
    (lambda objects: objects.replaced(parts=[]), "0 parts"),
    (lambda objects: objects.replaced(type="lists", parts=objects.parts[:1]), "lists of Python objects are"),
    (lambda objects: objects.replaced(type="lists"), "2 parts"),
    (lambda objects: objects.replaced(type="pairs"), "are struct"),
    (lambda objects: Objects("missing", missing="NA"), "type 'missing'"),
], ids=["few", "none", "list", "lists", "pairs", "missing"])  # fmt: skip
def test_parts_that_do_not_fit_are_a_damaged_file(change, reason):
    array, objects = to_arrow(object_array([1, "a", None]))
    with pytest.raises(CorruptSnapshotError, match=reason):
        to_objects(array, change(objects))


def test_a_row_of_no_type_or_of_two_is_a_damaged_file():
    _, objects = to_arrow(object_array([1, "a"]))
    for rows in ([{"int": 1, "str": "a"}], [{"int": None, "str": None}]):
        with pytest.raises(CorruptSnapshotError, match="does not have one value"):
            to_objects(pa.array(rows, pa.struct({"int": pa.int64(), "str": pa.string()})), objects)


def nested(levels, *values):
    """A list of values inside so many lists, each of which also has the values themselves."""
    inner = list(values)
    for _ in range(levels):
        inner = [inner, *values]
    return inner


# What was stored as something else before it was compared, with a word of the message.
REFUSED = {
    "a datetime that the clocks skip": ([dt.datetime(2020, 3, 29, 2, 30, tzinfo=PARIS)], "does not have"),
    "fold without a zone": ([dt.datetime(2020, 1, 1, fold=1)], "fold"),
    "a time of a zone": ([dt.time(1, tzinfo=UTC)], "zone"),
    "a zone without a name": ([dt.datetime(2020, 1, 1, tzinfo=dateutil.tz.tzlocal())], "no name"),
    "Decimal NaN": ([decimal.Decimal("NaN"), decimal.Decimal(1)], "null"),
    "Decimal -0": ([decimal.Decimal("-0")], "-0"),
    "Decimal infinity": ([decimal.Decimal("Infinity")], "Decimal"),
    "large int and small": ([2**64 - 1, -1], "int"),
    "NumPy str": ([np.str_("a")], "numpy.str_"),
    "subclass of str": ([Text("a"), "b"], "support.strategies.Text"),
    "subclass of int": ([Weekday.MONDAY], "Weekday"),
    "Enum": ([Colour.RED], "Colour"),
    "namedtuple": ([Point(1, 2)], "Point"),
    "set": ([{1}], "set"),
    "bytearray": ([bytearray(b"a")], "bytearray"),
    "surrogates": (["\ud800"], "str"),
    "list of bytearrays": ([[bytearray(b"a")]], "bytearray"),
    "array of str": ([np.array(["a"])], "row 0"),
    "array of two axes": ([np.ones((2, 2))], "ndarray"),
    "array in the other byte order": ([np.array([1], ">i4")], "ndarray"),
    "a subclass inside of a list": ([[1, Text("a")]], "support.strategies.Text"),
    "a set inside of a dict": ([{"a": {1}}, {"b": 1}], "type set"),
    "Decimal NaN among strings": (["a", decimal.Decimal("NaN")], "null"),
    "Decimal -0 in a list": ([[decimal.Decimal("-0"), 1]], "-0"),
    "fold in a list": ([[dt.time(1, fold=1)]], "fold"),
    "fold in a dict": ([{"a": dt.datetime(2020, 1, 1, fold=1)}], "fold"),
    "a list in itself": ([CIRCULAR["list"]], "60 levels"),
    "a tuple in itself": ([CIRCULAR["tuple"]], "60 levels"),
    "a dict in itself": ([CIRCULAR["dict"]], "60 levels"),
    "two dicts in each other": ([CIRCULAR["pair"]], "60 levels"),
    "a circular dict among strings": (["a", CIRCULAR["dict"]], "60 levels"),
    "lists of two types in each other": ([nested(40, 1, "a")], "levels"),
    "a time before the year 1 in UTC": ([dt.datetime(1, 1, 1, tzinfo=PARIS)], "before the year 1"),
    "a time after the year 9999 in UTC": ([dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=2)))], "after the year 9999"),
    "pytz as a tzinfo": ([dt.datetime(2020, 7, 1, tzinfo=PYTZ)], "zone.localize"),
    "pytz as the tzinfo of a Timestamp": ([pd.Timestamp(dt.datetime(2020, 7, 1, tzinfo=PYTZ))], "zone.localize"),
    "pytz as a tzinfo in a list": ([[dt.datetime(2020, 7, 1, tzinfo=PYTZ)]], "zone.localize"),
    "a list at which PyArrow 26 ends the process": ([[np.datetime64(5, "ns"), np.int64(1)]], "numpy.datetime64"),
    "an array at which PyArrow 26 ends the process": ([np.array([np.datetime64(5, "ns"), np.bool_(True)], object)], "arrays of objects"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_these_are_refused(kind):
    cells, reason = REFUSED[kind]
    with pytest.raises(UnsupportedTypeError) as excinfo:
        to_arrow(object_array(cells))
    assert reason in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    with pytest.raises(UnsupportedTypeError):
        to_arrow(object_array([None, *cells, None]))


def test_the_row_that_differs_is_named_in_long_columns():
    cells = [np.array([dt.date(2020, 1, 1)], object)] * 40_000
    with pytest.raises(UnsupportedTypeError, match="row 40000 holds"):
        to_arrow(object_array([*cells, np.array([dt.datetime(2020, 1, 1, 5)], object)]))


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


def test_a_zone_of_a_file_without_a_key():
    with pytz.open_resource("Europe/Paris") as file:
        zone = zoneinfo.ZoneInfo.from_file(file)
    with pytest.raises(UnsupportedTypeError, match="tz_convert"):
        encode_zone(zone)


def test_no_type_says_more_than_it_knows():
    assert to_arrow(object_array(["a"]))[1] == Objects()
    assert to_arrow(object_array(["a", None]))[1] == Objects(missing="None")
