"""What a file holds, told by its name.

Knows: which suffix means which format. Does not depend on: how any is read or written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import NamedTuple

import pyarrow as pa

from colonnade.errors import UnreadableFileError


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


def checked_format(given: str | None) -> FileFormat | None:
    """A format by its name; None where none is given.

    Raises
    ------
    ValueError
    """
    try:
        return None if given is None else FileFormat(given)
    except ValueError:
        raise ValueError(f"format={given!r}: it is one of {', '.join(FileFormat)}") from None


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


@contextlib.contextmanager
def explaining(path: str, kind: FileFormat | None = None) -> Iterator[None]:
    """Say of a file that it is not what it was taken for."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the kernel's; PyArrow's own, about a broken file, have no number
        what = f"cannot be read as {kind}" if kind else "cannot be read"
        raise UnreadableFileError(f"{path} {what}: {error}; nothing was stored") from error
