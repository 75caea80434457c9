"""A segment of a growing table as an Arrow IPC file at every instant.

Does not depend on: the head, where the file is, how rows are written.

::

    "ARROW1" | schema | MESSAGES, growing up | BODY | FOOTERS, growing down | PyArrow's footer | length | "ARROW1"

The whole **state** of an Arrow file hangs on one number: the footer's length, 4 bytes at ``size - 10``, which is
aligned. A new state is a record batch message (and a dictionary message for each dictionary that grew) behind the
older messages, and a footer below the older footers. Its ``schema`` points forward to the schema in the footer that
PyArrow wrote. Then one store of the length makes it the file's state. Nothing is ever rewritten, so a reader that has
any footer has that state for ever.

All messages share one body: each says that its metadata reaches up to it.

This holds for readers that read the footer first, as all libraries' file readers do. It does not hold for programs
that read a file front to back while it grows: they read the data before the length that vouches for it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from colonnade.core.alignment import STRIDE_STEP
from colonnade.errors import CorruptSnapshotError
from colonnade.format.flatbuffer import Table
from colonnade.format.growing import (
    DICTIONARY_TEXT,
    MOST_CATEGORIES,
    Column,
    ColumnPlaces,
    DictionaryPlaces,
    GrowingSchema,
    Places,
)
from colonnade.format.growing_envelope import (
    BLOCK,
    FOOTER_BATCHES,
    FOOTER_DICTIONARIES,
    PLACE,
    PREFIX,
    Envelope,
    Template,
    envelope,
)
from colonnade.format.seal import MAGIC, TAIL_SIZE


class Memory(Protocol):
    """The bytes of a segment."""

    def __getitem__(self, where: slice, /) -> Any: ...


class State(NamedTuple):
    """What other programs see of a segment: its rows, the nulls of each column, the entries of each dictionary.

    ``next_message`` and ``footer`` are where the next message may begin, and where the footer begins.
    """

    rows: int
    nulls: tuple[int, ...]
    categories: tuple[int, ...]
    next_message: int
    footer: int
    dictionary_blocks: tuple[tuple[int, int, int], ...]


class NextState(NamedTuple):
    """What to write: bytes by their places, and the footer's length, which is stored last; and what is shown then."""

    writes: dict[int, bytes]
    footer_length: int
    state: State


class Counts(NamedTuple):
    """What a state is to say: rows of the segment, nulls and bytes of text of each column, and of each dictionary."""

    rows: int
    nulls: Sequence[int]
    text: Sequence[int]
    categories: Sequence[int]
    category_text: Sequence[int]


def begin(table: GrowingSchema, where: Places) -> dict[int, bytes]:
    """What a new segment contains before its first state: bytes by their places."""
    around = envelope(table.encode())
    return {0: around.start, where.size - TAIL_SIZE - len(around.footer): around.footer, where.size - 6: MAGIC}


def length_place(where: Places) -> int:
    """Where the footer's length stands: the one number that makes a state visible."""
    return where.size - TAIL_SIZE


def next_state(
    table: GrowingSchema, where: Places, counts: Counts, last: State | None, *, is_whole: bool = False
) -> NextState | None:
    """What to write for a new state.

    None where there is no room for another state. The last one is for a segment that gets no more rows: ``is_whole``.
    """
    around = envelope(table.encode())
    body_length = where.footers - where.body
    at = where.messages if last is None else last.next_message
    end_of_footers = where.size - TAIL_SIZE
    footer_at = (end_of_footers - len(around.footer) if last is None else last.footer) - around.footer_size
    states_left = 1 if is_whole else 2
    end_of_messages = at + states_left * around.messages_size
    if end_of_messages > where.body or footer_at - (states_left - 1) * around.footer_size < where.footers:
        return None
    writes: dict[int, bytes] = {}
    blocks = []
    number = 0
    for column_places in where.columns:
        if column_places.dictionary is None:
            continue
        count, text = counts.categories[number], counts.category_text[number]
        if last is not None and last.categories[number] == count:
            blocks.append(last.dictionary_blocks[number])
        else:
            template = around.dictionaries[number]
            writes[at] = _dictionary_message(template, where, column_places.dictionary, at, count, text)
            blocks.append((at, where.body - at, body_length))
            at += len(template.message)
        number += 1
    writes[at] = _batch_message(table, where, at, counts)
    writes[footer_at] = _footer_at(around, where, footer_at, blocks, at)
    next_message = at + len(around.batch.message)
    state = State(counts.rows, tuple(counts.nulls), tuple(counts.categories), next_message, footer_at, tuple(blocks))
    return NextState(writes, end_of_footers - footer_at, state)


