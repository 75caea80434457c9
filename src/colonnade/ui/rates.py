"""How often tables are put, from what is seen of them at two moments.

Does not depend on: where what is seen comes from.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from colonnade.storage.usage import Usage

_SECONDS = 60.0  # what rates are of


class Rate(NamedTuple):
    """Versions and bytes a second of one table."""

    puts: float
    nbytes: float


class _Look(NamedTuple):
    moment: float
    versions: dict[str, tuple[int, int]]  # name: version, bytes


class Rates:
    """Compares each look at a store with one of about a minute before."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()

    def add(self, usage: Usage, moment: float) -> dict[str, Rate]:
        """Add a look; give the rate of each table that was put between the oldest kept look and this one."""
        versions = {
            segment.name: (segment.version, segment.nbytes)
            for segment in usage.of("newest")
            if segment.name is not None and segment.version is not None
        }
        while len(self._looks) > 1 and self._looks[1].moment <= moment - _SECONDS:
            self._looks.popleft()
        self._looks.append(_Look(moment, versions))
        oldest = self._looks[0]
        seconds = moment - oldest.moment
        if seconds <= 0:
            return {}
        rates = {}
        for name, (version, nbytes) in versions.items():
            before = oldest.versions.get(name, (0, 0))[0]
            # A name that was deleted and put anew starts again at 1.
            puts = version - before if version >= before else version
            if puts:
                rates[name] = Rate(puts / seconds, puts * nbytes / seconds)
        return rates
