"""Text with views: columns of a stored table in Arrow's view layout, over the same data as the offsets.

Does not depend on: names, descriptors, who reads views.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core import text_views
from colonnade.errors import CorruptSnapshotError
from colonnade.format import schema
from colonnade.format.ipc import without_layout_metadata
from colonnade.format.read.file import StoredFile


def columns_with_views(file: StoredFile) -> Iterator[tuple[int, pa.Array, npt.NDArray[np.uint8]]]:
    """(field, the column, its views) of each column that has views; their places are checked."""
    batch = file.batch
    fields = set()
    for views in [] if file.array is not None else file.frame.views:
        if views.field >= batch.num_columns or views.field in fields:
            raise schema.invalid(f"views of the field {views.field} of {batch.num_columns}")
        fields.add(views.field)
        column = batch.column(views.field)
        if not text_views.has_offsets(column.type):
            raise schema.invalid(f"views of the field {views.field}, which is {column.type}")
        memory = file.body.bytes(views.at, file.rows * text_views.VIEW)
        yield views.field, column, np.frombuffer(memory, np.uint8)


def fill_views(memory: npt.NDArray[np.uint8], file: StoredFile) -> None:
    """Write the views of a table whose file is in memory, whole but for its seal.

    Raises
    ------
    UnsupportedTypeError
    """
    for (field, column, _), views in zip(columns_with_views(file), file.frame.views, strict=True):
        at = file.body.start + views.at
        text_views.write_views(
            file.batch.schema.field(field).name, column, memory[at : at + file.rows * text_views.VIEW]
        )


def batch_with_views(file: StoredFile) -> pa.RecordBatch:
    """The record batch in which columns that have views are in view layout; nothing is copied."""
    batch = file.batch
    columns, fields = batch.columns, list(batch.schema)
    for field, column, views in columns_with_views(file):
        columns[field] = text_views.with_views(column, views)
        fields[field] = fields[field].with_type(columns[field].type)
    return pa.record_batch(columns, schema=pa.schema(fields, without_layout_metadata(batch.schema)))


def check_views(file: StoredFile) -> None:
    """See that the views show what the offsets do, which were checked.

    Raises
    ------
    CorruptSnapshotError
    """
    for field, column, views in columns_with_views(file):
        if not text_views.are_views_of(column, views):
            raise CorruptSnapshotError(f"column {file.batch.schema.field(field).name!r} has damaged views")
