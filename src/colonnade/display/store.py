"""The summary of a store, and that of a list of tables.

All names are listed and counted; the first are opened. Any failure becomes a remark: a repr must not raise.

Does not depend on: how a summary is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from operator import itemgetter

from colonnade._names import TableInfo
from colonnade.display.columns import TABLES, tables_columns
from colonnade.display.fitting import counted
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import Column
from colonnade.display.values import brief
from colonnade.errors import NotFoundError
from colonnade.sizes import format_size
from colonnade.storage.room import file_system_bytes
from colonnade.store import Store

_MOST = 20  # tables that are opened
_LONGEST = 60  # tables that are listed
_REMARKS = 3
_TEXTS = [Column(column.heading, itemgetter(at), column.justify) for at, column in enumerate(TABLES)]


def summary(store: Store) -> Summary:
    """Show how much the store holds, and its first tables."""
    result = Summary("Store", brief(store.path))
    try:
        _look_inside(result, store)
    except Exception as error:  # a summary never raises
        result.remarks.append(brief(error))
    return result


def _look_inside(result: Summary, store: Store) -> None:
    if not os.path.lexists(store.path):
        result.lines.append("There is no such directory yet; the first put makes it.")
        return
    sizes = store.sizes()
    result.facts["tables"] = f"{len(sizes):,}"
    if sizes:
        result.facts["size"] = format_size(sum(sizes.values()))
        _list(result, store, sorted(sizes))
    total, free = file_system_bytes(store.path)
    result.facts["file system"] = f"{format_size(free)} of {format_size(total)} free"
    capacity = store.settings.capacity
    if capacity is not None:
        result.facts["capacity"] = format_size(capacity)


def _list(result: Summary, store: Store, names: list[str]) -> None:
    rows, failures = [], []
    for name in names[:_MOST]:
        try:
            info = store.info(name)
        except NotFoundError:
            continue  # deleted since it was listed
        except Exception as error:  # a summary never raises
            rows.append([brief(name), *[""] * (len(TABLES) - 1)])
            failures.append(brief(error))
        else:
            rows.append([brief(column.cell(info)) for column in TABLES])
    more = f"; {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    result.listings.append(Listing(f"{counted(len(rows), 'table')}, by name{more}", _TEXTS, rows))
    result.remarks.extend(failures[:_REMARKS])
    if len(failures) > _REMARKS:
        result.remarks.append(f"{len(failures) - _REMARKS} more cannot be opened; check() names all.")


def listing(tables: Sequence[TableInfo]) -> Summary:
    """Show the tables that `Store.ls` lists."""
    more = f"; {len(tables) - _LONGEST:,} more" if len(tables) > _LONGEST else ""
    caption = f"{counted(min(len(tables), _LONGEST), 'table')}, by name{more}"
    size = format_size(sum(table.nbytes for table in tables))
    return Summary(
        "Tables",
        counted(len(tables), "table"),
        facts={"size": size},
        listings=[Listing(caption, tables_columns(tables[:_LONGEST]), tables[:_LONGEST])],
    )
