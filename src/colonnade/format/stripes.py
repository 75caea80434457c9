"""The capacity of a segment of a growing table: so many stripes.

Does not depend on: columns, pandas.
"""

from __future__ import annotations

from colonnade.core.alignment import PAGE
from colonnade.errors import CorruptSnapshotError

# Rows: a page of bits and 8 pages of bytes, so columns of neighbouring segments can be mapped side by side.
STRIPE = 32_768
_MOST = 1 << 40


def check_capacity(capacity: int, text_bytes: int) -> None:
    """See that a segment can have this capacity and text.

    Raises
    ------
    CorruptSnapshotError
    """
    if not 0 < capacity <= _MOST or capacity % STRIPE or not 0 <= text_bytes <= _MOST or text_bytes % PAGE:
        raise CorruptSnapshotError(
            f"a segment of a growing table has {capacity:,} rows and {text_bytes:,} bytes of text: rows are a "
            f"multiple of {STRIPE:,}, text is one of {PAGE:,}, and neither is more than {_MOST:,}"
        )
