"""The capacity of a segment of a growing table: so many stripes.

Does not depend on: columns, pandas.
"""

from __future__ import annotations

from colonnade.core.alignment import PAGE
from colonnade.errors import CorruptSnapshotError

# Every place where a part of a column begins in a segment is a multiple of this: the largest page that Linux has on
# the processors that are supported (aarch64 with pages of 64 KiB). So the same file can be mapped on any of them.
LARGEST_PAGE = 65_536
# Rows: a page of bytes at least, so columns of neighbouring segments can be mapped side by side.
STRIPE = LARGEST_PAGE
# Rows: a huge page of 8-byte values. Where a segment has a multiple of these, its columns and a reader's addresses of
# them begin at huge pages, so that the kernel can map the memory of many segments as such.
HUGE_STRIPE = (2 << 20) // 8
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
