"""Dask DataFrames of snapshots, and snapshots of Dask DataFrames.

Does not depend on: how a cluster is set up.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask import config
from dask.base import compute
from dask.delayed import delayed

from colonnade.arguments import whole_number
from colonnade.errors import ColonnadeError, UnsupportedTypeError, brief_repr
from colonnade.snapshot import Snapshot
from colonnade.storage import paths
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
        Its divisions are not known. Where Dask needs some columns only, no other is opened.

    Raises
    ------
    ValueError, TypeError
        If ``npartitions`` is not a positive number, or the first argument is no Snapshot.
    """
    if not isinstance(snapshot, Snapshot):
        raise TypeError(f"to_dask takes a Snapshot, as of cn.open(name); got {brief_repr(snapshot)}")
    npartitions = whole_number(npartitions, "npartitions")
    if npartitions < 1:
        raise ValueError(f"npartitions must be 1 or more, got {npartitions}")
    rows = snapshot.num_rows
    count = max(min(npartitions, rows), 1)
    bounds = [(rows * at // count, rows * (at + 1) // count) for at in range(count)]
    meta = snapshot.to_pandas().iloc[:0].copy()
    read = _slice_of_columns if _has_plain_labels(meta) else _slice
    with config.set({"dataframe.convert-string": False}):  # text as the table has it, which is Arrow's already
        return dd.from_map(read, bounds, snapshot=snapshot, meta=meta, label="colonnade", enforce_metadata=False)


def _has_plain_labels(meta: Any) -> bool:
    """Whether a list of labels says which columns are wanted."""
    return isinstance(meta, pd.DataFrame) and meta.columns.is_unique and meta.columns.nlevels == 1


def _slice(bounds: tuple[int, int], snapshot: Snapshot) -> pd.DataFrame:
    return _slice_of_columns(bounds, snapshot, columns=None)


# Dask looks at the parameters: it passes the columns that it needs to a function with this name among them.
def _slice_of_columns(bounds: tuple[int, int], snapshot: Snapshot, columns: list[Any] | None) -> pd.DataFrame:
    start, stop = bounds
    return snapshot.to_pandas(columns=columns).iloc[start:stop]


def put(name: str, frame: Any, **options: Any) -> Snapshot:
    """Store a Dask DataFrame as the next version of a table, on the host of one of the workers.

    Each worker shares its partitions where they are. One worker then writes the table, partition by partition, so that
    no process ever has the whole table in private memory; partitions of other hosts are fetched by it. One table is
    made, not a set of partitions: a snapshot is what every reader takes, and its columns are contiguous.

    Parameters
    ----------
    name : str
        The table.
    frame : dask.dataframe.DataFrame or Series
        The rows are stored in the order of its partitions. A RangeIndex becomes an index of integers. Columns whose
        types differ among partitions get a type that holds the values of all of them.
    **options
        Those of `Store.load`, such as ``keep=`` and ``ttl=``.

    Returns
    -------
    Snapshot
        The table.

    Raises
    ------
    InvalidNameError, TypeError
        Before anything is computed.
    UnsupportedTypeError
        If partitions have other columns, or a column whose types or values no type holds together. Nothing is stored.
    """
    if not isinstance(frame, (dd.DataFrame, dd.Series)) or isinstance(frame, dd.Index):
        raise TypeError(
            f"put takes a Dask DataFrame or Series, got {brief_repr(frame)}; cn.put(name, frame) stores one in memory"
        )
    paths.check_name(name)
    options = {"progress": False} | options
    inspect.signature(Store.load).bind(None, name, None, **options)
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
    # Types of columns without rows are often a guess.
    schema = _common_schema([part.schema for part in parts if part.num_rows] or [parts[0].schema])

    errors: list[Exception] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for part in parts:
                if part.num_rows:
                    yield from _cast(part.to_arrow().select(schema.names), schema).to_batches()
        except Exception as error:  # raised again below: Arrow's reader makes an error of its own from any
            errors.append(error)
            raise

    try:
        return Store().load(name, pa.RecordBatchReader.from_batches(schema, batches()), **options)
    except Exception:  # of whichever class Arrow gives it
        if errors:
            raise errors.pop() from None
        raise


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a partition the common types.

    Raises
    ------
    UnsupportedTypeError
        The common type of a column does not hold a value: an integer that no float is equal to, for one.
    """
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UnsupportedTypeError(
                f"partitions have column {field.name!r} as {column.type} and other types; {field.type}, which is for "
                f"all of them, does not hold a value of it ({error}): convert it first by astype"
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)


def _common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of the first partition, with types that hold the values of all.

    Raises
    ------
    UnsupportedTypeError
    """
    first = schemas[0]
    for schema in schemas:
        if sorted(schema.names) != sorted(first.names):
            raise UnsupportedTypeError(
                f"a partition has the columns {schema.names}, and the first one has {first.names}: "
                "give all partitions the same columns"
            )
    types = {name: _common_type(name, [schema.field(name).type for schema in schemas]) for name in first.names}
    common = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    # What pandas needs is said by a partition with these types, if there is one.
    like = next((schema for schema in schemas if [schema.field(name).type for name in types] == common.types), first)
    return common.with_metadata(like.metadata)


def _common_type(name: str, types: Sequence[pa.DataType]) -> pa.DataType:
    distinct = list(dict.fromkeys(each for each in types if not pa.types.is_null(each)))
    if len(distinct) < 2:
        return distinct[0] if distinct else pa.null()
    categories = [each for each in distinct if pa.types.is_dictionary(each)]
    if categories:
        values = _common_type(name, [each.value_type if each in categories else each for each in distinct])
        ordered = all(each.ordered for each in categories)
        return pa.dictionary(pa.int32(), values, ordered) if categories == distinct else values
    try:
        common = pa.unify_schemas(
            [pa.schema([pa.field(name, each)]) for each in distinct], promote_options="permissive"
        )
    except pa.ArrowException as error:
        kinds = ", ".join(map(str, distinct))
        raise UnsupportedTypeError(
            f"partitions have column {name!r} as {kinds}, which no type holds together: convert it first by astype"
        ) from error
    return common.field(0).type


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
