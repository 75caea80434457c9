"""Tables of every common type, and the values that any reader must find in them, as plain Python objects.

What is expected is taken from the data before they are put, value by value; no file and no code of Colonnade is asked.
"""

import decimal
import functools
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from describe import describe

SMALL, LARGE = 41, 15_001  # of the large ones, each file is some MiB
WORDS = ["", "a", "Zürich", "日本", "🏛 column", "null", 'say "no"\n']


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def _integers(rng, dtype, rows):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, rows, dtype, endpoint=True)


def _some(rng, rows):
    """Where the nulls are: about every fifth row."""
    return rng.random(rows) < 0.2


@functools.cache
def from_pandas(rows, seed=1):
    """A frame of every dtype whose form differs from Arrow's, so that its file is full of pandas buffers; its index too."""
    rng = np.random.default_rng(seed)
    words = rng.choice(WORDS, rows).astype(object)
    holes = _some(rng, rows)
    times = 1.7e9 + rng.integers(0, 10**9, rows)
    whole = rng.integers(-(2**31), 2**31, rows)
    frame = pd.DataFrame(
        {
            **{name: _integers(rng, name, rows) for name in INTEGERS},
            "float32": rng.standard_normal(rows).astype("float32"),
            "float64": np.where(holes, np.nan, rng.standard_normal(rows)),
            "bool": rng.random(rows) < 0.5,
            "string": pd.Series(np.where(holes, None, words), dtype="str"),
            "category": pd.Categorical(np.where(holes, None, words)),
            "category of int": pd.Categorical(whole % 7),
            "time": pd.to_datetime(np.where(holes, np.nan, times), unit="s").astype("datetime64[ns]"),
            "zoned": pd.to_datetime(times, unit="s", utc=True).tz_convert("America/New_York").as_unit("us"),
            "duration": pd.to_timedelta(np.where(holes, np.nan, whole), unit="ms").as_unit("ms"),
            "date": [
                None if hole else date.fromordinal(700_000 + int(n) % 50_000)
                for hole, n in zip(holes, whole, strict=True)
            ],
            "Int64": pd.Series(np.where(holes, pd.NA, whole), dtype="Int64"),
            "boolean": pd.Series(np.where(holes, pd.NA, whole > 0), dtype="boolean"),
            "list": [None if hole else [int(n), None, 3][: n % 4] for hole, n in zip(holes, whole, strict=True)],
            "struct": [
                {"n": int(n), "s": None if hole else word} for hole, n, word in zip(holes, whole, words, strict=True)
            ],
            "decimal": [
                None if hole else decimal.Decimal(int(n)).scaleb(-2) for hole, n in zip(holes, whole, strict=True)
            ],
        }
    )
    frame.index = pd.MultiIndex.from_arrays([words, np.arange(rows)], names=["word", "row"])
    return frame


@functools.cache
def from_arrow(rows, seed=1):
    """An Arrow table of every common type, each with nulls and in three chunks; what pandas reads otherwise has a pandas buffer."""
    rng = np.random.default_rng(seed)
    words = rng.choice(WORDS, rows).astype(object)
    holes = _some(rng, rows)
    whole = rng.integers(0, 2**31, rows)

    def column(values, type_):
        return pa.array(
            [None if hole else value for hole, value in zip(holes, np.asarray(values, object), strict=True)], type_
        )

    table = pa.table(
        {
            **{name: column(_integers(rng, name, rows), name) for name in INTEGERS},
            "float32": column(rng.standard_normal(rows).astype("float32"), "float32"),
            "float64": column(rng.standard_normal(rows), "float64"),
            "bool": column((whole % 2 == 0).tolist(), "bool"),
            "string": column(words, "string"),
            "large_string": column(words, "large_string"),
            "category": column(words, "string").dictionary_encode(),
            **{f"time {unit}": column(whole, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
            "zoned": column(whole * 10**9, pa.timestamp("ns", "Europe/Paris")),
            **{f"duration {unit}": column(whole, pa.duration(unit)) for unit in ("s", "ms", "us", "ns")},
            "date32": column(whole % 50_000, "date32"),
            "list": column([[int(n), None, 3][: n % 4] for n in whole], pa.list_(pa.int64())),
            "list of float": column([[n / 7] * (n % 3) for n in whole], pa.list_(pa.float64())),
            "list of string": column([[word] * (n % 3) for word, n in zip(words, whole, strict=True)], pa.list_(pa.string())),
            "struct": column([{"n": int(n), "s": word} for word, n in zip(words, whole, strict=True)], pa.struct({"n": pa.int32(), "s": pa.string()})),
            "decimal": column([decimal.Decimal(int(n) - 2**30).scaleb(-3) for n in whole], pa.decimal128(20, 3)),
        }
    )  # fmt: skip
    third = rows // 3
    return pa.concat_tables([table[:third], table[third : 2 * third], table[2 * third :]])


FILLED = {
    "int64": "int64",
    "float64": "float64",
    "bool": "bool",
    "time": "datetime64[us]",
    "duration": "timedelta64[ns]",
}


def filled(rows, seed=1):
    """The columns that a producer fills in place."""
    return from_pandas(rows, seed).reset_index(drop=True)[list(FILLED)].astype(FILLED)


def expected(data):
    """What a reader must find: of each column its name, its nulls, the sum of its numbers and a digest of its strings."""
    table = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data)
    columns = [_stored(table[name]) for name in table.column_names]
    described = [
        describe(field.name, _type_of(field.type), column.null_count, column.to_pylist())
        for field, column in zip(table.schema, columns, strict=True)
    ]
    return {"rows": table.num_rows, "columns": described}


def _stored(column):
    """Times as the whole numbers that they are stored as."""
    if pa.types.is_temporal(column.type):
        return column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return column


def _type_of(type_):
    """The type that a file has for it: strings have offsets of 64 bits."""
    if pa.types.is_dictionary(type_):
        return pa.dictionary(type_.index_type, _type_of(type_.value_type), type_.ordered)
    return pa.large_string() if type_ == pa.string() else type_
