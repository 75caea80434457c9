"""`multiprocessing.shared_memory` by hand: the blocks of plain NumPy columns, and a pickle that says where each is.

Columns that are not NumPy arrays of fixed width (strings, categories) have no bytes that could be put there.
"""

from __future__ import annotations

import contextlib
import pickle
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pandas as pd

TITLE = "shared_memory by hand"
_segments: dict[tuple[Path, str], list[SharedMemory]] = {}


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Copy the columns of each dtype into a segment of their own."""
    blocks, segments = [], []
    for dtype in dict.fromkeys(frame.dtypes):
        if not isinstance(dtype, np.dtype) or dtype.hasobject:
            raise TypeError(f"a column of dtype {dtype} is not a NumPy array of fixed width")
        places = np.flatnonzero(frame.dtypes == dtype)
        values = frame.iloc[:, places].to_numpy().T
        segment = SharedMemory(create=True, size=max(values.nbytes, 1))
        np.ndarray(values.shape, dtype, buffer=segment.buf)[:] = values
        segments.append(segment)
        blocks.append((segment.name, values.shape, dtype, places))
    new = folder / f"{name}.new"
    new.write_bytes(pickle.dumps((blocks, frame.columns, frame.index)))
    new.rename(folder / name)
    for segment in _segments.pop((folder, name), []):
        segment.unlink()
    _segments[folder, name] = segments


def load(folder: Path, name: str) -> pd.DataFrame:
    """Make arrays of the segments, and a frame of the arrays."""
    blocks, columns, index = pickle.loads((folder / name).read_bytes())
    parts = []
    for segment_name, shape, dtype, places in blocks:
        segment = SharedMemory(segment_name)
        # A process that only reads would remove the segment at its end: https://github.com/python/cpython/issues/82300
        resource_tracker.unregister(segment._name, "shared_memory")  # type: ignore[attr-defined]
        _kept.append(segment)
        values = np.ndarray(shape, dtype, buffer=segment.buf)
        parts.append(pd.DataFrame(values.T, index=index, columns=columns[places], copy=False))
    if len(parts) == 1:
        return parts[0]
    with contextlib.suppress(ValueError):
        return pd.concat(parts, axis=1)[list(columns)]
    return pd.concat(parts, axis=1)


_kept: list[SharedMemory] = []
