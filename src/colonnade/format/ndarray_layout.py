"""NumPy arrays as Arrow columns: how Arrow describes an array's memory, and how a file spells its dtype.

Does not depend on: memory, files, pandas.

An array's memory is stored as it stands, so that a view of the file is the array again. Arrow gets the best description
of these very bytes that it has:

1. Arrow sees each element as a **carrier** of the same bytes. That is the element itself where Arrow has its type, else
   the numbers that it is made of, along one more axis: two floats of a complex number, the bytes of a text, a structure
   or a number in the other byte order. Times in units that Arrow lacks are int64.
2. The elements are one column (of one axis), the columns of one block (of two, in Fortran's order), or rows of the
   canonical tensor type: the first axis is the rows, or as many as it takes for rows of a moderate size.
3. Any other array in Fortran's order is its transpose in C's order.

So an array of two axes in C's order is one column of rows. To transpose it would take 2 to 20 times as long as to copy
it (100 MB of 4 to 1,024 columns), and a reader of the array would then walk through memory in strides.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from colonnade.format import schema

_UNITS = ("s", "ms", "us", "ns")
_KINDS = "biufcmMSUV"
_MOST_BYTES = 1 << 31  # of one element, and of what Arrow counts in 32 bits
_DEEPEST = 32
# Each column takes 40 us to store, whatever its length.
_MOST_COLUMNS = 256
# PyArrow writes the envelope for one row. So a row must be small, or a small part of the array.
_SMALL_ROW, _ROWS = 1 << 20, 16


class Layout(NamedTuple):
    """An array as Arrow columns: ``columns`` of ``rows``; ``tensor`` is the shape of a row, () for plain values."""

    carrier: np.dtype[Any]
    rows: int
    columns: int
    tensor: tuple[int, ...]

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of each column."""
        value = pa.from_numpy_dtype(self.carrier)
        return pa.fixed_shape_tensor(value, self.tensor) if self.tensor else value

    @property
    def length(self) -> int:
        """How many carriers a column has."""
        return self.rows * math.prod(self.tensor)

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return ["value"] if self.columns == 1 else [str(number) for number in range(self.columns)]


def lay_out_array(dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> Layout:
    """Lay an array out whose memory is contiguous in an order, C or F."""
    carrier, many = _carrier(dtype)
    size = math.prod(shape)
    if not size:
        return Layout(carrier, 0, 1, ())
    if len(shape) == 2 and order == "F" and not many and shape[1] <= _MOST_COLUMNS and not size * dtype.itemsize % 8:
        rows, columns = shape
        if not rows * dtype.itemsize % 8:  # columns of a block start at multiples of 8
            return Layout(carrier, rows, columns, ())
    axes = (*(shape[::-1] if order == "F" else shape), *([many] if many else []))
    most = max(_SMALL_ROW, size * dtype.itemsize // _ROWS)
    for leading in range(1, len(axes)):
        values = math.prod(axes[leading:])
        if values * carrier.itemsize <= most and values < _MOST_BYTES:
            return Layout(carrier, math.prod(axes[:leading]), 1, axes[leading:])
    return Layout(carrier, math.prod(axes), 1, ())


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether Arrow has a type whose values are these, or one byte for each boolean."""
    if not dtype.isnative or dtype.itemsize > 8:
        return False
    return dtype.kind in "biuf" or (dtype.kind in "mM" and np.datetime_data(dtype) in [(unit, 1) for unit in _UNITS])


def _carrier(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], int]:
    """The carrier of an element, and of how many it is made; 0 for itself alone."""
    if is_plain(dtype):
        return dtype, 0
    if dtype.isnative and dtype.kind in "mM":
        return np.dtype(np.int64), 0
    if dtype.isnative and dtype.kind == "c" and dtype.itemsize <= 16:
        return np.dtype(f"f{dtype.itemsize // 2}"), 2
    return np.dtype(np.uint8), dtype.itemsize


def encode_array_dtype(dtype: np.dtype[Any]) -> schema.NumpyDtype:
    """Give a dtype its form in the layout metadata: NumPy's own text for it, or the parts of a structure."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return schema.SubarrayDtype(encode_array_dtype(base), list(shape))
    if dtype.names is None:
        return dtype.str
    fields: list[Any] = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]  # it has names
    titles = [field[2] if len(field) == 3 else None for field in fields]
    return schema.StructureDtype(
        list(dtype.names),
        [encode_array_dtype(field[0]) for field in fields],
        [field[1] for field in fields],
        dtype.itemsize,
        titles if any(len(field) == 3 for field in fields) else None,
    )


def decode_array_dtype(layout: schema.NumpyDtype, depth: int = 0) -> np.dtype[Any]:
    """Read a dtype for which any bytes are valid values; ValueError for another, or what NumPy raises."""
    if depth > _DEEPEST:
        raise ValueError("a structure nested too deep")
    if isinstance(layout, str):
        plain: np.dtype[Any] = np.dtype(layout)
        if plain.str != layout or plain.kind not in _KINDS or plain.names is not None:
            raise ValueError(f"{layout!r} is not a dtype of plain memory")
        return _of_some_size(plain)
    if isinstance(layout, schema.SubarrayDtype):
        base, shape = decode_array_dtype(layout.base, depth + 1), layout.shape
        if not all(0 < length < _MOST_BYTES for length in shape) or not shape:
            raise ValueError(f"a field of shape {shape}")
        if base.itemsize * math.prod(shape) >= _MOST_BYTES:
            raise ValueError("a field of too many bytes")
        return _of_some_size(np.dtype((base, tuple(shape))))
    formats = [decode_array_dtype(part, depth + 1) for part in layout.formats]
    if not 0 < layout.itemsize < _MOST_BYTES:
        raise ValueError(f"a structure of {layout.itemsize} bytes")
    for _, part, offset in zip(layout.names, formats, layout.offsets, strict=True):
        if offset > layout.itemsize - part.itemsize:
            raise ValueError(f"a field at byte {offset} of a structure of {layout.itemsize}")
    structure: Any = {
        "names": layout.names,
        "formats": formats,
        "offsets": layout.offsets,
        "itemsize": layout.itemsize,
    }
    if layout.titles is not None:
        structure["titles"] = layout.titles
    dtype: np.dtype[Any] = np.dtype(structure)
    return dtype


def _of_some_size(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if not 0 < dtype.itemsize < _MOST_BYTES:
        raise ValueError(f"elements of {dtype.itemsize} bytes")
    return dtype
