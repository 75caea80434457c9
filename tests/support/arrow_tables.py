"""Arrow tables of every type, with nulls, chunks and offsets of every pattern.

A column is a small recipe: which kind of values, where the nulls are, how it is cut into chunks, and a seed. Hypothesis draws and
shrinks recipes, so that a failure names a column that a reader can build again; the values come from a seeded NumPy generator. What
lies under a null is no zero but some other value of the kind, as Arrow allows.
"""

import dataclasses
import functools
import itertools
import string

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st
from pandas.core.arrays.arrow.extension_types import ArrowIntervalType, ArrowPeriodType

from support.strategies import WORDS

LENGTHS = [0, 1, 7, 8, 63, 64, 65, 511, 512, 513, 2047, 2048, 2049, 4097]
OFFSETS = [0, 1, 3, 8, 13, 64, 65]
DAY = 86_400
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = ["+05:30", "UTC", "America/New_York", "Europe/Paris"]


# ---- Nulls ----------------------------------------------------------------------------------------------------------------------

# Which rows hold a value; None is an array without a bitmap.
NULLS = {
    "none": lambda rng, n: None,
    "none, with a bitmap": lambda rng, n: np.ones(n, bool),
    "all": lambda rng, n: np.zeros(n, bool),
    "every second": lambda rng, n: np.arange(n) % 2 == 0,
    "some": lambda rng, n: rng.random(n) < 0.7,
    "one": lambda rng, n: np.arange(n) != rng.integers(0, max(n, 1)),
    "runs": lambda rng, n: np.arange(n) // 64 % 2 == 0,
}


def with_nulls(array, valid):
    """The same memory with another bitmap, whose nulls are not counted yet."""
    type_, n = array.type, len(array)
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, with_nulls(array.storage, valid))
    without_bitmap = (pa.types.is_null, pa.types.is_run_end_encoded, pa.types.is_union)
    if valid is None or array.null_count or any(is_that(type_) for is_that in without_bitmap):
        return array
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    if pa.types.is_dictionary(type_):
        codes = array.indices.to_numpy().copy()
        codes[~valid] = np.iinfo(codes.dtype).max  # no code at all
        return pa.DictionaryArray.from_buffers(type_, n, [bitmap, pa.py_buffer(codes)], array.dictionary)
    children, buffers = None, array.buffers()[1:]
    if pa.types.is_map(type_):
        fields = [type_.key_field, type_.item_field]
        children = [pa.StructArray.from_arrays([array.keys, array.items], fields=fields)]
        buffers = buffers[:1]
    elif pa.types.is_struct(type_):
        children, buffers = [array.field(i) for i in range(type_.num_fields)], []
    elif pa.types.is_nested(type_):
        children, buffers = [array.values], buffers[: type_.num_buffers - 1]
    return pa.Array.from_buffers(type_, n, [bitmap, *buffers], children=children)


# ---- Kinds ----------------------------------------------------------------------------------------------------------------------


def _spiced(values, rng, spices):
    """Replace some of the values by values at a limit of the type."""
    spices = np.array(spices, dtype=values.dtype)
    where = np.flatnonzero(rng.random(len(values)) < 0.2)
    values[where] = rng.choice(spices, len(where))
    return values


def _of_numbers(type_, numbers):
    """A maker of a type that is stored as the given integers or floats."""

    def make(rng, n):
        return pa.Array.from_buffers(type_, n, [None, pa.py_buffer(np.ascontiguousarray(numbers(rng, n)))])

    return make


def _integers(dtype, spices=()):
    info = np.iinfo(dtype)
    limits = [info.min, info.max, 0, 1, *spices]
    return lambda rng, n: _spiced(rng.integers(info.min, info.max, n, dtype=dtype, endpoint=True), rng, limits)


def _between(dtype, low, high, spices=()):
    return lambda rng, n: _spiced(rng.integers(low, high, n, dtype=dtype, endpoint=True), rng, [low, high, *spices])


def _floats(dtype):
    bits = np.dtype(dtype).itemsize * 8
    info = np.finfo(dtype)
    nan = int(np.array(np.nan, dtype).view(f"u{bits // 8}"))

    def make(rng, n):
        values = rng.standard_normal(n).astype(dtype)
        spices = [np.inf, -np.inf, -0.0, 0.0, info.max, info.smallest_subnormal, *([2.0**53] if bits == 64 else [])]
        values = _spiced(values, rng, spices)
        payloads = rng.choice(np.array([nan, nan | 5, nan | 1 << bits - 1], f"u{bits // 8}"), n)
        return np.where(rng.random(n) < 0.2, payloads, values.view(payloads.dtype))

    return make


