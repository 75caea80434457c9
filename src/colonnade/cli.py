"""The command ``colonnade``: a store, seen from the shell.

Knows: the public API, the files that `put` loads, terminals. Must not know: how anything is stored.

Results go to stdout, everything else to stderr. A terminal gets tables fitted to its width; a pipe gets them complete,
a row a line; ``--json`` gives one JSON value. Status 0: done; 1: not done, or `check` found something; 2: wrong usage;
130: Ctrl-C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from typer.core import TyperGroup

from colonnade import ColonnadeError, Snapshot, Store, TableInfo, __version__
from colonnade.neighbours import files

if TYPE_CHECKING:
    from rich.console import Console


class _Commands(TyperGroup):
    """All commands; what one of them raises becomes the line and the status that a shell expects."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            try:
                return super().main(*args, **extra)
            finally:
                sys.stdout.flush()  # to hear of a full disk while it can still be said
        except (ColonnadeError, OSError) as error:
            _complain(error)
            sys.exit(1)


app = typer.Typer(
    cls=_Commands,
    help="Tables in shared memory: one copy of each, for all processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # no boxes around usage errors
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line, and exit with its status."""
    # Who reads the output may leave before its end, as `head` does; that ends this command quietly, like any other.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app(prog_name="colonnade")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os._exit(1)  # it has been said; a regular exit would try once more, and say it in its own words


def _print_version(wanted: bool) -> None:
    if wanted:
        _print(f"colonnade {__version__}")
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
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to load.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The table's name; else made from the file's.")
    ] = None,
    *,
    kind: Annotated[
        files.FileFormat | None, typer.Option("--format", help="What the file holds, whatever its suffix.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, metavar="N", help="Keep this many versions, this one included.")] = 1,
    expect_version: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Store only if the table is at this version; 0: if it is new."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a file into the store, as the next version of a table.

    Parquet, CSV, Feather, Arrow IPC, ORC or JSON lines, told by the suffix; text also with .gz, .bz2 or .zst after it.
    """
    stem, by_suffix, _ = files.recognise(file)
    kind = kind or by_suffix
    if kind is None:
        raise typer.BadParameter(f"{file} ends in none of {' '.join(files.SUFFIXES)}; say what it holds with --format")
    name = name or _name_from(stem)
    if not name:
        raise typer.BadParameter(f"no name can be made from {file}; write one after it")
    with _watching(file) as seen:
        table = files.read(file, kind, seen)
    with _store(ctx).put(name, table, keep=keep, expect_version=expect_version) as snapshot:
        info = _info(snapshot)
        if as_json:
            _print_json(info._asdict() | {"path": snapshot.path})
        else:
            rows, columns = _plural(info.rows, "row"), _plural(info.columns, "column")
            _print(f"{name} version {info.version}: {rows}, {columns}, {_size(info.nbytes)}")


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
    found = list(zip(*map(_values, table.columns), strict=True))
    if as_json:
        if len(set(table.column_names)) < table.num_columns:
            raise ColonnadeError(f"{name!r} has columns of the same name, which a JSON object cannot hold")
        _print_json([dict(zip(table.column_names, row, strict=True)) for row in found])
        return
    columns = [
        _Column(_text(field.name), itemgetter(at), _justify(field.type)) for at, field in enumerate(table.schema)
    ]
    texts = [[_text(value) for value in row] for row in found]
    if not sys.stdout.isatty():
        _print_table(columns, texts)
        return
    fitting = _fitting(columns, texts)
    _print_table(fitting, texts)
    shown = sum(column is not _ELIDED for column in fitting)
    _console().print(f"{_of(len(texts), total)} rows, {_of(shown, len(columns))} columns", style="dim")


@app.command()
def info(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Describe a table, and say how pandas reads each of its columns."""
    with _store(ctx).open(name) as snapshot:
        found, path = _info(snapshot), snapshot.path
        # The names in the file, which all its readers see; pandas' labels need not be strings.
        named = zip(snapshot.schema.names, snapshot.explain(), strict=True)
        columns = [report._replace(column=column) for column, report in named]
    if as_json:
        _print_json(found._asdict() | {"path": path, "schema": [column._asdict() for column in columns]})
        return
    for fact, text in {
        "name": found.name,
        "version": found.version,
        "rows": f"{found.rows:,}",
        "columns": f"{found.columns:,}",
        "size": f"{_size(found.nbytes)} ({found.nbytes:,} bytes)",
        "created": found.created.astimezone().isoformat(" ", "seconds"),
        "path": path,
    }.items():
        _print(f"{fact:<9}{text}")
    _print()
    _print_table(_INFO, columns)


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
            _complain(error)  # and the others are still removed
    if as_json:
        _print_json(removed)
    if len(removed) < len(names):
        raise typer.Exit(1)


@app.command()
def gc(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Remove what killed writers left, and empty folders."""
    freed = _store(ctx).gc()
    if as_json:
        _print_json(dataclasses.asdict(freed))
    else:
        _print(f"{_plural(freed.files, 'file')} and {_plural(freed.folders, 'folder')} removed, {_size(freed.nbytes)}")


@app.command()
def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read every table, and list what is wrong.

    The exit status is 1 if anything is.
    """
    problems = _store(ctx).check()
    if as_json:
        _print_json([dataclasses.asdict(problem) for problem in problems])
    elif problems:
        _print_table(_CHECK, problems)
    else:
        _print(f"no problems in {_store(ctx).path}")
    if problems:
        raise typer.Exit(1)


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Measure, on real data, how tables are shared."""
    from colonnade.demo import main as run  # noqa: PLC0415 -- it imports pandas

    # It talks with processes of its own: one that is gone is an error to be handled there.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        status = run()
    if as_json:
        _print_json({"status": status})
    raise typer.Exit(status)


# -- what the commands share -------------------------------------------------------------------------------------------


def _store(ctx: typer.Context) -> Store:
    store: Store = ctx.obj
    return store


def _info(snapshot: Snapshot) -> TableInfo:
    return TableInfo(
        snapshot.name, snapshot.version, snapshot.num_rows, snapshot.num_columns, snapshot.nbytes, snapshot.created
    )


def _name_from(stem: str) -> str:
    """A table's name from a file's: the runs of what a name may hold, as in ``data (1)`` -> ``data_1``."""
    return "_".join(re.findall(r"[A-Za-z0-9._-]+", stem)).lstrip(".")


# A smaller file is loaded before anybody has looked at a bar.
_LONG_LOAD = 32 << 20


@contextlib.contextmanager
def _watching(path: Path) -> Iterator[Callable[[int], None]]:
    """Give what wants to be told of bytes read; a bar in a terminal, where there are many to come."""
    size = path.stat().st_size
    if size < _LONG_LOAD or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars  # noqa: PLC0415 -- seldom needed
    from rich.console import Console  # noqa: PLC0415 -- the same

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(binary_units=True),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"loading {path.name}", total=size)
        yield lambda nbytes: bar.advance(task, nbytes)


def _values(column: Any) -> list[Any]:
    """The values of an Arrow column as Python objects; None is null."""
    import pyarrow as pa  # noqa: PLC0415 -- not for --help

    if getattr(column.type, "extension_name", "").startswith("pandas."):  # Arrow gives the numbers these are made of
        valid = column.is_valid().to_pylist()
        return [value if there else None for value, there in zip(column.to_pandas(), valid, strict=True)]
    try:
        return list(column.to_pylist())
    except OverflowError:  # a year that Arrow and pandas have, and Python has not
        return list(column.cast(pa.string()).to_pylist())


def _justify(arrow_type: Any) -> _Justify:
    import pyarrow.types as pt  # noqa: PLC0415 -- the same

    numeric = pt.is_integer(arrow_type) or pt.is_floating(arrow_type) or pt.is_decimal(arrow_type)
    return "right" if numeric else "left"


# -- saying it ---------------------------------------------------------------------------------------------------------

_Justify = Literal["left", "right"]


class _Column(NamedTuple):
    """A column of a printed table: its heading, what it has of a row, and on which side that stands."""

    heading: str
    cell: Callable[[Any], str]
    justify: _Justify = "left"


_LS = (
    _Column("name", lambda table: table.name),
    _Column("version", lambda table: str(table.version), "right"),
    _Column("rows", lambda table: f"{table.rows:,}", "right"),
    _Column("columns", lambda table: f"{table.columns:,}", "right"),
    _Column("size", lambda table: _size(table.nbytes), "right"),
    _Column("age", lambda table: _age(table.created), "right"),
)
_INFO = (
    _Column("column", lambda report: _text(report.column)),
    _Column("role", lambda report: report.role),
    _Column("arrow type", lambda report: report.arrow_type),
    _Column("pandas dtype", lambda report: report.dtype),
    _Column("size", lambda report: _size(report.nbytes), "right"),
    _Column("nulls", lambda report: f"{report.nulls:,}", "right"),
    _Column("opens", lambda report: report.why or "zero-copy"),
)
_CHECK = (
    _Column("path", lambda problem: _text(problem.path)),
    _Column("problem", lambda problem: _text(problem.what)),
    _Column("remedy", lambda problem: _text(problem.remedy)),
)

_GAP = 2  # blanks between columns
_ELIDED = _Column("…", lambda _: "…")
_WIDEST = 32  # a cell of a terminal's `show`


def _print(text: str = "") -> None:
    print(text)  # noqa: T201 -- that is what a command is for


def _complain(error: Exception) -> None:
    # An OSError's own text starts with its number.
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    named = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    lines = f"colonnade: {named}{said}".split("\n")  # a message may list columns below each other
    print("\n".join(map(_text, lines)), file=sys.stderr)  # noqa: T201 -- the same


def _print_json(value: Any) -> None:
    _print(json.dumps(_for_json(value), indent=2, allow_nan=False))


def _for_json(value: Any) -> Any:
    """What JSON can hold of a value: NaN and infinity are null, times are ISO 8601, bytes are hexadecimal."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _for_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_for_json(item) for item in value]
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
    return str(value)


def _print_table(columns: Sequence[_Column], rows: Iterable[Any]) -> None:
    """Print rows under headings; only a terminal wraps what does not fit."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        _print_plain(columns, [[column.heading for column in columns], *cells])
        return
    from rich.table import Table  # noqa: PLC0415 -- not for a pipe

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify=column.justify, overflow="fold")
    for line in cells:
        table.add_row(*line)
    _console().print(table)


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 -- not for a pipe

    return Console(markup=False, highlight=False, emoji=False)


