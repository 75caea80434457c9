"""Columns of Parquet files, decoded batch by batch while they are written.

Does not depend on: which columns these are, how a table is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs
from pyarrow.parquet import ParquetFile

from colonnade.errors import UnreadableFileError
from colonnade.io.batches import in_whole_bytes, read_ahead
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.progress import Meter
from colonnade.io.streamed import MisdeclaredError, rows_of_batch

# The most columns that are decoded at once. For each of them PyArrow holds a page and a dictionary, up to 2 MiB.
_MOST_COLUMNS = 8
# These columns are cut into so many groups, which take turns.
_GROUPS = 2


def decode_columns(
    dataset: Any, schema: pa.Schema, names: list[str], meter: Meter
) -> Iterator[tuple[Sequence[str], pa.RecordBatch]]:
    """Decode columns batch by batch: gives the names of the columns of each batch, and the batch.

    PyArrow decodes the columns of a batch by all processors, and waits for the slowest. Meanwhile the columns of
    another group are decoded.
    """
    for at in range(0, len(names), _MOST_COLUMNS):
        column_names = names[at : at + _MOST_COLUMNS]
        groups = deque(
            (group, in_whole_bytes(read_ahead(_decoded(dataset, schema, group))))
            for group in (column_names[first::_GROUPS] for first in range(_GROUPS))
            if group
        )
        while groups:
            group, batches = groups.popleft()
            if (batch := next(batches, None)) is not None:
                meter.count_columns(batch, len(schema))
                meter.position = meter.rows
                yield group, batch
                groups.append((group, batches))


def _decoded(dataset: Any, schema: pa.Schema, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Decode columns of Parquet files batch by batch, which a dataset does row group by row group."""
    fields = pa.schema([schema.field(name) for name in names])
    rows = rows_of_batch(fields)
    for fragment in dataset.get_fragments():
        with (
            explaining(fragment.path, FileFormat.PARQUET),
            fragment.filesystem.open_input_file(fragment.path) as stream,
        ):
            int96 = fragment.format.read_options.coerce_int96_timestamp_unit
            file = ParquetFile(stream, coerce_int96_timestamp_unit=int96)
            for batch in file.iter_batches(rows, columns=names, use_threads=True):
                columns = batch.select(names)
                if columns.schema.types != fields.types:
                    raise MisdeclaredError(f"{fragment.path} has columns of {columns.schema.types}")
                yield columns


def states_of(files: list[fs.FileInfo]) -> list[tuple[int, ...]]:
    """Which contents files have: it changes when one of them is written or replaced."""
    stats = [Path(file.path).stat() for file in files]
    return [(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]


def of_the_same(
    files: list[fs.FileInfo], state: list[tuple[int, ...]], batches: Iterator[tuple[Sequence[str], pa.RecordBatch]]
) -> Iterator[tuple[Sequence[str], pa.RecordBatch]]:
    """Give the batches of files of which a part was read before; other files by now are an error."""
    yield from batches
    for file, before, now in zip(files, state, states_of(files), strict=True):
        if before != now:
            raise UnreadableFileError(f"{file.path} was changed while it was read; nothing was stored")
