"""A table of every type that can grow, and what Arrow and the head say of it, for tests of the producer."""

import numpy as np
import pandas as pd
import pyarrow as pa

import colonnade as cn
from colonnade.storage.log_head import HeadReader


def every_type(rows: int, start: int = 0) -> pd.DataFrame:
    """Each type that can grow, with nulls in all that have nulls; the rows differ."""
    number = np.arange(start, start + rows)
    null = number % 7 == 3
    text = pd.Series([None if gone else f"text {n}" for n, gone in zip(number, null, strict=True)], dtype="str")
    return pd.DataFrame({
        "time": (number * 1_000).astype("M8[us]"),
        "float": np.where(null, np.nan, number),
        "half": np.where(null, np.nan, number % 100).astype(np.float16),
        "int": number,
        "byte": (number % 200).astype(np.uint8),
        "flag": number % 3 == 0,
        "masked": pd.arrays.IntegerArray(number.astype(np.int32), null.copy()),
        "maybe": pd.arrays.BooleanArray(number % 2 == 0, null.copy()),
        "span": np.where(null, np.timedelta64("NaT", "ns"), number.astype("m8[ns]")),
        "zoned": pd.Series(number.astype("M8[ms]")).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        "text": text,
        "kind": pd.Categorical([None if gone else f"kind {n % 5}" for n, gone in zip(number, null, strict=True)]),
    })  # fmt: skip


def shown(store: cn.Store, name: str) -> pd.DataFrame:
    """The rows that Arrow finds in the segments."""
    files = sorted((store.path / f"{name}@live").glob("*.arrow"))
    tables = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files]
    for table in tables:
        table.validate(full=True)
    return pa.concat_tables(tables).unify_dictionaries().to_pandas()


def head_of(store: cn.Store, name: str) -> HeadReader:
    path = store.path / f"{name}@live/head"
    return HeadReader(memoryview(path.read_bytes()), path)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    plain = [frame.assign(kind=frame["kind"].astype("str")).reset_index(drop=True) for frame in (left, right)]
    pd.testing.assert_frame_equal(*plain)
