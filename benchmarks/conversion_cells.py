"""The cells of the grid: tables of one type and so many rows, and PyArrow's own benchmarks of its conversion to pandas.

Does not depend on: how time is taken, how figures are shown.

PyArrow's cases are those of ``python/benchmarks/convert_pandas.py`` in apache/arrow, written anew.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import colonnade as cn

ROWS = (1, 3, 100, 10_000, 1_000_000)
MOST_OBJECTS = 100_000  # rows of types that become Python objects, of which PyArrow makes most
Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Two calls that give the same: PyArrow's and ours. ``way`` is ``to pandas``, ``from pandas`` or ``PyArrow's``."""

    way: str
    kind: str
    rows: int
    make: Callable[[], tuple[Call, Call]]


# -- one column of each type -----------------------------------------------------------------------------------------


def _numbers(rng: np.random.Generator, rows: int, dtype: str) -> Any:
    return rng.integers(0, 100, rows).astype(dtype)


def _nulls(rng: np.random.Generator, rows: int) -> Any:
    """Every tenth value at random, and always the first."""
    mask = rng.random(rows) < 0.1
    mask[:1] = True
    return mask


def _words(rng: np.random.Generator, rows: int) -> list[str]:
    return [f"word {number}" for number in rng.integers(0, 10**6, rows)]


def _typed(type_: pa.DataType, *, nulls: bool) -> Callable[[np.random.Generator, int], Any]:
    def make(rng: np.random.Generator, rows: int) -> Any:
        values = rng.integers(0, 10_000, rows)
        mask = _nulls(rng, rows) if nulls else None
        if pa.types.is_boolean(type_):
            return pa.array(values < 5_000, mask=mask)
        if pa.types.is_floating(type_) or (pa.types.is_integer(type_) and type_.bit_width < 32):
            return pa.array((values % 100).astype(type_.to_pandas_dtype()), mask=mask)
        if pa.types.is_dictionary(type_):
            codes = pa.array((values % 100).astype(type_.index_type.to_pandas_dtype()), mask=mask)
            return pa.DictionaryArray.from_arrays(codes, [f"kind {number}" for number in range(100)])
        if pa.types.is_date32(type_) or pa.types.is_time32(type_) or pa.types.is_int32(type_):
            return pa.array(values.astype(np.int32), mask=mask).cast(type_)
        return pa.array(values, mask=mask).cast(type_)

    return make


def _text(type_: pa.DataType, *, nulls: bool) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, rows: pa.array(_words(rng, rows), type_, mask=_nulls(rng, rows) if nulls else None)


def _objects(make_one: Callable[[int], Any], type_: pa.DataType) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, rows: pa.array([make_one(int(number)) for number in rng.integers(0, 1000, rows)], type_)


_TYPES: dict[str, pa.DataType] = {
    **{name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64", "uint8", "uint64")},
    **{name: getattr(pa, name)() for name in ("float16", "float32", "float64")},
    "bool": pa.bool_(),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[ns]": pa.timestamp("ns"),
    "timestamp[us, zone]": pa.timestamp("us", "Europe/Berlin"),
    "duration[us]": pa.duration("us"),
    "date32": pa.date32(),
    "dictionary<int8>": pa.dictionary(pa.int8(), pa.string()),
    "dictionary<int32>": pa.dictionary(pa.int32(), pa.string()),
}
_MAKE: dict[str, Callable[[np.random.Generator, int], Any]] = {
    **{name: _typed(type_, nulls=False) for name, type_ in _TYPES.items()},
    **{
        f"{name}, nulls": _typed(type_, nulls=True) for name, type_ in _TYPES.items() if name not in ("int16", "uint64")
    },
    "string": _text(pa.string(), nulls=False),
    "string, nulls": _text(pa.string(), nulls=True),
    "large_string": _text(pa.large_string(), nulls=False),
    "string_view": _text(pa.string_view(), nulls=False),
    "binary": _objects(lambda number: b"%d" % number, pa.binary()),
    "time64[us]": _objects(lambda number: number, pa.time64("us")),
    "decimal128": _objects(decimal.Decimal, pa.decimal128(10, 2)),
    "list<int64>": _objects(lambda number: [number] * 3, pa.list_(pa.int64())),
    "struct": _objects(lambda number: {"a": number}, pa.struct({"a": pa.int64()})),
}
# Types whose values become Python objects.
_AS_OBJECTS = {"binary", "time64[us]", "decimal128", "list<int64>", "struct"}
_MAPPED = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.float64(): pd.Float64Dtype()}
# Other dtypes for the same types: by name, the type and the mapper.
_MAPPERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int64 to Int64, nulls": ("int64, nulls", _MAPPED.get),
    "bool to boolean, nulls": ("bool, nulls", _MAPPED.get),
    "float64 to Float64, nulls": ("float64, nulls", _MAPPED.get),
    "int64 to ArrowDtype": ("int64", pd.ArrowDtype),
}


def _one_column(kind: str, rows: int) -> pa.Table:
    return pa.table({"x": _MAKE[kind](np.random.default_rng(rows), rows)})


def six_types(rows: int) -> pa.Table:
    """Six common types, one column each."""
    kinds = ("int64", "float64", "bool", "string", "timestamp[us]", "dictionary<int8>")
    rng = np.random.default_rng(rows)
    return pa.table({f"c{number}": _MAKE[kind](rng, rows) for number, kind in enumerate(kinds)})


