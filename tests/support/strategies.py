"""Frames of every kind that a round trip must keep: every dtype, index and label that the README promises.

Columns are drawn from a table of makers; a maker gets a seeded NumPy generator and a length. Hypothesis chooses which, how many
rows, how they are sliced, and shrinks to the maker that fails.
"""

import collections
import datetime as dt
import decimal
import enum
import zoneinfo

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pytz
from hypothesis import strategies as st

WORDS = np.array(["", "a", "Ada", "naïve", "数据", "🏛", "x" * 40, "with\0nul", "é" * 17], dtype=object)


def _some_null(values, rng, null=None):
    values = list(values)
    for i in np.flatnonzero(rng.random(len(values)) < 0.3):
        values[i] = null
    return values


def _integers(dtype):
    info = np.iinfo(dtype)
    return lambda rng, n: rng.integers(info.min, info.max, n, dtype=dtype, endpoint=True)


def _floats(dtype):
    def make(rng, n):
        values = rng.standard_normal(n).astype(dtype)
        values[rng.random(n) < 0.2] = np.nan
        values[rng.random(n) < 0.05] = np.inf
        values[rng.random(n) < 0.05] = -0.0
        return values

    return make


def _times(kind, unit):
    def make(rng, n):
        values = rng.integers(-(10**9), 10**9, n).astype(f"{kind}8[{unit}]")
        values[rng.random(n) < 0.2] = np.timedelta64("NaT", unit) if kind == "m" else np.datetime64("NaT", unit)
        return values

    return make


def _zoned(unit, tz):
    return lambda rng, n: pd.Series(_times("M", unit)(rng, n)).dt.tz_localize("UTC").dt.tz_convert(tz).array


def _masked(dtype, make):
    return lambda rng, n: pd.array(_some_null(make(rng, n).tolist(), rng, pd.NA), dtype=dtype)


def _words(rng, n):
    return rng.choice(WORDS, n)


def _strings(dtype):
    return lambda rng, n: pd.array(_some_null(_words(rng, n), rng), dtype=dtype)


def _bools(rng, n):
    return rng.random(n) < 0.5


def _categorical(categories, ordered, nulls=True):
    def make(rng, n):
        codes = rng.integers(-1 if nulls else 0, len(categories), n) if len(categories) else np.full(n, -1)
        return pd.Categorical.from_codes(codes, categories, ordered=ordered)

    return make


def _arrow(type_, values):
    def make(rng, n):
        values_drawn = [values[i] for i in rng.integers(0, len(values), n)]
        return pd.array(pa.array(_some_null(values_drawn, rng), type_), dtype=pd.ArrowDtype(type_))

    return make


def _intervals(subtype):
    def make(rng, n):
        left = rng.integers(0, 1000, n)
        if subtype == "float64":
            left = left.astype("float64")
            left[rng.random(n) < 0.2] = np.nan
            return pd.arrays.IntervalArray.from_arrays(left, left + 1.5, closed="both")
        if subtype == "datetime64":
            left = pd.to_datetime(left, unit="D", utc=True)
            return pd.arrays.IntervalArray.from_arrays(left, left + pd.Timedelta(days=1), closed="left")
        return pd.arrays.IntervalArray.from_arrays(left, left + 1)

    return make


def _periods(freq):
    def make(rng, n):
        return pd.array(
            _some_null([pd.Period(ordinal=int(i), freq=freq) for i in rng.integers(0, 999, n)], rng, pd.NaT),
            f"period[{freq}]",
        )

    return make


_STRUCT = pa.struct([("x", pa.int16()), ("y", pa.string())])
_STRUCT_OF_DICTIONARY = pa.struct([("d", pa.dictionary(pa.int8(), pa.string()))])

