"""Files that PyArrow's datasets do not read: Arrow IPC streams, and files in which several columns have one name.

They are read one after the other, from front to back. Does not depend on: stores, file systems. The caller passes a
function that opens each file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow.orc import ORCFile
from pyarrow.parquet import ParquetFile

from colonnade.io.batches import Source, as_stored, validated, without_views
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.options import check_columns, check_filter
from colonnade.io.progress import Meter

_FILE = b"ARROW1"
_FEATHER_1 = b"FEA1"


class BatchFile(NamedTuple):
    """A file: its path, for messages; how to open it; the columns that its folders name, and their values."""

    path: str
    open: Callable[[], Any]
    folders: Mapping[str, pa.Scalar] = MappingProxyType({})


def is_stream(file: BatchFile, kind: FileFormat) -> bool:
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


# Of an open file: its schema, and its batches.
Read = Callable[[Any], tuple[pa.Schema, Iterator[pa.RecordBatch]]]


def read_streams(files: Sequence[BatchFile], kind: FileFormat, choice: Chosen, meter: Meter) -> Source:
    """Read streams one after the other."""
    return _read(files, kind, _stream, choice, meter)


def read_files(files: Sequence[BatchFile], kind: FileFormat, choice: Chosen, meter: Meter) -> Source | None:
    """Read files one after the other, if there is one in which several columns have one name; else None."""
    schemas = _schemas(files, kind, _READ[kind])
    if all(len(set(schema.names)) == len(schema.names) for schema in schemas):
        return None
    return _read(files, kind, _READ[kind], choice, meter)


def _schemas(files: Sequence[BatchFile], kind: FileFormat, read: Read) -> list[pa.Schema]:
    schemas = []
    for file in files:
        with explaining(file.path, kind), file.open() as stream:
            schemas.append(_read_file(file, read, stream)[0])
    return schemas


def _read(files: Sequence[BatchFile], kind: FileFormat, read: Read, choice: Chosen, meter: Meter) -> Source:
    schemas = _schemas(files, kind, read)
    schema = schemas[0]
    if not all(schema.equals(other) for other in schemas):
        with explaining(files[0].path, kind):
            schema = pa.unify_schemas(schemas, promote_options="permissive")
    check_columns(choice.columns or (), schema.names)
    if choice.rows is not None:
        check_filter(choice.rows, schema)
    fields = None
    if choice.columns is not None:
        fields = [field for name in choice.columns for field in schema.get_all_field_indices(name)]
    result_schema = schema if fields is None else pa.schema([schema.field(field) for field in fields], schema.metadata)
    return Source(result_schema, _batches(files, kind, read, _Selection(schema, fields, choice.rows), meter))


def _read_file(file: BatchFile, read: Read, stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Read an open file without views, and with the columns of its folders that it does not have itself."""
    file_schema, file_batches = read(stream)
    schema = without_views(file_schema)
    batches = as_stored(validated(file_batches), schema)
    for name, value in file.folders.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, value.type))
            batches = map(partial(_with_constant, name=name, value=value), batches)
    return schema, batches


def _with_constant(batch: pa.RecordBatch, name: str, value: pa.Scalar) -> pa.RecordBatch:
    return batch.append_column(name, pa.repeat(value, batch.num_rows))


class _Selection(NamedTuple):
    """The columns of all files together; of these which fields, None for all; of the rows for which it is true."""

    schema: pa.Schema
    fields: list[int] | None
    rows: Any


def _batches(
    files: Sequence[BatchFile], kind: FileFormat, read: Read, selection: _Selection, meter: Meter
) -> Iterator[pa.RecordBatch]:
    for file in files:
        with explaining(file.path, kind), file.open() as stream:
            for own_batch in _read_file(file, read, stream)[1]:
                batch = _united(own_batch, selection.schema)
                if selection.rows is not None:
                    batch = batch.filter(selection.rows)
                if selection.fields is not None:
                    batch = batch.select(selection.fields)
                meter.count(batch)
                yield batch


def _stream(stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    reader = pa.ipc.open_stream(stream)
    return reader.schema, iter(reader)


def _ipc_file(stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    reader = pa.ipc.open_file(stream)
    return reader.schema, map(reader.get_batch, range(reader.num_record_batches))


def _parquet(stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    file = ParquetFile(stream)
    names = file.schema_arrow.names
    has_old_times = any(file.schema.column(at).physical_type == "INT96" for at in range(len(file.schema)))
    if has_old_times and len(set(names)) < len(names):
        raise pa.ArrowInvalid("several columns have one name, and times are of the old type INT96: rename the columns")
    return file.schema_arrow, file.iter_batches()


def _orc(stream: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    file = ORCFile(stream)
    return file.schema, map(file.read_stripe, range(file.nstripes))


_READ: dict[FileFormat, Read] = {
    FileFormat.ARROW: _ipc_file,
    FileFormat.FEATHER: _ipc_file,
    FileFormat.PARQUET: _parquet,
    FileFormat.ORC: _orc,
}


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
