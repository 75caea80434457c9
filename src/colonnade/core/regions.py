"""The place of every buffer and pandas buffer: a pure function of sizes.

It decides which columns stand side by side in one pandas block, and how everything is aligned.
Does not depend on: files, threads, pandas, where the bytes come from.

Layout rules 1 and 3 of ``docs/format.md`` are kept here: blocks start on 64 bytes, columns inside a block stand at one
stride that is a multiple of 8, everything else starts on 64 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CACHE_LINE = 64
PAGE = 4096
STRIDE_STEP = 8


def align(size: int, step: int) -> int:
    """Round ``size`` up to a multiple of ``step``."""
    return -(-size // step) * step


@dataclass(slots=True, eq=False)
class Region:
    """A run of ``size`` bytes of the body; ``at`` is its place, in bytes from the body's start, once arranged."""

    size: int
    at: int = -1


@dataclass(slots=True, eq=False)
class Block:
    """Columns of one pandas dtype, one region each, that become one array of shape (columns, rows).

    ``dtype`` is the dtype as the file spells it, ``positions`` are the columns' places in the frame.
    """

    dtype: Any
    regions: list[Region] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    @property
    def stride(self) -> int:
        """Bytes from one column to the next."""
        return align(self.regions[0].size, STRIDE_STEP)


def arrange(blocks: Iterable[Block], regions: Iterable[Region], start: int = 0) -> int:
    """Give every region its place, blocks first, and return the end of the last one."""
    at = start
    for block in blocks:
        at = align(at, CACHE_LINE)
        for region in block.regions:
            region.at = at
            at += block.stride
    for region in regions:
        if region.at < 0:
            region.at = align(at, CACHE_LINE)
            at = region.at + region.size
    return at
