"""Which values a growing table takes, and that those which it refuses leave nothing."""

from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_folder
from growing.files import every_type, head_of, same, shown


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ({"x": [1.0]}, ValueError, r"missing \['n'"),
        ({"x": [1.0], "n": [1], "s": ["a"], "y": [1]}, ValueError, r"unknown \['y'\]"),
        ({"x": [1.0, 2.0], "n": [1], "s": ["a"]}, ValueError, "different lengths"),
        ({"x": [1.0], "n": [1.5], "s": ["a"]}, cn.InvalidDataError, "'n' holds int32, and row 0 is"),
        ({"x": [1.0], "n": [1 << 40], "s": ["a"]}, cn.InvalidDataError, "'n' holds int32"),
        ({"x": [1.0], "n": pa.array([None], pa.int32()), "s": ["a"]}, cn.InvalidDataError, "has no nulls"),
        ({"x": ["a"], "n": [1], "s": ["a"]}, cn.UnsupportedTypeError, "'x' holds float64"),
        ({"x": [1.0], "n": [1], "s": [1]}, cn.UnsupportedTypeError, "'s' holds str"),
        ({"x": [1.0], "n": [1], "s": "a"}, cn.UnsupportedTypeError, "'s' was given 'a', which is no column of rows"),
        ({"x": [1.0], "n": [1], "s": {"a"}}, cn.UnsupportedTypeError, "'s' was given {'a'}"),
        ({"x": [1.0], "n": [1], "s": {"a": 1}}, cn.UnsupportedTypeError, "'s' was given {'a': 1}"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(store, rows, error, words):
    with store.appender("log", {"x": "float64", "n": "int32", "s": "str"}) as log:
        log.append({"x": [0.5], "n": [1], "s": ["kept"]})
        with pytest.raises(error, match=words):
            log.append(rows)
        assert log.num_rows == head_of(store, "log").committed == 1
        log.row(x=1.5, n=2, s=None)
    assert shown(store, "log")["x"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": object}, "cannot grow"),
        ({"x": "datetime64[D]"}, "cannot grow"),
        ({"x": pd.CategoricalDtype([1, 2])}, "cannot grow"),
        ({"x": "period[D]"}, "cannot grow"),
        ({"x": "nonsense"}, "not a dtype"),
        ({"x": None}, "None is not a dtype"),
    ],
)
def test_columns_that_cannot_grow_are_named(store, columns, words):
    with pytest.raises(cn.UnsupportedTypeError, match=rf"column 'x'.*{words}"):
        store.appender("log", columns)
    assert not log_folder.is_there(store._catalog, "log")


@pytest.mark.parametrize(
    "zone",
    [UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Oslo"), dateutil.tz.gettz("Europe/Oslo")],
    ids=str,
)
def test_time_zones_of_any_library(store, zone):
    try:
        times = pd.DatetimeIndex(["2026-01-01", "2026-07-01"]).tz_localize(zone)
    except AttributeError:  # pandas 3.0.0 beside a newer dateutil
        pytest.skip(f"this pandas cannot use {zone}")
    with store.appender("log", {"x": times.dtype}) as log:
        log.append({"x": times})
        log.row(x=times[1])
    pd.testing.assert_extension_array_equal(store.get("log")["x"].array, times.append(times[1:]).array)
    assert store.open("log").to_arrow()["x"].to_pylist() == [*times, times[1]]


def test_a_time_zone_without_a_name_is_refused(store):
    times = pd.DatetimeIndex(["2026-01-01"]).tz_localize(timezone(timedelta(seconds=3661)))
    with pytest.raises(cn.UnsupportedTypeError, match=r"column 'x': the time zone .* has no name that Arrow knows"):
        store.appender("log", like=pd.DataFrame({"x": times}))
    assert not store.exists("log")


def test_a_column_may_have_the_name_of_a_parameter(store):
    with store.appender("log", {"self": "int64", "values": "int64"}) as log:
        assert log.row(self=1, values=2) == 1


def test_single_rows_of_any_type(store):
    rows = every_type(40)
    with store.appender("log", like=rows) as log:
        log.append(rows[:5])
        for number in range(5, 40):  # plain objects, pandas' own, and what is null
            row = {name: rows[name].array[number] for name in rows.columns}
            log.row(**row)
        plain = {"time": np.datetime64(7, "us"), "float": 1.5, "half": 0.5, "int": 3, "byte": 255, "flag": True, "masked": 7, "maybe": False,
                 "span": np.timedelta64(5, "ns"), "zoned": pd.Timestamp("2026-01-01", tz="UTC"), "text": "ü", "kind": "kind 1"}  # fmt: skip
        assert log.row(**plain) == 41
        nothing = dict.fromkeys(rows.columns) | {"int": -1, "byte": 0, "flag": False}
        assert log.row(**nothing) == 42
    frame = shown(store, "log")
    same(frame[:40], rows)
    assert frame.iloc[40]["text"] == "ü"
    assert frame.iloc[40]["maybe"] is np.False_
    assert frame.iloc[41].isna().sum() == 9


@pytest.mark.parametrize("value", [256, -1, 1.5, "1", None, 1 << 70])
def test_a_single_value_that_does_not_fit_is_refused(store, value):
    with store.appender("log", {"byte": "uint8"}) as log:
        log.row(byte=1)
        with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match="'byte'"):
            log.row(byte=value)
        assert log.row(byte=255) == 2
    assert shown(store, "log")["byte"].tolist() == [1, 255]


