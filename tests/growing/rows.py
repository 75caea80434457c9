"""Rows whose number says what each of their values is, and checks that a table is such rows.

Does not depend on: how a growing table is written or read.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from colonnade.storage.log_head import HeadReader

_PERIOD = 8192


def make(start: int, stop: int) -> pd.DataFrame:
    """The rows from ``start`` up to ``stop``: every kind of column, nulls in those that have them, new categories."""
    number = np.arange(start, stop)
    return _period().take(number % _PERIOD).assign(number=number).reset_index(drop=True)


@cache
def _period() -> pd.DataFrame:
    number = np.arange(_PERIOD)
    null = number % 7 == 3
    texts = [
        None if is_null else "ä" * (n % 5) + str(n) for n, is_null in zip(number.tolist(), null.tolist(), strict=True)
    ]
    return pd.DataFrame({
        "number": number,
        "real": np.where(null, np.nan, number * 0.5),
        "flag": number % 3 == 0,
        "masked": pd.arrays.IntegerArray(number * 2, null.copy()),
        "time": np.where(number % 11 == 5, np.datetime64("NaT", "ns"), number.astype("M8[ns]")),
        "text": pd.Series(texts, dtype="str"),
        "kind": pd.Categorical([None if n % 13 == 1 else f"kind {n // 9 % 60}" for n in number.tolist()]),
    })  # fmt: skip


def _plain(table: pa.Table) -> pa.Table:
    """The same values in one type each, without metadata."""
    columns = []
    for column in table.columns:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
            kind = pa.large_string()
        columns.append(column.cast(kind))
    return pa.table(columns, names=table.column_names)


@cache
def _arrow_period() -> pa.Table:
    return _plain(pa.Table.from_pandas(_period(), preserve_index=False))


def expected(start: int, stop: int) -> pa.Table:
    """The rows as an Arrow table of plain types."""
    skipped = start % _PERIOD
    periods = (skipped + stop - start) // _PERIOD + 1
    table = pa.concat_tables([_arrow_period()] * periods).slice(skipped, stop - start)
    return table.set_column(0, "number", pa.array(np.arange(start, stop)))


def verify_arrow(table: pa.Table, start: int | None = None, stop: int | None = None) -> range:
    """See that a table is rows that follow each other, and those that are given; gives which they are."""
    first = table["number"][0].as_py() if table.num_rows else (start or 0)
    result = range(first, first + table.num_rows)
    assert start is None or result.start == start, (result, start)
    assert stop is None or result.stop == stop, (result, stop)
    target, plain = expected(result.start, result.stop), _plain(table)
    for name in target.column_names:
        assert plain[name].equals(target[name]), f"column {name} of rows {result}: {plain[name]}, not {target[name]}"
    return result


def verify_pandas(frame: pd.DataFrame, start: int | None = None, stop: int | None = None) -> range:
    """The same of a frame. What pandas shows is compared, so codes and masks and not only Arrow's forms of them."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in ("real", "time"):  # pandas has no nulls there, and Arrow's reading makes some of NaN and NaT
        assert frame[name].isna().to_numpy().sum() == table[name].null_count, name
    assert not len(frame) or (frame["kind"].cat.codes.to_numpy() >= 0).sum() == len(frame) - table["kind"].null_count
    return verify_arrow(table, start, stop)


def folder_of(store, name: str) -> Path:
    """The folder of a growing table."""
    return store.path / f"{name}@live"


def head_of(store, name: str) -> HeadReader | None:
    """Its head as it is now; None if there is none."""
    path = folder_of(store, name) / "head"
    return HeadReader(memoryview(path.read_bytes()), path) if path.exists() else None


def segments_of(store, name: str) -> list[Path]:
    """The files of its segments in their order."""
    return sorted(folder_of(store, name).glob("[0-9]*.arrow"))


def read_file(path: Path) -> pa.Table:
    """One segment as PyArrow maps and reads it, fully validated."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    table.validate(full=True)
    return table
