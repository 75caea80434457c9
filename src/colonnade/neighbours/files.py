"""Files of other formats, as Arrow tables.

Knows: which suffix means which format, and PyArrow's reader of each. Must not know: stores, names, terminals.

Parquet, Feather, Arrow and ORC come batch by batch, so Ctrl-C is heard between two of them. CSV and JSON lines are read
as a whole: PyArrow then finds a column's type in all of its values, where its streams (and its datasets, which are made
of them) look at the first block and fail at an integer column's first ``1.5``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.errors import UnreadableFileError

Seen = Callable[[int], None]


class FileFormat(StrEnum):
    """What a file holds."""

    PARQUET = "parquet"
    CSV = "csv"
    FEATHER = "feather"
    ARROW = "arrow"
    ORC = "orc"
    JSON = "json"


class Recognised(NamedTuple):
    """A file's name taken apart: the stem, the format if the suffix tells, the codec it is compressed with, if any."""

    stem: str
    format: FileFormat | None
    codec: str | None


def recognise(path: PurePath) -> Recognised:
    """Tell the format by the suffix, one of `SUFFIXES`, maybe before one of `CODECS`."""
    codec = CODECS.get(path.suffix.lower())
    if codec is not None:
        path = path.with_suffix("")
    return Recognised(path.stem, SUFFIXES.get(path.suffix.lower()), codec)


def read(path: Path, kind: FileFormat, seen: Seen = lambda _: None) -> pa.Table:
    """Read a whole file.

    Parameters
    ----------
    path : Path
        The file; of text, compressed if its suffix is one of `CODECS`.
    kind : FileFormat
        What it holds.
    seen : callable
        Told, again and again, how many more of the file's bytes have been read; from any thread.

    Raises
    ------
    UnreadableFileError, OSError
    """
    codec = recognise(path).codec if kind in TEXT else None
    try:
        with _Watched(path, seen) as file:
            reader = READERS[kind](pa.CompressedInputStream(file, codec) if codec else file)
            return reader.read_all()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the kernel's; PyArrow's own, about a broken file, have no number
        raise UnreadableFileError(f"{path} cannot be read as {kind}: {error}") from error


class _Watched(io.BufferedReader):
    """A file that says how much of it has been read."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(io.FileIO(path))
        self.path = path
        self.seen = seen

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.seen(len(data))
        return data


# -- the readers: each gives a RecordBatchReader -----------------------------------------------------------------------


def _parquet(file: Any) -> Any:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 -- each format's reader is imported when a file needs it

    stored = ParquetFile(file)
    # PyArrow's own 64 Ki rows a batch take twice the time of these.
    return pa.RecordBatchReader.from_batches(stored.schema_arrow, stored.iter_batches(batch_size=1 << 20))


def _csv(file: Any) -> Any:
    from pyarrow.csv import ConvertOptions, read_csv  # noqa: PLC0415 -- as above

    # As pandas reads it: an empty cell is null, among strings too.
    return read_csv(file, convert_options=ConvertOptions(strings_can_be_null=True)).to_reader()


def _ipc(file: _Watched) -> Any:
    # Mapped: what is not compressed goes from the page cache to the store in one copy. That is not reading by `file`.
    stored = pa.ipc.open_file(pa.memory_map(str(file.path)))
    share = file.path.stat().st_size // max(stored.num_record_batches, 1)

    def batches() -> Iterator[Any]:
        for number in range(stored.num_record_batches):
            yield stored.get_batch(number)
            file.seen(share)

    return pa.RecordBatchReader.from_batches(stored.schema, batches())


def _orc(file: Any) -> Any:
    from pyarrow.orc import ORCFile  # noqa: PLC0415 -- as above

    stored = ORCFile(file)
    return pa.RecordBatchReader.from_batches(stored.schema, map(stored.read_stripe, range(stored.nstripes)))


def _json(file: Any) -> Any:
    from pyarrow.json import read_json  # noqa: PLC0415 -- as above

    return read_json(file).to_reader()


READERS: dict[FileFormat, Callable[[Any], Any]] = {
    FileFormat.PARQUET: _parquet,
    FileFormat.CSV: _csv,
    FileFormat.FEATHER: _ipc,
    FileFormat.ARROW: _ipc,
    FileFormat.ORC: _orc,
    FileFormat.JSON: _json,
}

SUFFIXES = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".csv": FileFormat.CSV,
    ".feather": FileFormat.FEATHER,
    ".arrow": FileFormat.ARROW,
    ".ipc": FileFormat.ARROW,
    ".orc": FileFormat.ORC,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".json": FileFormat.JSON,
}

# PyArrow decompresses these while it reads. The other formats compress their own parts.
TEXT = {FileFormat.CSV, FileFormat.JSON}
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
