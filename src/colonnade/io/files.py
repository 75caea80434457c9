"""Files and folders of other formats, as batches.

Does not depend on: stores, names of tables, terminals.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import PurePath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import dataset as ds
from pyarrow import fs

from colonnade.errors import UnreadableFileError, printable
from colonnade.io.batches import POOL, Source
from colonnade.io.formats import SUFFIXES, TEXT, FileFormat, explaining, recognise
from colonnade.io.pandas_metadata import check_metadata, with_united_dtypes
from colonnade.io.progress import Meter
from colonnade.io.secrets import without_secrets
from colonnade.io.text import TextFile, read_text


def open_files(path: str, kind: FileFormat | None, meter: Meter) -> Source:
    """Open a file, or a folder's files of one format.

    Raises
    ------
    UnreadableFileError, ValueError, OSError
    """
    source = _find(path)
    kind = kind or _format_of(path, source.files)
    # A folder has other files as well: checksums, a README. If no suffix says this format, all files are taken.
    files = [file for file in source.files if recognise(PurePath(file.path)).format is kind] or source.files
    source = source._replace(files=files)
    return _text(source, kind, meter) if kind in TEXT else _columns(source, kind, meter)


class _Files(NamedTuple):
    """Files of one file system; ``base`` is the folder above them, "" if one file was asked for."""

    asked: str
    system: fs.FileSystem
    files: list[fs.FileInfo]
    base: str


def _find(path: str) -> _Files:
    if not path:
        raise ValueError("the path is empty; load a file, a folder or a URL")
    system, inside = _locate(path)
    with explaining(path):
        info = system.get_file_info(inside)
        if info.type is fs.FileType.NotFound:
            raise FileNotFoundError(2, os.strerror(2), without_secrets(path))
        if info.type is not fs.FileType.Directory:
            return _Files(path, system, [info], "")
        below = system.get_file_info(fs.FileSelector(inside, recursive=True))
        depth = len(PurePath(inside).parts)
        files = [file for file in below if file.is_file and not _is_hidden(PurePath(file.path).parts[depth:])]
    if not files:
        raise UnreadableFileError(f"{without_secrets(path)} is a folder without files; nothing was stored")
    return _Files(path, system, sorted(files, key=lambda file: str(file.path)), inside)


def _locate(path: str) -> tuple[fs.FileSystem, str]:
    if "://" not in path:
        # Mapped, because IPC data that is not compressed is then copied once, from the page cache to the store.
        path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 -- it stays a string, and no link is followed
        return fs.LocalFileSystem(use_mmap=True), path
    try:
        with explaining(path):
            system, inside = fs.FileSystem.from_uri(path)
    except UnreadableFileError as error:
        reason = str(error).removesuffix("; nothing was stored")
        raise ValueError(f"{reason}. PyArrow knows no such file system; load a copy of the file") from None
    return system, inside


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part[0] in "._" for part in parts)


def _format_of(path: str, files: list[fs.FileInfo]) -> FileFormat:
    shown = printable(without_secrets(path))
    kinds = {recognise(PurePath(file.path)).format for file in files} - {None}
    if not kinds:
        raise ValueError(f"{shown} ends in none of {' '.join(SUFFIXES)}; say with format what it holds")
    if len(kinds) > 1:
        raise ValueError(
            f"{shown} has files of several formats, {', '.join(sorted(map(str, kinds)))}; say with format which"
        )
    return next(kind for kind in kinds if kind is not None)


# -- columns: Parquet, Feather, Arrow, ORC -----------------------------------------------------------------------------


def _columns(source: _Files, kind: FileFormat, meter: Meter) -> Source:
    options = ds.FileSystemFactoryOptions(source.base)
    if source.base:
        options.partitioning_factory = ds.HivePartitioning.discover()  # a folder year=2013/ is a column
    remote = not isinstance(source.system, fs.LocalFileSystem)

    def opened(format_: Any) -> Any:
        factory = ds.FileSystemDatasetFactory(source.system, [file.path for file in source.files], format_, options)
        # The columns of all files together; PyArrow's default is those of the first file.
        return factory.finish(factory.inspect(promote_options="permissive", fragments=None))

    with explaining(source.asked, kind):
        dataset = opened(_FORMATS[kind]())
        if kind is FileFormat.PARQUET and _has_far_int96(dataset):
            dataset = opened(_parquet("us"))
        meter.total = sum(fragment.count_rows() for fragment in dataset.get_fragments())
        for fragment in dataset.get_fragments():
            check_metadata(fragment.physical_schema)
        schema = with_united_dtypes(dataset.schema, [fragment.physical_schema for fragment in dataset.get_fragments()])
    return Source(schema, _scan(dataset, kind, schema, meter, remote=remote))


def _parquet(int96: str = "ns") -> Any:
    return ds.ParquetFileFormat(coerce_int96_timestamp_unit=int96)


_FORMATS = {
    FileFormat.PARQUET: _parquet,
    FileFormat.ORC: ds.OrcFileFormat,
    FileFormat.FEATHER: ds.IpcFileFormat,
    FileFormat.ARROW: ds.IpcFileFormat,
}


def _has_far_int96(dataset: Any) -> bool:
    """Say whether times of the old type INT96 lie outside of the years 1677 to 2262.

    PyArrow reads INT96 as nanoseconds, and gives other times for those that nanoseconds cannot hold. There are no
    statistics of INT96, so its columns are read once more, as microseconds.
    """
    columns = {
        fragment.metadata.schema.column(at).path.partition(".")[0]
        for fragment in dataset.get_fragments()
        for at in range(len(fragment.metadata.schema))
        if fragment.metadata.schema.column(at).physical_type == "INT96"
    }
    if not columns:
        return False
    as_microseconds = ds.FileSystemDataset(
        [_parquet("us").make_fragment(fragment.path, fragment.filesystem) for fragment in dataset.get_fragments()],
        pa.schema([]),
        _parquet("us"),
    )
    for fragment in as_microseconds.get_fragments():
        names = [name for name in fragment.physical_schema.names if name in columns]
        for batch in fragment.scanner(schema=fragment.physical_schema, columns=names, memory_pool=POOL).to_batches():
            if any(map(_is_far, batch.columns)):
                return True
    return False


_NS_RANGE = (-(1 << 63) // 1000 + 1, (1 << 63) // 1000 - 1)  # of nanoseconds, in microseconds


def _is_far(array: pa.Array) -> bool:
    """Say whether an array, or one inside of it, has times that nanoseconds cannot hold."""
    if pt.is_timestamp(array.type):
        bounds = pc.min_max(array.cast(pa.timestamp("us")).view(pa.int64()))
        first, last = (bound.as_py() for bound in bounds.values())
        return first is not None and (first < _NS_RANGE[0] or last > _NS_RANGE[1])
    if pt.is_struct(array.type):
        return any(map(_is_far, array.flatten()))
    if pt.is_map(array.type):
        return _is_far(array.keys) or _is_far(array.items)
    if pt.is_list(array.type) or pt.is_large_list(array.type) or pt.is_fixed_size_list(array.type):
        return _is_far(array.flatten())
    return False


def _scan(dataset: Any, kind: FileFormat, schema: pa.Schema, meter: Meter, *, remote: bool) -> Iterator[pa.RecordBatch]:
    options: dict[str, Any] = {"batch_readahead": 2, "memory_pool": POOL}
    if kind is FileFormat.PARQUET:
        # Over a network, a row group's parts are worth one request. Locally that would hold the whole file in memory.
        options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=remote)
    for fragment in dataset.get_fragments():  # one after the other, so that an error names its file
        batches = fragment.scanner(schema=dataset.schema, **options).to_batches()
        while True:
            with explaining(fragment.path, kind):
                batch = next(batches, None)
            if batch is None:
                break
            meter.count(batch)
            meter.done = meter.rows
            yield batch.replace_schema_metadata(schema.metadata)


# -- text: CSV, JSON lines ---------------------------------------------------------------------------------------------


def _text(source: _Files, kind: FileFormat, meter: Meter) -> Source:
    files = [
        TextFile(file.path, partial(_Stream, source.system, file), file.size or 0, again=file.is_file)
        for file in source.files
    ]
    meter.total = sum(file.size for file in files)
    return read_text(files, kind, meter)


class _Stream:
    """A file's bytes, decompressed if its suffix is one of `CODECS`; `tell` counts bytes before decompression."""

    def __init__(self, system: fs.FileSystem, info: fs.FileInfo) -> None:
        # Python's own file, because Ctrl-C interrupts it while it waits for a pipe.
        local = isinstance(system, fs.LocalFileSystem)
        opened = partial(open, info.path, "rb") if local else partial(system.open_input_stream, info.path)
        self._file: Any = opened()
        self.tell = self._file.tell if info.is_file else lambda: 0
        codec = recognise(PurePath(info.path)).codec
        self._data = pa.CompressedInputStream(self._file, codec) if codec else self._file
        self.read = self._data.read

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