def _dictionary_message(  # noqa: PLR0917 -- what one message says
    template: Template, where: Places, words: DictionaryPlaces, at: int, count: int, text: int
) -> bytes:
    buffers = [(0, 0), (words.offsets - where.body, 8 * (count + 1)), (words.text - where.body, text)]
    return _filled(template, where.body - at, where.footers - where.body, [(count, 0)], buffers)


def _batch_message(table: GrowingSchema, where: Places, at: int, counts: Counts) -> bytes:
    nodes = [(counts.rows, nulls) for nulls in counts.nulls]
    buffers = [
        buffer
        for column, column_places, nulls, text in zip(
            table.columns, where.columns, counts.nulls, counts.text, strict=True
        )
        for buffer in _buffers(column, column_places, where.body, _ColumnCounts(counts.rows, nulls, text))
    ]
    return _filled(envelope(table.encode()).batch, where.body - at, where.footers - where.body, nodes, buffers)


def _footer_at(
    around: Envelope, where: Places, at: int, dictionaries: Sequence[tuple[int, int, int]], batch: int
) -> bytes:
    schema = where.size - TAIL_SIZE - len(around.footer) + around.schema_in_footer
    return _footer(schema - at, dictionaries, (batch, where.body - batch, where.footers - where.body))


_Pairs = Sequence[tuple[int, int]]


class _ColumnCounts(NamedTuple):
    rows: int
    nulls: int
    text: int


