"""The command ``colonnade``: the public API in a shell. A command has the name of its function in Python.

Results go to stdout, everything else to stderr. A terminal gets tables fitted to its width; a pipe gets them complete,
one row a line; ``--json`` prints one JSON value. Exit status 0: done; 1: failed, or `check` found something; 2: wrong
usage; 130: Ctrl-C.

Does not depend on: how anything is stored.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from colonnade import ColonnadeError, __version__
from colonnade.cli import growing, manage, show, transfer
from colonnade.cli.arguments import open_store
from colonnade.cli.output import print_error, print_line

# In the order in which --help lists them.
_COMMANDS = (
    transfer.load,
    transfer.dump,
    transfer.serve,
    transfer.fetch,
    show.ls,
    show.versions,
    manage.rename,
    manage.copy,
    show.show,
    growing.tail,
    growing.append,
    show.sql,
    show.explain,
    manage.delete,
    manage.gc,
    manage.configure,
    manage.top,
    manage.ui,
    manage.check,
)


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


def _print_version(requested: bool) -> None:
    if requested:
        print_line(f"colonnade {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    store: Annotated[
        str | None,  # no Path, which makes s3:/x of s3://x
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
    ctx.obj = open_store({"store": store, "trust": trust})


for _command in _COMMANDS:
    app.command()(_command)
# Users who know `put` from Python look for it here too: put NAME - --format csv.
app.command("put", hidden=True)(transfer.load)