def _days(first, last):
    """Milliseconds at which days begin."""
    return lambda rng, n: _between("i8", first, last)(rng, n) * (DAY * 1000)


def _decimals(type_):
    words = type_.bit_width // 64

    def make(rng, n):
        if type_.bit_width == 32:
            return rng.integers(1 - 10**type_.precision, 10**type_.precision, n, dtype="i4")
        low = rng.integers(-(10**9), 10**9, n)
        if words > 1 and type_.precision > 30:
            wide = np.repeat((low >> 63)[:, None], words, axis=1)
            wide[:, 0] = rng.integers(-(2**63), 2**63 - 1, n)
            wide[:, 1] = np.where(low < 0, low, abs(low))
            return wide
        return np.column_stack([low, *[low >> 63] * (words - 1)])

    return _of_numbers(type_, make)


def _bools(rng, n):
    return pa.Array.from_buffers(pa.bool_(), n, [None, pa.py_buffer(rng.bytes(n // 8 + 1))])


def _chosen(type_, values):
    return lambda rng, n: pa.array([values[i] for i in rng.integers(0, len(values), n)], type_)


TEXTS = WORDS.tolist()
BYTES = [b"", b"a", b"\x00", b"\xff" * 11, bytes(range(256)), "数据".encode()]
TRIPLES = [b"abc", b"\x00\x00\x00", b"\xff\x00z"]

FLAT = {
    **{name: _of_numbers(pa.type_for_alias(name), _integers(name)) for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64")},
    "int64": _of_numbers(pa.int64(), _integers("int64", [2**53, 2**53 + 1, -(2**53) - 1])),
    "half": _of_numbers(pa.float16(), _floats("f2")),
    "float": _of_numbers(pa.float32(), _floats("f4")),
    "double": _of_numbers(pa.float64(), _floats("f8")),
    "bool": _bools,
    "date32": _of_numbers(pa.date32(), _between("i4", -719_162, 2_932_896, [0, -1])),
    "date32, near": _of_numbers(pa.date32(), _between("i4", -30_000, 30_000)),
    "date32, beyond": _of_numbers(pa.date32(), _integers("i4")),
    "date64": _of_numbers(pa.date64(), _days(-719_162, 2_932_896)),
    "date64, near": _of_numbers(pa.date64(), _days(-30_000, 30_000)),
    "date64, beyond": _of_numbers(pa.date64(), _days(-(10**11), 10**11)),
    "date64, time of day": _of_numbers(pa.date64(), _between("i8", -(10**12), 10**12)),
    **{f"time32[{unit}]": _of_numbers(pa.time32(unit), _between("i4", 0, DAY * PER_SECOND[unit] - 1)) for unit in ("s", "ms")},
    **{f"time64[{unit}]": _of_numbers(pa.time64(unit), _between("i8", 0, DAY * PER_SECOND[unit] - 1)) for unit in ("us", "ns")},
    "time64[ns], of microseconds": _of_numbers(pa.time64("ns"), lambda rng, n: rng.integers(0, DAY * 10**6, n) * 1000),
    "time32[s], beyond": _of_numbers(pa.time32("s"), _between("i4", -DAY, 2 * DAY)),
    "time64[us], beyond": _of_numbers(pa.time64("us"), _between("i8", -DAY * 10**6, 2 * DAY * 10**6)),
    **{f"timestamp[{unit}]": _of_numbers(pa.timestamp(unit), _between("i8", -(2**62 // 10**9) * n, 2**62 // 10**9 * n)) for unit, n in PER_SECOND.items()},
    # From the year 1 to 9999, which Python's datetime can hold and nanoseconds cannot.
    **{f"timestamp[{unit}], wide": _of_numbers(pa.timestamp(unit), _between("i8", -62_135_596_800 * n, 253_402_300_799 * n)) for unit, n in PER_SECOND.items() if unit != "ns"},
    **{f"timestamp[{unit}], beyond": _of_numbers(pa.timestamp(unit), _integers("i8")) for unit in PER_SECOND},
    **{f"timestamp[{unit}, {zone}]": _of_numbers(pa.timestamp(unit, zone), _between("i8", -(10**9) * n, 10**9 * n)) for unit, n, zone in zip(PER_SECOND, PER_SECOND.values(), ZONES, strict=True)},
    "timestamp[s, UTC], wide": _of_numbers(pa.timestamp("s", "UTC"), _between("i8", -62_135_596_800, 253_402_300_799)),
    "timestamp[us, UTC], beyond": _of_numbers(pa.timestamp("us", "UTC"), _integers("i8")),
    "timestamp[us, unknown zone]": _of_numbers(pa.timestamp("us", "Mars/Base"), _between("i8", 0, 10**15)),
    **{f"duration[{unit}]": _of_numbers(pa.duration(unit), _between("i8", -(10**8) * n, 10**8 * n)) for unit, n in PER_SECOND.items()},
    **{f"duration[{unit}], beyond": _of_numbers(pa.duration(unit), _integers("i8")) for unit in PER_SECOND},
    "interval": _chosen(pa.month_day_nano_interval(), [pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 0, 0]), pa.MonthDayNano([-7, 400, -(2**62)])]),
    "decimal32": _decimals(pa.decimal32(7, 2)),
    "decimal64": _decimals(pa.decimal64(18, 3)),
    "decimal128": _decimals(pa.decimal128(38, 10)),
    "decimal128, of whole numbers": _decimals(pa.decimal128(12, 0)),
    "decimal128, of hundreds": _decimals(pa.decimal128(12, -2)),
    "decimal256": _decimals(pa.decimal256(76, 3)),
    "string": _chosen(pa.string(), TEXTS),
    "large_string": _chosen(pa.large_string(), TEXTS),
    "string_view": _chosen(pa.string_view(), TEXTS),
    "string, all different": lambda rng, n: pa.array(rng.integers(0, 10**12, n).astype(str).tolist(), pa.string()),
    "binary": _chosen(pa.binary(), BYTES),
    "large_binary": _chosen(pa.large_binary(), BYTES),
    "binary_view": _chosen(pa.binary_view(), BYTES),
    "fixed_size_binary": _chosen(pa.binary(3), TRIPLES),
    "fixed_size_binary of nothing": _chosen(pa.binary(0), [b""]),
    "null": lambda rng, n: pa.nulls(n),
}  # fmt: skip


def _made(kind, rng, n):
    """Values of a kind as children of another type, with or without nulls of their own."""
    array = KINDS[kind](rng, n)
    return with_nulls(array, NULLS[rng.choice(["none", "none", "some", "all"])](rng, n))


def _dictionary(index, kind, *, ordered=False, fixed=False, sliced=False):
    """Codes into a few different values of a kind. Unless fixed, each chunk has other values; not all values are used."""
    codes_of = np.dtype(index)

    def make(rng, n):
        values = KINDS[kind](np.random.default_rng(5) if fixed else rng, 40)
        values = pa.concat_arrays([values.slice(i, 1) for i in _first_of_each(values)[:9]] or [values])
        if sliced:
            values = values.slice(2)
        codes = pa.array(rng.integers(0, len(values), n).astype(codes_of))
        return pa.DictionaryArray.from_arrays(codes, values, ordered=ordered, safe=False)

    return make


def _first_of_each(values):
    """The positions of values that equal no earlier one. A category may not be repeated, 0.0 equals -0.0 in pandas, and NaN is not a category."""
    places = {repr(value): i for i, value in reversed(list(enumerate(_storage(values).to_pylist())))}
    return sorted(i for key, i in places.items() if key not in ("nan", "-0.0"))


def _storage(values):
    if isinstance(values.type, pa.BaseExtensionType):
        return values.storage
    if pa.types.is_temporal(values.type):
        return values.view(pa.int32() if values.type.bit_width == 32 else pa.int64())
    return values


def _dictionary_over(type_, values):
    """Codes into exactly these values."""

    def make(rng, n):
        codes = pa.array(rng.integers(0, len(values), n).astype("i1"))
        return pa.DictionaryArray.from_arrays(codes, pa.array(values, type_))

    return make


def _empty_dictionary(rng, n):
    """No code can be valid here, so all are null."""
    return pa.DictionaryArray.from_arrays(pa.nulls(n, pa.int8()), pa.array([], pa.string()))


INDEX_TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DICTIONARIES = {
    **{f"dictionary<{index}, {kind}>": _dictionary(index, kind) for index in INDEX_TYPES for kind in ("string", "int64")},
    **{f"dictionary<int8, {kind}>": _dictionary("int8", kind) for kind in (
        "uint64", "int8", "float", "double", "bool", "large_string", "string_view", "binary", "date32, near", "date64, near",
        "time64[us]", "timestamp[s]", "timestamp[ns]", "timestamp[us, America/New_York]", "duration[ms]",
        "decimal128", "fixed_size_binary", "null", "list<int64>", "celsius",
    )},
    **{f"dictionary<{index}, {kind}>": _dictionary(index, kind) for index, kind in (
        ("uint8", "double"), ("int16", "timestamp[ms]"), ("int32", "timestamp[us]"), ("uint32", "timestamp[us]"), ("int64", "double"),
    )},
    "dictionary, ordered": _dictionary("int16", "string", ordered=True),
    "dictionary of numbers, ordered": _dictionary("int32", "int64", ordered=True),
    "dictionary, one for all": _dictionary("int32", "string", fixed=True),
    "dictionary of numbers, one for all": _dictionary("int64", "int64", fixed=True),
    "dictionary, sliced": _dictionary("int8", "string", fixed=True, sliced=True),
    "dictionary, empty": _empty_dictionary,
    "dictionary with a null": _dictionary_over(pa.string(), ["a", None, "b"]),
    "dictionary with a repeated value": _dictionary_over(pa.string(), ["a", "b", "a"]),
    "dictionary of numbers with a null": _dictionary_over(pa.int64(), [1, None, 3]),
    "dictionary of NaN": _dictionary_over(pa.float64(), [0.5, float("nan"), -0.0]),
}  # fmt: skip


def _offsets(rng, n, of="int32"):
    return pa.array(np.concatenate([[0], np.cumsum(rng.integers(0, 4, n))]).astype(of))


def _list(kind):
    def make(rng, n):
        offsets = _offsets(rng, n)
        return pa.ListArray.from_arrays(offsets, _made(kind, rng, offsets[-1].as_py()))

    return make


def _large_list(kind):
    def make(rng, n):
        offsets = _offsets(rng, n, "int64")
        return pa.LargeListArray.from_arrays(offsets, _made(kind, rng, offsets[-1].as_py()))

    return make


def _list_of_a_part(rng, n):
    """Lists whose values neither begin nor end where the memory of the values does."""
    offsets = pa.array(_offsets(rng, n).to_numpy() + np.int32(3))
    return pa.ListArray.from_arrays(offsets, _made("int32", rng, offsets[-1].as_py() + 9).slice(2))


def _fixed_size_list(kind, size):
    return lambda rng, n: pa.FixedSizeListArray.from_arrays(
        _made(kind, rng, n * size), type=pa.list_(KINDS[kind](rng, 0).type, size)
    )


def _list_view(kind, array_of=pa.ListViewArray, dtype="int32"):
    """Views of the values in any order, which overlap."""

    def make(rng, n):
        sizes = rng.integers(0, 4, n).astype(dtype)
        return array_of.from_arrays(
            pa.array(rng.integers(0, 9, n).astype(dtype)), pa.array(sizes), _made(kind, rng, 12)
        )

    return make


def _struct(**kinds):
    def make(rng, n):
        fields = [pa.field(name, KINDS[kind](rng, 0).type) for name, kind in kinds.items()]
        return pa.StructArray.from_arrays([_made(kind, rng, n) for kind in kinds.values()], fields=fields)

    return make


def _struct_of_parts(rng, n):
    """Fields that begin in the middle of their own memory."""
    fields = [_made(kind, rng, n + at + 2).slice(at, n) for kind, at in (("int32", 3), ("bool", 13), ("string", 1))]
    return pa.StructArray.from_arrays(fields, names=["i", "b", "s"])


def _struct_of_nothing(rng, n):
    return pa.Array.from_buffers(pa.struct([]), n, [None], children=[])


def _struct_of_one_name(rng, n):
    return pa.StructArray.from_arrays([_made("int64", rng, n), _made("string", rng, n)], names=["x", "x"])


def _map(keys, items, *, repeated=False):
    def make(rng, n):
        offsets = _offsets(rng, n)
        count = offsets[-1].as_py()
        result = KINDS[keys](rng, count)
        if not repeated and keys == "string":
            result = pa.array([f"{word}{i}" for i, word in enumerate(result.to_pylist())], result.type)
        return pa.MapArray.from_arrays(offsets, result, _made(items, rng, count))

    return make


def _run_ends(index, kind):
    def make(rng, n):
        ends = np.unique(np.append(rng.integers(1, n + 1, n // 3), n)) if n else np.array([])
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends.astype(index)), _made(kind, rng, len(ends)))

    return make


def _dense_union(rng, n):
    types = rng.integers(0, 2, n).astype("i1")
    offsets = np.where(types == 0, np.cumsum(types == 0), np.cumsum(types == 1)).astype("i4") - 1
    return pa.UnionArray.from_dense(
        pa.array(types), pa.array(offsets), [KINDS["int64"](rng, n), KINDS["string"](rng, n)]
    )


NESTED = {
    **{f"list<{kind}>": _list(kind) for kind in (
        "int64", "int8", "uint64", "double", "half", "bool", "string", "large_string", "string_view", "binary", "date32, near", "time64[us]",
        "timestamp[us]", "timestamp[ns]", "timestamp[ms, UTC]", "duration[s]", "decimal128", "null", "fixed_size_binary",
        "dictionary<int8, string>", "dictionary<uint32, int64>", "dictionary, one for all",
    )},
    "list<list>": _list("list<int64>"),
    "list<fixed_size_list>": _list("fixed_size_list<float>"),
    "list<struct>": _list("struct<int64, string>"),
    "list<map>": _list("map<string, int8>"),
    "list<interval>": _list("interval"),
    "list<uuid>": _list("uuid"),
    "list of a part": _list_of_a_part,
    **{f"large_list<{kind}>": _large_list(kind) for kind in ("int64", "string", "timestamp[ms, UTC]")},
    "fixed_size_list<float>": _fixed_size_list("float", 3),
    "fixed_size_list<string>": _fixed_size_list("string", 2),
    "fixed_size_list<bool>": _fixed_size_list("bool", 3),
    "fixed_size_list of one": _fixed_size_list("int64", 1),
    "list_view<int64>": _list_view("int64"),
    "list_view<string>": _list_view("string"),
    "large_list_view<double>": _list_view("double", pa.LargeListViewArray, "int64"),
    "struct<int64, string>": _struct(a="int64", b="string"),
    "struct<all>": _struct(i="int8", f="float", t="timestamp[us]", z="timestamp[ms, UTC]", d="date32, near", n="decimal128", b="bool", l="list<int64>", s="binary"),
    "struct<struct>": _struct(x="struct<int64, string>", y="null"),
    "struct<dictionary>": _struct(d="dictionary, one for all"),
    "struct<map>": _struct(m="map<string, int8>"),
    "struct of parts": _struct_of_parts,
    "struct of nothing": _struct_of_nothing,
    "struct of one name": _struct_of_one_name,
    "map<string, int8>": _map("string", "int8"),
    "map<int32, list>": _map("int32", "list<int64>"),
    "map<date32, double>": _map("date32, near", "double"),
    "map<string, struct>": _map("string", "struct<int64, string>"),
    "map<string, map>": _map("string", "map<string, int8>"),
    "map with a repeated key": _map("bool", "string", repeated=True),
    "run_end_encoded<int32, int64>": _run_ends("int32", "int64"),
    "run_end_encoded<int16, string>": _run_ends("int16", "string"),
    "dense_union": _dense_union,
}  # fmt: skip


class Celsius(pa.ExtensionType):
    """A type that pandas has no dtype for."""

    def __init__(self):
        super().__init__(pa.float32(), "colonnade.tests.celsius")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        return cls()


class Count(Celsius):
    """A type that names its pandas dtype."""

    def __init__(self):
        pa.ExtensionType.__init__(self, pa.int64(), "colonnade.tests.count")

    def to_pandas_dtype(self):
        return pd.Int64Dtype()


class Misled(Celsius):
    """A type that names a dtype which cannot be made from Arrow."""

    def __init__(self):
        pa.ExtensionType.__init__(self, pa.int64(), "colonnade.tests.misled")

    def to_pandas_dtype(self):
        return np.dtype("int64")


for _type in (Celsius(), Count(), Misled()):
    pa.register_extension_type(_type)


def _extension(type_, kind):
    return lambda rng, n: pa.ExtensionArray.from_storage(type_, KINDS[kind](rng, n))


def _intervals(subtype, closed):
    type_ = ArrowIntervalType(subtype, closed)

    def make(rng, n):
        left = pa.array(np.arange(n)).cast(subtype)
        return pa.ExtensionArray.from_storage(
            type_, pa.StructArray.from_arrays([left, left], fields=list(type_.storage_type))
        )

    return make


EXTENSIONS = {
    "uuid": lambda rng, n: pa.ExtensionArray.from_storage(pa.uuid(), pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(rng.bytes(16 * n))])),
    "json": lambda rng, n: pa.ExtensionArray.from_storage(pa.json_(), _chosen(pa.string(), ["{}", "[1, null]", '{"a": 1}'])(rng, n)),
    "bool8": lambda rng, n: pa.ExtensionArray.from_storage(pa.bool8(), pa.array(rng.integers(0, 2, n).astype("i1"))),
    "opaque": _extension(pa.opaque(pa.int64(), "unknown", "test"), "int64"),
    "fixed_shape_tensor": lambda rng, n: pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 2]), _fixed_size_list("float", 4)(rng, n)),
    "pandas period": lambda rng, n: pa.ExtensionArray.from_storage(ArrowPeriodType("M"), pa.array(rng.integers(-999, 999, n))),
    "pandas interval": _intervals(pa.int64(), "right"),
    "pandas interval of timestamps": _intervals(pa.timestamp("us"), "both"),
    "pandas interval of zoned timestamps": _intervals(pa.timestamp("ns", "UTC"), "left"),
    "celsius": _extension(Celsius(), "float"),
    "count": _extension(Count(), "int64"),
    "misled": _extension(Misled(), "int64"),
}  # fmt: skip

KINDS = {**FLAT, **DICTIONARIES, **NESTED, **EXTENSIONS}


# ---- Recipes --------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Column:
    """How to build a column; each chunk is (offset into its memory, rows)."""

    kind: str
    nulls: str = "some"
    chunks: tuple = ((0, 67),)
    seed: int = 0

    @property
    def rows(self):
        return sum(rows for _, rows in self.chunks)

    def build(self):
        rng = np.random.default_rng([self.seed, *self.kind.encode()])
        make, valid = KINDS[self.kind], NULLS[self.nulls]
        result = []
        for offset, rows in self.chunks:
            whole = offset + rows + (3 if offset else 0)
            result.append(with_nulls(make(rng, whole), valid(rng, whole)).slice(offset, rows))
        return pa.chunked_array(result, make(rng, 0).type)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to build a table. Each build gives the same values in new memory."""

    columns: tuple
    names: tuple
    rows: int = 0  # of a table without columns

    def build(self):
        if not self.columns:
            return pa.table({"x": range(self.rows)}).select([])
        return pa.Table.from_arrays([column.build() for column in self.columns], names=list(self.names))


@functools.cache
def type_of(kind):
    return KINDS[kind](np.random.default_rng(0), 0).type


@st.composite
def chunks(draw, rows):
    """Any way to cut rows into chunks, none at all where there are no rows, and an offset for each."""
    if rows == 0 and draw(st.booleans()):
        return ()
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
    bounds = [0, *cuts, rows]
    return tuple((draw(st.sampled_from(OFFSETS)), end - start) for start, end in itertools.pairwise(bounds))


@st.composite
def columns(draw, rows, kinds):
    return Column(
        kind=draw(st.sampled_from(kinds)),
        nulls=draw(st.sampled_from(sorted(NULLS))),
        chunks=draw(chunks(rows)),
        seed=draw(st.integers(0, 3)),
    )


NAMES = [*string.ascii_lowercase[:8], "", "Größe", "数据", "with space", "1", "__index_level_0__", "None"]


@st.composite
def recipes(draw, kinds, max_columns=5):
    """Any table; a name may come twice."""
    rows = draw(st.sampled_from([0, 1, 2, 7, 8, 9, 63, 64, 65, 130, 513]))
    several = draw(st.lists(columns(rows, kinds), max_size=max_columns))
    # Half of the time a kind comes twice, so that PyArrow puts both columns into one block.
    if several and draw(st.booleans()):
        several.append(dataclasses.replace(draw(columns(rows, kinds)), kind=several[0].kind))
    unique = draw(st.sampled_from([True, True, True, False]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(several), max_size=len(several), unique=unique))
    return Recipe(tuple(several), tuple(names), rows)
