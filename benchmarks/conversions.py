"""The conversions that are measured: `CONVERSIONS` says of each its data, how it is called, and what is promised.

Does not depend on: how time is taken, or what becomes of it.

A table is converted to pandas, a frame to Arrow. Columns stand in memory as a reader of files leaves them: each in
buffers of its own, aligned, from PyArrow's pool; what lies beneath a null is any value. All values are the same in
every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.frames import COLUMNS, frame_of_2016
from benchmarks.measure import GIB

ROWS = 10_000_000
Options = dict[str, Any]


# -- the data --------------------------------------------------------------------------------------------------------


def _column(rng: np.random.Generator, values: Any, nulls: float | None, kind: Any = None) -> Any:
    """An array with a share of nulls at random places; the concatenation is what copies it into PyArrow's pool."""
    mask = None if nulls is None else rng.random(len(values)) < nulls
    return pa.concat_arrays([pa.array(values, type=kind, mask=mask)])


def _table(columns: int, make: Callable[[np.random.Generator], Any]) -> pa.Table:
    rng = np.random.default_rng(columns)
    return pa.table({f"c{i}": make(rng) for i in range(columns)})


def table_of_2016(columns: int = COLUMNS) -> pa.Table:
    """Make 1 GiB of float64 values, every fifth row null, after the post of 2016."""
    rows = GIB // 8 // columns
    mask = np.arange(rows) % 5 == 0
    return _table(columns, lambda rng: pa.concat_arrays([pa.array(rng.standard_normal(rows), mask=mask)]))


def _integers(width: int, columns: int = 2) -> pa.Table:
    reach = 1 << min(8 * width - 1, 50)  # float64 holds them all
    return _table(columns, lambda rng: _column(rng, rng.integers(-reach, reach, ROWS, dtype=f"i{width}"), 0.1))


def _booleans(nulls: float | None, columns: int = 2) -> pa.Table:
    return _table(columns, lambda rng: _column(rng, rng.random(ROWS) < 0.5, nulls))


def _timestamps() -> pa.Table:
    """Make moments of 1970 to 2033."""
    return _table(2, lambda rng: _column(rng, rng.integers(0, 2 * 10**15, ROWS), 0.1, pa.timestamp("us")))


def _dictionaries() -> pa.Table:
    words = pa.array([f"kind {i}" for i in range(100)])

    def column(rng: np.random.Generator) -> Any:
        codes = _column(rng, rng.integers(0, len(words), ROWS, dtype=np.int8), 0.1)
        return pa.DictionaryArray.from_arrays(codes, words)

    return _table(2, column)


def _dates() -> pa.Table:
    """Make days of 1970 to 2024."""
    return _table(1, lambda rng: _column(rng, rng.integers(0, 20_000, ROWS, dtype=np.int32), 0.1, pa.date32()))


def _words() -> pa.Table:
    """Make words of 1 to 7 digits, as many of each length."""
    return _table(
        1, lambda rng: pa.array(rng.integers(0, 10 ** rng.integers(1, 8, ROWS), ROWS, dtype=np.int64)).cast(pa.string())
    )


def _floats(rows: int, columns: int) -> pa.Table:
    return _table(columns, lambda rng: _column(rng, rng.standard_normal(rows), 0.1))


def _chunks() -> pa.Table:
    whole = _floats(1_000_000, 20)
    pieces = [whole.slice(start, 1_000) for start in range(0, whole.num_rows, 1_000)]
    return pa.concat_tables([pa.table([pa.concat_arrays(c.chunks) for c in p.columns], p.schema) for p in pieces])


def _frame(columns: int, make: Callable[[np.random.Generator], Any]) -> pd.DataFrame:
    rng = np.random.default_rng(columns)
    return pd.DataFrame({f"c{i}": make(rng) for i in range(columns)})


def _whole_numbers() -> pd.DataFrame:
    def column(rng: np.random.Generator) -> Any:
        values = rng.integers(-(1 << 50), 1 << 50, ROWS).astype(np.float64)
        values[rng.random(ROWS) < 0.1] = np.nan
        return values

    return _frame(2, column)


def _masked() -> pd.DataFrame:
    return _frame(
        2, lambda rng: pd.arrays.IntegerArray(rng.integers(-(1 << 50), 1 << 50, ROWS), rng.random(ROWS) < 0.1)
    )


# -- what is done with it, and promised ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conversion:
    """One row. ``ratio`` is how many times as fast as PyArrow it is to be, ``share`` which part of the copy limit.

    A ``fresh`` one is the first call of a process that does nothing else; its result lies in pages that the kernel has
    to make first, so that copying between warm ones is no limit of it.
    """

    what: str
    make: Callable[[], Any]
    ratio: float
    share: float | None = None
    options: Options = field(default_factory=dict)
    threads: int = 2
    fresh: bool = False


def _masks(arrow: Any, dtype: Any) -> Options:
    return {"types_mapper": {arrow: dtype}.get}


_WHOLE = pa.schema([("c0", pa.int64()), ("c1", pa.int64())])

CONVERSIONS = {
    "2016_one": Conversion("2016 table, 1 thread", table_of_2016, 2.3, 0.85, options={"use_threads": False}, threads=1),
    "2016": Conversion("2016 table, 2 threads", table_of_2016, 1.5, 0.85),
    "2016_first": Conversion("2016 table, first call of a process", table_of_2016, 1.1, fresh=True),
    "tall": Conversion("float64 with nulls, 1 GiB x 1", lambda: table_of_2016(1), 2.5, 0.8),
    "int64": Conversion("int64 with nulls to float64", lambda: _integers(8), 2.5, 0.6),
    "int8": Conversion("int8 with nulls to float64", lambda: _integers(1), 2.5, 0.6),
    "int64_masked": Conversion(
        "int64 with nulls to Int64", lambda: _integers(8), 2.5, 0.6, options=_masks(pa.int64(), pd.Int64Dtype())
    ),
    "bool": Conversion("bool without nulls", lambda: _booleans(None), 2, 0.6),
    "bool_masked": Conversion(
        "bool with nulls to boolean", lambda: _booleans(0.1), 2, 0.6, options=_masks(pa.bool_(), pd.BooleanDtype())
    ),
    "timestamp": Conversion("timestamp[us] with nulls", _timestamps, 2, 0.6),
    "dictionary": Conversion("dictionary<int8> to categorical", _dictionaries, 3),
    "date": Conversion("date32 with nulls to objects, x 1", _dates, 2),
    "bool_objects": Conversion("bool with nulls to objects, x 1", lambda: _booleans(0.1, 1), 2),
    "string": Conversion("string to str, x 1", _words, 2),
    "chunks": Conversion("20 float64, 1,000 chunks of 1,000 rows", _chunks, 1.5),
    "wide": Conversion("10,000 float64 x 100 rows", lambda: _floats(100, 10_000), 1.2),
    "from_2016": Conversion("from pandas: 2016 frame", frame_of_2016, 2, 0.8),
    "from_whole": Conversion("from pandas: float64 to int64", _whole_numbers, 2, options={"schema": _WHOLE}),
    "from_bool": Conversion("from pandas: bool", lambda: _frame(2, lambda rng: rng.random(ROWS) < 0.5), 2),
    "from_masked": Conversion("from pandas: Int64 with NA", _masked, 2),
}
