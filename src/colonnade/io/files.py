"""Files and folders of other formats, as batches.

Does not depend on: stores, names of tables, terminals.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import mmap
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.types as pt
from pyarrow import dataset as ds
from pyarrow import fs
from pyarrow.parquet import filters_to_expression

from colonnade.errors import UnreadableFileError, printable
from colonnade.io.batches import POOL, Source, Stream, as_stored, validated, without_views
from colonnade.io.engines import by_engine
from colonnade.io.formats import SUFFIXES, TEXT, FileFormat, decompressed, explaining, recognise
from colonnade.io.hive import folder_columns
from colonnade.io.one_by_one import BatchFile, Chosen, is_stream, read_files, read_streams
from colonnade.io.options import ReadOptions, check_columns, check_filter
from colonnade.io.pandas_metadata import check_metadata, with_united_dtypes
from colonnade.io.parquet import has_far_int96, parquet_format, parquet_options
from colonnade.io.parquet_columns import decode_columns, of_the_same, states_of
from colonnade.io.progress import Meter
from colonnade.io.secrets import without_secrets
from colonnade.io.streamed import declared_columns
from colonnade.io.text import TextFile, read_text


def open_files(
    path: str, kind: FileFormat | None, options: ReadOptions, meter: Meter, *, streams: bool = True
) -> Source:
    """Open a file, or a folder's files of one format. ``streams``: columns are streamed where they can be.

    Raises
    ------
    UnreadableFileError, ValueError, OSError
    """
    source = _find(path)
    kind = kind or _format_of(path, source.files)
    # A folder may have other files too: checksums, a README. If no file has a suffix of this format, all are read.
    files = [file for file in source.files if recognise(PurePath(file.path)).format is kind] or source.files
    source = source._replace(files=files)
    options = options.of(kind)
    if kind in TEXT:
        return _text(source, kind, options, meter)
    return _columns(source, kind, options, meter, streams=streams)


class _Files(NamedTuple):
    """Files of one file system; ``base`` is the folder above them, "" if one file was asked for."""

    path_text: str
    system: fs.FileSystem
    files: list[fs.FileInfo]
    base: str


def _find(path: str) -> _Files:
    if not path:
        raise ValueError("the path is empty; load a file, a folder or a URL")
    system, inside = _locate(path)
    with explaining(path):
        info = system.get_file_info(inside)
        if info.type is fs.FileType.NotFound and isinstance(system, fs.LocalFileSystem) and _SIGNS.search(inside):
            base, matching = _matching(inside)
            entries = system.get_file_info(matching)
        elif info.type is fs.FileType.NotFound:
            raise FileNotFoundError(2, _why_not_found(system, inside), without_secrets(path))
        elif info.type is not fs.FileType.Directory:
            return _Files(path, system, [info], "")
        else:
            base, entries = inside, [info]
        depth = len(PurePath(base).parts)
        files = {
            str(file.path): file
            for entry in entries
            for file in _files_in(system, entry)
            if not _is_left_out(PurePath(file.path).parts[depth:], PurePath(inside).name)
        }
    if not entries:
        raise FileNotFoundError(2, "there is no such file, and as a pattern it matches none", without_secrets(path))
    if not files:
        what = "is a folder without files" if entries == [info] else "matches no files"
        raise UnreadableFileError(f"{without_secrets(path)} {what}; nothing was stored")
    return _Files(path, system, [files[name] for name in sorted(files)], base)


# The path of a file that is not there may be a pattern, as shells have them.
_SIGNS = re.compile(r"[*?[]")


def _matching(pattern: str) -> tuple[str, list[str]]:
    """The folder before the first sign of a pattern, and the paths that match it."""
    if any("**" in part and part != "**" for part in PurePath(pattern).parts):
        raise ValueError(f"{pattern}: ** stands for folders, and alone between slashes, as in **/*.csv")
    base = PurePath(*itertools.takewhile(lambda part: not _SIGNS.search(part), PurePath(pattern).parts))
    return str(base), list(map(str, Path(base).glob(str(PurePath(pattern).relative_to(base)))))


def _is_left_out(parts: tuple[str, ...], path_text: str) -> bool:
    """Whether a file is hidden, and no pattern asks for names like its."""
    return _is_hidden(parts[:-1] if parts and parts[-1][0] == path_text[:1] else parts)


def _files_in(system: fs.FileSystem, entry: fs.FileInfo) -> list[fs.FileInfo]:
    """The files below a folder; or the file itself."""
    if entry.type is not fs.FileType.Directory:
        return [entry]
    below = system.get_file_info(fs.FileSelector(entry.path, recursive=True))
    return [file for file in below if file.is_file]


def _why_not_found(system: fs.FileSystem, inside: str) -> str:
    """What is wrong, also where fsspec has said that a host is not there by saying that there is no file."""
    text = os.strerror(2)
    if isinstance(system, fs.PyFileSystem):
        try:
            system.handler.fs.info(inside)
        except FileNotFoundError as error:
            if error.__cause__ is not None:
                return without_secrets(f"{text} ({error.__cause__})")
    return text


def _locate(path: str) -> tuple[fs.FileSystem, str]:
    if "://" not in path:
        # Mapped, because IPC data that is not compressed is then copied once, from the page cache to the store.
        path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 -- pathlib would follow links, and this stays a string
        return fs.LocalFileSystem(use_mmap=True), path
    try:
        with explaining(path):
            system, inside = fs.FileSystem.from_uri(path)
    except UnreadableFileError as error:
        return _by_fsspec(path, str(error).removesuffix("; nothing was stored"))
    return system, inside


def _by_fsspec(path: str, reason: str) -> tuple[fs.FileSystem, str]:
    """Give a file system that PyArrow does not know: of fsspec, as ``https://``."""
    scheme = path.partition("://")[0]
    try:
        import fsspec
    except ModuleNotFoundError:
        raise ValueError(f"{reason}. Load a copy of the file, or pip install 'colonnade[remote]'") from None
    try:
        if scheme not in fsspec.available_protocols():
            raise ValueError(f"{reason}. fsspec does not know {printable(scheme)}:// either; load a copy of the file")
        system, inside = fsspec.core.url_to_fs(path)
    except ImportError as error:
        raise ValueError(f"{reason}. fsspec needs more for {scheme}:// ({error}); load a copy of the file") from None
    return fs.PyFileSystem(fs.FSSpecHandler(system)), inside


