"""The summary of a store, and that of a list of tables.

Knows: what is said of a `Store`. Does not depend on: who draws it.

Every name is found, and the first are opened. Whatever goes wrong becomes a remark: to look at something must not
raise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from colonnade.display.columns import TABLES
from colonnade.display.fitting import Column, counted
from colonnade.display.summary import Listing, Summary
from colonnade.display.values import brief
from colonnade.errors import NotFoundError
from colonnade.sizes import format_size

if TYPE_CHECKING:
    from colonnade.store import Store, TableInfo

_MOST = 20  # tables that are opened
_LONGEST = 60  # tables that are listed
_REMARKS = 3
_TEXTS = [Column(column.heading, itemgetter(at), column.justify) for at, column in enumerate(TABLES)]


def summary(store: Store) -> Summary:
    """The summary."""
    made = Summary("Store", brief(store.path))
    try:
        _look_inside(made, store)
    except Exception as error:
        made.remarks.append(brief(error))
    return made


def _look_inside(made: Summary, store: Store) -> None:
    if not os.path.lexists(store.path):
        made.lines.append("There is no such directory yet; the first put makes it.")
        return
    sizes = store.sizes()
    made.facts["tables"] = f"{len(sizes):,}"
    if sizes:
        made.facts["size"] = format_size(sum(sizes.values()))
        _list(made, store, sorted(sizes))
    room = os.statvfs(store.path)
    free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    made.facts["file system"] = f"{format_size(free)} of {format_size(total)} free"
    capacity = store.settings.capacity
    if capacity is not None:
        made.facts["capacity"] = format_size(capacity)


def _list(made: Summary, store: Store, names: list[str]) -> None:
    rows, failed = [], []
    for name in names[:_MOST]:
        try:
            info = store.info(name)
        except NotFoundError:
            continue  # deleted meanwhile
        except Exception as error:
            rows.append([brief(name), *[""] * (len(TABLES) - 1)])
            failed.append(brief(error))
        else:
            rows.append([brief(column.cell(info)) for column in TABLES])
    more = f"; {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    made.listings.append(Listing(f"{counted(len(rows), 'table')}, by name{more}", _TEXTS, rows))
    made.remarks.extend(failed[:_REMARKS])
    if len(failed) > _REMARKS:
        made.remarks.append(f"{len(failed) - _REMARKS} more cannot be opened; check() names all.")


def listing(tables: Sequence[TableInfo]) -> Summary:
    """The summary of what `Store.ls` gives."""
    more = f"; {len(tables) - _LONGEST:,} more" if len(tables) > _LONGEST else ""
    caption = f"{counted(min(len(tables), _LONGEST), 'table')}, by name{more}"
    size = format_size(sum(table.nbytes for table in tables))
    return Summary(
        "Tables",
        counted(len(tables), "table"),
        facts={"size": size},
        listings=[Listing(caption, TABLES, tables[:_LONGEST])],
    )
