"""Text read by DuckDB or Polars, with the types that they find, for those who ask for it.

Does not depend on: stores, how text is read otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from colonnade.errors import UnreadableFileError, printable
from colonnade.io.batches import Source
from colonnade.io.databases import open_arrow
from colonnade.io.formats import FileFormat
from colonnade.io.options import ReadOptions, check_columns

Folders = Sequence[Mapping[str, pa.Scalar]]


def by_engine(files: Sequence[str], kind: FileFormat, options: ReadOptions, folders: Folders) -> Source:
    """Let an engine read files of this machine; ``folders`` are the columns that the folders of each file name.

    Raises
    ------
    UnreadableFileError, ValueError
    ModuleNotFoundError
        If the engine is not installed.
    """
    assert options.engine is not None
    return _ENGINES[options.engine](files, kind, options, folders)


def _by_duckdb(files: Sequence[str], kind: FileFormat, options: ReadOptions, folders: Folders) -> Source:
    import duckdb

    has_columns = any(folders)  # DuckDB finds them itself, also in the folders above the one that was asked for
    names = ["".join(f"[{sign}]" if sign in "*?[" else sign for sign in file) for file in files]  # they are patterns
    try:
        connection = duckdb.connect()
        if kind is FileFormat.JSON:
            relation = connection.read_json(
                names, format="newline_delimited", union_by_name=True, hive_partitioning=has_columns
            )
        else:
            relation = connection.read_csv(
                names,
                sep=options.delimiter,
                decimal=options.decimal or ".",
                union_by_name=True,
                encoding=options.encoding,
                hive_partitioning=has_columns,
            )
        if options.columns is not None:
            check_columns(options.columns, relation.columns)
            relation = relation.select(*map(duckdb.ColumnExpression, options.columns))
        return _checked(files, relation, duckdb.Error)
    except duckdb.Error as error:
        raise _unreadable(files, "duckdb", error) from error


def _by_polars(files: Sequence[str], kind: FileFormat, options: ReadOptions, folders: Folders) -> Source:
    import polars as pl

    if options.encoding is not None:
        raise ValueError("encoding= is for PyArrow's reader and DuckDB's; Polars reads UTF-8")
    try:
        if kind is FileFormat.JSON:
            frames = [pl.scan_ndjson(file, infer_schema_length=None) for file in files]
        else:
            frames = [
                pl.scan_csv(
                    file,
                    separator=options.delimiter or ",",
                    decimal_comma=options.decimal == ",",
                    infer_schema_length=None,
                    glob=False,
                )
                for file in files
            ]
        frames = [
            _with_constants(pl, frame, columns) if columns else frame
            for frame, columns in zip(frames, folders, strict=True)
        ]
        frame = pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]
        if options.columns is not None:
            check_columns(options.columns, frame.collect_schema().names())
            frame = frame.select(options.columns)
        return open_arrow(frame.collect())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(files, "polars", error) from error


def _with_constants(pl: Any, frame: Any, columns: Mapping[str, pa.Scalar]) -> Any:
    """Add the columns that folders name. A column of the file's own stays."""
    own = set(frame.collect_schema().names())
    constants = (pl.lit(value.as_py()).alias(name) for name, value in columns.items() if name not in own)
    return frame.with_columns(list(constants))


def _checked(files: Sequence[str], relation: Any, errors: type[Exception]) -> Source:
    """Give a relation's batches; an error of the engine in a later batch names the file too."""
    source = open_arrow(relation)

    def batches() -> Any:
        try:
            yield from source.batches
        except errors as error:
            raise _unreadable(files, "duckdb", error) from error

    return Source(source.schema, batches())


def _unreadable(files: Sequence[str], engine: str, error: Exception) -> UnreadableFileError:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return UnreadableFileError(
        f"{printable(files[0])}{more} cannot be read by {engine}: {printable(str(error))}; nothing was stored"
    )


_ENGINES: dict[str, Callable[[Sequence[str], FileFormat, ReadOptions, Folders], Source]] = {
    "duckdb": _by_duckdb,
    "polars": _by_polars,
}
