"""Tables, written to files of other formats.

A file is written in batches under a temporary name beside its path, and renamed when it is complete. So the path
always leads to the old file or to the new one.

Does not depend on: stores.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.types as pt
from pyarrow.csv import CSVWriter, WriteOptions
from pyarrow.parquet import ParquetWriter

from colonnade.arguments import expanded
from colonnade.errors import CorruptSnapshotError, UnsupportedTypeError, printable
from colonnade.interop.process_end import finished_before_exit
from colonnade.io.formats import CODECS, TEXT, FileFormat, compressed, recognise
from colonnade.io.progress import Meter
from colonnade.io.secrets import without_secrets

_ROWS = 1 << 20  # a row group, as PyArrow makes them


def checked_path(path: str | os.PathLike[str]) -> tuple[Path, FileFormat]:
    """Take a path apart: where to write, and in which format.

    Raises
    ------
    ValueError
    """
    text = os.fsdecode(path)
    title = printable(without_secrets(text))
    if "://" in text:
        raise ValueError(f"{title} is a URL; dump to a file, and copy that")
    if "\0" in text:
        raise ValueError(f"{title} is not the name of a file")
    file = expanded(text)
    kind = recognise(file).format
    if kind not in _WRITERS or (recognise(file).codec and kind not in TEXT):
        raise ValueError(f"{title} ends in none of {' '.join(SUFFIXES_WRITTEN)}, which can be written")
    if file.is_dir():
        raise ValueError(f"{title} is a folder; name a file in it")
    return file, kind


def dump(table: pa.Table, path: Path, kind: FileFormat, meter: Meter) -> None:
    """Write a table to a file; an older file is replaced when the new one is complete.

    Raises
    ------
    UnsupportedTypeError, OSError
    """
    with finished_before_exit, _beside(path) as file:
        write(table, file, kind, meter, codec=recognise(path).codec, title=printable(str(path)))


def write(
    table: pa.Table, file: Any, kind: FileFormat, meter: Meter, *, codec: str | None = None, title: str = "the output"
) -> None:
    """Write a table to an open file, which need not be seekable; ``title`` is its name in errors.

    Raises
    ------
    UnsupportedTypeError, CorruptSnapshotError, OSError
    """
    writer = _WRITERS[kind]
    if not table.num_columns and (kind in TEXT or (kind is FileFormat.PARQUET and table.num_rows)):
        raise UnsupportedTypeError(f"{title}: {kind} cannot hold rows without columns; Feather and Arrow (.arrow) can")
    try:
        table.validate(full=True)  # a writer that follows a damaged offset would end the process
    except pa.ArrowInvalid as error:
        raise CorruptSnapshotError(f"the stored values are damaged: {error}; nothing was written") from error
    meter.total = table.num_rows
    try:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(compressed(file, codec)) if codec else file
            table = writer.prepare(table)
            target = stack.enter_context(writer.open(sink, table.schema))
            for first in range(0, table.num_rows, _ROWS):
                part = table.slice(first, min(_ROWS, table.num_rows - first))  # without columns, PyArrow cuts none
                target.write_table(part)
                meter.count(part)
                meter.position = meter.rows
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system; PyArrow's own errors have no number
        raise UnsupportedTypeError(f"{title}: {kind} cannot hold this table: {error}; {writer.instead}") from error


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Any]:
    """Open a file that is renamed to ``path`` when the block ends, and removed if the block fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            raise type(error)(error.errno, error.strerror, str(path)) from None  # the name that the caller knows
        raise


# -- the writers -------------------------------------------------------------------------------------------------------


def _parquet(sink: Any, schema: pa.Schema) -> Any:
    return ParquetWriter(sink, schema)


def _ipc(sink: Any, schema: pa.Schema) -> Any:
    return pa.ipc.new_file(sink, schema)


def _feather(sink: Any, schema: pa.Schema) -> Any:
    return pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))  # as write_feather does


def _csv(sink: Any, schema: pa.Schema) -> Any:
    return CSVWriter(sink, schema)


def _tsv(sink: Any, schema: pa.Schema) -> Any:
    return CSVWriter(sink, schema, write_options=WriteOptions(delimiter="\t"))


def _as_text(table: pa.Table) -> pa.Table:
    """Convert to what CSV can hold: the index first, categories as their values."""
    metadata = table.schema.pandas_metadata or {}
    index = [name for name in metadata.get("index_columns", []) if isinstance(name, str)]
    if index and len(set(table.column_names)) == table.num_columns:
        table = table.select([*index, *(name for name in table.column_names if name not in index)])
    fields = [
        field.with_type(field.type.value_type) if pt.is_dictionary(field.type) else field for field in table.schema
    ]
    return table.cast(pa.schema(fields))


class _Writer(NamedTuple):
    open: Callable[[Any, pa.Schema], Any]
    instead: str
    prepare: Callable[[pa.Table], pa.Table] = lambda table: table


_WRITERS = {
    FileFormat.PARQUET: _Writer(_parquet, "Arrow (.arrow) holds every table"),
    FileFormat.FEATHER: _Writer(_feather, "Arrow (.arrow) holds every table"),
    FileFormat.ARROW: _Writer(_ipc, "the stored file is one as well, see Snapshot.path"),
    FileFormat.CSV: _Writer(_csv, "Parquet and Feather hold it", _as_text),
    FileFormat.TSV: _Writer(_tsv, "Parquet and Feather hold it", _as_text),
}
SUFFIXES_WRITTEN = (".parquet", ".feather", ".arrow", ".csv", ".tsv", *(f".csv{suffix}" for suffix in CODECS))
