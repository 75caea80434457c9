"""The command ``colonnade``: a store, seen from the shell.

Knows: the public API, how files are named, terminals. Does not depend on: how anything is stored.

Results go to stdout, everything else to stderr. A terminal gets tables fitted to its width; a pipe gets them complete,
a row a line; ``--json`` gives one JSON value. Status 0: done; 1: not done, or `check` found something; 2: wrong usage;
130: Ctrl-C.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from operator import itemgetter
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from colonnade import ColonnadeError, Snapshot, Store, TableInfo, __version__
from colonnade.display.columns import REPORTS, TABLES, justify
from colonnade.display.fitting import (
    ELIDED,
    Column,
    complain,
    console,
    counted,
    fit_to_width,
    format_part,
    one_line,
    print_json,
    print_line,
    print_table,
)
from colonnade.display.values import text_of
from colonnade.io.formats import FileFormat, recognise
from colonnade.sizes import format_size


class _Commands(TyperGroup):
    """All commands; what one of them raises becomes the line and the status that a shell expects."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            try:
                return super().main(*args, **extra)
            finally:
                sys.stdout.flush()  # to hear of a full disk while it can still be said
        except (ColonnadeError, OSError) as error:
            complain(error)
            sys.exit(1)


app = typer.Typer(
    cls=_Commands,
    help="Tables in shared memory: one copy of each, for all processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # no boxes around usage errors
)


class _Mode(Enum):
    OWNER = "600"
    GROUP = "640"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"colonnade {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The store's directory; else $COLONNADE_STORE, else your own in shared memory."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 -- its callback has printed it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Store(store)


# -- the commands ------------------------------------------------------------------------------------------------------


