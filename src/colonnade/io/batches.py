"""Record batches of any length, made ready to be stored and released one after the other.

Sources give batches of any length: SQLite gives 1,024 rows, a Parquet file the rest of a row group. A table is stored
batch by batch, and a batch must end at a whole byte of each bitmap. So every batch but the last gets a multiple of 8
rows. Small batches are joined, because each column of a batch costs the same few microseconds, whatever its length.

Does not depend on: where batches come from, where they are stored.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.types as pt

from colonnade.errors import UnsupportedTypeError
from colonnade.interop.dictionaries import concatenated, with_one_dictionary

T = TypeVar("T")

# The memory pool of everything that a load reads. PyArrow's own choice, mimalloc, uses the memory of a dropped batch
# for the next one. Measured, 230 MB of Parquet: 75,000 page faults with glibc's malloc, 5,000 with mimalloc.
POOL = pa.default_memory_pool()
_WHOLE_BYTE = 8
_SMALL = 1 << 20
_JOINED = 8 << 20


class Stream(NamedTuple):
    """Columns that are decoded when they are written: for each, whether it has nulls; and how many rows they have.

    Both are what the source declares. Each item of ``batches`` is the names of some columns, and a batch of these.
    """

    columns: Mapping[str, bool]
    rows: int
    batches: Iterator[tuple[Sequence[str], pa.RecordBatch]]


class Source(NamedTuple):
    """Tabular data of one schema, in batches that are read when they are asked for.

    ``batches`` have the columns that are not in the ``stream``.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    stream: Stream | None = None


def release_memory() -> None:
    """Return the memory of dropped batches to the kernel; database drivers allocate theirs with malloc."""
    POOL.release_unused()
    # musl has no malloc_trim, because it keeps nothing.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def gather(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """Read batches to their end; the table alone refers to their memory."""
    storable = without_views(schema)
    return pa.Table.from_batches(list(in_whole_bytes(as_stored(batches, storable))), storable)


def in_whole_bytes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give the same rows in batches that can be stored one by one."""
    return _whole_bytes(_joined(batches))


def without_views(schema: pa.Schema) -> pa.Schema:
    """Replace view types, for which PyArrow has no filters; converted batch by batch, no column is in memory twice."""
    return pa.schema([field.with_type(VIEWS.get(field.type, field.type)) for field in schema], schema.metadata)


# For each view type the type that is stored.
VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def validated(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Look at all that batches refer to, before something else does: their reader took it from a file as it is.

    Raises
    ------
    pyarrow.ArrowInvalid
    """
    for batch in batches:
        batch.validate(full=True)
        yield batch


def as_stored(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Give batches with the types of a schema."""
    for batch in batches:
        yield batch if batch.schema.equals(schema) else batch.cast(schema)


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches. If no batch has rows, give one without rows, because it has the dictionaries."""
    group: list[pa.RecordBatch] = []
    nbytes, empty, any_rows = 0, None, False
    for batch in batches:
        if batch.num_rows == 0:
            empty = batch
            continue
        any_rows = True
        large = batch.nbytes >= _SMALL
        if group and (large or nbytes >= _JOINED):
            one = as_one(*group)
            group, nbytes = [], 0
            release_memory()
            yield one
        if large:
            yield batch
        else:
            group.append(batch)
            nbytes += batch.nbytes
    if group:
        yield as_one(*group)
    elif empty is not None and not any_rows:
        yield empty


def _whole_bytes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give the same rows in batches of multiples of 8, except the last; only rows at the seams are copied."""
    seam: list[pa.RecordBatch] = []
    for batch in batches:
        rest = batch
        if seam:
            missing = _WHOLE_BYTE - sum(part.num_rows for part in seam)
            seam.append(batch.slice(0, missing))
            rest = batch.slice(missing)
            if seam[-1].num_rows < missing:
                continue
            yield as_one(*seam)
            seam = []
        whole = rest.num_rows - rest.num_rows % _WHOLE_BYTE
        if whole or batch.num_rows == 0:
            yield rest.slice(0, whole)
        if whole < rest.num_rows:
            seam = [as_one(rest.slice(whole))]  # a copy, so that the batch can be released
    if seam:
        yield as_one(*seam)


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Give the same items. Another thread reads the next one while the caller uses one."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def without_columns(rows: int, schema: pa.Schema) -> pa.RecordBatch:
    """Make a batch that has rows and no columns; PyArrow makes one only by taking the columns away."""
    return pa.record_batch([pa.nulls(rows)], [""]).select([]).replace_schema_metadata(schema.metadata)


def as_one(*batches: pa.RecordBatch) -> pa.RecordBatch:
    """Copy batches into one."""
    if not batches[0].num_columns:
        return without_columns(sum(batch.num_rows for batch in batches), batches[0].schema)
    table = pa.Table.from_batches(batches)
    columns = [_as_one_array(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    return pa.record_batch(columns, schema=table.schema)


def _as_one_array(name: str, column: pa.ChunkedArray) -> pa.Array:
    if not pt.is_dictionary(column.type):
        return concatenated(column.chunks, POOL, f"column {name!r}: ")
    one_dictionary = with_one_dictionary(column)
    dictionary = one_dictionary.chunk(0).dictionary
    if one_dictionary.type != column.type:
        raise UnsupportedTypeError(
            f"column {name!r} has {len(dictionary)} categories, more than its indices of "
            f"{column.type.index_type} can number; write it with larger indices. Nothing was stored"
        )
    indices = pa.concat_arrays([chunk.indices for chunk in one_dictionary.chunks], memory_pool=POOL)
    return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=column.type.ordered)
