"""Frames whose values show whether each page belongs to them.

Does not depend on: stores, processes.

Every value is a hash of (seed, row), so that no page of one frame equals the page of another, or another page of its own; and the
frame carries its seed and a checksum of all values in its attrs. A reader takes the values out of whatever it was given, compares
the checksum, and then every value with what the seed gives: the checksum would do, but the comparison says where it broke.
"""

import json
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa

# What a row takes in the file, about: for frames of a wanted size.
ROW_BYTES = 41
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz012345", np.uint8)
_CATEGORIES = pd.Index([f"category {i}" for i in range(100)], dtype="str")
_WORD = 8


class TornError(Exception):
    """Values that are not those of the frame that was put."""


def values(seed, rows):
    """The values of a frame, one plain array for each column. Nulls are represented by a value that does not occur otherwise."""
    h = np.arange(rows, dtype=np.uint64)
    h += np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(31)
    h *= np.uint64(0x94D049BB133111EB)
    h ^= h >> np.uint64(29)
    pick = h.view(np.uint8).reshape(rows, _WORD)
    return {
        "float": np.where(pick[:, 0] < 50, -1.0, (h >> np.uint64(11)).astype(np.float64)),
        "int": (h >> np.uint64(17)).astype(np.uint32).view(np.int32),
        "bool": pick[:, 3] < 100,
        "masked": np.where(pick[:, 1] < 40, -1, (h >> np.uint64(1)).astype(np.int64)),
        "str": _LETTERS[pick & 31].reshape(-1),
        "category": (pick[:, 2] % 101).astype(np.int64) - 1,
    }


def checksum(columns):
    crc = 0
    for name in sorted(columns):
        crc = zlib.crc32(np.ascontiguousarray(columns[name]).data, crc)
    return crc


def make(seed, rows, **attrs):
    """The frame of a seed."""
    columns = values(seed, rows)
    offsets = np.arange(rows + 1, dtype=np.int64) * _WORD
    words = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(columns["str"]))
    df = pd.DataFrame(
        {
            "float": np.where(columns["float"] < 0, np.nan, columns["float"]),
            "int": columns["int"],
            "bool": columns["bool"],
            "masked": pd.arrays.IntegerArray(columns["masked"].copy(), columns["masked"] < 0),
            "str": pd.array(words, "str"),
            "category": pd.Categorical.from_codes(columns["category"], _CATEGORIES),
        },
        copy=False,
    )
    df.attrs = {"seed": seed, "rows": rows, "checksum": checksum(columns), **attrs}
    return df


def verify_pandas(df):
    """Check that a frame has the values that its attrs describe; returns the attrs."""
    floats = df["float"].to_numpy()
    return _verify(
        "pandas",
        df.attrs,
        {
            "float": np.where(np.isnan(floats), -1.0, floats),
            "int": df["int"].to_numpy(),
            "bool": df["bool"].to_numpy(),
            "masked": df["masked"].to_numpy("int64", na_value=-1),
            "str": _letters(pa.array(df["str"].array)),
            "category": df["category"].cat.codes.to_numpy().astype(np.int64),
        },
    )


def verify_arrow(table):
    """Check that an Arrow table has the values that its metadata describes; returns the attrs."""
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    columns = {name: c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for name, c in columns.items()}
    result = {
        "float": columns["float"].fill_null(-1).to_numpy(),
        "int": columns["int"].to_numpy(),
        "bool": columns["bool"].to_numpy(zero_copy_only=False),
        "masked": columns["masked"].fill_null(-1).to_numpy(),
        "str": _letters(columns["str"]),
        "category": columns["category"].indices.fill_null(-1).to_numpy().astype(np.int64),
    }
    attrs = _verify("Arrow", _attrs(table.schema), result)
    for name in ("float", "masked", "category"):
        if columns[name].null_count != np.count_nonzero(result[name] == -1):
            raise TornError(f"Arrow: column {name!r} is said to have {columns[name].null_count} nulls; attrs: {attrs}")
    return attrs


def verify_head(snapshot):
    """Check that the beginning of the file belongs to the table too. (Readers of the file format take the schema from its end.)"""
    with pa.memory_map(f"/proc/self/fd/{snapshot._segment.fd}") as file:
        answer = pa.ipc.open_file(file).schema
        file.seek(8)  # the magic; a stream follows
        with pa.ipc.open_stream(file) as stream:
            if not stream.schema.equals(answer, check_metadata=True):
                raise TornError("the schema at the file's head is not that at its end")
            return verify_arrow(pa.Table.from_batches([stream.read_next_batch()]))


def _attrs(schema):
    return json.loads(schema.metadata[b"pandas"])["attributes"]


def _letters(words):
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    _, offsets, letters = words.buffers()
    offsets = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1]
    if not np.array_equal(offsets, np.arange(len(words) + 1, dtype=np.int64) * _WORD):
        raise TornError("the offsets of the words are not those of words of 8 letters")
    return np.frombuffer(letters or b"", np.uint8)[: len(words) * _WORD]


def _verify(reading, attrs, result):
    expected = values(attrs["seed"], attrs["rows"])
    for name, column in expected.items():
        if not np.array_equal(result[name], column):
            raise TornError(f"{reading}: {_where(name, result[name], column)}; attrs: {attrs}")
    if checksum(result) != attrs["checksum"]:
        raise TornError(f"{reading}: every value is that of the seed, but the checksum is another; attrs: {attrs}")
    return attrs


def _where(name, result, expected):
    if result.shape != expected.shape:
        return f"column {name!r} has {len(result)} values, not {len(expected)}"
    wrong = np.flatnonzero(result != expected)
    first, last = int(wrong[0]), int(wrong[-1])
    return (
        f"column {name!r}: {len(wrong)} of {len(expected)} values are wrong, from {first} ({result[first]!r}) to {last}"
    )
