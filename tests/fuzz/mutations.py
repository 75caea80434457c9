"""The ways in which a file is broken; each takes a random generator and files taken apart, and gives bytes.

Does not depend on: stores, processes.
"""

import copy
import random
import struct

from fuzz.anatomy import PLACE_KEYS, SEAL_FIELDS, Anatomy, Number, nested_tables, rehashed, resealed

_LIMITS = [0, 1, -1, 2, 7, 8, 63, 64, 127, 128, 255, 4095, 4096, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 8, 2**63 - 1, -(2**63), 2**64 - 1, -8, -64, -4096]  # fmt: skip
_NAMES = ["int8", "int64", "uint64", "float16", "float64", "bool", "object", "category", "str", "string", "Int8", "Int64", "boolean", "period[D]", "interval[int64, right]", "datetime64[ns]", "datetime64[ns, UTC]",
          "timedelta64[s]", "datetime64", ">i8", "longdouble", "complex128", "V8", "S8", "i8,i8", "Sparse[int64]", "range", "list", "column", "multi", "table", "values", "masked", "categorical", "interval", "wrapped",
          "converted", "tuple", "float", "string", "zoned", "arrow", "structure", "subarray", "frame", "array", "nan", "inf", "C", "F", "<f8", "<M8[ns]", "<M8[D]", "|O", "|b1", "|S3", "<U9", "|V8", "<c16", "<f16", "|V0", "None", "NaT", "D", "-3ME", "1000000000h", "Europe/Paris", "../../etc/passwd", "pyarrow", "python", "\ud800", "\0", ""]  # fmt: skip
_OTHERS = [None, True, False, 0.5, float("nan"), 1e308, 10**30, [], {}, [[]], {"kind": "tuple", "items": [1]}, [0], [2**62, 1], {"first": 0, "count": 2**40}, {"kind": "zoned", "unit": "ns", "tz": "UTC"},
           {"kind": "string", "storage": "pyarrow", "na": "nan"}, {"kind": "string", "storage": "python", "na": "NA"}, {"kind": "float", "value": "nan"},
           {"kind": "interval", "subtype": "int64", "closed": "left"}, {"kind": "arrow", "schema": ""}, {"kind": "table", "at": 0, "size": 64},
           {"kind": "range", "start": 0, "stop": 5, "step": 1, "name": None}]  # fmt: skip


def near(rng: random.Random, value, size):
    """A number that is at some limit, or next to a right one."""
    choices = (
        lambda: rng.choice(_LIMITS),
        lambda: value + rng.choice([-64, -8, -1, 1, 8, 64]),
        lambda: size + rng.choice([-8, -1, 0, 1, 8]),
        lambda: -value,
        lambda: value * 2,
        lambda: rng.randrange(size + 1),
        lambda: rng.getrandbits(64),
    )
    return rng.choice(choices)()


