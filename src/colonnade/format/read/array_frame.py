"""A stored array as the frame that pandas makes of it.

Does not depend on: files.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.errors import UnsupportedTypeError
from colonnade.format.dtypes import is_rounded
from colonnade.format.ndarray_layout import is_plain
from colonnade.interop import pandas as internals

# Beyond, pandas' own book-keeping takes seconds.
_MOST_COLUMNS = 1 << 24


def is_held(dtype: np.dtype[Any]) -> bool:
    """Whether pandas holds values of a dtype in a block as they are."""
    return is_plain(dtype) or (dtype.isnative and dtype.kind == "c" and dtype.itemsize <= 16)


def columns_of(array: npt.NDArray[Any]) -> tuple[pd.Index[Any], Any, list[Any]]:
    """The array as a frame of one row for each of its first axis: labels, the block's values or None, other columns.

    Axes beyond the second stand side by side, as ``array.reshape(len(array), -1)``.
    """
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim != 1 or array.dtype.names is None:
        array = array.reshape(len(array), math.prod(array.shape[1:]))
    if array.ndim > 1 and array.shape[1] > _MOST_COLUMNS:
        raise UnsupportedTypeError(f"a frame of {array.shape[1]:,} columns; use to_numpy()")
    if is_held(array.dtype):
        return pd.RangeIndex(array.shape[1]), array.T, []
    if is_rounded(array.dtype):
        raise UnsupportedTypeError(f"pandas makes other times of {array.dtype}; use to_numpy() or to_buffer()")
    try:
        native: Any = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
        frame = pd.DataFrame(native)
    except MemoryError:
        raise
    except Exception as error:
        raise UnsupportedTypeError(
            f"pandas cannot hold an array of {array.dtype} ({error}); use to_numpy() or to_buffer()"
        ) from error
    return frame.columns, None, internals.arrays_of(frame)
