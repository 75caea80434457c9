"""Unites the dictionaries of a column's chunks.

Does not depend on: pandas, jobs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class UnitedDictionary:
    """One dictionary for all chunks. ``maps`` are the new numbers of each chunk's indices, or None if none change."""

    dictionary: pa.Array
    maps: tuple[npt.NDArray[np.int32], ...] | None


def unite(column: pa.ChunkedArray) -> UnitedDictionary | None:
    """Unite a column's dictionaries, values in the order of their first occurrence; None if a dictionary has nulls."""
    dictionaries = [chunk.dictionary for chunk in column.chunks]
    if not dictionaries:
        return UnitedDictionary(pa.array([], column.type.value_type), None)
    first = dictionaries[0]
    if any(dictionary.null_count for dictionary in dictionaries):
        return None
    if all(dictionary.equals(first) for dictionary in dictionaries[1:]):
        return UnitedDictionary(first, None)
    try:
        together = pa.concat_arrays(dictionaries).dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
    numbers = together.indices.to_numpy(zero_copy_only=True)
    ends = np.cumsum([len(dictionary) for dictionary in dictionaries])[:-1]
    return UnitedDictionary(together.dictionary, tuple(np.split(numbers, ends)))
