"""One parsed block of text, as the readers of CSV and JSON lines give it.

Does not depend on: how text is parsed, files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

# The type of integers that no type of PyArrow's readers holds, as their text.
DIGITS = pa.large_string()

# A column, as all files of a load have it: its name, and which one it is of those that a file gives this name.
Key = tuple[str, int]

BOM = b"\xef\xbb\xbf"


class Part(NamedTuple):
    """The chosen columns of one block, and the names of all. A table would lose the rows of a block without columns."""

    rows: int
    columns: dict[Key, pa.ChunkedArray]
    names: Sequence[str]
    folders: Collection[str] = ()  # the names of columns that stand in the path of the file

    def drop(self, keys: Set[Key]) -> None:
        """Drop columns that are read again, as text. Those of folders are not: they become text here."""
        for key in keys & self.columns.keys():
            column = self.columns.pop(key)
            if key[0] in self.folders:
                self.columns[key] = column.cast(pa.string())

    def with_constants(self, values: Mapping[str, pa.Scalar], selection: Sequence[str] | None) -> Part:
        """The part with more columns, each of one value, but for those that it has itself or that are not chosen."""
        more = {name: value for name, value in values.items() if name not in self.names}
        if not more:
            return self
        columns = {
            (name, 0): pa.chunked_array([pa.repeat(value, self.rows)])
            for name, value in more.items()
            if selection is None or name in selection
        }
        return self._replace(columns=self.columns | columns, names=[*self.names, *more], folders=more)


def may_be_integers(column: pa.ChunkedArray) -> bool:
    """Say whether floats may be integers that int64 cannot hold, which PyArrow rounds."""
    if not pt.is_float64(column.type):
        return False
    return any(map(_reaches_past_int64, column.chunks))


def _reaches_past_int64(chunk: pa.Array) -> bool:
    """Look at the values under nulls too: NumPy takes a seventh of the time of ``pyarrow.compute.min_max``."""
    if not len(chunk):
        return False
    values = np.frombuffer(chunk.buffers()[1], np.float64, len(chunk), chunk.offset * 8)
    return bool(max(np.fmax.reduce(values), -np.fmin.reduce(values)) >= _PAST_INT64)


_PAST_INT64 = 2.0**63
