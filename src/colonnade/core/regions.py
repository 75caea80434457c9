"""The place of every buffer and pandas buffer: a pure function of sizes.

It decides how everything is aligned. A region does not know its place: places are a value of their own.
Does not depend on: files, threads, pandas, where the bytes come from.

Layout rules 1 and 3 of ``docs/format.md`` are kept here: blocks start on 64 bytes, columns inside a block stand at one
stride that is a multiple of 8, everything else starts on 64 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from colonnade.core.alignment import CACHE_LINE, STRIDE_STEP, align


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A run of ``size`` bytes of the body. Two regions of one size are two regions: each equals itself alone."""

    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of one pandas dtype, one region each, that become one array of shape (columns, rows).

    ``dtype`` is the dtype as the file spells it, ``positions`` are the columns' places in the frame.
    """

    dtype: Any
    regions: tuple[Region, ...]
    positions: tuple[int, ...]

    @property
    def stride(self) -> int:
        """Bytes from one column to the next."""
        return align(self.regions[0].size, STRIDE_STEP)


def arrange(blocks: Iterable[Block], regions: Iterable[Region], start: int = 0) -> tuple[dict[Region, int], int]:
    """Give every region a place from ``start`` on, blocks first: the places, and the end of the last region."""
    places: dict[Region, int] = {}
    at = start
    for block in blocks:
        at = align(at, CACHE_LINE)
        for region in block.regions:
            places[region] = at
            at += block.stride
    for region in regions:
        if region not in places:
            places[region] = at = align(at, CACHE_LINE)
            at += region.size
    return places, at
