"""The formats of files, recognised by suffix.

Does not depend on: how a format is read or written.
"""

from __future__ import annotations

import contextlib
import lzma
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.errors import UnreadableFileError
from colonnade.io.secrets import without_secrets


class FileFormat(StrEnum):
    """The format of a file."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    FEATHER = "feather"
    ARROW = "arrow"
    ORC = "orc"
    JSON = "json"


class Recognised(NamedTuple):
    """A file's name taken apart: its stem, its format if the suffix is known, its codec if it is compressed."""

    stem: str
    format: FileFormat | None
    codec: str | None


def recognise(path: PurePath) -> Recognised:
    """Recognise the format by the suffix: one of `SUFFIXES`, with or without one of `CODECS` after it."""
    if path.parts[:1] in (("http:",), ("https:",)):
        path = PurePath(str(path).partition("?")[0].partition("#")[0])  # a signed URL ends in its signature
    codec = CODECS.get(path.suffix.lower())
    if codec is not None:
        path = path.with_suffix("")
    return Recognised(path.stem, SUFFIXES.get(path.suffix.lower()), codec)


def checked_format(name: str | None) -> FileFormat | None:
    """Give a format by its name; None for None.

    Raises
    ------
    ValueError
    """
    try:
        return None if name is None else FileFormat(name)
    except ValueError:
        raise ValueError(f"format must be one of {', '.join(FileFormat)}, got {name!r}") from None


SUFFIXES = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".parq": FileFormat.PARQUET,
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.TSV,
    ".feather": FileFormat.FEATHER,
    ".arrow": FileFormat.ARROW,
    ".arrows": FileFormat.ARROW,
    ".ipc": FileFormat.ARROW,
    ".orc": FileFormat.ORC,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".json": FileFormat.JSON,
}

# These are decompressed while they are read. The other formats compress their own parts.
TEXT = {FileFormat.CSV, FileFormat.TSV, FileFormat.JSON}
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}


def decompressed(file: Any, codec: str | None) -> Any:
    """Give a file's bytes as they were before compression; ``codec`` is one of `CODECS`, or None."""
    if codec == "xz":
        return lzma.open(file)  # PyArrow has no such codec
    return pa.CompressedInputStream(file, codec) if codec else file


def compressed(file: Any, codec: str) -> Any:
    """Give a file to write to, which compresses."""
    return lzma.open(file, "wb") if codec == "xz" else pa.CompressedOutputStream(file, codec)


@contextlib.contextmanager
def explaining(path: str, kind: FileFormat | None = None) -> Iterator[None]:
    """Turn the errors of PyArrow's readers into one that names the file and its format."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except UnicodeError as error:
        text = f"{path} has text or a name that is not UTF-8: {error}"
        raise UnreadableFileError(f"{without_secrets(text)}; nothing was stored") from None
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError) as error:
        action = f"cannot be read as {kind}" if kind else "cannot be read"
        text = f"{path} {action}: {error}"
        cause = error if without_secrets(text) == text else None  # an error with a secret is not shown as the cause
        raise UnreadableFileError(f"{without_secrets(text)}; nothing was stored") from cause
    except ValueError as error:
        if "range requests" not in str(error):
            raise
        raise UnreadableFileError(  # what fsspec raises does not name the file
            f"{without_secrets(path)} cannot be read: its server gives whole files only, and "
            f"{kind or 'this format'} is read in parts; download it, and load the copy. Nothing was stored"
        ) from error
