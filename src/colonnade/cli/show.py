"""The commands `ls`, `versions`, `show`, `sql` and `explain`: what there is, and what is in it.

Does not depend on: how anything is stored.
"""

from __future__ import annotations

import json
import sys
from operator import itemgetter
from typing import Annotated, Any

import pyarrow as pa
import typer

from colonnade import ColonnadeError, CorruptSnapshotError, NotFoundError, TableInfo
from colonnade.cli.arguments import AsJson, Name, Version, complete_name, existing_store, store_of
from colonnade.cli.output import console, print_json, print_line, print_table
from colonnade.display.columns import REPORTS, justify, tables_columns
from colonnade.display.fitting import counted, format_part, one_line
from colonnade.display.table import ELIDED, Column, fit_to_width
from colonnade.display.values import text_of
from colonnade.sizes import format_size
from colonnade.suggestions import listed


def ls(
    ctx: typer.Context,
    prefix: Annotated[
        str | None,
        typer.Argument(metavar="PREFIX", help="A folder (nyc), or a pattern (nyc/*).", autocompletion=complete_name),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tables."""
    _print_tables(existing_store(ctx).ls(prefix), as_json)


def versions(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """List the newest version of a table and those that were kept."""
    _print_tables(existing_store(ctx).versions(name), as_json)


def _print_tables(tables: list[TableInfo], as_json: bool) -> None:
    if as_json:
        print_json([table._asdict() for table in tables])
    else:
        print_table(tables_columns(tables), tables)


def show(
    ctx: typer.Context,
    name: Name,
    *,
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    columns: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="These columns, with commas between them.")
    ] = None,
    version: Version = None,
    as_json: AsJson = False,
) -> None:
    """Print a table's first rows, the index first.

    A terminal gets the columns that fit, a pipe gets all of them: colonnade show NAME | less -S
    """
    with existing_store(ctx, name).open(name, version=version) as snapshot:
        total = snapshot.num_rows
        # Arrow has the index behind the columns; the sort is stable.
        order = sorted(enumerate(snapshot.explain()), key=lambda numbered: numbered[1].role != "index")
        table = snapshot.to_arrow()
        positions = [at for at, _ in order] if columns is None else _positions(columns, table.column_names, name)
        table = table.slice(0, min(rows, total)).select(positions)
        try:
            table.validate(full=True)  # to follow a damaged offset would end the process
        except ValueError as error:
            raise CorruptSnapshotError(f"the values of {name!r} are damaged: {error}; put the table again") from error
    columns_shown = _show(table, as_json)
    if columns_shown:
        console().print(f"{format_part(table.num_rows, total, 'row')}, {columns_shown}", style="dim")


def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One query in DuckDB's SQL.")],
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    external_access: Annotated[
        bool, typer.Option("--external-access", help="Let the query read and write files and the network.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Query tables by name with DuckDB; print the first rows.

    A name with slashes is written in double quotes: colonnade sql 'select count(*) from "nyc/flights"'
    """
    try:
        from colonnade.interop.duckdb import EngineError, read, with_hint
    except ModuleNotFoundError as error:
        raise ColonnadeError("sql needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'") from error
    try:
        table = read(store_of(ctx).sql(query, external_access=external_access).limit(rows + 1))
    except (EngineError, ValueError) as error:
        error_with_hint = with_hint(error)
        text = "\n".join([str(error_with_hint), *getattr(error_with_hint, "__notes__", [])])
        raise ColonnadeError(text.replace("sql(..., external_access=True)", "--external-access")) from error
    columns_shown = _show(table.slice(0, rows), as_json)
    if columns_shown:
        more = " and more" if table.num_rows > rows else ""
        console().print(f"{counted(min(table.num_rows, rows), 'row')}{more}, {columns_shown}", style="dim")


def _show(table: Any, as_json: bool) -> str | None:
    """Print rows. A terminal gets the columns that fit. Return a text that says how many these are."""
    cells = list(zip(*map(values_of, table.columns), strict=True))
    if as_json:
        if len(set(table.column_names)) < table.num_columns:
            raise ColonnadeError("several columns have the same name, which a JSON object cannot hold")
        print_json([dict(zip(table.column_names, row, strict=True)) for row in cells])
        return None
    columns = [
        Column(one_line(field.name), itemgetter(at), justify(field.type)) for at, field in enumerate(table.schema)
    ]
    texts = [[one_line(value) for value in row] for row in cells]
    if not sys.stdout.isatty():
        print_table(columns, texts)
        return None
    visible = fit_to_width(columns, texts, console().width)
    print_table(visible, texts)
    return format_part(sum(column is not ELIDED for column in visible), len(columns), "column")


def values_of(column: Any) -> list[Any]:
    """Give the values of an Arrow column as Python objects; None is null."""
    if getattr(column.type, "extension_name", "").startswith("pandas."):  # Arrow gives the numbers that represent them
        valid = column.is_valid().to_pylist()
        return [value if there else None for value, there in zip(column.to_pandas(), valid, strict=True)]
    try:
        return list(column.to_pylist())
    except (
        ArithmeticError,
        KeyError,
        UnicodeDecodeError,
        pa.ArrowInvalid,
    ):  # a year outside of Python's range, a decimal, an unknown zone
        array = pa.concat_arrays(column.chunks)
        return [None if missing else text_of(array, row) for row, missing in enumerate(array.is_null().to_pylist())]


def _positions(texts: list[str], names: list[str], table: str) -> list[int]:
    """Find the columns that an option names; a name that has commas itself is found first."""
    labels = [name for text in texts for name in ([text] if text in names else text.split(","))]
    for name in labels:
        if name not in names:
            raise NotFoundError(f"{table!r} has no column {name!r}; {listed(name, names)}")
    return [names.index(name) for name in labels]


def explain(ctx: typer.Context, name: Name, version: Version = None, as_json: AsJson = False) -> None:
    """Describe a table, and how pandas reads each of its columns."""
    with existing_store(ctx, name).open(name, version=version) as snapshot:
        info, path = TableInfo.of(snapshot), snapshot.path
        # The names in the file, which all its readers see; pandas' labels need not be strings.
        columns = [
            report._replace(column=column)
            for column, report in zip(snapshot.schema.names, snapshot.explain(), strict=True)
        ]
    if as_json:
        print_json(info._asdict() | {"path": path, "schema": [column._asdict() for column in columns]})
        return
    for fact, text in {
        "name": info.name,
        "version": info.version,
        "rows": f"{info.rows:,}",
        "columns": f"{info.columns:,}",
        "size": f"{format_size(info.nbytes)} ({info.nbytes:,} bytes)",
        "created": info.created.astimezone().isoformat(" ", "seconds"),
        "path": path,
        **({"meta": json.dumps(info.meta)} if info.meta else {}),
    }.items():
        print_line(f"{fact:<9}{text}")
    print_line()
    print_table(REPORTS, columns)