def _wide(rows: int) -> pa.Table:
    rng = np.random.default_rng(rows)
    return pa.table({f"c{number}": rng.standard_normal(rows) for number in range(10_000)})


def _to_pandas(table: pa.Table, **options: Any) -> tuple[Call, Call]:
    return lambda: table.to_pandas(**options), lambda: cn.to_pandas(table, **options)


def _from_pandas(df: pd.DataFrame, **options: Any) -> tuple[Call, Call]:
    return lambda: pa.Table.from_pandas(df), lambda: cn.from_pandas(df, **options)


@dataclass
class _Data:
    """A table, and a frame of it that has its own memory; both are made once, when they are used."""

    make: Callable[[], pa.Table]
    options: dict[str, Any]

    def to_pandas(self) -> tuple[Call, Call]:
        return _to_pandas(self.table, **self.options)

    def from_pandas(self, **ours: Any) -> tuple[Call, Call]:
        return _from_pandas(self.frame, **ours)

    @cached_property
    def table(self) -> pa.Table:
        return self.make()

    @cached_property
    def frame(self) -> pd.DataFrame:
        frame: pd.DataFrame = self.table.to_pandas(**self.options)
        return frame.copy(deep=True)


def _data(rows: int) -> Iterator[tuple[str, _Data]]:
    for kind in _MAKE:
        if kind not in _AS_OBJECTS or rows <= MOST_OBJECTS:
            yield kind, _Data(partial(_one_column, kind, rows), {})
    for kind, (source, mapper) in _MAPPERS.items():
        yield kind, _Data(partial(_one_column, source, rows), {"types_mapper": mapper})
    yield "six types", _Data(partial(six_types, rows), {})
    if rows in {1, 100}:
        yield "10,000 columns", _Data(partial(_wide, rows), {})


def grid() -> Iterator[Cell]:
    """Every type at every number of rows, to pandas and from pandas."""
    for rows in ROWS:
        for kind, data in _data(rows):
            yield Cell("to pandas", kind, rows, data.to_pandas)
            yield Cell("from pandas, copy=False", kind, rows, partial(data.from_pandas, copy=False))
            yield Cell("from pandas", kind, rows, data.from_pandas)
    for kind in ("int64", "float64, nulls", "timestamp[us]", "string"):
        yield Cell("to pandas", kind, 10**7, _Data(partial(_one_column, kind, 10**7), {}).to_pandas)


# -- PyArrow's own benchmarks ----------------------------------------------------------------------------------------


def _arange(rows: int, dtype: str) -> pd.DataFrame:
    if dtype != "float64 with NaN":
        return pd.DataFrame({"column": np.arange(rows).astype(dtype)})
    values = np.arange(rows).astype("float64")
    values[values % 10 == 0] = np.nan
    return pd.DataFrame({"column": values})


def _arrow_of_range(rows: int, dtype: str) -> tuple[Call, Call]:
    return _from_pandas(_arange(rows, dtype), copy=False)


def _pandas_of_range(rows: int, dtype: str) -> tuple[Call, Call]:
    return _to_pandas(pa.Table.from_pandas(_arange(rows, dtype)))


def _repeated_strings(unique: float, rows: int, **options: Any) -> tuple[Call, Call]:
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (int(rows * unique), 25), dtype=np.uint8)
    words = [bytes(row).decode() for row in letters]
    return _to_pandas(pa.table({"f0": pa.array(words * (rows // len(words)), pa.string())}), **options)


def _serialize() -> tuple[Call, Call]:
    df = pd.DataFrame({"data": np.random.default_rng(0).standard_normal(10**7)})

    def ours() -> pa.Buffer:
        table = cn.from_pandas(df, copy=False)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()

    return lambda: pa.serialize_pandas(df), ours


def _deserialize() -> tuple[Call, Call]:
    message = pa.serialize_pandas(pd.DataFrame({"data": np.random.default_rng(0).standard_normal(10**7)}))
    return lambda: pa.deserialize_pandas(message), lambda: cn.to_pandas(pa.ipc.open_stream(message).read_all())


def _hundred_columns() -> tuple[Call, Call]:
    series = pd.Series(range(10_000))
    df = pd.DataFrame({name: series.copy(deep=True) for name in range(100)}).astype(dict.fromkeys(range(50), str))
    return lambda: pa.Table.from_pandas(df, nthreads=1), lambda: cn.from_pandas(df, nthreads=1, copy=False)


def pyarrows() -> Iterator[Cell]:
    """The cases of PyArrow's own benchmarks."""
    way = "PyArrow's"
    for rows in (10, 10**6):
        for dtype in ("int64", "float64", "float64 with NaN", "str"):
            yield Cell(
                *(way, f"PandasConversionsToArrow {dtype}", rows),
                partial(_arrow_of_range, rows, dtype),
            )
            yield Cell(
                *(way, f"PandasConversionsFromArrow {dtype}", rows),
                partial(_pandas_of_range, rows, dtype),
            )
    for unique in (0.001, 0.01, 0.1, 0.5):
        for name, options in (("dedup", {}), ("no_dedup", {"deduplicate_objects": False})):
            yield Cell(
                *(way, f"ToPandasStrings {name}, {unique:g} unique", 10**6),
                partial(_repeated_strings, unique, 10**6, **options),
            )
    yield Cell(way, "SerializeDeserializePandas serialize", 10**7, _serialize)
    yield Cell(way, "SerializeDeserializePandas deserialize", 10**7, _deserialize)
    yield Cell(way, "TableFromPandasMicroperformance, 100 columns", 10_000, _hundred_columns)
