"""Dask DataFrames of snapshots, and snapshots of Dask DataFrames.

Does not depend on: how a cluster is set up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask import config
from dask.base import compute
from dask.delayed import delayed

from colonnade.errors import ColonnadeError
from colonnade.snapshot import Snapshot
from colonnade.store import Store


def to_dask(snapshot: Snapshot, npartitions: int = 1) -> Any:
    """Make a Dask DataFrame of a snapshot: its partitions are zero-copy slices, on whichever host they run.

    Parameters
    ----------
    snapshot : Snapshot
        The table.
    npartitions : int, default 1
        How many slices of rows; at most as many as there are rows.

    Returns
    -------
    dask.dataframe.DataFrame
        Its divisions are not known.

    Raises
    ------
    ValueError
        If ``npartitions`` is not positive.
    """
    if npartitions < 1:
        raise ValueError(f"npartitions must be 1 or more, got {npartitions}")
    rows = snapshot.num_rows
    count = max(min(npartitions, rows), 1)
    bounds = [(rows * at // count, rows * (at + 1) // count) for at in range(count)]
    meta = snapshot.to_pandas().iloc[:0].copy()
    with config.set({"dataframe.convert-string": False}):  # text as the table has it, which is Arrow's already
        return dd.from_map(_slice, bounds, snapshot=snapshot, meta=meta, label="colonnade", enforce_metadata=False)


def _slice(bounds: tuple[int, int], snapshot: Snapshot) -> pd.DataFrame:
    start, stop = bounds
    return snapshot.to_pandas().iloc[start:stop]


def put(name: str, frame: Any, **options: Any) -> Snapshot:
    """Store a Dask DataFrame as the next version of a table, on the host of one of the workers.

    Each worker shares its partitions where they are. One worker then writes the table, partition by partition, so that
    no process ever has the whole table in private memory; partitions of other hosts are fetched by it. One table is
    made, not a set of partitions: a snapshot is what every reader takes, and its columns are contiguous.

    Parameters
    ----------
    name : str
        The table.
    frame : dask.dataframe.DataFrame
        The rows are stored in the order of its partitions. A RangeIndex becomes an index of integers.
    **options
        Those of `Store.load`, such as ``keep=`` and ``ttl=``.

    Returns
    -------
    Snapshot
        The table.
    """
    parts = [delayed(_share, pure=False)(part) for part in frame.to_delayed()]
    (snapshot,) = compute(delayed(_join, pure=False)(name, parts, options), optimize_graph=False)
    result: Snapshot = snapshot
    return result


def _share(part: Any) -> Snapshot:
    if isinstance(part, pd.Series):
        part = part.to_frame()
    if isinstance(part.index, pd.RangeIndex):  # which Arrow's metadata would keep for the first partition alone
        part = part.set_axis(pd.Index(part.index.to_numpy(), name=part.index.name))
    return Store().share(part)


def _join(name: str, parts: list[Snapshot], options: dict[str, Any]) -> Snapshot:
    schema = parts[0].schema

    def batches() -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield from part.to_arrow().cast(schema).to_batches()

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    return Store().load(name, reader, progress=False, **options)


def prefetch(client: Any, snapshot: Snapshot) -> None:
    """Fetch a table to all hosts of a cluster now, once for each, and wait for that.

    Workers that end meanwhile are left out.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    snapshot : Snapshot
        The table.

    Raises
    ------
    NotFoundError, RemoteError, StoreFullError
        The first error of a host.
    """
    # Not by tasks: one for a worker that has just ended would wait for ever.
    for result in client.run(_fetch, snapshot, on_error="return").values():
        if isinstance(result, ColonnadeError):
            raise result


async def _fetch(snapshot: Snapshot) -> None:
    await asyncio.to_thread(snapshot.fileno)