def _print_plain(columns: Sequence[_Column], lines: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len  # noqa: PLC0415 -- not for --help and --json

    widths = [max(map(cell_len, texts)) for texts in zip(*lines, strict=True)]
    for line in lines:
        padded = []
        for column, text, width in zip(columns, line, widths, strict=True):
            blanks = " " * (width - cell_len(text))
            padded.append(text + blanks if column.justify == "left" else blanks + text)
        _print((" " * _GAP).join(padded).rstrip())


def _fitting(columns: Sequence[_Column], rows: Sequence[Any]) -> list[_Column]:
    """Fit columns into a terminal: cells shortened, and `_ELIDED` in place of the middle ones if there is no room."""
    from rich.cells import cell_len  # noqa: PLC0415 -- not for a pipe

    short = [_short(column) for column in columns]
    widths = [max(cell_len(text) for text in [column.heading, *map(column.cell, rows)]) for column in short]
    room = _console().width
    if sum(widths) + _GAP * (len(widths) - 1) <= room:
        return short
    room -= 1  # the ellipsis
    head, tail = 0, len(short)
    while head < tail:
        at = head if head <= len(short) - tail else tail - 1  # in turn, from the left and from the right
        room -= widths[at] + _GAP
        if room < 0 < head:
            break
        head, tail = (head + 1, tail) if at == head else (head, at)
    return [*short[:head], *([_ELIDED] if head < tail else []), *short[tail:]]


def _short(column: _Column) -> _Column:
    heading, cell, justify = column
    return _Column(_shortened(heading), lambda row: _shortened(cell(row)), justify)


def _shortened(text: str) -> str:
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 -- not for a pipe

    return text if cell_len(text) <= _WIDEST else set_cell_size(text, _WIDEST - 1) + "…"


def _text(value: Any) -> str:
    """A value on one line, and without what would move a terminal's cursor."""
    if value is None:
        return "null"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(value))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _of(shown: int, total: int) -> str:
    return f"{total:,}" if shown == total else f"{shown:,} of {total:,}"


_SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def _size(nbytes: int) -> str:
    # No blank inside: who cuts a line at its blanks gets whole cells.
    return next((f"{nbytes / unit:.1f}{name}" for unit, name in _SIZES if nbytes >= unit), f"{nbytes}B")


def _age(created: datetime) -> str:
    seconds = int((datetime.now(UTC) - created).total_seconds())
    return next((f"{seconds // unit}{name}" for unit, name in _AGES if seconds >= unit), "0s")
