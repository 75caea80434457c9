"""The summary of a snapshot.

It takes a time that does not depend on the number of rows. Version and size come from the seal. Any failure further
in, as in a file that is damaged or gone, becomes a remark: a repr must not raise.

Does not depend on: how a summary is drawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter

from colonnade.display.columns import SHORT_REPORTS, justify
from colonnade.display.explanation import briefly, columns_of, share
from colonnade.display.fitting import counted, format_age
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import ELIDED, Column
from colonnade.display.values import brief, text_of
from colonnade.explanation import ColumnReport
from colonnade.sizes import format_size
from colonnade.snapshot import Snapshot

_ROWS = 5
_REPORTS = 20  # columns that are explained, a line each
_SIDE = 6  # columns of the first rows that are shown from the left, and as many from the right


def summary(snapshot: Snapshot) -> Summary:
    """Show what the seal says, the first rows, and how each column opens."""
    title = f"{snapshot.name} version {snapshot.version}" if snapshot.name else "without a name"
    result = Summary("Snapshot", title, facts=facts(snapshot))
    if snapshot.closed:
        result.remarks.append("It is closed; open the table again to look inside.")
        return result
    try:
        log = snapshot.log  # a reference is opened now
    except Exception as error:  # a summary never raises
        result.remarks.append(brief(error))
        return result
    if log is not None:
        return _growing(result, snapshot, deleted=not log.is_there)
    try:
        stat = os.fstat(snapshot.fileno())  # a reference is opened now
    except Exception as error:  # a summary never raises
        result.remarks.append(brief(error))
        return result
    if stat.st_size != snapshot.nbytes:  # to read past the end of the file would end this process
        sizes = f"its file has {stat.st_size:,} bytes and was sealed with {snapshot.nbytes:,}"
        result.remarks.append(f"It is damaged: {sizes}. Put it again.")
        return result
    if not _is_at(snapshot.path, stat):
        result.remarks.append("It was replaced or deleted since; its memory stays until it is closed.")
    return _with_contents(result, snapshot)


def _growing(result: Summary, snapshot: Snapshot, *, deleted: bool) -> Summary:
    """The summary of a growing table at one number of rows."""
    result.facts["rows"] += " of a growing table"
    if deleted:
        result.remarks.append("The table was deleted since; its memory stays until it is closed.")
    return _with_contents(result, snapshot)


def _with_contents(result: Summary, snapshot: Snapshot) -> Summary:
    """Add what the table contains, or the error of looking at it."""
    try:
        _look_inside(result, snapshot)
    except Exception as error:  # a summary never raises
        result.remarks.append(brief(error))
    return result


def facts(snapshot: Snapshot) -> dict[str, str]:
    """Give the facts that the seal contains."""
    facts = {
        "rows": f"{snapshot.num_rows:,}",
        "columns": f"{snapshot.num_columns:,}",
        "size": format_size(snapshot.nbytes),
        "created": f"{_moment(snapshot.created)}, {format_age(snapshot.created)} ago",
    }
    if snapshot.expires is not None:
        facts["expired" if snapshot.expires <= datetime.now(UTC) else "expires"] = _moment(snapshot.expires)
    return facts


def _moment(moment: datetime) -> str:
    return moment.astimezone().isoformat(" ", "seconds")


def _is_at(path: os.PathLike[str], stat: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), stat)
    except OSError:
        return False


def _look_inside(result: Summary, snapshot: Snapshot) -> None:
    if snapshot.meta:
        result.facts["meta"] = brief(json.dumps(snapshot.meta))
    if snapshot.kind == "array":
        array = snapshot.to_numpy(writable=False)
        result.facts["array"] = brief(f"{array.dtype} of shape {array.shape}")
    reports = snapshot.explain()
    if reports:
        result.facts["zero-copy"] = share(reports)
        result.listings.append(_first_rows(snapshot, reports))
        # The names in the file, as above the rows; pandas' labels need not be strings.
        rows = [briefly(report, name) for report, name in zip(reports[:_REPORTS], snapshot.schema.names, strict=False)]
        caption = f"{columns_of(len(rows), len(reports))}: types, nulls, and how each opens"
        result.listings.append(Listing(caption, SHORT_REPORTS, rows, folded=True))


def _first_rows(snapshot: Snapshot, reports: Sequence[ColumnReport]) -> Listing:
    table = snapshot.to_arrow()
    # Arrow has the index behind the columns; the sort is stable.
    order = sorted(range(len(reports)), key=lambda at: reports[at].role != "index")
    sides = order if len(order) <= 2 * _SIDE else [*order[:_SIDE], None, *order[-_SIDE:]]
    # A growing table has a chunk for each segment.
    rows = range(min(_ROWS, len(table.column(0).chunk(0)))) if table.num_rows else range(0)
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
