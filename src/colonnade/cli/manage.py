"""The commands `rename`, `copy`, `delete`, `gc`, `configure`, `check`, `top` and `ui`: the store as a whole.

Does not depend on: how anything is stored.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from colonnade import ColonnadeError
from colonnade._names import is_pattern
from colonnade.cli.arguments import AsJson, Name, Version, complete_name, existing_store, store_of
from colonnade.cli.output import print_error, print_json, print_line, print_table
from colonnade.display.fitting import counted, one_line
from colonnade.display.table import Column
from colonnade.sizes import format_size


def rename(
    ctx: typer.Context, old: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]
) -> None:
    """Give a table another name, with all its versions."""
    existing_store(ctx).rename(old, new)


def copy(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name of the copy.")],
    *,
    version: Version = None,
) -> None:
    """Keep a table under a second name. It takes no memory if there is no table of that name yet."""
    with existing_store(ctx).copy(name, new, version=version) as snapshot:
        print_line(f"{new} version {snapshot.version}: {format_size(snapshot.nbytes)}")


def delete(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Tables, or patterns such as 'nyc/*'.", autocompletion=complete_name),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before tables of a pattern are deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete tables, all versions of each. Processes that have one open keep it."""
    store = existing_store(ctx)
    tables: list[str] = []
    by_pattern: list[str] = []
    for name in names:
        if is_pattern(name):
            matching = [table.name for table in store.ls(name)]
            if not matching:
                print_error(ColonnadeError(f"no table matches {name!r} in {store.path}"))
                raise typer.Exit(1)
            by_pattern += matching
            tables += matching
        else:
            tables.append(name)
    tables = list(dict.fromkeys(tables))
    if by_pattern and not yes:
        _ask(f"Delete {counted(len(set(by_pattern)), 'table')}: {', '.join(dict.fromkeys(by_pattern))}?")
    names_gone = []
    for name in tables:
        try:
            store.delete(name)
            names_gone.append(name)
        except ColonnadeError as error:
            print_error(error)  # and the other tables are still deleted
    if as_json:
        print_json(names_gone)
    if len(names_gone) < len(tables):
        raise typer.Exit(1)


def _ask(question: str) -> None:
    """Ask; end the command with status 1 for any answer but yes, and where nobody can answer."""
    if not sys.stdin.isatty():
        raise ColonnadeError(f"{question} Nobody can be asked here; --yes deletes them")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 -- a question
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Exit(1)


def gc(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Free spares, expired tables and what killed writers left behind; remove empty folders."""
    removal = existing_store(ctx).gc()
    if as_json:
        print_json(removal._asdict())
    else:
        what = f"{counted(removal.files, 'file')} and {counted(removal.folders, 'folder')}"
        print_line(f"{what} removed, {format_size(removal.nbytes)}")


class _Mode(Enum):
    OWNER = "600"
    GROUP = "640"


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
        settings = store_of(ctx).configure(capacity=capacity, spares=spares, mode=octal)
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


def _size(nbytes: int | None) -> str | None:
    return None if nbytes is None else f"{format_size(nbytes)} ({nbytes:,} bytes)"


_CHECK = (
    Column("path", lambda problem: one_line(problem.path)),
    Column("problem", lambda problem: one_line(problem.what)),
    Column("remedy", lambda problem: one_line(problem.remedy)),
)


def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Read every table, and list what is wrong.

    The exit status is 1 if anything is.
    """
    problems = existing_store(ctx).check()
    if as_json:
        print_json([problem._asdict() for problem in problems])
    elif problems:
        print_table(_CHECK, problems)
    else:
        print_line(f"no problems in {store_of(ctx).path}")
    if problems:
        raise typer.Exit(1)


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
        print_json(view.to_json(store_of(ctx).usage()))
    elif view.can_watch():
        view.watch(store_of(ctx).usage, every)
    else:
        view.print_once(store_of(ctx).usage())


def ui(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 takes a free one.")] = 8421,
) -> None:
    """Show the store on a page in the browser, for you alone: tables, processes, rates, first rows. Ctrl-C ends it.

    It listens on 127.0.0.1. Keep the printed address to yourself: it has the key in it.
    """
    try:
        from colonnade.ui.server import serve

        serve(store_of(ctx), port, _print_at_once)
    except ModuleNotFoundError as error:
        raise ColonnadeError(f"{error}: the page needs the extra ui: pip install 'colonnade[ui]'") from error


def _print_at_once(text: str) -> None:
    print_line(text)
    sys.stdout.flush()
