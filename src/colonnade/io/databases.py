"""Queries of databases, and everything else that gives Arrow data, as batches.

Batches are copied as they arrive, because their producer (DuckDB, Polars) may keep the memory of a dropped batch and
use it for the next.

Does not depend on: files, stores.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from colonnade.errors import NotATableError, QueryError
from colonnade.interop.arrow import check_batch, check_polars
from colonnade.interop.wrappers import is_dataset, is_polars_frame, is_polars_series, unwrapped
from colonnade.io.batches import Source, as_one
from colonnade.io.secrets import without_secrets


class _Driver(NamedTuple):
    module: str
    options: dict[str, str]


_POSTGRESQL = _Driver("adbc_driver_postgresql", {})
DRIVERS = {
    # SQLite's driver finds the types of columns in the first batch; its 1,024 rows are too few for that, and slow.
    "sqlite": _Driver("adbc_driver_sqlite", {"adbc.sqlite.query.batch_rows": "65536"}),
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
}


# The methods of cursors that give Arrow data. DuckDB has renamed its own.
_READERS = ("to_arrow_reader", "fetch_record_batch")
_TABLES = ("to_arrow_table", "fetch_arrow_table")


def is_database(source: str) -> bool:
    """Whether a URL names a database for which `load` knows a driver."""
    return source.partition("://")[0] in DRIVERS


@contextlib.contextmanager
def open_database(url: str, query: str) -> Iterator[Source]:
    """Run a query by ADBC.

    Raises
    ------
    QueryError, FileNotFoundError
    ModuleNotFoundError
        Where the driver is not installed.
    """
    scheme = url.partition("://")[0]
    driver = DRIVERS[scheme]
    package = driver.module.replace("_", "-")
    try:
        dbapi = importlib.import_module(f"{driver.module}.dbapi")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{scheme}:// needs {package}: pip install 'colonnade[adbc]'") from error
    title = without_secrets(url)
    with contextlib.ExitStack() as stack:
        with _explaining(title, url):
            connection = stack.enter_context(dbapi.connect(_sqlite_file(url) if scheme == "sqlite" else url))
            cursor = stack.enter_context(connection.cursor())
            cursor.adbc_statement.set_options(**driver.options)
        yield _run(cursor, query, title, url)


@contextlib.contextmanager
def open_connection(connection: Any, query: str) -> Iterator[Source]:
    """Run a query by a DB-API connection whose cursors give Arrow: ADBC's, DuckDB's."""
    title = _described(connection)
    if hasattr(connection, "sql"):  # DuckDB: its cursors copy all rows to make Arrow data, its relations do not
        with _explaining(title):
            reader = _reader(connection.sql(query))
        assert reader is not None
        yield Source(reader.schema, (as_one(check_batch(batch)) for batch in _batches(reader, title)))
        return
    if not hasattr(connection, "cursor"):
        raise NotATableError(f"{title} runs no query; give a DB-API connection, or a URL as in sqlite:///data.db")
    with _explaining(title):
        cursor = connection.cursor()
    with contextlib.closing(cursor):
        yield _run(cursor, query, title)


def open_arrow(data: Any) -> Source:
    """Open an object that gives a stream of Arrow data: a DuckDB relation, an executed cursor, a reader."""
    if not is_dataset(data):
        data = unwrapped(data)
    if is_polars_series(data):
        data = data.to_frame()
    if is_polars_frame(data):
        check_polars(data)
    try:
        reader = _reader(data)
    except pa.ArrowInvalid as error:
        raise NotATableError(f"{_described(data)} gives no table, but other Arrow data: {error}") from error
    if reader is None:
        raise NotATableError(
            f"{_described(data)} gives no Arrow data; load a path, a URL, a connection and its query=, or what has "
            "__arrow_c_stream__ or fetch_record_batch. Frames are for put"
        )
    return Source(reader.schema, (as_one(check_batch(batch)) for batch in reader))  # later errors are the source's own


def _run(cursor: Any, query: str, title: str, url: str = "") -> Source:
    with _explaining(title, url):
        result = cursor.execute(query)
        # DB-API does not say what execute returns; DuckDB and many others return the cursor.
        reader = _reader(cursor) or _reader(result)
    if reader is None:
        raise NotATableError(
            f"the cursors of {title} give no Arrow data; "
            "for SQLite and PostgreSQL, load the database's URL with query= (needs 'colonnade[adbc]')"
        )
    return Source(reader.schema, (as_one(check_batch(batch)) for batch in _batches(reader, title)))


def _batches(reader: pa.RecordBatchReader, title: str) -> Iterator[pa.RecordBatch]:
    while True:
        with _explaining(title):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        yield batch


def _reader(source: Any) -> pa.RecordBatchReader | None:
    if is_dataset(source):
        return getattr(source, "scanner", lambda: source)().to_reader()
    if hasattr(source, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(source)
    for method in _READERS:
        if hasattr(source, method):
            return getattr(source, method)()
    for method in _TABLES:
        if hasattr(source, method):
            return getattr(source, method)().to_reader()
    return None


@contextlib.contextmanager
def _explaining(title: str, url: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each driver has its own tree of errors
        if str(error) == "Query interrupted":  # DuckDB's RuntimeError for Ctrl-C
            raise KeyboardInterrupt from None
        text = without_secrets(str(error), url)
        # An error with a secret is not shown as the cause either.
        cause = error if text == str(error) else None
        raise QueryError(f"the query of {title} failed: {text}; nothing was stored") from cause


def _sqlite_file(url: str) -> str:
    """Give SQLite's URI of a database, which it must not create; ``sqlite:///`` stands before a path."""
    path, _, parameters = url.removeprefix("sqlite://").removeprefix("/").partition("?")
    if not os.path.exists(path):  # noqa: PTH110 -- it stays a string
        raise FileNotFoundError(
            2, f"{os.strerror(2)} (sqlite:///data.db is below the working folder, sqlite:////data.db is absolute)", path
        )
    return f"file:{path}?{parameters or 'mode=ro'}"


def _described(source: Any) -> str:
    kind = type(source)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
