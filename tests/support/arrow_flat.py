"""Arrow arrays of every type without children, and where their nulls are."""

import numpy as np
import pyarrow as pa

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


def chosen_of(type_, values):
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
    "interval": chosen_of(pa.month_day_nano_interval(), [pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 0, 0]), pa.MonthDayNano([-7, 400, -(2**62)])]),
    "decimal32": _decimals(pa.decimal32(7, 2)),
    "decimal64": _decimals(pa.decimal64(18, 3)),
    "decimal128": _decimals(pa.decimal128(38, 10)),
    "decimal128, of whole numbers": _decimals(pa.decimal128(12, 0)),
    "decimal128, of hundreds": _decimals(pa.decimal128(12, -2)),
    "decimal256": _decimals(pa.decimal256(76, 3)),
    "string": chosen_of(pa.string(), TEXTS),
    "large_string": chosen_of(pa.large_string(), TEXTS),
    "string_view": chosen_of(pa.string_view(), TEXTS),
    "string, all different": lambda rng, n: pa.array(rng.integers(0, 10**12, n).astype(str).tolist(), pa.string()),
    "binary": chosen_of(pa.binary(), BYTES),
    "large_binary": chosen_of(pa.large_binary(), BYTES),
    "binary_view": chosen_of(pa.binary_view(), BYTES),
    "fixed_size_binary": chosen_of(pa.binary(3), TRIPLES),
    "fixed_size_binary of nothing": chosen_of(pa.binary(0), [b""]),
    "null": lambda rng, n: pa.nulls(n),
}  # fmt: skip

# Every kind by its name. `arrow_nested` and `arrow_extensions` add theirs, whose children may be of any kind.
KINDS = dict(FLAT)


def children(kind, rng, n):
    """Values of a kind as children of another type, with or without nulls of their own."""
    array = KINDS[kind](rng, n)
    return with_nulls(array, NULLS[rng.choice(["none", "none", "some", "all"])](rng, n))
