"""The last bytes of a file: Arrow's trailer, and the seal before its footer.

A seal holds what is known of a snapshot without opening it. Does not depend on: columns, descriptors. Every
`import colonnade` imports this file, so it imports next to nothing itself.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from colonnade.errors import CorruptSnapshotError, NotASnapshotError

MAGIC = b"ARROW1"
TRAILER = struct.Struct("<i6s")  # footer length, magic
TAIL_SIZE = TRAILER.size
FORMAT = 2

_MARK = b"COLONNAD"
_SEAL = struct.Struct("<8sIIQQQQQQ")
SEAL_SIZE = _SEAL.size
_MOST = 1 << 63  # so that the next version has a place in a seal, and rows one in Arrow's numbers


class Seal(NamedTuple):
    """What is known of a snapshot when it is published; 64 bytes right before the footer.

    ``version`` is 0 until then. ``identity`` differs for two snapshots of one name and version (after a delete,
    versions start again at 1). ``created_ns`` is in nanoseconds since 1970, UTC; ``ttl`` in seconds from there, 0 for
    ever.
    """

    version: int
    identity: int
    created_ns: int
    rows: int
    columns: int
    size: int
    ttl: int = 0

    @property
    def expires_ns(self) -> int | None:
        """When it may go, in nanoseconds since 1970, UTC; None: never."""
        return self.created_ns + self.ttl * 1_000_000_000 if self.ttl else None

    def pack(self) -> bytes:
        return _SEAL.pack(
            _MARK, FORMAT, self.ttl, self.version, self.identity, self.created_ns, self.rows, self.columns, self.size
        )

    @classmethod
    def unpack(cls, data: bytes) -> Seal:
        """Read a published seal; NotASnapshotError if there is none, because then another program wrote the file."""
        magic, version_of_format, ttl, *numbers = _SEAL.unpack(data)
        if magic != _MARK:
            raise NotASnapshotError("it is an Arrow file that Colonnade did not write")
        if version_of_format != FORMAT:
            raise NotASnapshotError(
                f"it is in Colonnade's format {version_of_format}, and this version of Colonnade reads format {FORMAT}"
            )
        version, identity, created_ns, rows, columns, size = numbers
        if not 0 < version < _MOST or rows >= _MOST or columns > size:
            raise CorruptSnapshotError(
                f"corrupt seal: version {version}, {rows} rows and {columns} columns in {size} bytes are out of range"
            )
        return cls(version, identity, created_ns, rows, columns, size, ttl)


def seal_place(size: int, trailer: bytes) -> int:
    """Where the seal stands in a file of ``size`` bytes whose last bytes are ``trailer``."""
    if len(trailer) != TAIL_SIZE:
        raise CorruptSnapshotError(f"it has {size} bytes, too few for a snapshot")
    footer_length, magic = TRAILER.unpack(trailer)
    if magic != MAGIC:
        raise CorruptSnapshotError(
            "its last bytes are not an Arrow file's: it was truncated, or it is not an Arrow file"
        )
    place: int = size - TAIL_SIZE - footer_length - SEAL_SIZE
    if footer_length <= 0 or place < len(MAGIC):
        raise CorruptSnapshotError(f"its footer claims {footer_length} bytes of a file of {size}")
    return place
