"""What the core refuses of growing tables: places outside of memory, numbers that overflow, appenders that are gone."""

import os

import numpy as np
import pytest

from colonnade import _core

SIZE, CAPACITY, TEXT = 1 << 16, 64, 256
NONE = -1
# The kinds in the order of the core's enumeration, each with a column that is right: width, values, validity, pandas,
# mask, offsets, text.
COLUMNS = {
    "integer": (0, 8, 0, NONE, NONE, NONE, NONE, NONE),
    "floating": (1, 8, 0, 4096, NONE, NONE, NONE, NONE),
    "time": (2, 8, 0, 4096, NONE, NONE, NONE, NONE),
    "boolean": (3, 0, 0, NONE, 8192, NONE, NONE, NONE),
    "masked": (4, 4, 0, 4096, NONE, 12288, NONE, NONE),
    "masked boolean": (5, 0, 0, 4096, 8192, 12288, NONE, NONE),
    "text": (6, 0, NONE, 4096, NONE, NONE, 16384, 20480),
    "category": (7, 4, 0, 4096, 8192, NONE, NONE, NONE),
}
WRONG = (-(2**63), -2, -1, 1, 9, SIZE - 8, SIZE, SIZE + 8, 2**31 - 1, 2**62, 2**63 - 8)


@pytest.fixture
def segment():
    fd = os.memfd_create("segment")
    os.ftruncate(fd, SIZE)
    os.posix_fallocate(fd, 0, SIZE)
    yield fd, _core.Mapping.of_draft(fd, SIZE)
    os.close(fd)


def batch(rows):
    values = np.arange(rows, dtype=np.int64).view(np.uint8)
    offsets = np.zeros(rows + 1, np.int64)
    return _core.GrowingBatch([(values, np.zeros(rows, np.uint8), offsets, b"", None, 0)], rows)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_right_column_takes_rows(segment, kind):
    rows = _core.GrowingRows(*segment, [COLUMNS[kind]], CAPACITY, TEXT, 0)
    assert rows.append(batch(CAPACITY + 1), 0) == CAPACITY


def test_floats_have_at_least_two_bytes(segment):
    column = list(COLUMNS["floating"])
    column[1] = 1
    with pytest.raises(ValueError, match="width"):
        _core.GrowingRows(*segment, [tuple(column)], CAPACITY, TEXT, 0)


def test_no_columns_are_no_batch():
    assert _core.PlainColumns([], [], []).batch({}) is None


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("field", range(8))
def test_a_wrong_place_is_refused_or_inside(segment, kind, field):
    refusals = 0
    for number in WRONG:
        column = list(COLUMNS[kind])
        if column[field] == number or (field < 2 and abs(number) > 2**31 - 1):
            continue
        column[field] = number
        try:
            rows = _core.GrowingRows(*segment, [tuple(column)], CAPACITY, TEXT, 0)
        except ValueError:
            refusals += 1
        else:
            assert rows.append(batch(CAPACITY), 0) == CAPACITY
    assert refusals > 4


@pytest.mark.parametrize(
    ("capacity", "text", "rows"),
    [(-8, 0, 0), (63, 0, 0), (2**63 - 8, 0, 0), (2**60, 0, 0), (SIZE, 0, 0), (64, 0, 65), (64, 0, -1)],
)
def test_wrong_capacities_are_refused(segment, capacity, text, rows):
    with pytest.raises(ValueError, match=r"capacity|region|rows"):
        _core.GrowingRows(*segment, [COLUMNS["integer"]], capacity, text, rows)


def test_text_without_room_is_refused(segment):
    for text in (-1, SIZE, 2**63 - 1):
        with pytest.raises(ValueError, match="region"):
            _core.GrowingRows(*segment, [COLUMNS["text"]], CAPACITY, text, 0)


@pytest.mark.parametrize("rows", [-1, 2**61, 2**63 - 1])
def test_a_batch_of_more_rows_than_memory_is_refused(rows):
    with pytest.raises(ValueError, match="number of rows"):
        _core.GrowingBatch([(bytes(8), None, None, None, None, 0)], rows)
    with pytest.raises(ValueError, match="first bit"):
        _core.GrowingBatch([(None, None, bytes(8), None, bytes(1), rows)], 0)


@pytest.mark.parametrize("at", [9, 16, 2**64 - 8, 2**64 - 1])
def test_a_word_outside_of_its_memory_is_refused(at):
    memory = bytearray(16)
    with pytest.raises(ValueError, match="word"):
        _core.load_word(memory, at)
    with pytest.raises(ValueError, match="word"):
        _core.store_half_word(memory, at | 1, 0)
    with pytest.raises(ValueError, match="word"):
        _core.load_word(b"", 0)


def test_only_numbers_and_times_ascend(segment):
    for kind in ("text", "category", "masked", "boolean"):
        rows = _core.GrowingRows(*segment, [COLUMNS[kind]], CAPACITY, TEXT, 0)
        with pytest.raises(ValueError, match=r"no values|no order"):
            rows.descending_row(batch(8), 0, True, None)


def test_an_appender_at_the_address_of_another_one_is_not_started(segment):
    rows = _core.GrowingRows(*segment, [COLUMNS["integer"]], CAPACITY, TEXT, 0)
    words = _core.HeadWords(bytearray(64), 0, 8, 3)
    reader = _core.RowReader(["n"], [None], [True])
    for _ in range(100):
        appender = _core.DirectAppender(reader, None, rows, words, [None], None, False, None)
        assert not appender.is_started
        appender.start()
        assert appender.is_started
        del appender


@pytest.mark.parametrize(("length", "offsets"), [(-1, [2, 1]), (6, [-5, 1])])
def test_offsets_of_text_that_lead_outside_are_not_followed(length, offsets):
    views = np.full((len(offsets) - 1, 4), length, np.int32).view(np.uint8).ravel()
    text = np.zeros(1, np.uint8)
    assert not _core.data_of_views(views, np.empty(0, np.uint8), [], np.array(offsets, np.int64), text)
