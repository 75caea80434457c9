"""How fast tables change, from what is seen of them at two moments.

Does not depend on: where what is seen comes from, how it is drawn.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from colonnade.sizes import format_size
from colonnade.storage.usage import SegmentUsage, Usage

_SECONDS = 60.0  # what rates are of


class Rate(NamedTuple):
    """What comes to a table in a second: rows of a growing table, versions of one that is put; and their bytes."""

    per_second: float
    nbytes: float
    is_growing: bool

    def __str__(self) -> str:
        nbytes = f"{format_size(round(self.nbytes))}/s"
        if self.is_growing:
            return (
                f"{self.per_second:,.0f} rows/s, {nbytes}"
                if self.per_second >= 1
                else f"{self.per_second * 60:.1f} rows/min"
            )
        return (
            f"{self.per_second:.1f}/s, {nbytes}"
            if self.per_second >= 1
            else f"{self.per_second * 60:.1f}/min, {nbytes}"
        )


class _Look(NamedTuple):
    moment: float
    versions: dict[str, int]


class Rates:
    """Compares each look at a store with one of about a minute before."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()

    def add(self, usage: Usage, moment: float) -> dict[str, Rate]:
        """Add a look; give the rate of each table that changed between the oldest kept look and this one."""
        tables = {
            segment.name: segment
            for segment in usage.of("newest", "live")
            if segment.name is not None and segment.version is not None
        }
        while len(self._looks) > 1 and self._looks[1].moment <= moment - _SECONDS:
            self._looks.popleft()
        self._looks.append(_Look(moment, {name: table.version or 0 for name, table in tables.items()}))
        oldest = self._looks[0]
        seconds = moment - oldest.moment
        if seconds <= 0:
            return {}
        rates = {}
        for name, table in tables.items():
            version, before = table.version or 0, oldest.versions.get(name, 0)
            # A name that was deleted and made anew starts again.
            count = version - before if version >= before else version
            if count:
                rates[name] = Rate(count / seconds, count * _step(table) / seconds, table.role == "live")
        return rates


def _step(table: SegmentUsage) -> float:
    """The bytes of one version more: of a row, or of the whole table."""
    return table.nbytes / max(table.rows or 1, 1) if table.role == "live" else table.nbytes


def rate_of(segment: SegmentUsage, rates: dict[str, Rate]) -> str:
    """The rate of the table whose newest version, or whose rows, a segment is; empty where there is none."""
    rate = rates.get(segment.name or "") if segment.role in ("newest", "live") else None
    return "" if rate is None else str(rate)
