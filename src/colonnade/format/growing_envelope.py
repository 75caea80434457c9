"""What stands around the body of a segment: PyArrow's schema message and footer, and its messages as templates.

Does not depend on: states, counts, where the file is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from colonnade.core.alignment import STRIDE_STEP, align
from colonnade.format.flatbuffer import Table
from colonnade.format.growing import Column, Frame, GrowingSchema, Kind, Places, arrange
from colonnade.format.seal import TAIL_SIZE, TRAILER
from colonnade.interop.pyarrow_calls import ipc_file

# How many states a segment has room for: every `capacity / AUTOMATIC_STATES` rows one is shown, and `flush` shows more.
AUTOMATIC_STATES = 1_024
_STATES = 2_048
_MESSAGE_BYTES = 4 << 20
_FEWEST_STATES = 64
PREFIX = struct.Struct("<Ii")  # of a message: the continuation mark, and the length of its metadata
BLOCK = struct.Struct("<qi4xq")  # of a footer: offset, length of the metadata, length of the body
PLACE = np.dtype([("offset", "<i8"), ("metadata_length", "<i4"), ("_pad", "<i4"), ("body_length", "<i8")])  # a BLOCK
# Slots of the tables in Arrow's File.fbs and Message.fbs.
_FOOTER_SCHEMA, FOOTER_DICTIONARIES, FOOTER_BATCHES = 1, 2, 3
_MESSAGE_KIND, _MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 1, 2, 3
_DICTIONARY = 2  # the kind of a message
_DICTIONARY_BATCH = 1
_BATCH_LENGTH, _BATCH_NODES, _BATCH_BUFFERS = 0, 1, 2


class Template(NamedTuple):
    """A message that PyArrow wrote for one row, and where its numbers stand in it.

    ``nodes`` and ``buffers`` are pairs of int64, ``node_count`` and ``buffer_count`` of them: (length, null count) and
    (offset, length).
    """

    message: bytes
    length: int
    nodes: int
    buffers: int
    body_length: int
    node_count: int
    buffer_count: int

    def has_shape_of(self, message: bytes) -> bool:
        """Whether a message differs from this one in its numbers alone."""
        return len(message) == len(self.message) and self._without_numbers(message) == self._without_numbers(
            self.message
        )

    def _without_numbers(self, message: bytes) -> bytes:
        bare = bytearray(message)
        for at, size in (
            (4, 4),
            (self.length, 8),
            (self.nodes, 16 * self.node_count),
            (self.buffers, 16 * self.buffer_count),
            (self.body_length, 8),
        ):
            bare[at : at + size] = bytes(size)
        return bytes(bare)


@dataclass(frozen=True)
class Envelope:
    """What stands around the body: the schema message, the templates of messages, and PyArrow's footer."""

    start: bytes
    batch: Template
    dictionaries: tuple[Template, ...]
    footer: bytes
    schema_in_footer: int

    @property
    def footer_size(self) -> int:
        """The bytes of the footer of one state."""
        return 72 + BLOCK.size * len(self.dictionaries)

    @property
    def states(self) -> int:
        """How many states a segment has room for."""
        return min(max(_MESSAGE_BYTES // self.messages_size, _FEWEST_STATES), _STATES)

    @property
    def messages_size(self) -> int:
        """The bytes of the messages of one state."""
        return len(self.batch.message) + sum(len(each.message) for each in self.dictionaries)

    @property
    def frame(self) -> Frame:
        """The sizes of the parts of a file."""
        states = self.states
        return Frame(
            len(self.start), states * self.messages_size, states * self.footer_size, len(self.footer) + TAIL_SIZE
        )


@lru_cache(64)
def envelope(schema_bytes: bytes) -> Envelope:
    """Let PyArrow write the file for one row of a schema (`GrowingSchema.encode`), and take it apart."""
    table = GrowingSchema.decode(schema_bytes)
    batch = pa.record_batch([_one_row(column) for column in table.columns], schema=table.arrow)
    data = ipc_file(batch)
    length, _ = TRAILER.unpack(data[-TAIL_SIZE:])
    footer = bytes(data[-TAIL_SIZE - length : -TAIL_SIZE])
    root = Table.root(footer)
    blocks = [*root.structs(FOOTER_DICTIONARIES, PLACE), *root.structs(FOOTER_BATCHES, PLACE)]
    first = min(int(block["offset"]) for block in blocks)
    *dictionaries, rows = (
        _template(bytes(data[int(at) : int(at) + int(size)]))
        for at, size in ((block["offset"], block["metadata_length"]) for block in blocks)
    )
    return Envelope(
        bytes(data[:first]).ljust(align(first, STRIDE_STEP), b"\0"),
        rows,
        tuple(dictionaries),
        footer.ljust(align(len(footer), STRIDE_STEP), b"\0"),
        root.table(_FOOTER_SCHEMA).position,
    )


def _one_row(column: Column) -> pa.Array:
    if column.kind is Kind.CATEGORY:
        return pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["x"], pa.large_string()))
    value = {Kind.TEXT: "x", Kind.BOOLEAN: True, Kind.MASKED_BOOLEAN: True}.get(column.kind, 0)
    return pa.array([value], column.arrow)


def _template(message: bytes) -> Template:
    root = Table.root(message, PREFIX.size)
    header = root.table(_MESSAGE_HEADER)
    is_dictionary = message[root.place(_MESSAGE_KIND)] == _DICTIONARY
    batch = header.table(_DICTIONARY_BATCH) if is_dictionary else header
    nodes, node_count = batch.vector(_BATCH_NODES)
    buffers, buffer_count = batch.vector(_BATCH_BUFFERS)
    length, body_length = batch.place(_BATCH_LENGTH), root.place(_MESSAGE_BODY_LENGTH)
    assert all([length, nodes, buffers, body_length]), "PyArrow left a number out of a message"
    whole_message = message.ljust(align(len(message), STRIDE_STEP), b"\0")
    return Template(whole_message, length, nodes, buffers, body_length, node_count, buffer_count)


def places(table: GrowingSchema, capacity: int, text_bytes: int = 0) -> Places:
    """The place of everything in a segment; the same for producer and readers.

    Raises
    ------
    CorruptSnapshotError
        If no segment can have this capacity.
    """
    return _places(table.encode(), capacity, text_bytes)


@lru_cache(256)
def _places(schema_bytes: bytes, capacity: int, text_bytes: int) -> Places:
    return arrange(GrowingSchema.decode(schema_bytes), capacity, text_bytes, envelope(schema_bytes).frame)
