"""A stored file taken apart: where its numbers stand, and how a file with other numbers is made.

It follows docs/format.md and the flatbuffers and xxhash libraries, and not the reader. Does not depend on: what a number is changed
to.
"""

import json
import struct
from dataclasses import dataclass, field
from functools import cached_property

import xxhash
from flatbuffers import number_types
from flatbuffers.table import Table

from colonnade.format.seal import MAGIC, SEAL_SIZE, TAIL_SIZE, TRAILER

KEY = b"colonnade"
SEAL_FIELDS = {"version": 16, "identity": 24, "created": 32, "rows": 40, "columns": 48, "size": 56}
CHECKSUMS_SIZE = 64
_HAS_VALUES = 1
_BLOCK_SIZE = 24
_WIDTHS = {"b": 1, "i": 4, "q": 8, "I": 4, "Q": 8}


@dataclass(frozen=True)
class Number:
    """A number of the file: where it stands, and its code for `struct`."""

    what: str
    at: int
    code: str

    def read(self, data):
        return struct.unpack_from("<" + self.code, data, self.at)[0]

    def write(self, data, value):
        """Write as much of a number as there is room for."""
        bits = 8 * _WIDTHS[self.code]
        struct.pack_into(
            "<" + {"b": "B", "i": "I", "q": "Q"}.get(self.code, self.code), data, self.at, value % (1 << bits)
        )


class _Flat:
    """A flatbuffers table inside of a file; places are counted from the start of the file."""

    def __init__(self, data, at):
        self.table = Table(data, at)

    @classmethod
    def root(cls, data, at):
        return cls(data, at + struct.unpack_from("<I", data, at)[0])

    def place(self, slot):
        offset = self.table.Offset(4 + 2 * slot)
        return offset + self.table.Pos if offset else None

    def child(self, slot):
        place = self.place(slot)
        return None if place is None else _Flat(self.table.Bytes, self.table.Indirect(place))

    def vector(self, slot):
        """(where its items start, how many there are)."""
        place = self.place(slot)
        if place is None:
            return 0, 0
        count = self.table.VectorLen(place - self.table.Pos)
        if count > len(self.table.Bytes):
            raise ValueError("a vector longer than the file: it is broken already")
        return self.table.Vector(place - self.table.Pos), count

    def string(self, slot):
        """(where the reference stands, where the bytes start, how many there are)."""
        place = self.place(slot)
        start = place + self.table.Get(number_types.UOffsetTFlags, place)
        return place, start + 4, struct.unpack_from("<I", self.table.Bytes, start)[0]


@dataclass
class Anatomy:
    """A whole file of the format, or a nested table; ``data`` is it alone."""

    data: bytes
    _numbers: list = field(default_factory=list)

    @cached_property
    def footer_size(self):
        return TRAILER.unpack(self.data[-TAIL_SIZE:])[0]

    @cached_property
    def footer_at(self):
        return len(self.data) - TAIL_SIZE - self.footer_size

    @cached_property
    def seal_at(self):
        return self.footer_at - SEAL_SIZE

    @cached_property
    def end(self):
        """Where the contents end: at the checksums, or at the seal of a file that has none."""
        mark, number = struct.unpack_from("<8sI", self.data, self.seal_at)
        return self.seal_at - CHECKSUMS_SIZE if mark == b"COLONNAD" and number == 3 else self.seal_at

    @cached_property
    def _footer(self):
        return _Flat.root(self.data, self.footer_at)

    @cached_property
    def _layout_metadata(self):
        pairs, count = self._footer.child(1).vector(2)
        for i in range(count):
            pair = _Flat(self.data, self._footer.table.Indirect(pairs + 4 * i))
            _, at, size = pair.string(0)
            if self.data[at : at + size] == KEY:
                return pair.string(1)
        raise AssertionError("no layout metadata")

    @cached_property
    def layout_text(self):
        _, at, size = self._layout_metadata
        return self.data[at : at + size]

    @cached_property
    def layout(self):
        """The layout metadata."""
        return json.loads(self.layout_text)

    @cached_property
    def numbers(self):
        """Every number of the envelope: the seal's, the footer's and those of the messages."""
        result = [Number(f"seal {name}", self.seal_at + at, "Q") for name, at in SEAL_FIELDS.items()]
        result.append(Number("footer length", self.footer_at + self.footer_size, "i"))
        for kind, slot in (("dictionary", 2), ("batch", 3)):
            first, count = self._footer.vector(slot)
            for at in range(first, first + count * _BLOCK_SIZE, _BLOCK_SIZE):
                result += [
                    Number(f"{kind} block {name}", at + skip, code)
                    for name, skip, code in (("offset", 0, "q"), ("metadata", 8, "i"), ("body", 16, "q"))
                ]
                result += self._message(kind, struct.unpack_from("<q", self.data, at)[0])
        return result

    def _message(self, kind, at):
        result = [Number(f"{kind} message mark", at, "I"), Number(f"{kind} message length", at + 4, "i")]
        message = _Flat.root(self.data, at + 8)
        header = message.child(2)
        if message.place(3):
            result.append(Number(f"{kind} message body", message.place(3), "q"))
        if kind == "dictionary":
            result += [
                Number(f"dictionary {what}", header.place(slot), code)
                for what, slot, code in (("id", 0, "q"), ("delta", 2, "b"))
                if header.place(slot)
            ]
            header = header.child(1)
        if header.place(0):
            result.append(Number(f"{kind} rows", header.place(0), "q"))
        for slot, names in ((1, ("length", "nulls")), (2, ("offset", "length"))):
            first, count = header.vector(slot)
            what = "node" if slot == 1 else "buffer"
            result += [Number(f"{kind} {what} {names[i % 2]}", first + 8 * i, "q") for i in range(2 * count)]
        return result

    def body_start(self, kind="batch"):
        """Where the bytes of a batch start; with ``dictionary`` those of each dictionary."""
        offset, metadata = (
            [n.read(self.data) for n in self.numbers if n.what == f"{kind} block {name}"]
            for name in ("offset", "metadata")
        )
        return [a + b for a, b in zip(offset, metadata, strict=True)]

    @cached_property
    def stretches(self):
        """(first byte, size) of every buffer and view, of dictionaries too."""
        result = []
        for kind in ("batch", "dictionary"):
            starts = iter(self.body_start(kind))
            start = 0
            offset = 0
            for number in self.numbers:
                if number.what == f"{kind} block offset":
                    start = next(starts)
                elif number.what == f"{kind} buffer offset":
                    offset = number.read(self.data)
                elif number.what == f"{kind} buffer length" and number.read(self.data):
                    result.append((start + offset, number.read(self.data)))
        (body,) = self.body_start()
        rows = self.layout["rows"]
        result += [(body + block["at"], max(block["stride"], 8)) for block in self.layout.get("blocks", [])]
        result += [(body + at, rows) for at in places(self.layout) if rows]
        return [(at, size) for at, size in result if 0 <= at <= at + size <= len(self.data)]

    def with_layout(self, layout):
        """The file with another layout metadata: a new string at the end of the footer, and the old one left alone."""
        return self.with_text(json.dumps(layout, separators=(",", ":")).encode())

    def with_text(self, text):
        data = bytearray(self.data[: self.footer_at + self.footer_size])
        data += bytes(-len(data) % 4)
        reference, *_ = self._layout_metadata
        struct.pack_into("<I", data, reference, len(data) - reference)
        data += struct.pack("<I", len(text)) + text + b"\0"
        return self._closed(data, len(data) - self.footer_at)

    def with_child(self, child):
        """The file with one more nested table behind its body, and the layout metadata of its place."""
        (body,) = self.body_start()
        head = bytearray(self.data[: self.end])
        head += bytes(-(len(head) - body) % 64)
        place = {"kind": "table", "at": len(head) - body, "size": len(child)}
        head += child + bytes(-len(child) % 8) + self.data[self.end : -TAIL_SIZE]
        return Anatomy(self._closed(head, self.footer_size)), place

    def _closed(self, data, footer_size):
        data += TRAILER.pack(footer_size, MAGIC)
        if any(self.data[self.seal_at : self.seal_at + SEAL_SIZE]):  # a nested table has none
            return resealed(bytes(data))
        return bytes(data)


