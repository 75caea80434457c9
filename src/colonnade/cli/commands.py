"""The command ``colonnade``: the public API in a shell. A command has the name of its function in Python.

Results go to stdout, everything else to stderr. A terminal gets tables fitted to its width; a pipe gets them complete,
one row a line; ``--json`` prints one JSON value. Exit status 0: done; 1: failed, or `check` found something; 2: wrong
usage; 130: Ctrl-C.

Does not depend on: how anything is stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from enum import Enum, StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from colonnade import ColonnadeError, CorruptSnapshotError, NotFoundError, Store, TableInfo, __version__
from colonnade._names import is_pattern
from colonnade.cli.output import console, print_error, print_json, print_line, print_table
from colonnade.display.columns import REPORTS, justify, tables_columns
from colonnade.display.fitting import counted, format_part, one_line
from colonnade.display.table import ELIDED, Column, fit_to_width
from colonnade.io.formats import FileFormat
from colonnade.lifetimes import whole_seconds
from colonnade.sizes import format_size
from colonnade.suggestions import listed


class _Commands(TyperGroup):
    """All commands; an error of one becomes the line and the exit status that a shell expects."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            try:
                return super().main(*args, **extra)
            finally:
                sys.stdout.flush()  # a full disk must be reported before the end
        except (ColonnadeError, OSError) as error:
            print_error(error)
            sys.exit(1)


app = typer.Typer(
    cls=_Commands,
    help="Tables in shared memory: one copy of each, for all processes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # no boxes around usage errors
)


class _Engine(StrEnum):
    """Who parses text."""

    PYARROW = "pyarrow"
    DUCKDB = "duckdb"
    POLARS = "polars"


class _DumpFormat(StrEnum):
    """The formats that `dump` writes."""

    CSV = "csv"
    PARQUET = "parquet"
    FEATHER = "feather"
    ARROW = "arrow"


class _Mode(Enum):
    OWNER = "600"
    GROUP = "640"


def _complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the names of tables that begin with the typed text; the shell completes them."""
    try:
        options = ctx.find_root().params
        return [table.name for table in _open_store(options).ls() if table.name.startswith(incomplete)]
    except Exception:  # a completion that fails must not print into the command line that is being typed
        return []


Name = Annotated[str, typer.Argument(metavar="NAME", help="The table.", autocompletion=_complete_name)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[int | None, typer.Option(metavar="N", help="A version that --keep retained.")]


def _lifetime(text: str) -> int:
    try:
        return whole_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _print_version(requested: bool) -> None:
    if requested:
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
    trust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER", help="Open the tables of this user too, a name or a number; else $COLONNADE_TRUST."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 -- its callback has printed it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = _open_store({"store": store, "trust": trust})


def _open_store(options: dict[str, Any]) -> Store:
    from colonnade.storage.users import trusted_by_environment, user_numbers

    try:
        trust = user_numbers(options["trust"]) if options["trust"] else trusted_by_environment()
        return Store(options["store"], trust=trust)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


# -- the commands ------------------------------------------------------------------------------------------------------


@app.command()
def load(
    ctx: typer.Context,
    name: Name,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The file, folder or URL to load; with --query, a database's URL.")
    ],
    *,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="The query that the database runs.")] = None,
    kind: Annotated[
        FileFormat | None, typer.Option("--format", help="The format of the file, whatever its suffix.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B", help="Only these columns, in this order.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="TEST", help='Only rows of which this is true, as "year == 2013". Repeatable.'
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="NAME=TYPE", help="The type of a column of text, as zip=string. Repeatable."),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(metavar="SIGN", help="What separates the fields of CSV.")] = None,
    decimal: Annotated[str | None, typer.Option(metavar="SIGN", help="The decimal point of CSV.")] = None,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="The encoding of text, as latin-1.")] = None,
    engine: Annotated[
        _Engine | None, typer.Option(help="Who parses text, with the types that it finds; else PyArrow.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, metavar="N", help="Keep this many versions, this one included.")] = 1,
    expect_version: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Store only if the table is at this version; 0: if it is new."),
    ] = None,
    ttl: Annotated[
        int | None,
        typer.Option(
            metavar="TIME",
            parser=_lifetime,
            help="The table may be removed when this time has passed: 90 (seconds), 12h, 1d.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a file, a folder or a query into the store, as the next version of a table.

    The suffix says which format: Parquet, CSV, TSV, Feather, Arrow IPC, ORC or JSON lines; text also with .gz, .bz2,
    .zst or .xz after it. With --query: sqlite:///data.db and postgresql://user@host/name. With -, standard input and
    --format.
    """
    options: dict[str, Any] = {"keep": keep, "expect_version": expect_version, "ttl": ttl}
    with _usage_errors(), contextlib.ExitStack() as stack:
        options |= {
            "columns": columns.split(",") if columns else None,
            "filters": [_test_of(text) for text in filters] if filters else None,
            "types": dict(_type_of(text) for text in types) if types else None,
            "delimiter": "\t" if delimiter == "\\t" else delimiter,
            "decimal": decimal,
            "encoding": encoding,
            "engine": engine,
        }
        if source == "-":
            if kind is None:
                raise typer.BadParameter("standard input has no suffix; say with --format what it holds")
            source = str(stack.enter_context(_standard_input()))
        snapshot = _store(ctx).load(name, source, query=query, format=kind, **options)
    with snapshot:
        info = TableInfo.of(snapshot)
        if as_json:
            print_json(info._asdict() | {"path": snapshot.path})
        else:
            rows, columns = counted(info.rows, "row"), counted(info.columns, "column")
            print_line(f"{name} version {info.version}: {rows}, {columns}, {format_size(info.nbytes)}")


