"""Arrow arrays of every type with children: dictionaries, lists, structs, maps, run ends, unions."""

import numpy as np
import pyarrow as pa

from support.arrow_flat import KINDS, children


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
        return pa.ListArray.from_arrays(offsets, children(kind, rng, offsets[-1].as_py()))

    return make


def _large_list(kind):
    def make(rng, n):
        offsets = _offsets(rng, n, "int64")
        return pa.LargeListArray.from_arrays(offsets, children(kind, rng, offsets[-1].as_py()))

    return make


def _list_of_a_part(rng, n):
    """Lists whose values neither begin nor end where the memory of the values does."""
    offsets = pa.array(_offsets(rng, n).to_numpy() + np.int32(3))
    return pa.ListArray.from_arrays(offsets, children("int32", rng, offsets[-1].as_py() + 9).slice(2))


def fixed_size_list(kind, size):
    return lambda rng, n: pa.FixedSizeListArray.from_arrays(
        children(kind, rng, n * size), type=pa.list_(KINDS[kind](rng, 0).type, size)
    )


def _list_view(kind, array_of=pa.ListViewArray, dtype="int32"):
    """Views of the values in any order, which overlap."""

    def make(rng, n):
        sizes = rng.integers(0, 4, n).astype(dtype)
        return array_of.from_arrays(
            pa.array(rng.integers(0, 9, n).astype(dtype)), pa.array(sizes), children(kind, rng, 12)
        )

    return make


def _struct(**kinds):
    def make(rng, n):
        fields = [pa.field(name, KINDS[kind](rng, 0).type) for name, kind in kinds.items()]
        return pa.StructArray.from_arrays([children(kind, rng, n) for kind in kinds.values()], fields=fields)

    return make


def _struct_of_parts(rng, n):
    """Fields that begin in the middle of their own memory."""
    fields = [children(kind, rng, n + at + 2).slice(at, n) for kind, at in (("int32", 3), ("bool", 13), ("string", 1))]
    return pa.StructArray.from_arrays(fields, names=["i", "b", "s"])


def _struct_of_nothing(rng, n):
    return pa.Array.from_buffers(pa.struct([]), n, [None], children=[])


def _struct_of_one_name(rng, n):
    return pa.StructArray.from_arrays([children("int64", rng, n), children("string", rng, n)], names=["x", "x"])


def _map(keys, items, *, repeated=False):
    def make(rng, n):
        offsets = _offsets(rng, n)
        count = offsets[-1].as_py()
        result = KINDS[keys](rng, count)
        if not repeated and keys == "string":
            result = pa.array([f"{word}{i}" for i, word in enumerate(result.to_pylist())], result.type)
        return pa.MapArray.from_arrays(offsets, result, children(items, rng, count))

    return make


def _run_ends(index, kind):
    def make(rng, n):
        ends = np.unique(np.append(rng.integers(1, n + 1, n // 3), n)) if n else np.array([])
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends.astype(index)), children(kind, rng, len(ends)))

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
    "fixed_size_list<float>": fixed_size_list("float", 3),
    "fixed_size_list<string>": fixed_size_list("string", 2),
    "fixed_size_list<bool>": fixed_size_list("bool", 3),
    "fixed_size_list of one": fixed_size_list("int64", 1),
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

KINDS |= DICTIONARIES | NESTED