@pytest.mark.parametrize("dtype", ["int64", "uint16", "float64", "datetime64[ns]"])
def test_an_index_ascends(store, dtype):
    with store.appender("log", {"t": dtype, "x": "float32"}, index="t") as log:
        log.append({"t": np.array([1, 2, 2], dtype), "x": [1.0, 2.0, 3.0]})
        with pytest.raises(cn.InvalidDataError, match=r"row 0 of the batch is less than the last row of the table"):
            log.append({"t": np.array([1, 3], dtype), "x": [1.0, 2.0]})
        with pytest.raises(cn.InvalidDataError, match="row 2 of the batch"):
            log.append({"t": np.array([3, 5, 4], dtype), "x": [1.0, 2.0, 3.0]})
        with pytest.raises(cn.InvalidDataError, match="row 0"):
            log.row(t=np.array([1], dtype)[0], x=1.0)
        assert log.num_rows == 3
    with store.appender("log") as log:  # a new appender reads the last value from the table
        with pytest.raises(cn.InvalidDataError):
            log.row(t=np.array([1], dtype)[0], x=1.0)
        log.row(t=np.array([2], dtype)[0], x=4.0)
    expected = np.array([1, 2, 2, 2], dtype)
    assert np.array_equal(store.get("log").index.to_numpy(), expected)


def test_an_index_ascends_over_segments(store):
    with store.appender("log", {"t": "int64"}, index="t", retain=STRIPE) as log:
        log.append({"t": np.arange(STRIPE)})
        with pytest.raises(cn.InvalidDataError):
            log.append({"t": [5]})
        log.append({"t": [STRIPE]})
        with pytest.raises(cn.InvalidDataError):
            log.row(t=5)


def test_nothing_missing_in_an_index(store):
    with store.appender("log", {"t": "datetime64[ns]"}, index="t") as log:
        with pytest.raises(cn.InvalidDataError, match="row 0"):
            log.row(t=None)
        assert log.num_rows == 0


def test_too_many_categories_are_refused_and_leave_the_table_as_it_was(store):
    with store.appender("log", {"c": "category"}) as log:
        log.append({"c": ["a"]})
        with pytest.raises(cn.UnsupportedTypeError, match="use str"):
            log.append({"c": [f"{n}" for n in range(70_000)]})
        log.append({"c": ["b", "a"]})
    assert shown(store, "log")["c"].tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("datetime64[ns, UTC]", pd.Timestamp("2026-01-01")),
        ("str", b"bytes"),
        ("datetime64[ms]", pd.Timestamp("2026-01-01 00:00:00.000000001")),
        ("int64", np.uint64(1 << 63)),
        ("bool", 2),
        ("datetime64[ns]", np.datetime64("3000-01-01", "s")),
        ("timedelta64[ns]", np.timedelta64(10**12, "s")),
        ("float16", 70_000.0),
        ("float32", 1e300),
        ("Float32", 1e300),
        ("Int64", "1"),
        ("boolean", "True"),
    ],
)
def test_what_is_not_exact_is_refused(store, dtype, value):
    with store.appender("log", {"x": dtype}) as log:
        for append in (lambda: log.append({"x": [value]}), lambda: log.row(x=value)):
            with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match="column 'x' holds"):
                append()
        assert log.num_rows == 0