@app.command()
def put(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The file, folder or URL to load; with --query, a database's URL.")
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The table's name; else made from the file's.")
    ] = None,
    *,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to ask the database.")] = None,
    kind: Annotated[
        FileFormat | None, typer.Option("--format", help="What the file holds, whatever its suffix.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, metavar="N", help="Keep this many versions, this one included.")] = 1,
    expect_version: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Store only if the table is at this version; 0: if it is new."),
    ] = None,
    ttl: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="It may be removed once so much time has passed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a file, a folder or a query into the store, as the next version of a table.

    Parquet, CSV, Feather, Arrow IPC, ORC or JSON lines, told by the suffix; text also with .gz, .bz2 or .zst after it.
    sqlite:///data.db and postgresql://user@host/name with --query.
    """
    if name is None and query is not None:
        raise typer.BadParameter("a query has no name; write one after the URL")
    name = name or _name_from(recognise(PurePath(source)).stem)
    if not name:
        raise typer.BadParameter(f"no name can be made from {source}; write one after it")
    try:
        options: dict[str, Any] = {"keep": keep, "expect_version": expect_version, "ttl": ttl}
        snapshot = _store(ctx).load(name, source, query=query, format=kind, **options)
    except ModuleNotFoundError as error:
        raise ColonnadeError(str(error)) from error
    except ValueError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise typer.BadParameter(str(error)) from error
    with snapshot:
        info = _info(snapshot)
        if as_json:
            print_json(info._asdict() | {"path": snapshot.path})
        else:
            rows, columns = counted(info.rows, "row"), counted(info.columns, "column")
            print_line(f"{name} version {info.version}: {rows}, {columns}, {format_size(info.nbytes)}")


@app.command()
def dump(
    ctx: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; one that is there is replaced.")],
    version: Annotated[int | None, typer.Option(metavar="N", help="A version that was kept; else the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a table to a file: Parquet, Feather, Arrow IPC or CSV, told by the suffix."""
    try:
        _store(ctx).dump(name, file, version=version)
    except ValueError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise typer.BadParameter(str(error)) from error
    size = file.stat().st_size
    if as_json:
        print_json({"name": name, "path": file, "nbytes": size})
    else:
        print_line(f"{file}: {format_size(size)}")


@app.command()
def ls(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tables."""
    tables = _store(ctx).ls()
    if as_json:
        print_json([table._asdict() for table in tables])
    else:
        print_table(TABLES, tables)


@app.command()
def show(
    ctx: typer.Context,
    name: Name,
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Print a table's first rows, the index first.

    A terminal gets the columns that fit, a pipe gets all of them: colonnade show NAME | less -S
    """
    with _store(ctx).open(name) as snapshot:
        total = snapshot.num_rows
        # Arrow has the index behind the columns; the sort is stable.
        order = sorted(enumerate(snapshot.explain()), key=lambda numbered: numbered[1].role != "index")
        table = snapshot.to_arrow().slice(0, rows).select([field for field, _ in order])
    shown = _show(table, as_json)
    if shown:
        rows_shown = format_part(table.num_rows, total)
        console().print(f"{rows_shown} rows, {shown} columns", style="dim")


@app.command()
def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One query, as DuckDB knows them.")],
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Query tables by their names, with DuckDB, and print the first rows.

    A name with slashes is written in double quotes: colonnade sql 'select count(*) from "nyc/flights"'
    """
    try:
        import duckdb  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise ColonnadeError("sql needs DuckDB: pip install 'colonnade[duckdb]'") from error
    try:
        table = _store(ctx).sql(query).limit(rows + 1).to_arrow_table()
    except (duckdb.Error, ValueError, ModuleNotFoundError) as error:  # the last: DuckDB is too old
        raise ColonnadeError("\n".join([str(error), *getattr(error, "__notes__", [])])) from error
    shown = _show(table.slice(0, rows), as_json)
    if shown:
        more = " and more" if table.num_rows > rows else ""
        console().print(f"{counted(min(table.num_rows, rows), 'row')}{more}, {shown} columns", style="dim")


@app.command()
def info(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Describe a table, and say how pandas reads each of its columns."""
    with _store(ctx).open(name) as snapshot:
        found, path = _info(snapshot), snapshot.path
        # The names in the file, which all its readers see; pandas' labels need not be strings.
        named = zip(snapshot.schema.names, snapshot.explain(), strict=True)
        columns = [report._replace(column=column) for column, report in named]
    if as_json:
        print_json(found._asdict() | {"path": path, "schema": [column._asdict() for column in columns]})
        return
    for fact, text in {
        "name": found.name,
        "version": found.version,
        "rows": f"{found.rows:,}",
        "columns": f"{found.columns:,}",
        "size": f"{format_size(found.nbytes)} ({found.nbytes:,} bytes)",
        "created": found.created.astimezone().isoformat(" ", "seconds"),
        "path": path,
    }.items():
        print_line(f"{fact:<9}{text}")
    print_line()
    print_table(REPORTS, columns)


@app.command()
def rm(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="The tables.")],
    as_json: AsJson = False,
) -> None:
    """Remove tables, all versions of each. Who has one open keeps it."""
    removed = []
    for name in names:
        try:
            _store(ctx).delete(name)
            removed.append(name)
        except ColonnadeError as error:
            complain(error)  # and the others are still removed
    if as_json:
        print_json(removed)
    if len(removed) < len(names):
        raise typer.Exit(1)


