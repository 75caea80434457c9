"""The Arrow IPC file around a body, as a reader sees it: the layout metadata, and where the body is.

The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format; `write.envelope` writes it. Does not
depend on: names, descriptors, pandas, what a column means.

A file is::

    "ARROW1" | schema | dictionaries | record batch message, padded | BODY | end of stream | NESTED TABLES |
    CHECKSUMS | SEAL | footer | "ARROW1"
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache

import numpy as np
import pyarrow as pa

from colonnade.core.alignment import CACHE_LINE
from colonnade.errors import CorruptSnapshotError
from colonnade.format.flatbuffer import Table
from colonnade.format.schema import METADATA_KEY
from colonnade.format.seal import SEAL_SIZE, TAIL_SIZE, Checksums, end_of_contents, seal_place

BLOCK = np.dtype([("offset", "<i8"), ("metadata_length", "<i4"), ("_pad", "<i4"), ("body_length", "<i8")])

# Slots of the tables in Arrow's File.fbs and Schema.fbs, in the order of their fields.
FOOTER_RECORD_BATCHES = 3
_FOOTER_SCHEMA = 1
_SCHEMA_METADATA = 2
_KEY, _VALUE = 0, 1


def without_layout_metadata(schema: pa.Schema) -> dict[bytes, bytes] | None:
    """The schema's metadata as other libraries are to see it."""
    return {key: value for key, value in (schema.metadata or {}).items() if key != METADATA_KEY} or None


class OpenedEnvelope:
    """The layout metadata as text, the record batch message, the footer, and the body.

    ``body_start`` is the body's first byte in the file, and ``body_limit`` how many bytes it may have.
    """

    __slots__ = ("body_limit", "body_start", "footer", "message", "metadata")

    def __init__(
        self, metadata: bytes, message: memoryview, footer: memoryview, body_start: int, body_limit: int
    ) -> None:
        self.metadata = metadata
        self.message = message
        self.footer = footer
        self.body_start = body_start
        self.body_limit = body_limit


def read_envelope(data: memoryview, checksums: Checksums | None = None) -> OpenedEnvelope:
    """Find the layout metadata and the body of a whole file; every place is checked against the file's size.

    ``checksums`` are those of the file, if it has any: the layout metadata must match them. What Arrow reads is
    compared when it is read, because the footer of a table of many columns is large.
    """
    end, footer_at = end_of_contents(data)
    footer = data[footer_at:-TAIL_SIZE]
    metadata, offset, length = read_footer(bytes(footer))
    body_start = offset + length
    if offset <= 0 or length <= 0 or body_start > end or body_start % CACHE_LINE:
        raise CorruptSnapshotError(
            f"corrupt footer: the body starts at byte {body_start} of {len(data)}, which is out of range or not a "
            f"multiple of {CACHE_LINE}"
        )
    if checksums is not None:
        checksums.check_metadata(metadata, body_start)
    return OpenedEnvelope(metadata, data[offset:body_start], footer, body_start, end - body_start)


def read_footer(footer: bytes) -> tuple[bytes, int, int]:
    """The layout metadata as text, and the place of the record batch message and its length, of a footer.

    Results of the last short footers are kept: those of two versions of a table are often equal.

    Raises
    ------
    CorruptSnapshotError
    """
    return _read_footer_once(footer) if len(footer) <= _LONGEST_KEPT else _read_footer(footer)


_LONGEST_KEPT = 1 << 16


def _read_footer(footer: bytes) -> tuple[bytes, int, int]:
    try:
        root = Table.root(footer)
        blocks = root.structs(FOOTER_RECORD_BATCHES, BLOCK)
        pairs = root.table(_FOOTER_SCHEMA).tables(_SCHEMA_METADATA)
        ours = [pair for pair in pairs if pair.text(_KEY, len(METADATA_KEY)) == METADATA_KEY]
        metadata = [pair.text(_VALUE) for pair in ours[:2]]
    except (struct.error, ValueError, IndexError, TypeError, OverflowError) as error:
        raise CorruptSnapshotError(f"corrupt footer: it is not a flatbuffer of Arrow's schema ({error})") from error
    if len(metadata) != 1 or len(blocks) != 1:
        raise CorruptSnapshotError(
            f"corrupt footer: {len(blocks)} record batches, and the schema key 'colonnade' {len(metadata)} times; "
            "both must be there once"
        )
    return metadata[0], int(blocks["offset"][0]), int(blocks["metadata_length"][0])


_read_footer_once = lru_cache(64)(_read_footer)


def read_metadata(fd: int, size: int) -> bytes:
    """The layout metadata of a file, read from its descriptor, so that a truncated file raises no signal.

    Raises
    ------
    CorruptSnapshotError
    """
    end = seal_place(size, os.pread(fd, TAIL_SIZE, size - TAIL_SIZE)) + SEAL_SIZE
    return read_footer(os.pread(fd, size - TAIL_SIZE - end, end))[0]
