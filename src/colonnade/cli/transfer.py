"""The commands `load`, `dump`, `serve` and `fetch`: tables in from files and out to files, to and from other hosts.

Does not depend on: formats of files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from colonnade import TableInfo
from colonnade.cli.arguments import AsJson, Name, Version, existing_store, standard_input, store_of, usage_errors
from colonnade.cli.output import print_json, print_line
from colonnade.display.fitting import counted
from colonnade.io.formats import FileFormat
from colonnade.lifetimes import whole_seconds
from colonnade.sizes import format_size


class _Engine(StrEnum):
    """Who parses text."""

    PYARROW = "pyarrow"
    DUCKDB = "duckdb"
    POLARS = "polars"


class _DumpFormat(StrEnum):
    """The formats that `dump` writes."""

    CSV = "csv"
    PARQUET = "parquet"
    TSV = "tsv"
    FEATHER = "feather"
    ARROW = "arrow"


def _lifetime(text: str) -> int:
    try:
        return whole_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


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
    with usage_errors(), contextlib.ExitStack() as stack:
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
        snapshot = store_of(ctx).load(name, source, query=query, format=kind, **options)
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


@contextlib.contextmanager
def _standard_input() -> Iterator[Path]:
    """Give standard input as a file; a pipe is copied to one, because readers need to seek."""
    if stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        yield Path(f"/dev/fd/{sys.stdin.fileno()}")
        return
    with tempfile.NamedTemporaryFile(prefix="colonnade-") as file:
        # `read1` ends at the first end of input; `read` would want Ctrl-D of a terminal twice.
        for data in iter(partial(standard_input().read1, 1 << 20), b""):
            file.write(data)
        file.flush()
        yield Path(file.name)


def dump(
    ctx: typer.Context,
    name: Name,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The file to write; an older one is replaced. - is standard output.")
    ],
    *,
    version: Version = None,
    kind: Annotated[
        _DumpFormat | None, typer.Option("--format", help="The format for standard output; csv if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a table to a file; the suffix says which format: Parquet, Feather, Arrow IPC, CSV or TSV."""
    if file == "-":
        if as_json:
            raise typer.BadParameter("standard output has the table; --json is for files")
        from colonnade.io.dump import write
        from colonnade.io.progress import Meter

        with existing_store(ctx, name).open(name, version=version) as snapshot:
            write(snapshot.to_arrow(), sys.stdout.buffer, FileFormat((kind or _DumpFormat.CSV).value), Meter())
        return
    if kind is not None:
        raise typer.BadParameter("--format is for standard output (-); the suffix of a file says its format")
    with usage_errors():
        existing_store(ctx, name).dump(name, file, version=version)
    size = Path(file).expanduser().stat().st_size
    if as_json:
        print_json({"name": name, "path": file, "nbytes": size})
    else:
        print_line(f"{file}: {format_size(size)}")


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
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores the second
            signal.signal(number, lambda *_: sys.exit(0))
    token = os.environ.get("COLONNADE_TOKEN")
    with usage_errors():
        server = store_of(ctx).serve(host, port, cert=cert, key=key, ca=ca, advertise=advertise, insecure=insecure)
    with server:
        new_token = {} if token else {"token": server.token}
        if as_json:
            print_json({"address": server.address, "serving": server.is_serving} | new_token)
        else:
            state = "serving" if server.is_serving else "standing by for the process that serves"
            print_line(f"{state} {store_of(ctx).path} at {server.address}")
            if new_token:
                print_line(f"COLONNADE_TOKEN={server.token}")
        sys.stdout.flush()
        server.wait()


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
    store = store_of(ctx)
    with usage_errors(), store.open(url) as copy:
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