@app.command()
def gc(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Free spares, expired tables and what killed writers left; remove empty folders."""
    freed = _store(ctx).gc()
    if as_json:
        print_json(freed._asdict())
    else:
        what = f"{counted(freed.files, 'file')} and {counted(freed.folders, 'folder')}"
        print_line(f"{what} removed, {format_size(freed.nbytes)}")


@app.command()
def configure(
    ctx: typer.Context,
    capacity: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What all tables together may hold, as in 8GiB.")
    ] = None,
    spares: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Superseded tables kept for the next puts to write to; 0: none.")
    ] = None,
    mode: Annotated[_Mode | None, typer.Option(help="600: yours alone; 640: the group may read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set what every process that names the store keeps to, and print what holds.

    Without an option it only prints.
    """
    try:
        octal = None if mode is None else int(mode.value, 8)
        found = _store(ctx).configure(capacity=capacity, spares=spares, mode=octal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json(found._asdict() | {"mode": f"{found.file_mode:o}"})
    else:
        given = {"capacity": _size(found.capacity), "spares": _size(found.spares), "mode": f"{found.file_mode:o}"}
        for setting, default in _DEFAULTS.items():
            print_line(f"{setting:<9}{given[setting] or default}")


@app.command()
def top(
    ctx: typer.Context,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Watch what occupies the store's memory, and which processes hold it; q ends it.

    A pipe gets it once.
    """
    from colonnade.cli import top as view  # noqa: PLC0415 -- seldom needed

    if as_json:
        print_json(view.to_json(_store(ctx).usage()))
    elif view.can_watch():
        view.watch(_store(ctx).usage, every)
    else:
        view.print_once(_store(ctx).usage())


@app.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read every table, and list what is wrong.

    The exit status is 1 if anything is.
    """
    problems = _store(ctx).check()
    if as_json:
        print_json([problem._asdict() for problem in problems])
    elif problems:
        print_table(_CHECK, problems)
    else:
        print_line(f"no problems in {_store(ctx).path}")
    if problems:
        raise typer.Exit(1)


# -- what the commands share -------------------------------------------------------------------------------------------


def _store(ctx: typer.Context) -> Store:
    store: Store = ctx.obj
    return store


def _info(snapshot: Snapshot) -> TableInfo:
    return TableInfo(
        snapshot.name, snapshot.version, snapshot.num_rows, snapshot.num_columns, snapshot.nbytes, snapshot.created
    )


def _size(nbytes: int | None) -> str | None:
    return None if nbytes is None else f"{format_size(nbytes)} ({nbytes:,} bytes)"


_DEFAULTS = {
    "capacity": "as much as the file system has",
    "spares": "an eighth of the file system",
    "mode": "600",
}


def _name_from(stem: str) -> str:
    """A table's name from a file's: the runs of what a name may hold, as in ``data (1)`` -> ``data_1``."""
    return "_".join(re.findall(r"[A-Za-z0-9._-]+", stem)).lstrip(".")


def _values(column: Any) -> list[Any]:
    """The values of an Arrow column as Python objects; None is null."""
    import pyarrow as pa  # noqa: PLC0415 -- not for --help

    if getattr(column.type, "extension_name", "").startswith("pandas."):  # Arrow gives the numbers these are made of
        valid = column.is_valid().to_pylist()
        return [value if there else None for value, there in zip(column.to_pandas(), valid, strict=True)]
    try:
        return list(column.to_pylist())
    except (OverflowError, pa.ArrowInvalid):  # a year that Python has not, a zone that nobody knows
        array = pa.concat_arrays(column.chunks)
        return [None if missing else text_of(array, row) for row, missing in enumerate(array.is_null().to_pylist())]


def _show(table: Any, as_json: bool) -> str | None:
    """Print rows; to a terminal, what fits, and then give how many of the columns that is."""
    found = list(zip(*map(_values, table.columns), strict=True))
    if as_json:
        if len(set(table.column_names)) < table.num_columns:
            raise ColonnadeError("there are columns of the same name, which a JSON object cannot hold")
        print_json([dict(zip(table.column_names, row, strict=True)) for row in found])
        return None
    columns = [
        Column(one_line(field.name), itemgetter(at), justify(field.type)) for at, field in enumerate(table.schema)
    ]
    texts = [[one_line(value) for value in row] for row in found]
    if not sys.stdout.isatty():
        print_table(columns, texts)
        return None
    fitted = fit_to_width(columns, texts, console().width)
    print_table(fitted, texts)
    return format_part(sum(column is not ELIDED for column in fitted), len(columns))


# -- the tables -------------------------------------------------------------------------------------------------------

_CHECK = (
    Column("path", lambda problem: one_line(problem.path)),
    Column("problem", lambda problem: one_line(problem.what)),
    Column("remedy", lambda problem: one_line(problem.remedy)),
)
