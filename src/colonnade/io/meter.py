"""How far a load or a dump has come.

Knows: numbers. Does not depend on: who reads them; a bar looks at them from a thread of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Meter:
    """``done`` of ``total``, in whatever the source counts (rows, or bytes of text); a total of 0 is not known."""

    rows: int = 0
    nbytes: int = 0
    done: int = 0
    total: int = 0

    def count(self, data: Any) -> None:
        """Count the rows and bytes of a table or a batch."""
        self.rows += data.num_rows
        self.nbytes += data.nbytes
