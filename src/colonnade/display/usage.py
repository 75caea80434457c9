"""The summary of a store's usage; `colonnade top` shows the same, live.

Does not depend on: how usage is measured, how a summary is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from colonnade.display.fitting import cell_len, counted, format_age, one_line, shortened
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import Column
from colonnade.display.values import brief
from colonnade.sizes import format_size
from colonnade.storage.processes import Holder
from colonnade.storage.usage import Role, SegmentUsage, Usage

# The column "version" shows the role of a segment that has no version.
COLUMNS = (
    Column("name", lambda segment: one_line(segment.name or "-")),
    Column("version", lambda segment: segment.role if segment.version is None else str(segment.version), "right"),
    Column("rows", lambda segment: "" if segment.rows is None else f"{segment.rows:,}", "right"),
    Column("size", lambda segment: format_size(segment.nbytes), "right"),
    Column("age", lambda segment: "" if segment.created is None else format_age(segment.created), "right"),
)
PROCESSES = Column("processes", lambda segment: processes_in(segment.holders))
_MOST = 60  # segments


def summary(usage: Usage) -> Summary:
    """Show the largest segments, and the processes that hold each."""
    rows = rows_of(usage)
    caption = counted(len(rows), "segment") if len(rows) <= _MOST else f"the largest {_MOST} of {len(rows):,} segments"
    listing = Listing(caption, [*COLUMNS, PROCESSES], rows[:_MOST])
    return Summary("Usage", brief(usage.path), lines=list(totals(usage)), listings=[listing])


def rows_of(usage: Usage) -> list[SegmentUsage]:
    """Give tables, and all other segments that a process holds; the largest first."""
    segments = [segment for segment in usage.segments if segment.version is not None or segment.holders]
    return sorted(segments, key=lambda segment: (-segment.nbytes, segment.name or "", -(segment.version or 0)))


def totals(usage: Usage, signs: tuple[str, str] = ("", ", ")) -> Iterator[str]:
    """Write what is used and free, and by what; ``signs`` are the characters of the bar."""
    limit = "" if usage.capacity is None else f" of {format_size(usage.capacity)}"
    file_system = f"{format_size(usage.free)} of {format_size(usage.filesystem)} free"
    yield f"{format_size(usage.nbytes)}{limit} used, {file_system} on its file system"
    rest = [_sum(usage, "spare", "spare"), _sum(usage, "draft", "draft"), _sum(usage, "deleted segment", "deleted")]
    if usage.of("shared"):
        rest.append(_sum(usage, "shared table", "shared"))
    if usage.of("other"):
        rest.append(_sum(usage, "other file", "other"))
    tables = format_size(bytes_of(tables_of(usage)))
    yield f"{signs[0]}tables {tables}{signs[1]}{', '.join(rest)}"
    if usage.unseen:
        yield f"{_processes(usage.unseen)} could not be looked at"


def _sum(usage: Usage, noun: str, role: Role) -> str:
    segments = usage.of(role)
    return counted(len(segments), noun) + (f" {format_size(bytes_of(segments))}" if segments else "")


def tables_of(usage: Usage) -> tuple[SegmentUsage, ...]:
    """The segments that a name leads to: of snapshots and of growing tables."""
    return usage.of("newest", "retained", "live")


def bytes_of(segments: tuple[SegmentUsage, ...]) -> int:
    """Add up the bytes that segments occupy."""
    return sum(segment.nbytes for segment in segments)


def processes_in(holders: tuple[Holder, ...], room: int | None = None) -> str:
    """Write processes by command, ``python 311 312, duckdb 320``: as many as fit, and how many more."""
    by_command = sorted(holders, key=lambda holder: holder.command)
    for count in range(len(by_command), 0, -1):
        groups = groupby(by_command[:count], key=lambda holder: holder.command)
        text = ", ".join(
            f"{one_line(command)} {' '.join(str(each.pid) for each in group)}" for command, group in groups
        )
        if count < len(by_command):
            text += f" +{len(by_command) - count}"
        if room is None or cell_len(text) <= room:
            return text
    return shortened(_processes(len(holders)), room or 0) if holders else ""


def _processes(count: int) -> str:
    return counted(count, "process", "processes")