def resealed(data):
    """The file with a correct size and correct checksums in its seal, if it looks like a stored file."""
    if len(data) < TAIL_SIZE + SEAL_SIZE:
        return data
    footer = int.from_bytes(data[-TAIL_SIZE : -TAIL_SIZE + 4], "little")
    place = len(data) - TAIL_SIZE - footer - SEAL_SIZE
    if place < 0 or data[place : place + 8] != b"COLONNAD":
        return data
    at = place + SEAL_FIELDS["size"]
    return rehashed(data[:at] + len(data).to_bytes(8, "little") + data[at + 8 :])


def rehashed(data):
    """The file with its own checksums, if it has any, and its numbers lead to what they are of."""
    file = Anatomy(data)
    try:
        if file.end == file.seal_at:
            return data
        numbers = {number.what: number.read(data) for number in file.numbers}
        start, size = numbers["batch block offset"], numbers["batch block metadata"]
        text = file.layout_text
    except (struct.error, ValueError, IndexError, TypeError, OverflowError, KeyError, AssertionError, AttributeError):
        return data
    if file.end < 0 or not 0 <= start <= start + size <= len(data):
        return data
    values, flags = struct.unpack_from("<QI", data, file.end + 32)
    message, footer = _hash(data[start : start + size]), _hash(data[file.footer_at : -TAIL_SIZE])
    if flags & _HAS_VALUES:
        values = _hash(data[: file.end])
    packed = struct.pack("<QQQQQI12x", _hash(text), message, footer, start + size, values, flags)
    seal = data[file.seal_at : file.footer_at]
    own = struct.pack("<Q", _hash(packed + seal))
    return data[: file.end] + packed + own + data[file.seal_at :]


def _hash(data):
    """The checksum of up to 1 MiB; larger ones are not made here, and stay wrong."""
    return xxhash.xxh3_64_intdigest(data)


def places(layout):
    """Every place in the body that the layout metadata names, but for those of nested tables."""
    if isinstance(layout, dict) and layout.get("kind") != "table":
        for key, value in layout.items():
            if key in PLACE_KEYS and type(value) is int:
                yield value
            else:
                yield from places(value)
    elif isinstance(layout, list):
        for item in layout:
            yield from places(item)


PLACE_KEYS = ("at", "values", "mask", "codes", "left", "right")


def nested_tables(layout):
    """Every place of a nested table, as the structure that names it."""
    if isinstance(layout, dict):
        if layout.get("kind") == "table":
            yield layout
        else:
            for value in layout.values():
                yield from nested_tables(value)
    elif isinstance(layout, list):
        for item in layout:
            yield from nested_tables(item)
