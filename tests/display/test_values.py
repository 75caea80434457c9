"""One value as a short text: the same as PyArrow's, from a bounded number of bytes, and never a crash."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
import pytest

from colonnade.display.fitting import one_line
from colonnade.display.values import DAMAGED, brief, text_of
from support.arrow_flat import NULLS, with_nulls
from support.arrow_tables import KINDS

ROWS = 30
NOT_LOOKED_INTO = {"dense_union", "string_view", "binary_view"}  # views are other types once they are stored


def words(value, kind, depth=3, quoted=False):
    """The expected text of a Python value that PyArrow gives for a value of a type."""
    if value is None:
        return "null"
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        kind = kind.value_type
    if pt.is_map(kind):
        pair = (kind.key_type, kind.item_type)
        return joined(
            "{}",
            [": ".join(words(v, k, depth - 1, True) for v, k in zip(item, pair, strict=True)) for item in value[:6]]
            if depth
            else value,
        )
    if pt.is_struct(kind):
        return joined(
            "{}",
            [f"{field.name!r}: {words(value[field.name], field.type, depth - 1, True)}" for field in kind]
            if depth
            else value,
        )
    if isinstance(value, list):
        return joined("[]", [words(item, kind.value_type, depth - 1, True) for item in value[:6]] if depth else value)
    return repr(value) if isinstance(value, bytes) or (quoted and isinstance(value, str)) else str(value)


def joined(brackets, items):
    if not isinstance(items, list) or (items and not isinstance(items[0], str)):
        items = ["…"] if items else []
    return brackets[0] + ", ".join([*items[:5], *["…"][: len(items) > 5]]) + brackets[1]


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("nulls", ["none", "some"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_type_as_pyarrow_has_it(kind, nulls, offset):
    rng = np.random.default_rng(7)
    array = with_nulls(KINDS[kind](rng, ROWS + offset), NULLS[nulls](rng, ROWS + offset)).slice(offset, ROWS)
    result = [text_of(array, row) for row in range(ROWS)]
    assert DAMAGED not in result
    assert all(len(text) <= 1200 and text.isprintable() for text in result)
    if getattr(array.type, "extension_name", "").startswith("pandas."):
        valid = array.is_valid().to_pylist()
        assert result == [str(v) if there else "null" for v, there in zip(array.to_pandas(), valid, strict=True)]
        return
    try:
        values = array.to_pylist()
    except (OverflowError, ValueError, KeyError):  # what Python cannot hold
        return
    if not any(view in kind for view in NOT_LOOKED_INTO):
        assert result == [brief(words(value, array.type)) for value in values]


def _changed(kind, good, bad, *others, children=()):
    """An array whose first buffer is changed after PyArrow has checked it."""
    memory = np.array(good)
    rows = len(memory) - (0 if pt.is_large_list_view(kind) or pt.is_integer(kind) else 1)
    buffers = [None, pa.py_buffer(memory), *(pa.py_buffer(np.array(other)) for other in others)]
    array = pa.Array.from_buffers(kind, rows, buffers, children=list(children))
    memory[:] = bad
    return array


def _coded(bad, values):
    return pa.DictionaryArray.from_arrays(_changed(pa.int64(), [0], [bad], children=()), values, safe=False)


TEXT = np.frombuffer(b"abcdef", "u1")
FAR = 1 << 40  # a byte that is nobody's
NUMBERS = pa.array([1, 2, 3, 4, 5, 6])
STRINGS = pa.large_string()
LISTS, VIEWS = pa.large_list(pa.int64()), pa.large_list_view(pa.int64())
BROKEN = {
    "string, past the end": _changed(STRINGS, [0, 3, 6], [0, FAR, 6], TEXT),
    "string, before the start": _changed(STRINGS, [0, 3, 6], [-FAR, 3, 6], TEXT),
    "string, backwards": _changed(STRINGS, [0, 3, 6], [6, 3, 6], TEXT),
    "string, of 32 bits": _changed(pa.string(), np.array([0, 3, 6], "i4"), [0, 1 << 30, 6], TEXT),
    "binary, past the end": _changed(pa.large_binary(), [0, 3, 6], [FAR, FAR + 1, 6], TEXT),
    "list, past the end": _changed(LISTS, [0, 3, 6], [0, FAR, 6], children=[NUMBERS]),
    "list, before the start": _changed(LISTS, [0, 3, 6], [-FAR, 3, 6], children=[NUMBERS]),
    "list, backwards": _changed(LISTS, [0, 3, 6], [6, 3, 6], children=[NUMBERS]),
    "list view, past the end": _changed(VIEWS, [0, 3], [5, 3], [3, 3], children=[NUMBERS]),
    "list view, far past the end": _changed(VIEWS, [0, 3], [FAR, 3], [3, 3], children=[NUMBERS]),
    "list view, before the start": _changed(VIEWS, [0, 3], [-FAR, 3], [3, 3], children=[NUMBERS]),
    "code, too large": _coded(FAR, pa.array(["a"])),
    "code, negative": _coded(-7, pa.array(["a"])),
    "category, past the end": pa.DictionaryArray.from_arrays(
        pa.array([0], pa.int8()), _changed(STRINGS, [0, 3, 6], [0, FAR, 6], TEXT)),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_no_place_is_trusted(what):
    assert text_of(BROKEN[what], 0) == DAMAGED


def test_a_broken_value_inside_of_others_is_told_apart():
    strings = _changed(STRINGS, [0, 3, 6, 6], [0, 3, FAR, 6], TEXT)
    lists = pa.LargeListArray.from_arrays(pa.array([0, 2], pa.int64()), strings)
    assert text_of(lists, 0) == f"['abc', {DAMAGED}]"
    assert text_of(pa.StructArray.from_arrays([strings], ["s"]), 1) == f"{{'s': {DAMAGED}}}"


def test_a_row_that_is_not_there():
    for array in (NUMBERS, pa.array([{"a": 1}]), pa.array([[1]]), pa.array(["a"])):
        assert text_of(array, len(array)) == DAMAGED


def test_what_is_no_utf8_is_shown_as_far_as_it_is():
    data = pa.array([b"a\xff\xfeb", "é".encode() * 700 + b"\xff"]).view(pa.string())
    assert text_of(data, 0) == "a\ufffd\ufffdb"
    assert text_of(data, 1) == "é" * 299 + "…"


@pytest.mark.parametrize(
    "value",
    ["x" * 50_000_000, "語" * 20_000_000, b"\x00" * 50_000_000, list(range(2_000_000)), ["x" * 10_000_000] * 9],
    ids=lambda value: f"{type(value).__name__} of {type(value[0]).__name__}",
)
def test_of_a_long_value_little_is_read(value):
    array = pa.array([value, value])
    text_of(array, 0)
    before, bytes_before = time.process_time(), pa.total_allocated_bytes()
    text = text_of(array, 1)
    assert time.process_time() - before < 0.01
    assert pa.total_allocated_bytes() - bytes_before < 100_000
    assert len(text) <= 300
    assert "…" in text


def test_a_text_is_on_one_line_and_moves_nothing():
    assert brief("a\nb\tc\x1b[2J\u202ed\u200e") == "a\\nb\\tc\\x1b[2J\\u202ed\\u200e"
    assert brief("x" * 301) == "x" * 299 + "…"
    assert brief(None) == "None"
    assert text_of(pa.array(["a\rb"]), 0) == one_line("a\rb")