_TEST = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|=|<|>)\s*(.*?)\s*", re.DOTALL)


def _test_of(text: str) -> tuple[str, str, Any]:
    """A filter as `load` takes it: a name, an operator, and a number, true, false or text."""
    match = _TEST.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"--filter {text!r}: a name, one of == != < <= > >=, and a value are wanted")
    name, operator, value = match.groups()
    try:
        return name, operator, json.loads(value)
    except ValueError:
        return name, operator, value


def _type_of(text: str) -> tuple[str, str]:
    name, equals, type_ = text.rpartition("=")
    if not equals:
        raise typer.BadParameter(f"--type {text!r}: NAME=TYPE is wanted")
    return name, type_


@app.command()
def dump(
    ctx: typer.Context,
    name: Name,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; an older one is replaced. - is standard output.")
    ],
    *,
    version: Version = None,
    kind: Annotated[
        _DumpFormat | None, typer.Option("--format", help="The format for standard output; csv if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a table to a file; the suffix says which format: Parquet, Feather, Arrow IPC or CSV."""
    if str(file) == "-":
        if as_json:
            raise typer.BadParameter("standard output has the table; --json is for files")
        from colonnade.io.dump import write
        from colonnade.io.progress import Meter

        with _existing_store(ctx).open(name, version=version) as snapshot:
            write(snapshot.to_arrow(), sys.stdout.buffer, FileFormat((kind or _DumpFormat.CSV).value), Meter())
        return
    if kind is not None:
        raise typer.BadParameter("--format is for standard output (-); the suffix of a file says its format")
    with _usage_errors():
        _existing_store(ctx).dump(name, file, version=version)
    size = file.expanduser().stat().st_size
    if as_json:
        print_json({"name": name, "path": file, "nbytes": size})
    else:
        print_line(f"{file}: {format_size(size)}")


@app.command()
def serve(
    ctx: typer.Context,
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0: any that is free.")] = 0,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="This host's certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of the certificate.")] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="Who must have signed other hosts' own.")] = None,
    advertise: Annotated[str | None, typer.Option(metavar="HOST", help="The name by which others reach it.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow other hosts without TLS.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the tables to other hosts over Arrow Flight, read-only, until Ctrl-C.

    Other hosts need the token: $COLONNADE_TOKEN, or a random one, which is printed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    given = os.environ.get("COLONNADE_TOKEN")
    with _usage_errors():
        server = _store(ctx).serve(
            host, port, cert=cert, key=key, ca=ca, advertise=advertise, insecure=insecure, token=given or None
        )
    with server:
        shown = {} if given else {"token": server.token}
        if as_json:
            print_json({"address": server.address, "serving": server.is_serving} | shown)
        else:
            state = "serving" if server.is_serving else "standing by for the process that serves"
            print_line(f"{state} {_store(ctx).path} at {server.address}")
            if shown:
                print_line(f"COLONNADE_TOKEN={server.token}")
        sys.stdout.flush()
        server.wait()


@app.command()
def fetch(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="grpc://host:port/name, or grpc+tls://host:port/name.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Store it as the next version of this table.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch a table of another host that serves its store. $COLONNADE_TOKEN is the token of that host.

    Without NAME it is kept as a copy that all processes of this host find when they open the URL, until its room is
    needed.
    """
    store = _store(ctx)
    with _usage_errors(), store.open(url) as copy:
        snapshot = copy if name is None else store.put(name, copy)
        with snapshot:
            info = TableInfo.of(snapshot)
            if as_json:
                print_json(info._asdict() | {"path": snapshot.path})
            else:
                print_line(
                    f"{info.name} version {info.version}: {counted(info.rows, 'row')}, "
                    f"{counted(info.columns, 'column')}, {format_size(info.nbytes)}"
                )


@app.command()
def ls(
    ctx: typer.Context,
    prefix: Annotated[
        str | None,
        typer.Argument(metavar="PREFIX", help="A folder (nyc), or a pattern (nyc/*).", autocompletion=_complete_name),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tables."""
    _print_tables(_existing_store(ctx).ls(prefix), as_json)


@app.command()
def versions(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """List the versions of a table: the newest, and those that --keep retained."""
    _print_tables(_existing_store(ctx).versions(name), as_json)


@app.command()
def rename(
    ctx: typer.Context, old: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]
) -> None:
    """Give a table another name, with all its versions."""
    _existing_store(ctx).rename(old, new)


@app.command()
def copy(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name of the copy.")],
    *,
    version: Version = None,
) -> None:
    """Keep a table under a second name. It takes no memory if there is no table of that name yet."""
    with _existing_store(ctx).copy(name, new, version=version) as snapshot:
        print_line(f"{new} version {snapshot.version}: {format_size(snapshot.nbytes)}")


@app.command()
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
    with _existing_store(ctx).open(name, version=version) as snapshot:
        total = snapshot.num_rows
        # Arrow has the index behind the columns; the sort is stable.
        order = sorted(enumerate(snapshot.explain()), key=lambda numbered: numbered[1].role != "index")
        table = snapshot.to_arrow()
        chosen = [at for at, _ in order] if columns is None else _positions(columns, table.column_names, name)
        table = table.slice(0, min(rows, total)).select(chosen)
        try:
            table.validate(full=True)  # to follow a damaged offset would end the process
        except ValueError as error:
            raise CorruptSnapshotError(f"the values of {name!r} are damaged: {error}; put the table again") from error
    shown = _show(table, as_json)
    if shown:
        rows_shown = format_part(table.num_rows, total)
        console().print(f"{rows_shown} rows, {shown} columns", style="dim")


@app.command()
def sql(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One query in DuckDB's SQL.")],
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    external_access: Annotated[
        bool, typer.Option("--external-access", help="Let the query read and write files and the network.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Query tables by their names, with DuckDB, and print the first rows.

    A name with slashes is written in double quotes: colonnade sql 'select count(*) from "nyc/flights"'
    """
    try:
        from colonnade.interop.duckdb import EngineError, read, with_hint
    except ModuleNotFoundError as error:
        raise ColonnadeError("sql needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'") from error
    try:
        table = read(_store(ctx).sql(query, external_access=external_access).limit(rows + 1))
    except (EngineError, ValueError) as error:
        hinted = with_hint(error)
        raise ColonnadeError("\n".join([str(hinted), *getattr(hinted, "__notes__", [])])) from error
    shown = _show(table.slice(0, rows), as_json)
    if shown:
        more = " and more" if table.num_rows > rows else ""
        console().print(f"{counted(min(table.num_rows, rows), 'row')}{more}, {shown} columns", style="dim")


@app.command()
def explain(ctx: typer.Context, name: Name, version: Version = None, as_json: AsJson = False) -> None:
    """Describe a table, and how pandas reads each of its columns."""
    with _existing_store(ctx).open(name, version=version) as snapshot:
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


@app.command()
def delete(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Tables, or patterns such as 'nyc/*'.", autocompletion=_complete_name),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before tables of a pattern are deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete tables, all versions of each. Processes that have one open keep it."""
    store = _existing_store(ctx)
    chosen: list[str] = []
    by_pattern: list[str] = []
    for name in names:
        if is_pattern(name):
            matching = [table.name for table in store.ls(name)]
            if not matching:
                print_error(ColonnadeError(f"no table matches {name!r} in {store.path}"))
                raise typer.Exit(1)
            by_pattern += matching
            chosen += matching
        else:
            chosen.append(name)
    chosen = list(dict.fromkeys(chosen))
    if by_pattern and not yes:
        _ask(f"Delete {counted(len(set(by_pattern)), 'table')}: {', '.join(dict.fromkeys(by_pattern))}?")
    deleted = []
    for name in chosen:
        try:
            store.delete(name)
            deleted.append(name)
        except ColonnadeError as error:
            print_error(error)  # and the other tables are still deleted
    if as_json:
        print_json(deleted)
    if len(deleted) < len(chosen):
        raise typer.Exit(1)


@app.command()
def gc(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Free spares, expired tables and what killed writers left behind; remove empty folders."""
    freed = _existing_store(ctx).gc()
    if as_json:
        print_json(freed._asdict())
    else:
        what = f"{counted(freed.files, 'file')} and {counted(freed.folders, 'folder')}"
        print_line(f"{what} removed, {format_size(freed.nbytes)}")


@app.command()
def configure(
    ctx: typer.Context,
    capacity: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The limit of all tables together, as in 8GiB.")
    ] = None,
    spares: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of replaced tables kept for the next puts; 0: none.")
    ] = None,
    mode: Annotated[_Mode | None, typer.Option(help="600: yours alone; 640: the group may read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set the settings that all processes keep to, and print them.

    Without an option it only prints.
    """
    try:
        octal = None if mode is None else int(mode.value, 8)
        settings = _store(ctx).configure(capacity=capacity, spares=spares, mode=octal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json(settings._asdict() | {"mode": f"{settings.file_mode:o}"})
    else:
        values = {
            "capacity": _size(settings.capacity) or "as much as the file system has",
            "spares": _size(settings.spares) or "an eighth of the file system",
            "mode": f"{settings.file_mode:o}",
        }
        for setting, value in values.items():
            print_line(f"{setting:<9}{value}")


@app.command()
def top(
    ctx: typer.Context,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Watch what occupies the store's memory, and which processes hold it; q ends it.

    In a pipe it prints once. A store that is not there yet is shown as an empty one.
    """
    from colonnade.cli import top as view

    if as_json:
        print_json(view.to_json(_store(ctx).usage()))
    elif view.can_watch():
        view.watch(_store(ctx).usage, every)
    else:
        view.print_once(_store(ctx).usage())


@app.command()
def ui(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 takes a free one.")] = 8421,
) -> None:
    """Show the store on a page in the browser, for you alone: tables, processes, rates, first rows. Ctrl-C ends it.

    It listens on 127.0.0.1. Keep the printed address to yourself: it has the key in it.
    """
    try:
        from colonnade.ui.server import serve

        serve(_store(ctx), port, _print_at_once)
    except ModuleNotFoundError as error:
        raise ColonnadeError(f"{error}: the page needs the extra ui: pip install 'colonnade[ui]'") from error


@app.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read every table, and list what is wrong.

    The exit status is 1 if anything is.
    """
    problems = _existing_store(ctx).check()
    if as_json:
        print_json([problem._asdict() for problem in problems])
    elif problems:
        print_table(_CHECK, problems)
    else:
        print_line(f"no problems in {_store(ctx).path}")
    if problems:
        raise typer.Exit(1)


# -- what the commands share -------------------------------------------------------------------------------------------


def _print_at_once(text: str) -> None:
    print_line(text)
    sys.stdout.flush()


def _store(ctx: typer.Context) -> Store:
    store: Store = ctx.obj
    return store


def _existing_store(ctx: typer.Context) -> Store:
    """Give the store, for commands that make none."""
    store = _store(ctx)
    if not os.path.lexists(store.path):
        raise NotFoundError(f"there is no store at {store.path}; `colonnade load` makes it, --store names another")
    return store


def _print_tables(tables: list[TableInfo], as_json: bool) -> None:
    if as_json:
        print_json([table._asdict() for table in tables])
    else:
        print_table(tables_columns(tables), tables)


def _ask(question: str) -> None:
    """Ask; end the command with status 1 for any answer but yes, and where nobody can answer."""
    if not sys.stdin.isatty():
        raise ColonnadeError(f"{question} Nobody can be asked here; --yes deletes them")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 -- a question
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Exit(1)


def _positions(texts: list[str], names: list[str], table: str) -> list[int]:
    """Find the columns that an option names; a name that has commas itself is found first."""
    chosen = [name for text in texts for name in ([text] if text in names else text.split(","))]
    for name in chosen:
        if name not in names:
            raise NotFoundError(f"{table!r} has no column {name!r}; {listed(name, names)}")
    return [names.index(name) for name in chosen]


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn the errors of wrong arguments into those of wrong usage, and a missing extra into a line."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ColonnadeError(str(error)) from error
    except ValueError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise typer.BadParameter(str(error)) from error


@contextlib.contextmanager
def _standard_input() -> Iterator[Path]:
    """Give standard input as a file; a pipe is copied to one, because readers need to seek."""
    if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        yield Path(f"/dev/fd/{sys.stdin.fileno()}")
        return
    with tempfile.NamedTemporaryFile(prefix="colonnade-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        file.flush()
        yield Path(file.name)


def _size(nbytes: int | None) -> str | None:
    return None if nbytes is None else f"{format_size(nbytes)} ({nbytes:,} bytes)"


def _values(column: Any) -> list[Any]:
    """Give the values of an Arrow column as Python objects; None is null."""
    import pyarrow as pa

    from colonnade.display.values import text_of

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


def _show(table: Any, as_json: bool) -> str | None:
    """Print rows. A terminal gets the columns that fit; then say how many these are."""
    cells = list(zip(*map(_values, table.columns), strict=True))
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
    fitted = fit_to_width(columns, texts, console().width)
    print_table(fitted, texts)
    return format_part(sum(column is not ELIDED for column in fitted), len(columns))


# -- the tables -------------------------------------------------------------------------------------------------------

_CHECK = (
    Column("path", lambda problem: one_line(problem.path)),
    Column("problem", lambda problem: one_line(problem.what)),
    Column("remedy", lambda problem: one_line(problem.remedy)),
)
