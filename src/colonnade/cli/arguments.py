"""What the commands share: their common arguments, the store they work on, and the errors of wrong usage.

Does not depend on: what a command does.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Annotated, Any, cast

import typer

from colonnade import ColonnadeError, NotFoundError, Store
from colonnade.storage.users import trusted_by_environment, user_numbers


def open_store(options: dict[str, Any]) -> Store:
    """Open the store that `--store` and `--trust` describe."""
    try:
        trust = user_numbers(options["trust"]) if options["trust"] else trusted_by_environment()
        return Store(options["store"], trust=trust)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def store_of(ctx: typer.Context) -> Store:
    """Give the store, which need not be there yet."""
    store: Store = ctx.obj
    return store


def existing_store(ctx: typer.Context, name: str = "") -> Store:
    """Give the store, for commands that make none. A table of another host is fetched into one that is made."""
    store = store_of(ctx)
    if "://" not in name and not os.path.lexists(store.path):
        raise NotFoundError(f"there is no store at {store.path}; `colonnade load` makes it, --store names another")
    return store


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the names of tables that begin with the typed text; the shell completes them."""
    try:
        options = ctx.find_root().params
        return [table.name for table in open_store(options).ls() if table.name.startswith(incomplete)]
    except Exception:  # a completion that fails must not print into the command line that is being typed
        return []


def standard_input() -> io.BufferedReader:
    """Give the bytes of standard input, of which `read1` gives those that are there."""
    return cast(io.BufferedReader, typer.get_binary_stream("stdin"))


Name = Annotated[str, typer.Argument(metavar="NAME", help="The table.", autocompletion=complete_name)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[int | None, typer.Option(metavar="N", help="A version that --keep retained.")]


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turn the errors of wrong arguments into those of wrong usage, and a missing extra into a line."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ColonnadeError(str(error)) from error
    except ValueError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise typer.BadParameter(str(error)) from error