# Columns that come back exactly, dtype for dtype and value for value.
EXACT = {
    **{name: _integers(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: _floats(name) for name in ("float16", "float32", "float64")},
    "bool": _bools,
    "str": _strings("str"),
    "str[python]": _strings(pd.StringDtype("python", na_value=np.nan)),
    "string[pyarrow]": _strings(pd.StringDtype("pyarrow")),
    "string[python]": _strings(pd.StringDtype("python")),
    "object of str": lambda rng, n: np.array(_some_null(_words(rng, n), rng), dtype=object),
    **{f"datetime64[{unit}]": _times("M", unit) for unit in ("s", "ms", "us", "ns")},
    **{f"timedelta64[{unit}]": _times("m", unit) for unit in ("s", "ms", "us", "ns")},
    "datetime64[ns, UTC]": _zoned("ns", "UTC"),
    "datetime64[us, Europe/Paris]": _zoned("us", zoneinfo.ZoneInfo("Europe/Paris")),
    "datetime64[s, +05:30]": _zoned("s", dt.timezone(dt.timedelta(hours=5, minutes=30))),
    **{
        f"{kind}{bits}": _masked(f"{kind}{bits}", _integers(f"{kind}{bits}".lower()))
        for kind in ("Int", "UInt")
        for bits in (8, 16, 32, 64)
    },
    "Float32": _masked("Float32", lambda rng, n: rng.random(n)),
    "Float64": _masked("Float64", lambda rng, n: rng.random(n)),
    "boolean": _masked("boolean", _bools),
    "category of str": _categorical(["b", "a", "naïve", "unused"], False),
    "category of str, ordered, no nulls": _categorical(["b", "a"], True, nulls=False),
    "category of many": _categorical([f"c{i}" for i in range(300)], False),
    "category of int": _categorical(pd.Index([3, 1, 2]), False),
    "category of range": _categorical(pd.RangeIndex(4), True),
    "category of float": _categorical(pd.Index([0.5, -1.0]), False),
    "category of bool": _categorical(pd.Index([True, False]), False),
    "category of datetime": _categorical(pd.date_range("2020", periods=3, tz="Asia/Tokyo"), True),
    "category of timedelta": _categorical(pd.to_timedelta([1, 2], unit="h"), False),
    "category of interval": _categorical(pd.interval_range(0, 4), True),
    "category of period": _categorical(pd.period_range("2020-01", periods=3, freq="M"), False),
    "category of object str": _categorical(pd.Index(["x", "y"], dtype=object), False),
    "category of nothing": _categorical(pd.Index([], dtype="int64"), False),
    "category of Int64": _categorical(pd.Index([5, 7], dtype="Int64"), False),
    "period[D]": _periods("D"),
    "period[M]": _periods("M"),
    "period[W-SUN]": _periods("W-SUN"),
    "interval of int": _intervals("int64"),
    "interval of float": _intervals("float64"),
    "interval of datetime": _intervals("datetime64"),
    "arrow int8": _arrow(pa.int8(), [1, -1]),
    "arrow bool": _arrow(pa.bool_(), [True, False]),
    "arrow double": _arrow(pa.float64(), [1.5, float("nan")]),
    "arrow string": _arrow(pa.string(), ["", "abc", "数据"]),
    "arrow large_string": _arrow(pa.large_string(), ["", "abc"]),
    "arrow binary": _arrow(pa.binary(), [b"", b"\x00\xff"]),
    "arrow large_binary": _arrow(pa.large_binary(), [b"", b"\x00\xff"]),
    "arrow fixed_size_binary": _arrow(pa.binary(3), [b"abc", b"xyz"]),
    "arrow date32": _arrow(pa.date32(), [dt.date(1969, 7, 20), dt.date(2026, 1, 1)]),
    "arrow date64": _arrow(pa.date64(), [dt.date(1969, 7, 20)]),
    "arrow time32": _arrow(pa.time32("ms"), [dt.time(1, 2, 3)]),
    "arrow time64": _arrow(pa.time64("ns"), [dt.time(1, 2, 3)]),
    "arrow timestamp": _arrow(pa.timestamp("us", "UTC"), [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]),
    "arrow duration": _arrow(pa.duration("ms"), [dt.timedelta(seconds=5)]),
    "arrow decimal128": _arrow(pa.decimal128(9, 2), [decimal.Decimal("1.25")]),
    "arrow decimal256": _arrow(pa.decimal256(50, 3), [decimal.Decimal("1.250")]),
    "arrow null": _arrow(pa.null(), [None]),
    "arrow list": _arrow(pa.list_(pa.int32()), [[], [1, None, 3], [4]]),
    "arrow large_list of str": _arrow(pa.large_list(pa.string()), [["a", None], []]),
    "arrow list of bool": _arrow(pa.list_(pa.bool_()), [[True], [], [None, False, True]]),
    "arrow fixed_size_list": _arrow(pa.list_(pa.float32(), 2), [[1.0, 2.0], [None, 4.0]]),
    "arrow struct": _arrow(_STRUCT, [{"x": 1, "y": "a"}, {"x": None, "y": None}]),
    "arrow list of struct": _arrow(pa.list_(_STRUCT), [[{"x": 1, "y": "a"}], []]),
    "arrow map": _arrow(pa.map_(pa.string(), pa.int8()), [[("k", 1)], [], [("a", None), ("b", 2)]]),
    "arrow dictionary": _arrow(pa.dictionary(pa.int8(), pa.string()), ["u", "v"]),
    # From a column that has both values: of nulls alone, PyArrow 26 makes an array that its own validation refuses.
    "arrow struct of dictionary": lambda rng, n: pd.array(
        pa.array([{"d": "u"}, {"d": "v"}, *_some_null([{"d": "u"}] * n, rng)], _STRUCT_OF_DICTIONARY)[2:],
        dtype=pd.ArrowDtype(_STRUCT_OF_DICTIONARY),
    ),
}

# The same, but pandas' own comparison raises NotImplementedError for these types.
NOT_COMPARED = {
    "arrow string_view": _arrow(pa.string_view(), ["short", "a string that is longer than twelve bytes"]),
    "arrow binary_view": _arrow(pa.binary_view(), [b"short", b"bytes that are more than twelve"]),
    "arrow list_view": _arrow(pa.list_view(pa.int8()), [[1, 2], []]),
    "arrow run_end_encoded": lambda _, n: pd.array(
        pa.chunked_array(
            [
                pa.RunEndEncodedArray.from_arrays(
                    pa.array([n] if n else [], pa.int32()), pa.array([7] if n else [], pa.int64())
                )
            ]
        ),
        dtype=pd.ArrowDtype(pa.run_end_encoded(pa.int32(), pa.int64())),
    ),
}

# Index kinds besides RangeIndex; object cells are left out where pandas would infer another dtype.
INDEXES = {
    name: make
    for name, make in EXACT.items()
    if name not in ("float16", "arrow list", "arrow struct of dictionary")
    and not name.startswith(
        ("arrow list", "arrow large_list", "arrow fixed_size_list", "arrow struct", "arrow map", "arrow null")
    )
}


@st.composite
def indexes(draw, rows):
    kind = draw(st.sampled_from(["range", "single", "dates", "multi"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    name = draw(st.sampled_from([None, "key", 7, ("a", 1), 2.5]))
    if kind == "range":
        start, step = draw(st.integers(-10, 10)), draw(st.sampled_from([1, -1, 3]))
        return pd.RangeIndex(start, start + rows * step, step, name=name)
    if kind == "dates":
        make = draw(st.sampled_from([pd.date_range, pd.timedelta_range]))
        freq = draw(st.sampled_from(["D", "h", "15min"]))
        return make(0 if make is pd.timedelta_range else "2020-02-28", periods=rows, freq=freq, name=name)
    makers = st.sampled_from(sorted(INDEXES))
    if kind == "single":
        return _index(INDEXES[draw(makers)](rng, rows), name)
    levels = [
        _index(INDEXES[key](rng, rows), None)
        for key in draw(st.lists(makers.filter(_sortable), min_size=2, max_size=3))
    ]
    names = draw(st.lists(st.sampled_from([None, "k", 3]), min_size=len(levels), max_size=len(levels)))
    return pd.MultiIndex.from_arrays(levels, names=names)


def _index(values, name):
    return pd.Index(values, dtype=values.dtype, name=name)


def _sortable(name):
    # pandas factorizes a MultiIndex's levels, and has no order for these.
    return not name.startswith(
        ("arrow dictionary", "interval", "category of interval", "arrow decimal", "str[python]", "string[")
    )


@st.composite
def labels(draw, count):
    kind = draw(
        st.sampled_from(
            [
                "str",
                "str",
                "range",
                "ints",
                "mixed",
                "dates",
                "duplicates",
                "multi",
                "floats",
                "category",
                "object",
                "periods",
            ]
        )
    )
    name = draw(st.sampled_from([None, "columns", 1]))
    numbers = list(range(count))
    result = {
        "str": lambda: pd.Index([f"c{i}" for i in numbers], dtype="str"),
        "range": lambda: pd.RangeIndex(2, 2 + 3 * count, 3),
        "ints": lambda: pd.Index(numbers[::-1], dtype="int64"),
        "mixed": lambda: pd.Index([(i, str(i), None, True, ("t", i), 0.5)[i % 6] for i in numbers], dtype=object),
        "dates": lambda: pd.date_range("2020", periods=count, tz="UTC"),
        "duplicates": lambda: pd.Index([f"c{i // 2}" for i in numbers], dtype="str"),
        "multi": lambda: pd.MultiIndex.from_arrays(
            [[("a", 1)[i % 2] for i in numbers], pd.Index(numbers, dtype="int8")], names=["l", None]
        ),
        "floats": lambda: pd.Index([i + 0.5 for i in numbers], dtype="float64"),
        "category": lambda: pd.CategoricalIndex([f"k{i % 3}" for i in numbers]),
        "object": lambda: pd.Index([f"c{i}" for i in numbers], dtype=object),
        "periods": lambda: pd.period_range("2020", periods=count, freq="M"),
    }[kind]()
    return result if kind == "multi" else result.rename(name)


@st.composite
def frames(draw, max_rows=70):
    """Any frame whose round trip must be exact."""
    rows = draw(st.sampled_from([0, 1, 2, 7, 8, 63, 64, 65, max_rows]))
    keys = draw(st.lists(st.sampled_from(sorted(EXACT)), max_size=8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    extra = draw(st.integers(0, 5))
    columns = {i: pd.Series(EXACT[key](rng, rows + extra), dtype=None) for i, key in enumerate(keys)}
    df = pd.DataFrame(columns, index=pd.RangeIndex(rows + extra))
    # A frame that starts in the middle of its memory.
    df = df.iloc[extra:] if draw(st.booleans()) else df.iloc[:rows]
    df.index = draw(indexes(rows))
    df.columns = draw(labels(len(keys)))
    if draw(st.booleans()):
        df.attrs = {"source": "test", "n": [1, 2.5, None]}
    return df


# ---- Python objects -------------------------------------------------------------------------------------------------------------


class Text(str):
    """A subclass: equal to a string, and none."""

    __slots__ = ()


class Colour(enum.Enum):
    RED = "red"


class Weekday(enum.IntEnum):
    MONDAY = 0


Point = collections.namedtuple("Point", "x y")

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
ZONES = [dt.UTC, PARIS, zoneinfo.ZoneInfo("UTC"), pytz.UTC, dt.timezone(dt.timedelta(hours=-3, minutes=-30)), dateutil.tz.gettz("Asia/Tokyo")]  # fmt: skip

# One strategy for each kind of scalar; kinds that are easily taken for each other stand side by side.
SCALARS = {
    "str": st.text(max_size=5),
    "str of its own class": st.builds(Text, st.text(max_size=3)),
    "numpy str": st.builds(np.str_, st.text(max_size=3)),
    "bytes": st.binary(max_size=4),
    "bytearray": st.builds(bytearray, st.binary(max_size=4)),
    "bool": st.booleans(),
    "numpy bool": st.builds(np.bool_, st.booleans()),
    "int": st.integers(-9, 9),
    "large int": st.integers(-(2**65), 2**65),
    "numpy int": st.builds(np.int64, st.integers(-9, 9)),
    "IntEnum": st.just(Weekday.MONDAY),
    "Enum": st.just(Colour.RED),
    "float": st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0]),
    "numpy float": st.builds(np.float32, st.floats(width=32)),
    "Fraction": st.fractions(),
    "complex": st.complex_numbers(),
    "Decimal": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999),
    "any Decimal": st.decimals(),
    "date": st.dates(),
    "datetime": st.datetimes(),
    "datetime of a zone": st.datetimes(dt.datetime(1902, 1, 1), dt.datetime(2100, 1, 1), timezones=st.sampled_from(ZONES)),
    "Timestamp": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)).map(pd.Timestamp),
    "Timestamp of any unit": st.builds(lambda at, unit: pd.Timestamp(at, unit="s").as_unit(unit), st.integers(0, 2**31), st.sampled_from(["s", "ms", "us", "ns"])),
    "Timestamp of a zone": st.builds(lambda at, tz: pd.Timestamp(at, unit="s", tz=tz), st.integers(0, 2**31), st.sampled_from(ZONES[:3])),
    "Timestamp of nanoseconds": st.integers(0, 2**60).map(pd.Timestamp),
    "numpy datetime": st.integers(0, 9999).map(lambda days: np.datetime64(days, "D")),
    "time": st.times(),
    "time of a zone": st.times(timezones=st.sampled_from(ZONES)),
    "timedelta": st.timedeltas(),
    "Timedelta": st.integers(-(2**60), 2**60).map(pd.Timedelta),
    "UUID": st.uuids(),
    "Period": st.integers(0, 99).map(lambda ordinal: pd.Period(ordinal=ordinal, freq="M")),
    "Interval": st.integers(0, 99).map(lambda left: pd.Interval(left, left + 1)),
    "range": st.just(range(3)),
    "object": st.just(object()),
}  # fmt: skip
MISSING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])


