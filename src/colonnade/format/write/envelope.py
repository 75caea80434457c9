"""The Arrow IPC file around a body: written by PyArrow for one row, then given the real numbers.

`format.ipc` draws the file and reads it. Does not depend on: names, descriptors, pandas, what a column means.

PyArrow writes everything but the body and the seal, for a batch of one row of the same schema and dictionaries, so no
schema is encoded by hand. The batch must have a row: flatbuffers leave out a number that is zero, and what is left out
cannot be set.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core.alignment import align
from colonnade.format.flatbuffer import Table
from colonnade.format.ipc import BLOCK, FOOTER_RECORD_BATCHES
from colonnade.format.schema import METADATA_KEY
from colonnade.format.seal import MAGIC, TAIL_SIZE, TRAILER
from colonnade.interop.pyarrow_calls import ipc_file

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"

_MESSAGE_PREFIX = struct.Struct("<Ii")  # continuation mark, metadata length
_NODE = np.dtype([("length", "<i8"), ("null_count", "<i8")])
_BUFFER = np.dtype([("offset", "<i8"), ("length", "<i8")])

# Slots of the tables in Arrow's Message.fbs, in the order of their fields.
_MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 2, 3
_BATCH_LENGTH, _BATCH_NODES, _BATCH_BUFFERS = 0, 1, 2


class Numbers(NamedTuple):
    """What is known of a table once its bytes have moved.

    ``nodes`` are (length, null count) and ``buffers`` are (offset, length), (0, 0) for an absent one, both in the order
    of the record batch: fields depth first.
    """

    rows: int
    body_size: int
    nodes: npt.NDArray[np.int64]
    buffers: npt.NDArray[np.int64]


class Layout(NamedTuple):
    """The record batch message and the footer: all that says where the values stand."""

    message: bytes
    footer: bytes

    def tail(self, seal: bytes) -> bytes:
        """Everything from the seal on; ``seal`` may have checksums before it."""
        return seal + self.footer + TRAILER.pack(len(self.footer), MAGIC)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The bytes before and after a body: ``start`` (schema and dictionaries), and a layout for one row.

    `finished` gives the layout with the table's own numbers. ``metadata`` is the layout metadata.
    """

    start: memoryview
    layout: Layout
    metadata: bytes

    @property
    def body_start(self) -> int:
        """Where the body starts."""
        return len(self.start) + len(self.layout.message)

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in memory."""
        return self.body_start + len(self.layout.footer) + len(self.metadata)

    def finished(self, numbers: Numbers) -> Layout:
        """Set row count, null counts, buffer places and body length."""
        head, footer = bytearray(self.layout.message), bytearray(self.layout.footer)
        block = Table.root(footer).structs(FOOTER_RECORD_BATCHES, BLOCK)[-1:]
        message = Table.root(head, _MESSAGE_PREFIX.size)
        batch = message.table(_MESSAGE_HEADER)
        struct.pack_into("<q", head, batch.place(_BATCH_LENGTH), numbers.rows)
        nodes, buffers = batch.structs(_BATCH_NODES, _NODE), batch.structs(_BATCH_BUFFERS, _BUFFER)
        if (len(nodes), len(buffers)) != (len(numbers.nodes), len(numbers.buffers)):
            raise AssertionError(
                f"the plan has {len(numbers.nodes)} nodes and {len(numbers.buffers)} buffers, "
                f"PyArrow wrote {len(nodes)} and {len(buffers)}"
            )
        nodes[:], buffers[:] = _as_structs(numbers.nodes, _NODE), _as_structs(numbers.buffers, _BUFFER)
        # Left out where PyArrow wrote no byte: no columns, or columns of nulls alone. What else stands in the body, as
        # codes of a MultiIndex, is nothing to Arrow.
        if message.place(_MESSAGE_BODY_LENGTH):
            struct.pack_into("<q", head, message.place(_MESSAGE_BODY_LENGTH), numbers.body_size)
            block["body_length"] = numbers.body_size
        elif numbers.buffers[:, 1].any():
            raise AssertionError("buffers in a message that has no body")
        return Layout(bytes(head), bytes(footer))


def _as_structs(pairs: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(pairs).view(dtype).reshape(-1)


def write_envelope(schema: pa.Schema, one_row: Sequence[pa.Array], alignment: int) -> Envelope:
    """Let PyArrow write the file for one row; the body will start at a multiple of ``alignment``."""
    batch = pa.record_batch(list(one_row), schema=schema) if one_row else _batch_without_columns(schema)
    data = ipc_file(batch)
    footer_length, _ = TRAILER.unpack(data[-TAIL_SIZE:])
    footer = bytearray(data[-TAIL_SIZE - footer_length : -TAIL_SIZE])
    block = Table.root(footer).structs(FOOTER_RECORD_BATCHES, BLOCK)[-1:]
    offset, length = int(block["offset"][0]), int(block["metadata_length"][0])
    message = bytearray(align(offset + length, alignment) - offset)
    message[:length] = data[offset : offset + length]
    block["metadata_length"] = len(message)
    mark, _ = _MESSAGE_PREFIX.unpack_from(message)
    _MESSAGE_PREFIX.pack_into(message, 0, mark, len(message) - _MESSAGE_PREFIX.size)
    return Envelope(data[:offset], Layout(bytes(message), bytes(footer)), schema.metadata[METADATA_KEY])


def _batch_without_columns(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.nulls(1)], names=["dropped"]).select([]).replace_schema_metadata(schema.metadata)


def read_message(message: memoryview) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
    """Nodes (length, null count), buffers (offset, length) and the body's place of a batch that PyArrow wrote."""
    _, length = _MESSAGE_PREFIX.unpack_from(message)
    batch = Table.root(message, _MESSAGE_PREFIX.size).table(_MESSAGE_HEADER)
    nodes = batch.structs(_BATCH_NODES, _NODE).tolist()
    return nodes, batch.structs(_BATCH_BUFFERS, _BUFFER).tolist(), _MESSAGE_PREFIX.size + length