def _buffers(column: Column, at: ColumnPlaces, body: int, counts: _ColumnCounts) -> list[tuple[int, int]]:
    """Places and lengths of Arrow's buffers of a column."""
    bits = -(-counts.rows // 8)
    validity = (at.validity - body, bits) if counts.nulls and at.validity is not None else (0, 0)
    if at.offsets is not None and at.text is not None:
        return [validity, (at.offsets - body, 8 * (counts.rows + 1)), (at.text - body, counts.text)]
    assert at.values is not None
    return [validity, (at.values - body, counts.rows * column.width if column.width else bits)]


def _filled(
    template: Template,
    to_body: int,
    body_length: int,
    nodes: Sequence[tuple[int, int]],
    buffers: Sequence[tuple[int, int]],
) -> bytes:
    """A template with its numbers; ``to_body`` are the bytes from the message to the body."""
    message = bytearray(template.message)
    mark, _ = PREFIX.unpack_from(message)
    PREFIX.pack_into(message, 0, mark, to_body - PREFIX.size)
    struct.pack_into("<q", message, template.length, nodes[0][0])
    struct.pack_into(f"<{2 * len(nodes)}q", message, template.nodes, *(n for pair in nodes for n in pair))
    struct.pack_into(f"<{2 * len(buffers)}q", message, template.buffers, *(n for pair in buffers for n in pair))
    struct.pack_into("<q", message, template.body_length, body_length)
    return bytes(message)


def _footer(to_schema: int, dictionaries: Sequence[tuple[int, int, int]], batch: tuple[int, int, int]) -> bytes:
    """A flatbuffer of Arrow's Footer whose schema is ``to_schema`` bytes after its start."""
    dictionaries_at = 36
    batches_at = 44 + BLOCK.size * len(dictionaries)
    return b"".join(
        [
            struct.pack("<IHHHHHH", 16, 12, 20, 16, 4, 8, 12),
            struct.pack("<iIIIhxx", 12, to_schema - 20, dictionaries_at - 24, batches_at - 28, 4),
            struct.pack("<I", len(dictionaries)),
            *(BLOCK.pack(*block) for block in dictionaries),
            struct.pack("<4xI", 1),
            BLOCK.pack(*batch),
        ]
    )


def read_state(table: GrowingSchema, where: Places, data: Memory) -> State | None:
    """The state that other programs see; None before the first one. Every number is checked against the places.

    Raises
    ------
    CorruptSnapshotError
    """
    around = envelope(table.encode())
    end_of_footers = where.size - TAIL_SIZE
    (length,) = struct.unpack("<I", bytes(data[end_of_footers : end_of_footers + 4]))
    if length == 0:
        return None
    at = end_of_footers - length
    if at < where.footers or length < len(around.footer) + around.footer_size or length % STRIDE_STEP:
        raise CorruptSnapshotError(f"a segment of a growing table has a footer of {length:,} bytes, out of range")
    footer = bytes(data[at : at + around.footer_size])
    try:
        root = Table.root(footer)
        dictionaries = [tuple(block)[:2] for block in root.structs(FOOTER_DICTIONARIES, PLACE).tolist()]
        batches = [tuple(block)[:2] for block in root.structs(FOOTER_BATCHES, PLACE).tolist()]
        if len(batches) != 1 or len(dictionaries) != len(around.dictionaries):
            raise ValueError(f"{len(batches)} record batches and {len(dictionaries)} dictionaries")
        counts = [
            _read_message(data, where, block, template)[0][0]
            for block, template in zip(dictionaries, around.dictionaries, strict=True)
        ]
        nodes = _read_message(data, where, batches[0], around.batch)
        if not all(0 <= count <= MOST_CATEGORIES for count in counts):
            raise ValueError(f"dictionaries of {counts} entries")
    except (struct.error, ValueError, IndexError, TypeError, OverflowError) as error:
        raise CorruptSnapshotError(f"a segment of a growing table has a damaged footer or message ({error})") from error
    rows = nodes[0][0]
    if not 0 <= rows <= where.capacity or any(n != rows or not 0 <= nulls <= rows for n, nulls in nodes):
        raise CorruptSnapshotError(
            f"a segment of a growing table, which has room for {where.capacity:,} rows, shows {rows:,} rows, and its "
            f"columns show {[n for n, _ in nodes]} with {[nulls for _, nulls in nodes]} nulls"
        )
    body_length = where.footers - where.body
    blocks = tuple((int(place), int(size), body_length) for place, size in dictionaries)
    next_message = int(batches[0][0]) + len(around.batch.message)
    return State(rows, tuple(nulls for _, nulls in nodes), tuple(counts), next_message, at, blocks)


def check_state(table: GrowingSchema, where: Places, data: Memory) -> State | None:
    """`read_state`, and every byte that the state consists of is compared with what a producer writes.

    Raises
    ------
    CorruptSnapshotError
    """
    around = envelope(table.encode())
    for at, expected in begin(table, where).items():
        _compare(data, at, expected, "what every segment of this schema has there")
    state = read_state(table, where, data)
    if state is None:
        return None
    places = [column.dictionary for column in where.columns if column.dictionary is not None]
    for words, template, count, block in zip(
        places, around.dictionaries, state.categories, state.dictionary_blocks, strict=True
    ):
        text = _end_of_text(data, words.offsets, count, DICTIONARY_TEXT)
        message = _dictionary_message(template, where, words, block[0], count, text)
        _compare(data, block[0], message, "the message of a dictionary")
    texts = [
        0 if at.offsets is None else _end_of_text(data, at.offsets, state.rows, where.text_bytes)
        for at in where.columns
    ]
    at = state.next_message - len(around.batch.message)
    counts = Counts(state.rows, state.nulls, texts, (), ())
    _compare(data, at, _batch_message(table, where, at, counts), "the message of the rows")
    _compare(data, state.footer, _footer_at(around, where, state.footer, state.dictionary_blocks, at), "the footer")
    return state


def _compare(data: Memory, at: int, expected: bytes, what: str) -> None:
    actual = bytes(data[at : at + len(expected)])
    if actual != expected:
        wrong = next(place for place, (one, other) in enumerate(zip(actual, expected, strict=True)) if one != other)
        raise CorruptSnapshotError(f"byte {at + wrong:,} is damaged: it differs from {what}")


def _end_of_text(data: Memory, offsets: int, count: int, limit: int) -> int:
    at = offsets + 8 * count
    end: int = struct.unpack("<q", bytes(data[at : at + 8]))[0]
    if not 0 <= end <= limit:
        raise CorruptSnapshotError(f"byte {at:,} is damaged: text ends at {end:,}, and there is room for {limit:,}")
    return end


def _read_message(data: Memory, where: Places, block: tuple[Any, ...], template: Template) -> list[tuple[int, int]]:
    """The nodes of a message, which has the template's shape."""
    at, length = int(block[0]), int(block[1])
    if not where.messages <= at <= where.body - len(template.message) or length != where.body - at:
        raise ValueError(f"a message at byte {at}")
    message = bytes(data[at : at + len(template.message)])
    if not template.has_shape_of(message):
        raise ValueError("a message of another shape")
    nodes = struct.iter_unpack("<qq", message[template.nodes : template.nodes + 16 * template.node_count])
    return [(length, nulls) for length, nulls in nodes]
