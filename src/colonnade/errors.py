"""The tree of errors. Each also is the built-in that a Python user would catch.

::

    ColonnadeError
    ├── NotFoundError (KeyError)            no such name, version or column
    ├── InvalidNameError (ValueError)       a name outside of the grammar
    ├── ConflictError                       expect_version= did not match
    ├── DuplicateKeyError (ValueError)      unique=True, and a key stands in several rows
    ├── StoreFullError (OSError, ENOSPC)    no room; nothing was stored
    ├── StoreAccessError (OSError)          the directory cannot be a store, or may not be read or written
    ├── LockTimeoutError (TimeoutError)     another process had the store locked for too long; nothing was changed
    ├── ReentrantCallError (RuntimeError)   a signal handler changes the store that its thread is changing
    ├── LogBusyError (RuntimeError)         another process appends to the growing table; nothing was written
    ├── RowsDroppedError (LookupError)      rows of a growing table that were asked for are not retained any more
    ├── NotDurableError (OSError)           done, but perhaps not on the disk
    ├── CorruptSnapshotError (ValueError)   truncated, overwritten, or not Arrow
    │   └── NotASnapshotError               a whole Arrow file, but another program's
    ├── WaitTimeoutError (TimeoutError)     no new version within the time given to `watch`
    ├── UnreadableFileError (ValueError)    a file to be loaded is not what it should be
    ├── RemoteError (ConnectionError)       another host did not answer, refused, or sent an invalid answer
    ├── QueryError (RuntimeError)           a database did not answer, or did not to the end
    ├── InvalidDataError (ValueError)       Arrow data that contradicts itself
    └── UnsupportedTypeError (TypeError)    columns that have no Arrow form, or none for DuckDB
        └── NotATableError                  not tabular data at all

A message says what was asked, what was found and what to do next.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape the characters that would move a terminal's cursor; names of files and columns may contain them."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


class ColonnadeError(Exception):
    """The base of all errors that Colonnade raises by itself. Its message is safe to print."""

    def __str__(self) -> str:
        # OSError puts its number before the sentence, and KeyError the sentence in quotes.
        message = self.strerror if isinstance(self, OSError) and self.strerror else Exception.__str__(self)
        return printable(message)


class NotFoundError(ColonnadeError, KeyError):
    """No such name, version or column."""


class InvalidNameError(ColonnadeError, ValueError):
    """A name outside of the grammar: parts of ``[A-Za-z0-9._-]`` between slashes, none starting with a dot."""


class ConflictError(ColonnadeError):
    """The name's version is not the one that ``expect_version=`` gave; nothing was stored."""


class DuplicateKeyError(ColonnadeError, ValueError):
    """The table was put with ``unique=True``, and a key stands in several rows; nothing was stored."""


class StoreFullError(ColonnadeError, OSError):
    """The store's file system has no room for the table; nothing was stored."""


class StoreAccessError(ColonnadeError, OSError):
    """The directory cannot serve as a store, or this user may not read or write it."""


class LockTimeoutError(ColonnadeError, TimeoutError):
    """Another process had the store locked for as long as ``timeout=`` allows; nothing was changed."""


class ReentrantCallError(ColonnadeError, RuntimeError):
    """A signal handler or a finalizer wants to change a store that its own thread is changing; nothing was changed."""


class LogBusyError(ColonnadeError, RuntimeError):
    """Another process, or another appender of this one, appends to the growing table; nothing was written."""


class RowsDroppedError(ColonnadeError, LookupError):
    """Rows of a growing table that were asked for are not retained any more."""


class NotDurableError(ColonnadeError, OSError):
    """The change was made and everybody sees it, but it is not known to be on the disk (``durable=True``)."""


class WaitTimeoutError(ColonnadeError, TimeoutError):
    """No new version came within the ``timeout=`` of `Store.watch`; another call goes on waiting."""


class CorruptSnapshotError(ColonnadeError, ValueError):
    """A file of the store is truncated, overwritten or not an Arrow file."""


class NotASnapshotError(CorruptSnapshotError):
    """A file of the store is whole, but Colonnade did not write it."""


class UnreadableFileError(ColonnadeError, ValueError):
    """A file that was to be loaded is damaged, or is not of the expected format; nothing was stored."""


class QueryError(ColonnadeError, RuntimeError):
    """A database did not answer a query, or failed before the last row; nothing was stored."""


class RemoteError(ColonnadeError, ConnectionError):
    """Another host did not answer, refused this one, or sent what cannot be understood; nothing was stored."""


class InvalidDataError(ColonnadeError, ValueError):
    """Arrow data that contradicts itself: lengths, offsets, null counts or dictionary indices; nothing was stored."""


class UnsupportedTypeError(ColonnadeError, TypeError):
    """Columns hold values that Arrow, or the library that reads them, cannot represent. Nothing was stored."""


class NotATableError(UnsupportedTypeError):
    """The data is neither a frame nor anything that gives Arrow data."""


def brief_repr(value: object, length: int = 80) -> str:
    """Give the repr of a value for a message: one line, cut where it is too long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever an object's own method raises
        return f"<{type(value).__name__}>"
    return text if len(text) <= length else f"{text[: length - 3]}..."
