"""The last bytes of a file: Arrow's trailer, the seal before its footer, and the checksums before the seal.

A seal holds what is known of a snapshot without opening it. Checksums find damage: bytes that never reached the disk,
or that changed on it. Does not depend on: columns, descriptors.
"""

import struct
from typing import Any, NamedTuple, Self

from colonnade import _core
from colonnade.errors import CorruptSnapshotError, NotASnapshotError

MAGIC = b"ARROW1"
TRAILER = struct.Struct("<i6s")  # footer length, magic
TAIL_SIZE = TRAILER.size
FORMAT = 3

_FORMAT_WITHOUT_CHECKSUMS = 2  # of release 0.2.0
_MARK = b"COLONNAD"
_SEAL = struct.Struct("<8sIIQQQQQQ")
_MARK_AND_FORMAT = struct.Struct("<8sI")
SEAL_SIZE = _SEAL.size
_CHECKSUMS = struct.Struct("<QQQQQI12x")  # metadata, message, footer, body start, values, flags
_OWN_CHECKSUM = struct.Struct("<Q")  # of what stands before it, and of the seal
CHECKSUMS_SIZE = _CHECKSUMS.size + _OWN_CHECKSUM.size
_HAS_VALUES = 1  # a flag
MOST = 1 << 63  # a seal can record the next version, and Arrow the number of rows


class Checksums(NamedTuple):
    """Hashes (`colonnade._core.hash_bytes`) of the parts of a file, and where its body starts.

    ``metadata`` is the hash of the layout metadata, which every reader reads; ``message`` and ``footer`` are those of
    the record batch message and the footer, which Arrow reads. ``values`` is the hash of everything before the
    checksums, values included; None if none was asked for.
    """

    metadata: int
    message: int
    footer: int
    body_start: int
    values: int | None = None

    @classmethod
    def of_layout(cls, metadata: bytes, message: bytes, footer: bytes, body_start: int) -> Self:
        """Hash the layout of a file."""
        hash_of = _core.hash_bytes
        return cls(hash_of(metadata, 1), hash_of(message, 1), hash_of(footer, 1), body_start)

    def check_metadata(self, metadata: bytes, body_start: int) -> None:
        """Raise CorruptSnapshotError if this is not what was hashed."""
        if _core.hash_bytes(metadata, 1) != self.metadata:
            raise CorruptSnapshotError("damaged layout: the layout metadata does not match its checksum")
        if body_start != self.body_start:
            raise CorruptSnapshotError(
                f"damaged layout: the body starts at byte {self.body_start}, and the footer says {body_start}"
            )

    def check_arrow(self, message: Any, footer: Any) -> None:
        """Raise CorruptSnapshotError if what Arrow reads of the layout is not what was hashed."""
        if _core.hash_bytes(message, 1) != self.message:
            raise CorruptSnapshotError("damaged layout: the record batch message does not match its checksum")
        if _core.hash_bytes(footer, 1) != self.footer:
            raise CorruptSnapshotError("damaged layout: the footer does not match its checksum")

    def check_values(self, data: Any) -> None:
        """Raise CorruptSnapshotError if ``data``, all before the checksums, is not what was hashed; None: no check."""
        if self.values is not None and _core.hash_bytes(data) != self.values:
            raise CorruptSnapshotError(f"damaged values: {len(data):,} bytes do not match their checksum")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read checksums; `Seal.unpack` sees whether they are whole."""
        metadata, message, footer, body_start, values, flags = _CHECKSUMS.unpack_from(data)
        return cls(metadata, message, footer, body_start, values if flags & _HAS_VALUES else None)

    def pack(self) -> bytes:
        """The checksums of a draft, which has no seal yet."""
        return self._packed() + bytes(_OWN_CHECKSUM.size)

    def packed_with(self, seal: bytes) -> bytes:
        """The checksums, their own checksum, and the seal."""
        head = self._packed()
        return head + _OWN_CHECKSUM.pack(_core.hash_bytes(head + seal, 1)) + seal

    def _packed(self) -> bytes:
        *layout, values = self
        return _CHECKSUMS.pack(*layout, values or 0, 0 if values is None else _HAS_VALUES)


class Seal(NamedTuple):
    """What is known of a snapshot when it is published; 64 bytes right before the footer.

    ``version`` is 0 until then. ``identity`` differs for two snapshots of one name and version (after a delete,
    versions start again at 1). ``created_ns`` is in nanoseconds since 1970, UTC; ``ttl`` in seconds from there, 0 for
    ever. ``checksums`` is None for a file of format 2, which has none.
    """

    version: int
    identity: int
    created_ns: int
    rows: int
    columns: int
    size: int
    ttl: int = 0
    checksums: Checksums | None = None

    @property
    def expires_ns(self) -> int | None:
        """When it may go, in nanoseconds since 1970, UTC; None: never."""
        return self.created_ns + self.ttl * 1_000_000_000 if self.ttl else None

    def pack(self) -> bytes:
        """The checksums, if there are any, and the seal: what stands before the footer."""
        number = _FORMAT_WITHOUT_CHECKSUMS if self.checksums is None else FORMAT
        seal = _SEAL.pack(
            _MARK, number, self.ttl, self.version, self.identity, self.created_ns, self.rows, self.columns, self.size
        )
        return seal if self.checksums is None else self.checksums.packed_with(seal)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a published seal.

        ``data`` are the bytes before the footer: those of checksums and seal, if the file is that long.

        Raises
        ------
        NotASnapshotError
            If another program wrote the file, or another version of Colonnade in a format that this one does not know.
        CorruptSnapshotError
            If seal or checksums are damaged.
        """
        seal = data[-SEAL_SIZE:]
        mark, number, ttl, *numbers = _SEAL.unpack(seal)
        if mark != _MARK:
            raise NotASnapshotError("it is an Arrow file that Colonnade did not write")
        if number not in (FORMAT, _FORMAT_WITHOUT_CHECKSUMS):
            raise NotASnapshotError(
                f"it is in Colonnade's format {number}, and this version of Colonnade reads the formats "
                f"{_FORMAT_WITHOUT_CHECKSUMS} and {FORMAT}"
            )
        checksums = _whole_checksums(data[:-SEAL_SIZE], seal) if number == FORMAT else None
        version, identity, created_ns, rows, columns, size = numbers
        if not 0 < version < MOST or rows >= MOST or columns > size:
            raise CorruptSnapshotError(
                f"corrupt seal: version {version}, {rows} rows and {columns} columns in {size} bytes are out of range"
            )
        return cls(version, identity, created_ns, rows, columns, size, ttl, checksums)


def _whole_checksums(data: bytes, seal: bytes) -> Checksums:
    if len(data) != CHECKSUMS_SIZE:
        raise CorruptSnapshotError("corrupt seal: the file has no room for its checksums")
    (own,) = _OWN_CHECKSUM.unpack_from(data, _CHECKSUMS.size)
    if _core.hash_bytes(data[: _CHECKSUMS.size] + seal, 1) != own:
        raise CorruptSnapshotError("corrupt seal: it does not match its checksum")
    return Checksums.unpack(data)


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


def end_of_contents(data: memoryview) -> tuple[int, int]:
    """Where the contents of a whole file end, which is where checksums or seal begin; and where its footer begins."""
    place = seal_place(len(data), bytes(data[-TAIL_SIZE:]))
    mark, number = _MARK_AND_FORMAT.unpack_from(data, place)
    # Nested tables, whose seals are zeros, end at the seal.
    return place - CHECKSUMS_SIZE if mark == _MARK and number >= FORMAT else place, place + SEAL_SIZE
