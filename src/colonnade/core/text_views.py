"""Text in Arrow's view layout, to and from offsets and data: see ``src/core/text_views.h``.

Does not depend on: files, tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade import _core
from colonnade.core.buffers import Outputs, as_arrow_buffer
from colonnade.errors import InvalidDataError, UnsupportedTypeError

VIEW = 16
# The distance between the starts of two windows of the data. A window has at most `_WINDOW` bytes.
_STEP, _WINDOW = 1 << 30, (1 << 31) - 1


def _bytes(buffer: pa.Buffer | None) -> npt.NDArray[np.uint8]:
    return np.frombuffer(buffer, np.uint8) if buffer is not None and buffer.size else np.empty(0, np.uint8)


class ViewedText(NamedTuple):
    """Text or bytes in view layout, and the offsets that they get. ``valid``: a byte a row; empty for no nulls."""

    views: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.uint8]
    buffers: Sequence[npt.NDArray[np.uint8]]
    offsets: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """The bytes of all text."""
        return int(self.offsets[-1])

    def copy_to(self, data: npt.NDArray[np.uint8]) -> None:
        """Copy all text into memory of ``size`` bytes.

        Raises
        ------
        InvalidDataError
            If the views were changed since the offsets were made.
        """
        if not _core.data_of_views(self.views, self.valid, self.buffers, self.offsets, data):
            raise InvalidDataError("text in Arrow's view layout was changed while it was stored; nothing was stored")


def without_text(array: pa.Array) -> tuple[pa.Array, ViewedText]:
    """Take text or bytes in view layout apart: offsets and validity, as lists of nulls without memory, and the text.

    Raises
    ------
    InvalidDataError
        If a view leads out of its buffers.
    """
    _, views, *buffers = array.buffers()
    rows, first = len(array), array.offset
    is_valid = array.is_valid() if array.null_count else None
    valid = np.empty(0, np.uint8) if is_valid is None else is_valid.to_numpy(zero_copy_only=False).view(np.uint8)
    parts = _bytes(views)[first * VIEW : (first + rows) * VIEW], valid, [_bytes(buffer) for buffer in buffers]
    outputs = Outputs()
    offsets = outputs.new((rows + 1,), np.int64)
    outputs.touch(0)
    size = _core.offsets_of_views(*parts, offsets)
    if size < 0:
        raise InvalidDataError("text in Arrow's view layout leads out of its buffers")
    bitmap = None
    if is_valid is not None:
        bitmap = pa.concat_arrays([is_valid]).buffers()[1] if is_valid.offset else is_valid.buffers()[1]
    nulls = pa.large_list(pa.null())
    lists = pa.Array.from_buffers(nulls, rows, [bitmap, as_arrow_buffer(offsets)], children=[pa.nulls(size)])
    return lists, ViewedText(*parts, offsets)


def has_offsets(type_: pa.DataType) -> bool:
    """Whether a type is text or bytes with offsets, which can have views beside them."""
    return bool(pt.is_string(type_) or pt.is_binary(type_) or pt.is_large_string(type_) or pt.is_large_binary(type_))


def _parts(array: pa.Array) -> tuple[npt.NDArray[np.uint8], int, npt.NDArray[np.uint8]]:
    _, offsets, data = array.buffers()
    width = 8 if pt.is_large_string(array.type) or pt.is_large_binary(array.type) else 4
    if not len(array):
        return np.zeros(width, np.uint8), width, _bytes(data)
    return _bytes(offsets)[array.offset * width : (array.offset + len(array) + 1) * width], width, _bytes(data)


def write_views(name: str, array: pa.Array, views: npt.NDArray[np.uint8]) -> None:
    """Write the views of a column into memory of `VIEW` bytes a row.

    Raises
    ------
    UnsupportedTypeError
        If a text is longer than a view may be.
    """
    if not _core.write_views(*_parts(array), views):
        raise UnsupportedTypeError(f"column {name!r} has a text of more than 1 GiB, which can have no view")


def are_views_of(array: pa.Array, views: npt.NDArray[np.uint8]) -> bool:
    """Whether memory holds the views of a column whose offsets were checked."""
    return _core.are_views_of(*_parts(array), views)


def with_views(array: pa.Array, views: Any) -> pa.Array:
    """The same text or bytes in view layout, over the same data; nothing is copied, and no value is looked at."""
    bitmap, _, data = array.buffers()
    size = 0 if data is None else data.size
    windows = [data.slice(at, min(_WINDOW, size - at)) for at in range(0, size, _STEP)] if data is not None else []
    text = pt.is_string(array.type) or pt.is_large_string(array.type)
    return pa.Array.from_buffers(
        pa.string_view() if text else pa.binary_view(),
        len(array),
        [bitmap, pa.py_buffer(views), *windows],
        null_count=array.null_count,
    )