def _folders(source: _Files, types: Mapping[str, pa.DataType] = MappingProxyType({})) -> list[dict[str, pa.Scalar]]:
    # Of a file that was asked for, the folders above it are no columns.
    paths = [PurePath(file.path[len(source.base) :] if source.base else "") for file in source.files]
    return folder_columns(paths, types)


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part[0] in "._" for part in parts)


def _format_of(path: str, files: list[fs.FileInfo]) -> FileFormat:
    title = printable(without_secrets(path))
    kinds = {recognise(PurePath(file.path)).format for file in files} - {None}
    if not kinds:
        raise ValueError(f"{title} ends in none of {' '.join(SUFFIXES)}; say with format what it holds")
    if len(kinds) > 1:
        raise ValueError(
            f"{title} has files of several formats, {', '.join(sorted(map(str, kinds)))}; say with format which"
        )
    return next(kind for kind in kinds if kind is not None)


# -- columns: Parquet, Feather, Arrow, ORC -----------------------------------------------------------------------------


def _columns(source: _Files, kind: FileFormat, options: ReadOptions, meter: Meter, *, streams: bool) -> Source:
    layout = ds.FileSystemFactoryOptions(source.base)
    if source.base:
        layout.partitioning_factory = ds.HivePartitioning.discover()  # a folder year=2013/ is a column
    remote = not isinstance(source.system, fs.LocalFileSystem)
    choice = Chosen(options.columns, _expression(options.filters))
    if kind in _IPC:
        files = _one_by_one(source, source.system.open_input_stream, compression=None)
        if any(is_stream(file, kind) for file in files):
            return read_streams(files, kind, choice, meter)

    def open_dataset(format_: Any) -> Any:
        factory = ds.FileSystemDatasetFactory(source.system, [file.path for file in source.files], format_, layout)
        # The columns of all files together; PyArrow's default is those of the first file.
        return factory.finish(without_views(factory.inspect(promote_options="permissive", fragments=None)))

    can_stream = streams and kind is FileFormat.PARQUET and choice.rows is None and not remote
    with explaining(source.path_text, kind):
        state = states_of(source.files) if can_stream else []
        try:
            dataset = open_dataset(_FORMATS[kind]())
        except pa.ArrowInvalid:
            files = _one_by_one(source, source.system.open_input_file)
            if (batches := read_files(files, kind, choice, meter)) is None:
                raise
            return batches
        if kind is FileFormat.PARQUET and has_far_int96(dataset):
            dataset = open_dataset(parquet_format("us"))
        check_columns(options.columns or (), dataset.schema.names)
        if choice.rows is None:
            meter.total = sum(fragment.count_rows() for fragment in dataset.get_fragments())
        else:
            check_filter(choice.rows, dataset.schema)
        for fragment in dataset.get_fragments():
            check_metadata(fragment.physical_schema)
        schema = with_united_dtypes(dataset.schema, [fragment.physical_schema for fragment in dataset.get_fragments()])
        if choice.columns is not None:
            schema = pa.schema([schema.field(name) for name in choice.columns], schema.metadata)
        has_nulls = declared_columns(dataset, schema) if can_stream else {}
    if not has_nulls:
        return Source(schema, _scan(dataset, kind, schema, choice, meter, remote=remote))
    first_names = [name for name in schema.names if name not in has_nulls]
    first = _scan(dataset, kind, schema, choice._replace(columns=first_names), meter, ahead=_AHEAD_OF_KEPT)
    later = of_the_same(source.files, state, decode_columns(dataset, schema, list(has_nulls), meter))
    return Source(schema, first if first_names else iter(()), Stream(has_nulls, meter.total, later))


