"""The summary of a snapshot.

Knows: what is said of a `Snapshot`, in a time that does not depend on its rows. Does not depend on: who draws it.

The seal has told of version and size. Whatever goes wrong further in, in a file that is damaged or gone, becomes a
remark: to look at something must not raise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING

from colonnade.display.columns import SHORT_REPORTS, justify
from colonnade.display.explanation import briefly, columns_of, share
from colonnade.display.fitting import ELIDED, Column, counted, format_age
from colonnade.display.summary import Listing, Summary
from colonnade.display.values import brief, text_of
from colonnade.sizes import format_size

if TYPE_CHECKING:
    from colonnade.explanation import ColumnReport
    from colonnade.snapshot import Snapshot

_ROWS = 5
_REPORTS = 20  # columns of which there is a line
_SIDE = 6  # columns of the first rows, from the left and from the right


def summary(snapshot: Snapshot) -> Summary:
    """The summary."""
    called = f"{snapshot.name} version {snapshot.version}" if snapshot.name else "without a name"
    made = Summary("Snapshot", called, facts=facts(snapshot))
    if snapshot.closed:
        made.remarks.append("It is closed; open the table again to look inside.")
        return made
    try:
        found = os.fstat(snapshot.fileno())  # of a reference: opened now
    except Exception as error:
        made.remarks.append(brief(error))
        return made
    if found.st_size != snapshot.nbytes:  # to read where it was cut off would be the end of this process
        sizes = f"its file has {found.st_size:,} bytes and was sealed with {snapshot.nbytes:,}"
        made.remarks.append(f"It is damaged: {sizes}. Put it again.")
        return made
    if not _is_at(snapshot.path, found):
        made.remarks.append("It was superseded or deleted meanwhile, and lives on while it is held.")
    try:
        _look_inside(made, snapshot)
    except Exception as error:
        made.remarks.append(brief(error))
    return made


def facts(snapshot: Snapshot) -> dict[str, str]:
    """What its seal tells."""
    told = {
        "rows": f"{snapshot.num_rows:,}",
        "columns": f"{snapshot.num_columns:,}",
        "size": format_size(snapshot.nbytes),
        "created": f"{_moment(snapshot.created)}, {format_age(snapshot.created)} ago",
    }
    if snapshot.expires is not None:
        told["expired" if snapshot.expires <= datetime.now(UTC) else "expires"] = _moment(snapshot.expires)
    return told


def _moment(moment: datetime) -> str:
    return moment.astimezone().isoformat(" ", "seconds")


def _is_at(path: os.PathLike[str], found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), found)
    except OSError:
        return False


def _look_inside(made: Summary, snapshot: Snapshot) -> None:
    if snapshot.kind == "array":
        array = snapshot.to_numpy(writable=False)
        made.facts["array"] = brief(f"{array.dtype} of shape {array.shape}")
    reports = snapshot.explain()
    if reports:
        made.facts["zero-copy"] = share(reports)
        made.listings.append(_first_rows(snapshot, reports))
        # The names in the file, as above the rows; pandas' labels need not be strings.
        shown = [briefly(report, name) for report, name in zip(reports[:_REPORTS], snapshot.schema.names, strict=False)]
        caption = f"{columns_of(len(shown), len(reports))}: types, nulls, and how each opens"
        made.listings.append(Listing(caption, SHORT_REPORTS, shown, folded=True))


def _first_rows(snapshot: Snapshot, reports: Sequence[ColumnReport]) -> Listing:
    table = snapshot.to_arrow()
    # Arrow has the index behind the columns; the sort is stable.
    order = sorted(range(len(reports)), key=lambda at: reports[at].role != "index")
    sides = order if len(order) <= 2 * _SIDE else [*order[:_SIDE], None, *order[-_SIDE:]]
    rows = range(min(_ROWS, table.num_rows))
    columns, below, texts = [], [], []
    for place, at in enumerate(sides):
        if at is None:
            columns.append(ELIDED)
            below.append("")
            texts.append([""] * len(rows))
            continue
        field, report = table.schema.field(at), reports[at]
        columns.append(Column(brief(field.name), itemgetter(place), justify(field.type)))
        below.append(brief(f"{report.dtype} (index)" if report.role == "index" else report.dtype))
        texts.append([text_of(table.column(at).chunk(0), row) for row in rows])
    total = table.num_rows
    caption = counted(total, "row") if len(rows) == total else f"first {len(rows)} of {total:,} rows"
    return Listing(caption, columns, list(zip(*texts, strict=True)), below, wide=True)
