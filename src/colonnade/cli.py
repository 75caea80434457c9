"""The command ``colonnade``: a store, seen from the shell.

Knows: the public API, the files that `put` loads, terminals. Must not know: how anything is stored.

Results go to stdout and everything else to stderr. A terminal gets tables fitted to its width; a pipe gets the same columns
complete, a row a line; ``--json`` gives one JSON value. Status 0: done; 1: not done, or `check` found something; 2: wrong usage;
130: Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from typer.core import TyperGroup

import colonnade
from colonnade.api import Store, TableInfo
from colonnade.errors import ColonnadeError
from colonnade.neighbours import files
from colonnade.store.check import Problem

if TYPE_CHECKING:
    from colonnade.convert.explain import ColumnReport
    from colonnade.snapshot import Snapshot

# A smaller file is loaded before anybody has looked at a bar.
_LONG_LOAD = 32 << 20
# The cells of a terminal's `show`, in characters.
_WIDEST = 32


class _Commands(TyperGroup):
    """All commands; what one of them raises becomes the line and the status that a shell expects."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # to hear of a full disk while it can still be said
        except (ColonnadeError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # Typer knows what to do
            print(f"colonnade: {_message(error)}", file=sys.stderr)  # noqa: T201 -- a command prints
            raise typer.Exit(1) from error
        return result


app = typer.Typer(
    cls=_Commands,
    help="Tables in shared memory: one copy of each, for all processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # no boxes around usage errors
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line, and exit with its status."""
    # Who reads the output may leave before its end, as `head` does; that ends this command quietly, as it ends any other.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    app(prog_name="colonnade")


def _print_version(wanted: bool) -> None:
    if wanted:
        _print(f"colonnade {colonnade.__version__}")
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
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Store(store)


# -- the commands ------------------------------------------------------------------------------------------------------------


@app.command()
def put(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to load.", show_default=False)],
    name: Annotated[
        str | None, typer.Argument(help="The table's name; else made from the file's.", show_default=False)
    ] = None,
    kind: Annotated[
        files.FileFormat | None, typer.Option("--format", help="What the file holds, whatever its suffix.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, metavar="N", help="Keep this many versions, the new one included.")] = 1,
    expect_version: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Store only if the name is at this version (0: is not there).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a file into the store, as the next version of a table.

    Parquet, CSV, Feather, Arrow IPC, ORC or JSON lines, told by the suffix; text also with .gz, .bz2 or .zst after it.
    """
    stem, by_suffix, _ = files.recognise(file)
    kind = kind or by_suffix
    if kind is None:
        raise typer.BadParameter(f"{file} ends with none of {' '.join(files.SUFFIXES)}; say --format")
    name = name or _name_from(stem)
    if not name:
        raise typer.BadParameter(f"no name can be made from {file}; write one after it")
    with _watching(file) as seen:
        table = files.read(file, kind, seen)
    with _store(ctx).put(name, table, keep=keep, expect_version=expect_version) as snapshot:
        if as_json:
            _print_json(_facts(snapshot))
        else:
            rows, columns = snapshot.num_rows, snapshot.num_columns
            size = _size(snapshot.nbytes)
            _print(f"{name} version {snapshot.version}: {rows:,} rows, {columns:,} columns, {size}")


@app.command()
def ls(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tables."""
    tables = _store(ctx).ls()
    if as_json:
        _print_json([table._asdict() for table in tables])
    else:
        _print_table(_LS, tables)


@app.command()
def show(
    ctx: typer.Context,
    name: str,
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Print a table's first rows, index first.

    A terminal gets the columns that fit, and a pipe gets all: colonnade show NAME | less -S
    """
    with _store(ctx).open(name) as snapshot:
        total = snapshot.num_rows
        # Stable: the index, which Arrow has behind the columns, and then the columns.
        order = sorted(enumerate(snapshot.explain()), key=lambda numbered: numbered[1].role != "index")
        table = snapshot.to_arrow().select([field for field, _ in order]).slice(0, rows)
    found = list(zip(*map(_values, table.columns), strict=True))
    if as_json:
        if len(set(table.column_names)) < table.num_columns:
            raise ColonnadeError(f"{name!r} has columns of the same name, which JSON objects cannot hold")
        _print_json([dict(zip(table.column_names, row, strict=True)) for row in found])
        return
    columns = [
        _Column(_text(field.name), lambda row, at=at: row[at], "right" if _is_number(field.type) else "left")
        for at, field in enumerate(table.schema)
    ]
    texts = [[_text(value) for value in row] for row in found]
    if not sys.stdout.isatty():
        _print_table(columns, texts)
        return
    shown = _fitting(columns, texts)
    _print_table(shown, texts)
    left_out = [f"{len(texts):,} of {total:,} rows"] if len(texts) < total else []
    _print(", ".join(left_out))


@app.command()
def info(ctx: typer.Context, name: str, as_json: AsJson = False) -> None:
    """Describe a table, and say how pandas reads each of its columns."""
    with _store(ctx).open(name) as snapshot:
        facts = _facts(snapshot)
        # The names that every reader of the file sees; a label of pandas need not be a string.
        columns = [
            report._replace(column=column)
            for column, report in zip(snapshot.schema.names, snapshot.explain(), strict=True)
        ]
    if as_json:
        _print_json(facts | {"schema": [report._asdict() for report in columns]})
        return
    for fact, text in {
        "name": name,
        "version": facts["version"],
        "rows": f"{facts['rows']:,}",
        "columns": f"{facts['columns']:,}",
        "size": f"{_size(facts['nbytes'])} ({facts['nbytes']:,} bytes)",
        "created": facts["created"].astimezone().isoformat(" ", "seconds"),
        "path": facts["path"],
    }.items():
        _print(f"{fact:<9}{text}")
    _print("")
    _print_table(_INFO, columns)


@app.command()
def rm(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The tables.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Remove tables with all their versions. Who has one open keeps it."""
    removed = []
    errors = []
    for name in names:
        try:
            _store(ctx).delete(name)
            removed.append(name)
        except ColonnadeError as error:
            errors.append(error)
            _complain(error)
    if as_json:
        _print_json(removed)
    if errors:
        raise typer.Exit(1)


@app.command()
def gc(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Remove what killed writers left, and empty folders."""
    freed = _store(ctx).gc()
    if as_json:
        _print_json(dataclasses.asdict(freed))
    else:
        _print(f"removed {freed.files:,} files and {freed.folders:,} folders, {_size(freed.nbytes)}")


@app.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read every byte of the store, and list what is not as it should be; the status is 1 if anything is."""
    problems = _store(ctx).check()
    if as_json:
        _print_json([dataclasses.asdict(problem) for problem in problems])
    elif problems:
        _print_table(_CHECK, problems)
    else:
        _print(f"{_store(ctx).path}: no problems")
    if problems:
        raise typer.Exit(1)


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Measure, on real data, how fast tables go from one process to others."""
    from colonnade.demo import main as run  # noqa: PLC0415 -- it imports pandas

    # It talks with processes of its own; one that is gone must be an error there, and not the end of this one.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if not as_json:
        raise typer.Exit(run())
    with contextlib.redirect_stdout(sys.stderr):
        status = run()
    _print_json({"status": status})
    raise typer.Exit(status)


# -- helpers of the commands -------------------------------------------------------------------------------------------------


def _store(ctx: typer.Context) -> Store:
    store: Store = ctx.obj
    return store


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    """What `ls` says of a table, and where it is."""
    table = TableInfo(
        snapshot.name, snapshot.version, snapshot.num_rows, snapshot.num_columns, snapshot.nbytes, snapshot.created
    )
    return table._asdict() | {"path": snapshot.path}


def _name_from(stem: str) -> str:
    """A table's name from a file's: what a name may hold, joined; '' where there is nothing."""
    return "_".join(re.findall(r"[A-Za-z0-9._-]+", stem)).lstrip(".")


@contextlib.contextmanager
def _watching(path: Path) -> Iterator[Callable[[int], None]]:
    """Show a bar while a long file is loaded by somebody at a terminal; gives what is to be told the bytes read."""
    size = path.stat().st_size
    if size < _LONG_LOAD or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 -- seldom needed
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 -- same

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"loading {path.name}", total=size)
        yield lambda nbytes: progress.advance(task, nbytes)


def _values(column: Any) -> list[Any]:
    """The values of an Arrow column as Python objects, None for null."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        # Periods and intervals: Arrow gives the numbers that they are stored as.
        return [None if valid is False else value]
    return column.to_pylist()