def _one_by_one(source: _Files, open_file: Callable[..., Any], **options: Any) -> list[BatchFile]:
    paths = [file.path for file in source.files]
    return [
        BatchFile(path, partial(open_file, path, **options), columns)
        for path, columns in zip(paths, _folders(source), strict=True)
    ]


def _expression(filters: Any) -> Any:
    if filters is None or isinstance(filters, ds.Expression):
        return filters
    try:
        return filters_to_expression(filters)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise ValueError(
            f"filters= is an expression of pyarrow.dataset, or tuples as pyarrow.parquet.read_table takes them "
            f'([("year", "==", 2013)]), got {filters!r} ({error})'
        ) from None


_IPC = {FileFormat.FEATHER, FileFormat.ARROW}
_FORMATS = {
    FileFormat.PARQUET: parquet_format,
    FileFormat.ORC: ds.OrcFileFormat,
    FileFormat.FEATHER: ds.IpcFileFormat,
    FileFormat.ARROW: ds.IpcFileFormat,
}


# PyArrow decodes a batch's columns by all processors, and waits for the slowest. Measured on 5 million rows of 8
# columns: 280 ms in batches of 131,072 rows, which is PyArrow's own choice, and 210 to 270 ms in batches of 524,288.
_BATCH = 32 << 20
_ROWS = (1 << 17, 1 << 20)
# Batches that are kept until all have been read may be decoded long before they are asked for.
_AHEAD_OF_KEPT = 8