def flip(rng, file, _):
    """Bytes, anywhere."""
    data = bytearray(file.data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.choice(
            [rng.randrange(len(data)), rng.randrange(file.footer_at, len(data)), rng.randrange(file.body_start()[0])]
        )
        data[at] = rng.choice([data[at] ^ (1 << rng.randrange(8)), rng.randrange(256)])
    return bytes(data)


def cut(rng, file, _):
    """The end, the start, or something between."""
    data = file.data
    size = rng.choice([1, 8, 64, rng.randrange(1, len(data)), rng.randrange(1, len(data))])
    at = rng.choice([len(data) - size, 0, rng.randrange(len(data)), file.body_start()[0], file.footer_at])
    return data[:at] + data[at + size :]


def extend(rng, file, _):
    """More bytes, anywhere."""
    extra = rng.choice([bytes, rng.randbytes])(rng.choice([1, 8, 64, 4096, rng.randrange(1, 999)]))
    at = rng.choice(
        [len(file.data), 0, rng.randrange(len(file.data)), file.end, file.seal_at, file.footer_at, file.body_start()[0]]
    )
    return file.data[:at] + extra + file.data[at:]


def seal(rng, file, _):
    """A number of the seal, with a checksum that fits more often than not."""
    data = bytearray(file.data)
    number = Number("seal", file.seal_at + rng.choice([0, 8, 12, *SEAL_FIELDS.values()]), "Q")
    number.write(data, near(rng, number.read(data), len(data)))
    return rehashed(bytes(data)) if rng.random() < 0.9 else bytes(data)


def envelope(rng, file, _):
    """Numbers of the footer and of messages: places, lengths, counts. Some of them are others of the same kind."""
    data = bytearray(file.data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        number = rng.choice(file.numbers)
        alike = [other.read(data) for other in file.numbers if other.what == number.what]
        number.write(data, rng.choice([near(rng, number.read(data), len(data)), rng.choice(alike)]))
    return bytes(data)


def words(rng, file, _):
    """Any word of the footer or of the messages: vtables, references, types."""
    data = bytearray(file.data)
    for _ in range(rng.choice([1, 1, 2])):
        first, last = rng.choice([(file.footer_at, file.footer_at + file.footer_size), (0, file.body_start()[0])])
        at = rng.randrange(first, last - 4) & ~3
        code = rng.choice("HI")
        (value,) = struct.unpack_from("<" + code, data, at)
        struct.pack_into("<" + code, data, at, near(rng, value, len(data)) % (1 << (16 if code == "H" else 32)))
    return bytes(data)


def values(rng, file, _):
    """What buffers and views hold: indices, offsets, codes, masks, booleans, bitmaps, text."""
    if not file.stretches:
        return flip(rng, file, _)
    data = bytearray(file.data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, size = rng.choice(file.stretches)
        width = rng.choice([1, 1, 2, 4, 8, 8])
        place = min(at + rng.randrange(max(size // width, 1)) * width, len(data) - width)
        value = int.from_bytes(data[place : place + width], "little")
        data[place : place + width] = (near(rng, value, size) % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(data)


def _nodes(layout, path=()):
    """(container, key) of everything in the layout metadata."""
    for key, value in layout.items() if isinstance(layout, dict) else enumerate(layout):
        yield layout, key
        if isinstance(value, (dict, list)):
            yield from _nodes(value, (*path, key))


def _changed(rng, value, file, others):
    if type(value) is int and rng.random() < 0.8:
        return near(rng, value, rng.choice([len(file.data), file.layout["rows"]]))
    if isinstance(value, str) and rng.random() < 0.7:
        return rng.choice(_NAMES)
    container, key = rng.choice(others)
    values = [rng.choice(_OTHERS), rng.choice(_NAMES), rng.choice(_LIMITS), container[key], container[key]]
    return copy.deepcopy(rng.choice(values))


def layout_metadata(rng, file, other):
    """The JSON: places, counts, dtypes, kinds; things removed, doubled, put elsewhere, or another file's."""
    layout = copy.deepcopy(file.layout)
    others = [*_nodes(file.layout), *_nodes(other.layout)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        container, key = rng.choice([*_nodes(layout)] or [(layout, "rows")])
        action = rng.random()
        if action < 0.08:
            container.pop(key)
        elif action < 0.16 and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        else:
            container[key] = _changed(
                rng, container.get(key) if isinstance(container, dict) else container[key], file, others
            )
    return file.with_layout(layout)


def text(rng, file, _):
    """The JSON as text: characters, nesting."""
    result = bytearray(file.with_layout(file.layout))
    whole = Anatomy(bytes(result))
    _, at, size = whole._layout_metadata
    choice = rng.random()
    if choice < 0.2:
        return file.with_text(
            rng.choice([b"", b"null", b"[]", b"[" * 100_000, b'{"rows":' * 5_000, b"\xff", b"0", b"9" * 5_000])
        )
    for _ in range(rng.choice([1, 2, 4])):
        result[at + rng.randrange(size)] = rng.choice(b'0123456789-[]{}",:eE.\\ \0\xff')
    return bytes(result)


def splice(rng, file, other):
    """Pieces of two files: bytes, bodies, footers, layout metadata."""
    a, b = file.data, other.data
    choice = rng.randrange(5)
    if choice == 0:
        at, size = rng.randrange(len(a)), rng.randrange(1, 512)
        start = rng.randrange(len(b))
        return a[:at] + b[start : start + size] + a[at + size :]
    if choice == 1:
        return a[: file.seal_at] + b[other.seal_at :]
    if choice == 2:
        start, theirs = file.body_start()[0], other.body_start()[0]
        return a[:start] + b[theirs : other.end] + a[file.end :]
    if choice == 3:
        return file.with_layout(other.layout)
    at = rng.randrange(min(len(a), len(b)))
    return a[:at] + b[at:]


def overlap(rng, file, _):
    """One view or buffer moved on to another, or a few bytes to one side."""
    layout = copy.deepcopy(file.layout)
    places = [(c, k) for c, k in _nodes(layout) if k in PLACE_KEYS and type(c[k]) is int]
    offsets = [number for number in file.numbers if number.what == "batch buffer offset"]
    if offsets and (not places or rng.random() < 0.4):
        data = bytearray(file.data)
        number, expected = rng.choice(offsets), rng.choice(offsets)
        number.write(data, expected.read(data) + rng.choice([0, 0, 8, -8, 64]))
        return bytes(data)
    if not places:
        return flip(rng, file, _)
    container, key = rng.choice(places)
    theirs, its = rng.choice(places)
    container[key] = theirs[its] + rng.choice([0, 0, 8, -8, 64, 1])
    return file.with_layout(layout)


def nested(rng, file, other):
    """A nested table broken in any of these ways, or moved, or nested once more."""
    layout = copy.deepcopy(file.layout)
    tables = [*nested_tables(layout)]
    if not tables:
        return layout_metadata(rng, file, other)
    (body,) = file.body_start()
    place = rng.choice(tables)
    at, size = place["at"], place["size"]
    child = file.data[body + at : body + at + size]
    choice = rng.random()
    broken = (
        file.data
        if choice < 0.1
        else other.data
        if choice < 0.2
        else mutate(rng, Anatomy(child), other, exclude="nested")[1]
    )
    result, moved = file.with_child(broken)
    place.update(moved)
    return result.with_layout(layout)


MUTATIONS = {
    "bytes flipped": (flip, 3),
    "cut": (cut, 1),
    "extended": (extend, 1),
    "seal": (seal, 1),
    "numbers of the envelope": (envelope, 5),
    "words of the envelope": (words, 3),
    "values": (values, 5),
    "layout metadata": (layout_metadata, 6),
    "layout metadata as text": (text, 1),
    "spliced": (splice, 2),
    "overlapping": (overlap, 3),
    "nested": (nested, 2),
}


def mutate(rng, file, other, exclude=""):
    """(kind of mutation, the broken file); most are sealed again, so that what comes after the seal is read."""
    kinds = [kind for kind in MUTATIONS if kind != exclude]
    (kind,) = rng.choices(kinds, [MUTATIONS[kind][1] for kind in kinds])
    broken = MUTATIONS[kind][0](rng, file, other)
    return kind, resealed(broken) if kind != "seal" and rng.random() < 0.9 else broken
