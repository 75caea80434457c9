"""The place of every buffer and pandas buffer: a pure function of sizes.

It decides how everything is aligned. A region does not know its place: places are a value of their own.
Does not depend on: files, threads, pandas, where the bytes come from.

Layout rules 1 and 3 of ``docs/format.md`` are kept here: blocks start on 64 bytes, columns inside a block stand at one
stride that is a multiple of 8, everything else starts on 64 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.core.alignment import CACHE_LINE, STRIDE_STEP, align


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A run of ``size`` bytes of the body, or ``count`` such runs, each of which begins ``step`` bytes after the last.

    Two regions of one size are two regions: each equals itself alone.
    """

    size: int
    count: int = 1
    step: int = 0

    @property
    def extent(self) -> int:
        """Bytes from its first to its last."""
        return self.step * (self.count - 1) + self.size

    def starts(self, at: int) -> Sequence[int] | npt.NDArray[np.int64]:
        """Where each of its runs starts if the first starts at ``at``."""
        return [at] if self.count == 1 else at + self.step * np.arange(self.count)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of one pandas dtype. Together they are one array of shape (columns, rows).

    Each column is one run of a region.

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
            at += block.stride * region.count
    for region in regions:
        if region not in places:
            places[region] = at = align(at, CACHE_LINE)
            at += region.extent
    return places, at


# What stands between two gaps and is shorter than this takes less time to clear with them than a call for each gap.
_SHORT = 4096


def gaps(areas: Sequence[tuple[Sequence[int] | npt.NDArray[np.int64], int]], end: int) -> list[tuple[int, int]]:
    """What is to be cleared before the rest is written: all from 0 to ``end`` except ``areas``, as (first, end).

    ``areas`` are (places, size of each), of at least one place. Short runs between two gaps are in the result too.
    """
    places = np.concatenate([starts for starts, _ in areas])
    ends = places + np.repeat([size for _, size in areas], [len(starts) for starts, _ in areas])
    order = np.argsort(places)
    firsts = np.append(0, np.maximum.accumulate(ends[order]))
    lasts = np.append(places[order], end)
    firsts, lasts = firsts[firsts < lasts], lasts[firsts < lasts]
    is_apart = firsts[1:] - lasts[:-1] >= _SHORT
    ones = np.ones(min(len(firsts), 1), np.bool_)
    starts, stops = firsts[np.append(ones, is_apart)], lasts[np.append(is_apart, ones)]
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
