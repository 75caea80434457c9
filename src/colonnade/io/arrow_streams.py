"""Arrow IPC streams, which have the same suffixes as IPC files. PyArrow's datasets read files alone.

Does not depend on: stores, file systems. The caller passes a function that opens each file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.io.batches import Source
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.options import check_columns
from colonnade.io.progress import Meter

_FILE = b"ARROW1"
_FEATHER_1 = b"FEA1"


class IpcFile(NamedTuple):
    """A file: its path, for messages, and how to open it."""

    path: str
    open: Callable[[], Any]


def is_stream(file: IpcFile, kind: FileFormat) -> bool:
    """Whether a file is an IPC stream, and no IPC file.

    Raises
    ------
    UnreadableFileError
        For Feather of version 1.
    """
    with explaining(file.path, kind):
        with file.open() as stream:
            start = stream.read(len(_FILE))
        if start.startswith(_FEATHER_1):
            raise pa.ArrowInvalid(
                "it is Feather of version 1. PyArrow 25 to 27 rewrite it: "
                "pyarrow.feather.write_feather(pyarrow.feather.read_table(path), path)"
            )
    return start != b"" and not start.startswith(_FILE)


class Chosen(NamedTuple):
    """What is read: these columns (None: all), of the rows for which an expression is true."""

    columns: Sequence[str] | None
    rows: Any


def read_streams(files: Sequence[IpcFile], kind: FileFormat, choice: Chosen, meter: Meter) -> Source:
    """Read streams one after the other."""
    schemas = []
    for file in files:
        with explaining(file.path, kind), file.open() as stream, pa.ipc.open_stream(stream) as reader:
            schemas.append(reader.schema)
    schema = schemas[0]
    if len(schemas) > 1:
        with explaining(files[0].path, kind):
            schema = pa.unify_schemas(schemas, promote_options="permissive")
    names = choice.columns
    check_columns(names or (), schema.names)
    result_schema = schema if names is None else pa.schema([schema.field(name) for name in names], schema.metadata)
    return Source(result_schema, _batches(files, kind, schema, choice, meter))


def _batches(
    files: Sequence[IpcFile], kind: FileFormat, schema: pa.Schema, choice: Chosen, meter: Meter
) -> Iterator[pa.RecordBatch]:
    for file in files:
        with explaining(file.path, kind), file.open() as stream, pa.ipc.open_stream(stream) as reader:
            for read in reader:
                read.validate(full=True)
                batch = _united(read, schema)
                if choice.rows is not None:
                    batch = batch.filter(choice.rows)
                if choice.columns is not None:
                    batch = batch.select(choice.columns)
                meter.count(batch)
                yield batch


def _united(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give a batch the columns and types that all files together have."""
    if batch.schema.equals(schema):
        return batch.replace_schema_metadata(schema.metadata)
    arrays = [
        pa.nulls(batch.num_rows, field.type)
        if batch.schema.get_field_index(field.name) < 0
        else batch.column(field.name).cast(field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)