@pytest.mark.parametrize(
    ("dtype", "values", "words"),
    [
        ("datetime64[us]", pa.array([1], pa.timestamp("us", "Europe/Paris")), "times of the zone Europe/Paris"),
        ("datetime64[ns]", pa.array([10**6], pa.date32()), "4707-11-29"),  # an error of NumPy from 2.5 on
        ("int64", np.ma.array([1, 2], mask=[False, True]), "a masked array of NumPy"),
        ("float64", np.ma.array([1.0, 2.0], mask=[False, True]), "a masked array of NumPy"),
        ("category", pa.DictionaryArray.from_arrays([0, 9], ["a"], safe=False), "indices from 0 to 9"),
    ],
    ids=["zone", "far date", "masked", "masked floats", "indices"],
)
def test_arrays_that_are_not_exact_are_refused(store, dtype, values, words):
    with store.appender("log", {"x": dtype}) as log:
        with pytest.raises((cn.UnsupportedTypeError, cn.InvalidDataError), match=words):
            log.append({"x": values})
        assert log.num_rows == 0


@pytest.mark.parametrize(
    ("dtype", "values", "nulls"),
    [
        ("Int32", pa.nulls(2), 2),
        ("boolean", pa.nulls(2), 2),
        ("category", pd.Categorical([np.nan, np.nan]), 2),
        ("category", pd.Categorical(np.array([], float)), 0),
        ("str", np.array([], float), 0),
        ("float32", np.array([3.4e38, np.inf]), 0),
    ],
)
def test_nulls_in_all_their_forms(store, dtype, values, nulls):
    with store.appender("log", {"x": dtype}) as log:
        assert log.append({"x": values}) == len(values)
    assert store.get("log")["x"].isna().sum() == nulls
    store.open("log").validate()


def test_a_single_number_that_would_be_infinite(store):
    with store.appender("log", {"x": "float32"}) as log:
        log.row(x=1.0)  # the core takes the next ones
        with pytest.raises(cn.InvalidDataError, match="'x' holds float32"):
            log.row(x=1e300)
        assert log.row(x=float("inf")) == 2


def test_series_with_different_indices_are_refused(store):
    one, other = pd.Series([1, 2], index=[5, 6]), pd.Series([2, 1], index=[6, 5])
    with store.appender("log", {"x": "int64", "y": "int64"}) as log:
        with pytest.raises(ValueError, match="the Series of 'x' and 'y' have different indices"):
            log.append({"x": one, "y": other})
        log.append({"x": one, "y": one + 1})
        log.append({"x": one, "y": [2, 3]})
    assert store.get("log")["y"].tolist() == [2, 3, 2, 3]


def test_labels_are_unique(store):
    with pytest.raises(ValueError, match="repeated"):
        store.appender("log", like=pd.DataFrame([[1, 2]], columns=["x", "x"]))


def test_errors_do_not_move_the_cursor_of_a_terminal(store):
    label = "a\x1b[31m\u202e"
    with store.appender("t", {label: "int64"}) as log:
        for call in (
            lambda: store.appender("u", {label: label}),
            lambda: store.appender("u", {"a": "int64"}, retain=label),
            lambda: store.appender("u", {"a\ud800": "int64"}),
            lambda: log.append({"other": [1]}),
            lambda: log.append({label: ["text"]}),
        ):
            with pytest.raises((ValueError, cn.ColonnadeError)) as info:
                call()
            assert str(info.value).isprintable()
    with pytest.raises(ValueError, match="other columns") as info:
        store.appender("t", {label: "int32"})
    assert str(info.value).isprintable()


@pytest.mark.parametrize("part", [slice(None, None, -1), slice(None, None, 2), slice(1, None)], ids=str)
def test_parts_of_a_frame(store, part):
    """Their memory is not contiguous, and that of a mask is not either."""
    frame = every_type(9).iloc[part]
    with store.appender("t", like=frame) as log:
        log.append(frame)
    same(store.get("t"), frame.reset_index(drop=True))
