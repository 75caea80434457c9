"""The dictionaries of a column's chunks, as one.

Knows: dictionary arrays. Does not depend on: pandas, jobs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class United:
    """One dictionary for all chunks; ``maps`` give each chunk's indices their new numbers, where they need any."""

    dictionary: pa.Array
    maps: list[npt.NDArray[np.int32]] | None


def unite(column: pa.ChunkedArray) -> United | None:
    """Unite a column's dictionaries, in the order in which values are first met; None where they hold nulls."""
    dictionaries = [chunk.dictionary for chunk in column.chunks]
    if not dictionaries:
        return United(pa.array([], column.type.value_type), None)
    first = dictionaries[0]
    if any(dictionary.null_count for dictionary in dictionaries):
        return None
    if all(dictionary.equals(first) for dictionary in dictionaries[1:]):
        return United(first, None)
    try:
        together = pa.concat_arrays(dictionaries).dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
    numbers = together.indices.to_numpy(zero_copy_only=True)
    ends = np.cumsum([len(dictionary) for dictionary in dictionaries])[:-1]
    return United(together.dictionary, np.split(numbers, ends))
