"""The hash index over key columns, compared with dictionaries, and with every number in it damaged."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from colonnade.core.key_index import KeyColumn, KeyIndex, build_index, column_of, size_of_index
from support.quick_lane import examples


def text(values):
    data = b"".join(values)
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int64)
    return KeyColumn(np.frombuffer(data, np.uint8), 0, offsets)


def build(columns, rows):
    return build_index(np.full(size_of_index(rows), 0xAA, np.uint8), columns, rows)


def expected(keys):
    rows = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return rows


@given(st.lists(st.integers(-20, 20), max_size=60), st.sampled_from(["int8", "int16", "int32", "int64"]))
def test_numbers_of_every_width(keys, dtype):
    index = build([column_of(np.array(keys, dtype))], len(keys))
    probes = np.arange(-22, 22).astype(dtype)
    first = index.find([column_of(probes)], len(probes))
    rows = expected(keys)
    assert first.tolist() == [rows.get(int(key), [-1])[0] for key in probes]
    assert index.all_rows(first).tolist() == [row for key in probes for row in rows.get(int(key), [])]
    assert index.duplicates == len(keys) - len(rows)


@given(st.lists(st.binary(max_size=40), max_size=60), st.lists(st.binary(max_size=40), max_size=20))
def test_text(keys, others):
    index = build([text(keys)], len(keys))
    probes = [*keys, *others]
    rows = expected(keys)
    assert index.find([text(probes)], len(probes)).tolist() == [rows.get(key, [-1])[0] for key in probes]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([b"", b"a", b"b" * 17]), st.booleans()), max_size=60))
def test_two_columns_and_nulls(keys):
    numbers = np.array([number for number, _, _ in keys], np.int64)
    valid = np.array([there for *_, there in keys], bool)
    index = build([column_of(numbers, valid), text([word for _, word, _ in keys])], len(keys))
    rows = {}
    for row, (number, word, there) in enumerate(keys):
        if there:
            rows.setdefault((number, word), []).append(row)
    probes = [(number, word) for number in range(5) for word in (b"", b"a", b"b" * 17, b"c")]
    first = index.find([column_of(np.array([n for n, _ in probes])), text([w for _, w in probes])], len(probes))
    assert first.tolist() == [rows.get(key, [-1])[0] for key in probes]
    assert index.nulls == int((~valid).sum())
    # A key with a null is nowhere, whatever stands below the null.
    nulls = np.zeros(len(probes), bool)
    assert (
        index.find([column_of(np.array([n for n, _ in probes]), nulls), text([w for _, w in probes])], len(probes))
        == -1
    ).all()


@pytest.mark.parametrize("rows", [40_000, 300_000])  # one thread and one region; several of both
def test_many_rows(rows):
    rng = np.random.default_rng(rows)
    keys = rng.permutation(rows) * 7 - rows
    index = build([column_of(keys)], rows)
    probes = np.concatenate([keys, keys + 1])
    assert np.array_equal(
        index.find([column_of(probes)], len(probes)), np.concatenate([np.arange(rows), np.full(rows, -1)])
    )
    repeated = rng.integers(0, rows // 5, rows)
    index = build([column_of(repeated)], rows)
    first = index.find([column_of(np.arange(rows // 5))], rows // 5)
    order = np.argsort(repeated, kind="stable")
    assert np.array_equal(index.all_rows(first), order)
    assert index.duplicates == rows - len(np.unique(repeated))


def test_all_rows_of_one_key():
    index = build([column_of(np.zeros(100_000, np.int64))], 100_000)
    assert np.array_equal(index.all_rows(index.find([column_of(np.zeros(1, np.int64))], 1)), np.arange(100_000))


@examples(300)
@given(st.data())
def test_a_damaged_index_is_an_error_or_an_answer(data):
    """Bytes of the index and of the text it leads to are wrong: nothing outside of them is read, and every search ends."""
    keys = [b"a", b"bb", b"a", b"ccc", b"", b"bb"]
    memory = np.zeros(size_of_index(len(keys)), np.uint8)
    column = text(keys)
    build_index(memory, [column], len(keys))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(memory) - 1))
        memory[at] = data.draw(st.integers(0, 255))
    offsets = column.offsets.copy()
    if data.draw(st.booleans()):
        offsets[data.draw(st.integers(0, len(offsets) - 1))] = data.draw(st.sampled_from([-1, 2**62, -(2**63), 7, 0]))
    try:
        index = KeyIndex(memory, [column._replace(offsets=offsets)], len(keys))
        first = index.find([text([*keys, b"no"])], len(keys) + 1)
        rows = index.all_rows(first)
    except ValueError:
        return
    assert ((first >= -1) & (first < len(keys))).all()
    assert ((rows >= 0) & (rows < len(keys))).all()


def test_a_region_of_another_size():
    memory = np.zeros(size_of_index(10), np.uint8)
    column = column_of(np.arange(10))
    build_index(memory, [column], 10)
    for wrong in (memory[:63], memory[:72], memory[:-1], np.zeros_like(memory)):
        with pytest.raises(ValueError, match="a key index"):
            KeyIndex(wrong, [column], 10)
    with pytest.raises(ValueError, match="not as many as its rows"):
        KeyIndex(memory, [column], 9).find([column], 9)