def _rows_of_batch(types: list[pa.DataType]) -> int:
    """The rows of which a batch has about `_BATCH` bytes: a power of two, as row groups often have."""
    width = sum(type_.bit_width // 8 if pt.is_primitive(type_) else 16 for type_ in types)
    return min(max(1 << (_BATCH // max(width, 1)).bit_length() - 1, _ROWS[0]), _ROWS[1])


def _scan(
    dataset: Any,
    kind: FileFormat,
    schema: pa.Schema,
    choice: Chosen,
    meter: Meter,
    *,
    remote: bool = False,
    ahead: int = 2,
) -> Iterator[pa.RecordBatch]:
    """Read the chosen columns. PyArrow decodes the row groups of ``ahead`` batches before they are asked for."""
    options: dict[str, Any] = {
        "columns": choice.columns,
        "filter": choice.rows,
        "batch_size": _rows_of_batch([schema.field(name).type for name in choice.columns or schema.names]),
        "batch_readahead": ahead,
        "memory_pool": POOL,
    }
    if kind is FileFormat.PARQUET:
        options["fragment_scan_options"] = parquet_options(remote=remote)
    for fragment in dataset.get_fragments(choice.rows):  # one after the other, so that an error names its file
        if kind in _IPC:
            batches = _scan_as_it_is(fragment, dataset.schema, **options)
        else:
            batches = fragment.scanner(schema=dataset.schema, **options).to_batches()
        while True:
            with explaining(fragment.path, kind):
                batch = next(batches, None)
                if batch is None:
                    break
            meter.count_columns(batch, len(schema))
            meter.position = meter.rows
            yield batch.replace_schema_metadata(schema.metadata)


def _scan_as_it_is(
    fragment: Any, schema: pa.Schema, columns: Sequence[str] | None, filter: Any, **options: Any
) -> Iterator[pa.RecordBatch]:
    """Scan a file of Arrow. Its reader checks nothing, so each batch is checked before it is cast or filtered."""
    names = schema.names if columns is None or filter is not None else columns
    types = {field.name: field.type for field in fragment.physical_schema}
    types_of_file = pa.schema([field.with_type(types.get(field.name, field.type)) for field in schema])
    scanner = fragment.scanner(schema=types_of_file, columns=list(names), **options)
    checked_schema = pa.schema(map(schema.field, names))
    for batch in as_stored(validated(scanner.to_batches()), checked_schema):
        if filter is None:
            yield batch
        else:
            yield from ds.Scanner.from_batches(
                [batch], schema=checked_schema, columns=columns, filter=filter, memory_pool=POOL
            ).to_batches()


# -- text: CSV, JSON lines ---------------------------------------------------------------------------------------------


def _text(source: _Files, kind: FileFormat, options: ReadOptions, meter: Meter) -> Source:
    with explaining(source.path_text, kind):
        folders = _folders(source, options.types or {})
    if options.engine is not None:
        if not isinstance(source.system, fs.LocalFileSystem):
            raise ValueError(f"engine= is for files of this machine, and {without_secrets(source.path_text)} is a URL")
        unread = {recognise(PurePath(file.path)).codec for file in source.files} & {"bz2", "xz"}
        if unread:
            raise ValueError(
                f"engine= reads text that is compressed with gzip or zstd, not with {unread.pop()}; leave it out, "
                "or decompress the file first"
            )
        return by_engine([file.path for file in source.files], kind, options, folders)
    files = [
        TextFile(
            file.path, partial(_Text, source.system, file, options.encoding), file.size or 0, file.is_file, columns
        )
        for file, columns in zip(source.files, folders, strict=True)
    ]
    meter.total = sum(file.size for file in files)
    return read_text(files, kind, options, meter)


class _Text:
    """A file's text as UTF-8, decompressed if its suffix is one of `CODECS`: mapped if it stands in the file as it is.

    ``at`` counts its bytes as far as they are read, of the file where that is known.
    """

    def __init__(self, system: fs.FileSystem, info: fs.FileInfo, encoding: str | None) -> None:
        # Python's own file, because Ctrl-C interrupts it while it waits for a pipe.
        local = isinstance(system, fs.LocalFileSystem)
        open_file = partial(open, info.path, "rb") if local else partial(system.open_input_stream, info.path, None)
        self._file: Any = open_file()
        codec = recognise(PurePath(info.path)).codec
        self._tell = self._file.tell if local and info.is_file else lambda: 0
        self.mapping: Any = None
        if local and info.is_file and info.size and codec is None and encoding is None:
            # Blocks are parsed where they are, in the page cache.
            with contextlib.suppress(ValueError):  # it is empty by now
                self.mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self.at = 0
        data = decompressed(self._file, codec)
        self._read: Callable[[int], bytes] = data.read if encoding is None else _as_utf_8(data.read, encoding)

    def read(self, size: int, /) -> bytes:
        """Read the next bytes, at most ``size``; none at the end."""
        data = self._read(size)
        self.at = self._tell()
        return data

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _as_utf_8(read: Callable[[int], bytes], encoding: str) -> Callable[[int], bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()

    def read_utf_8(size: int) -> bytes:
        while data := read(size):
            if text := decoder.decode(data):
                return text.encode()
        return decoder.decode(b"", final=True).encode()

    return read_utf_8
