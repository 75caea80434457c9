"""The blocks of the layout metadata: columns of one dtype, viewed as one array.

Does not depend on: names, descriptors, labels. Every place goes through `Body`, which checks it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from colonnade.dtype_kinds import dtype_kind
from colonnade.format import schema
from colonnade.format.dtypes import decode_dtype
from colonnade.format.read.column import plain_dtype
from colonnade.format.read.file import StoredFile
from colonnade.format.read.projection import Positions
from colonnade.interop import pandas as internals


class StoredBlock:
    """Columns of one dtype: an array of shape (columns, rows), and the columns' positions in the frame."""

    __slots__ = ("dtype", "positions", "values")

    def __init__(self, dtype: Any, values: Any, positions: Positions) -> None:
        self.dtype = dtype
        self.values = values
        self.positions = positions


def read_blocks(file: StoredFile, columns: int) -> list[StoredBlock]:
    """View each block. Every column must be in one block, or be a column of its own."""
    places: list[_Place] | None = file.cache.get(f"blocks of {columns}")
    if places is None:
        places = _places(file.frame, columns)
        if columns <= _MOST_KEPT:
            file.cache[f"blocks of {columns}"] = places
    return [_block(file, *place) for place in places]


# Positions take 8 bytes a column, and a damaged file may declare any number of columns.
_MOST_KEPT = 1 << 16

_Place = tuple[Any, np.dtype[Any], schema.Block, Positions]


def _places(layout: schema.FrameLayout, columns: int) -> list[_Place]:
    """What is known of the blocks from the layout metadata alone."""
    _check_positions(layout, columns)
    places = []
    for block in layout.blocks:
        dtype = decode_dtype(block.dtype)
        if dtype_kind(dtype) not in ("numpy", "datetimetz"):
            raise schema.invalid(f"a block of {dtype}")
        places.append((dtype, plain_dtype(dtype), block, _positions_of_block(block.columns)))
    return places


def _block(file: StoredFile, dtype: Any, plain: np.dtype[Any], block: schema.Block, where: Positions) -> StoredBlock:
    values = file.body.block(plain, block.at, block.stride, len(where), file.rows)
    # pandas gets positions of its own, because it does not say that it never writes to them.
    return StoredBlock(dtype, values if dtype is plain else internals.make_datetimes(values, dtype), where.copy())


def _positions_of_block(columns: schema.Run | list[int]) -> Positions:
    if isinstance(columns, list):
        return np.array(columns, np.intp)
    return np.arange(columns.first, columns.first + columns.count, dtype=np.intp)


def _check_positions(layout: schema.FrameLayout, columns: int) -> None:
    """See that every position occurs once: pandas takes positions as they are.

    Not by NumPy, whose first sorting, joining and comparing in a process takes 70 us.
    """
    runs = [(position, position + 1) for position, _ in layout.columns]
    for block in layout.blocks:
        if isinstance(block.columns, list):
            runs += [(position, position + 1) for position in block.columns]
        elif block.columns.count:
            runs.append((block.columns.first, block.columns.first + block.columns.count))
    end = 0
    for first, last in sorted(runs):
        if first != end:
            break
        end = last
    else:
        if end == columns:
            return
    raise schema.invalid("its blocks and columns do not hold every column of the frame once")