def _containers(items):
    return {
        "list": st.lists(items, max_size=3),
        "tuple": st.lists(items, max_size=3).map(tuple),
        "set": st.frozensets(st.integers(0, 3)),
        "dict": st.dictionaries(st.sampled_from("ab"), items, max_size=2),
        "full dict": st.fixed_dictionaries({"a": items, "b": items}),
        "dict of number keys": st.dictionaries(st.integers(0, 2), items, max_size=1),
        "OrderedDict": st.dictionaries(st.sampled_from("ab"), items, max_size=2).map(collections.OrderedDict),
        "namedtuple": st.builds(Point, items, items),
    }


ARRAYS = {
    "array": st.builds(
        lambda dtype, items: np.array(items, dtype),
        st.sampled_from(["int64", "int8", "uint64", "float32", "float64", "bool", ">i4", "M8[ns]", "M8[us]", "m8[s]", "U3", "S2", "float16", object]),
        st.lists(st.integers(0, 99), max_size=4),
    ),
    "array of two axes": st.just(np.ones((2, 2))),
    "array of objects": st.lists(st.sampled_from(["a", "b", None]), max_size=3).map(lambda items: np.array(items, object)),
    "array of no axes": st.just(np.array(1)),
}  # fmt: skip


@st.composite
def object_cells(draw, max_rows=12):
    """The cells of a column of Python objects: of one kind, of kinds that are taken for each other, or of any; some are missing."""
    names = st.sampled_from(sorted(SCALARS))
    depth = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))
    cell = SCALARS[draw(names)]
    if draw(st.integers(0, 3)) == 0:
        cell |= SCALARS[draw(names)]
    if depth == 3:
        cell = ARRAYS[draw(st.sampled_from(sorted(ARRAYS)))]
    else:
        for _ in range(depth):
            inner = cell | MISSING if draw(st.booleans()) else cell
            containers = _containers(inner)
            cell = containers[draw(st.sampled_from(sorted(containers)))]
    if draw(st.booleans()):
        cell |= draw(st.sampled_from([st.none(), st.just(np.nan), MISSING]))
    return draw(st.lists(cell, max_size=max_rows))


def object_array(cells):
    """An array of dtype object with these cells; NumPy would take containers apart."""
    array = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        array[row] = cell
    return array
