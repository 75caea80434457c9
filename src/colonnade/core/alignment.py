"""To which multiples of bytes everything in a file is aligned.

Does not depend on: what is aligned.
"""

from __future__ import annotations

CACHE_LINE = 64
PAGE = 4096
STRIDE_STEP = 8


def align(size: int, step: int) -> int:
    """Round ``size`` up to a multiple of ``step``."""
    return -(-size // step) * step
