"""The commands `tail` and `append`: growing tables, out to a terminal or a pipe, and in from standard input.

Does not depend on: how rows are stored, how one is waited for, how lines are parsed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from colonnade import ColonnadeError, RowsDroppedError, WaitTimeoutError
from colonnade.cli.arguments import Name, existing_store, standard_input, store_of, usage_errors
from colonnade.cli.output import for_json, has_reader, print_error, print_line
from colonnade.cli.show import values_of
from colonnade.display.columns import justify
from colonnade.display.fitting import cell_len, counted, one_line, padded
from colonnade.display.table import GAP
from colonnade.errors import InvalidDataError

if TYPE_CHECKING:
    from colonnade import Appender, Store


_BETWEEN_LOOKS = 1.0  # seconds


class _Text(StrEnum):
    """What `append` reads."""

    CSV = "csv"
    JSON = "json"


def tail(
    ctx: typer.Context,
    name: Name,
    *,
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, metavar="N", help="How many rows.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with the rows that are appended, until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each row, in a line.")] = False,
) -> None:
    """Print a table's last rows, the index first.

    With --follow, the new rows of a growing table are printed as they come: colonnade tail ticks -f --json | jq .bid
    """
    store = existing_store(ctx)
    printer = _Printer(as_json)
    with usage_errors(), store.open(name) as snapshot:
        following = store.follow(name, start=snapshot.version, timeout=_BETWEEN_LOOKS) if follow else None
        printer.print(snapshot, max(snapshot.num_rows - rows, 0))
    while following is not None:
        try:
            for new in following:
                printer.print(new)
        except WaitTimeoutError:
            if not has_reader():  # as `head` leaves it: no row may ever come that would meet the closed pipe
                return
        except RowsDroppedError as error:  # the next step goes on with the oldest row
            print_error(error)


class _Printer:
    """Prints rows below their headings, which are printed once. A column gets wider where a text does."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._widths: list[int] | None = None

    def print(self, snapshot: Any, start: int = 0) -> None:
        table = snapshot.to_arrow(validate="full").slice(start)
        # Arrow has the index behind the columns; the sort is stable.
        roles = [column.role != "index" for column in snapshot.explain()]
        table = table.select(sorted(range(len(roles)), key=roles.__getitem__))
        rows = zip(*map(values_of, table.columns), strict=True)
        if self._as_json:
            if len(set(table.column_names)) < table.num_columns:
                raise ColonnadeError("several columns have the same name, which a JSON object cannot hold")
            for row in rows:
                print_line(json.dumps(for_json(dict(zip(table.column_names, row, strict=True))), allow_nan=False))
        else:
            for line in self._lines(table.schema, [[one_line(value) for value in row] for row in rows]):
                print_line(line)
        sys.stdout.flush()

    def _lines(self, schema: Any, texts: list[list[str]]) -> Iterator[str]:
        headings = [one_line(name) for name in schema.names]
        sides: list[Literal["left", "right"]] = [justify(field.type) for field in schema]
        lines = texts if self._widths else [headings, *texts]
        before = self._widths or [0] * len(headings)
        self._widths = [
            max(width, *map(cell_len, column)) for width, column in zip(before, zip(*lines, strict=True), strict=True)
        ]
        for line in lines:
            cells = zip(line, self._widths, sides, strict=True)
            yield (" " * GAP).join(padded(text, width, side) for text, width, side in cells).rstrip()


def append(
    ctx: typer.Context,
    name: Name,
    *,
    kind: Annotated[
        _Text, typer.Option("--format", help="What standard input holds; json: an object in each line.")
    ] = _Text.CSV,
    index: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The index of a new table: a column of numbers or times.")
    ] = None,
    retain: Annotated[
        str | None, typer.Option(metavar="HOW-MUCH", help="What is kept: rows (1000000), a time (1h) or a size (4GiB).")
    ] = None,
) -> None:
    """Append standard input to a growing table, line by line.

    The first lines decide the columns of a new table. Lines that do not fit are not appended, and end the command.
    """
    from colonnade.io.lines import LineReader, frame_like

    store = store_of(ctx)
    retention: Any = int(retain) if retain is not None and retain.isdecimal() else retain
    log, before, total, is_new = None, 0, 0, not store.exists(name)
    if not is_new:
        with usage_errors():
            log = store.appender(name, retain=retention)
            _check_index(store, log, index)
        before = total = log.num_rows
    lines = LineReader(standard_input().read1, kind.value, None if log is None else log.schema)
    try:
        for table in lines:
            if log is None:
                with usage_errors():
                    log = store.appender(name, like=frame_like(table), index=index, retain=retention)
                before = total = log.num_rows  # another process may have made the table since the command began
            try:
                total = log.append(table)
            except (ValueError, TypeError) as error:
                if is_new and not total:
                    store.delete(name)  # its columns are those of lines that do not fit
                raise InvalidDataError(f"{lines.lines} were not appended: {error}") from error
    finally:
        if log is not None:
            log.close()
    print_line(f"{name}: {counted(total - before, 'row')} appended, {total:,} in all")


def _check_index(store: Store, log: Appender, index: str | None) -> None:
    """See that ``--index`` does not contradict the table; else close the appender.

    Raises
    ------
    ValueError
    """
    if index is None:
        return
    with store.open(log.name) as snapshot:
        indices = [column.column for column in snapshot.explain() if column.role == "index"]
    if indices != [index]:
        log.close()
        have = f"the index {indices[0]!r}" if indices else "no index"
        raise ValueError(f"--index {index} is for a new table, and {log.name!r} has {have}")
