"""The summary of an explanation; and how much of a table is zero-copy, in words.

Does not depend on: how columns were examined, how a summary is drawn.
"""

from __future__ import annotations

from colonnade.display.columns import FULL_REPORTS
from colonnade.display.fitting import counted
from colonnade.display.summary import Listing, Summary
from colonnade.display.values import brief
from colonnade.explanation import ColumnReport, Explanation
from colonnade.sizes import format_size

_MOST = 60  # columns


def summary(explanation: Explanation) -> Summary:
    """List every column, up to a number that a person reads."""
    nbytes = sum(report.nbytes for report in explanation)
    copied = sum(report.copied for report in explanation)
    rows = [briefly(report) for report in explanation[:_MOST]]
    facts = {"zero-copy": share(explanation), "size": format_size(nbytes), "written for pandas": format_size(copied)}
    by_polars = [report for report in explanation if report.polars]
    if by_polars:
        facts["Polars converts"] = f"{len(by_polars):,} of {counted(len(explanation), 'column')}: {by_polars[0].polars}"
    return Summary(
        "Explanation",
        "how pandas reads each column",
        facts=facts,
        listings=[Listing(columns_of(len(rows), len(explanation)), FULL_REPORTS, rows)],
    )


def columns_of(count: int, total: int) -> str:
    """Write how many columns of how many are listed."""
    return counted(total, "column") if count == total else f"first {count:,} of {total:,} columns"


def briefly(report: ColumnReport, column: str | None = None) -> ColumnReport:
    """Cut the texts of a report to what a summary shows; ``column`` is another name for its column."""
    name = brief(report.column if column is None else column)
    return report._replace(column=name, arrow_type=brief(report.arrow_type), dtype=brief(report.dtype))


def share(explanation: Explanation) -> str:
    """Write how much of a table pandas reads in place."""
    free = [report for report in explanation if report.zero_copy]
    nbytes, total = sum(report.nbytes for report in free), sum(report.nbytes for report in explanation)
    size = format_size(total) if nbytes == total else f"{format_size(nbytes)} of {format_size(total)}"
    columns = "all" if len(free) == len(explanation) else f"{len(free):,} of {len(explanation):,}"
    return f"{columns} columns, {size}"
