"""NumPy arrays as Arrow columns: what Arrow sees of an array's memory, and how a file spells its dtype.

Knows: NumPy dtypes, Arrow types. Does not depend on: memory, files, pandas.

An array's memory is stored as it stands, so that a view of the file is the array again. Arrow gets the best description
of these very bytes that it has:

1. What Arrow sees of an element is a **carrier** of the same bytes: the element itself where Arrow has its type, else
   numbers that it is made of, along one more axis: two floats of a complex number, the bytes of a text, a structure or
   a number in the other byte order. Times in units that Arrow lacks are int64.
2. The elements are one column (of one axis), the columns of one block (of two, in Fortran's order), or rows of the
   canonical tensor type: the first axis is the rows, or as many as it takes for rows of a moderate size.
3. Any other array in Fortran's order is its transpose in C's order.

So an array of two axes in C's order is no columns, but one column of rows. To turn it would take 2 to 20 times as
long as to copy it (100 MB of 4 to 1,024 columns), and who gets it back would walk through memory in strides.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

_UNITS = ("s", "ms", "us", "ns")
_KINDS = "biufcmMSUV"
_MOST_BYTES = 1 << 31  # of one element, and of what Arrow counts in 32 bits
_DEEPEST = 32
# Each column takes 40 us to store, whatever its length.
_MOST_COLUMNS = 256
# PyArrow writes the envelope for one row, so a row is to be a small part of the whole, or small.
_SMALL_ROW, _ROWS = 1 << 20, 16


class Layout(NamedTuple):
    """How an array stands in Arrow: ``columns`` of ``rows``; ``tensor`` is the shape of a row, () for plain values."""

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


def encode_array_dtype(dtype: np.dtype[Any]) -> Any:
    """Spell a dtype in JSON: NumPy's own text for it, or the parts of a structure."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": encode_array_dtype(base), "shape": list(shape)}
    if dtype.names is None:
        return dtype.str
    fields: list[Any] = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
    told: dict[str, Any] = {
        "names": list(dtype.names),
        "formats": [encode_array_dtype(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }
    if any(len(field) == 3 for field in fields):
        told["titles"] = [field[2] if len(field) == 3 else None for field in fields]
    return told


def decode_array_dtype(told: Any, depth: int = 0) -> np.dtype[Any]:
    """Read a dtype that memory of any bytes may be viewed as; ValueError for another, or what NumPy raises."""
    if depth > _DEEPEST:
        raise ValueError("a structure nested too deep")
    if isinstance(told, str):
        plain: np.dtype[Any] = np.dtype(told)
        if plain.str != told or plain.kind not in _KINDS or plain.names is not None:
            raise ValueError(f"{told!r} is no dtype of plain memory")
        return _of_some_size(plain)
    if "base" in told:
        base, shape = decode_array_dtype(told["base"], depth + 1), told["shape"]
        if not all(type(length) is int and 0 < length < _MOST_BYTES for length in shape) or not shape:
            raise ValueError(f"a part of shape {shape}")
        if base.itemsize * math.prod(shape) >= _MOST_BYTES:
            raise ValueError("a part of too many bytes")
        return _of_some_size(np.dtype((base, tuple(shape))))
    formats = [decode_array_dtype(part, depth + 1) for part in told["formats"]]
    offsets, itemsize = told["offsets"], told["itemsize"]
    if type(itemsize) is not int or not 0 < itemsize < _MOST_BYTES:
        raise ValueError(f"a structure of {itemsize!r} bytes")
    for name, part, offset in zip(told["names"], formats, offsets, strict=True):
        if type(name) is not str:
            raise ValueError(f"a part of the name {name!r}")
        if type(offset) is not int or not 0 <= offset <= itemsize - part.itemsize:
            raise ValueError(f"a part at byte {offset!r} of a structure of {itemsize}")
    parts = {key: told[key] for key in ("names", "offsets", "itemsize", "titles") if key in told}
    structure: Any = {**parts, "formats": formats}
    made: np.dtype[Any] = np.dtype(structure)
    return made


def _of_some_size(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if not 0 < dtype.itemsize < _MOST_BYTES:
        raise ValueError(f"elements of {dtype.itemsize} bytes")
    return dtype
