"""A typed user: the public API as a program uses it, checked by mypy --strict and pyright. It is not run.

A line that ends in ``# error`` must be an error for both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

import colonnade as cn


def put_what_can_be_put(df: pd.DataFrame, frame: pl.DataFrame, lazy: pl.LazyFrame, array: np.ndarray) -> None:
    snapshot = cn.put("t", df, keep=2, expect_version=1, ttl=timedelta(hours=1))
    assert_type(snapshot, cn.Snapshot)
    cn.put("t", df["x"], ttl=1.5)
    cn.put("t", frame)
    cn.put("t", lazy)
    cn.put("t", array)
    cn.put("t", b"bytes")
    cn.put("t", memoryview(b"bytes"))
    cn.put("t", cn.open("t"), expect_version=snapshot)
    cn.put("t", {"x": array, "y": [1, 2]}, ttl="1d", sort_by=["x"], meta={"source": "a test"})
    cn.Store("/tmp/store", capacity="8GiB", trust=[0]).put("t", df)


def put_what_cannot_be_put() -> None:
    cn.put("t", [1, 2])  # error
    cn.put("t", {1, 2})  # error
    cn.put("t", "text")  # error
    cn.put("t", 7)  # error
    cn.put("t", None)  # error
    cn.put(pd.DataFrame(), "t")  # error
    cn.share([1, 2])  # error
    cn.Store().put("t", (1, 2))  # error


def read() -> None:
    assert_type(cn.get("t", columns=["x"], writable=False), pd.DataFrame)
    with cn.open("t", version=3, validate="full") as snapshot:
        assert_type(snapshot.version, int)
        assert_type(snapshot.created, datetime)
        assert_type(snapshot.path, Path)
        assert_type(snapshot.to_pandas(), pd.DataFrame)
        assert_type(snapshot.to_polars(), pl.DataFrame)
        assert_type(snapshot.head(3), pd.DataFrame | pd.Series[Any] | npt.NDArray[Any])
        assert_type(snapshot.tail(), pd.DataFrame | pd.Series[Any] | npt.NDArray[Any])
        assert_type(snapshot.locate(7), int | npt.NDArray[np.int64])
        assert_type(snapshot.rows([1, 2]), pd.DataFrame)
    assert_type(cn.exists("t"), bool)
    assert_type(cn.ls()[0].rows, int)
    assert_type(cn.info("t").nbytes, int)
    cn.open("t", validate="half")  # error
    cn.get("t", version="1")  # error


def allocate() -> None:
    with cn.allocate("t", {"x": "float64"}, rows=10) as draft:
        draft["x"][:] = 1.0
        assert_type(draft.num_rows, int)


def new_versions() -> None:
    for snapshot in cn.watch("t", timeout=1.0):
        assert_type(snapshot, cn.Snapshot)
    latest = cn.latest("t", prepare=lambda snapshot: snapshot.num_rows)
    assert_type(latest.now().version, int)
    assert_type(latest.wait(timeout=1).frame, pd.DataFrame)
    assert_type(latest.age, timedelta)
    assert_type(latest.frame, pd.DataFrame)
    assert_type(latest.locate([7]), int | npt.NDArray[np.int64])
    assert_type(latest.snapshot, cn.Snapshot)


async def new_versions_in_an_event_loop() -> None:
    async for snapshot in cn.watch("t"):
        assert_type(snapshot, cn.Snapshot)
        await asyncio.sleep(0)


@cn.cache(ttl="1d")
def computed(day: str, *, limit: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"day": [day] * limit})


def names() -> None:
    assert_type(computed("monday", limit=2), pd.DataFrame)
    computed(7)  # error
    computed.clear()
    assert_type(cn.versions("t")[0].meta, dict[str, Any])
    cn.rename("t", "u")
    assert_type(cn.copy("u", "v", version=-1), cn.Snapshot)
    with cn.Store("/tmp/store") as store:
        assert_type(list(store), list[str])
        assert_type("t" in store, bool)
        store["t"] = store["u"]
    assert_type(cn.open("t").shape, tuple[int, ...])
    assert_type(cn.open("t").scan(), pl.LazyFrame)
    cn.get("t", dtype_backend="pyarrow")
    cn.get("t", dtype_backend="numpy")  # error


def the_rest(function: Callable[[pd.DataFrame], None]) -> None:
    with cn.by_reference(min_bytes="1MiB"):
        function(cn.get("t"))
    cn.load("t", Path("t.csv"), format="csv")
    cn.dump("t", "t.parquet")
    assert_type(cn.gc().files, int)
    for problem in cn.check():
        assert_type(problem, cn.Problem)
    assert_type(cn.usage().nbytes, int)
    assert_type(cn.Store().settings.capacity, int | None)
    cn.delete("t")
    try:
        cn.get("t")
    except cn.NotFoundError as error:
        assert_type(error, cn.NotFoundError)
