"""Plans how pandas' arrays become Arrow arrays: the core copies their values and scans them for nulls on the way.

Does not depend on: frames, labels, metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade import _core
from colonnade.core.buffers import Outputs, as_bytes
from colonnade.core.jobs import ELEMENT, JOB, PandasBuffer, Validity, Values
from colonnade.dtype_kinds import dtype_kind
from colonnade.interop import pandas as internals

_NAN = {2: Validity.NAN16, 4: Validity.NAN32, 8: Validity.NAN64}
_PLACES = ("values_at", "bitmap_at", "mask_at", "pandas_at")
_FIELDS = tuple(JOB.names or ())
_FIRST_PIECE = _FIELDS.index("first_piece")


class ArrayColumn(NamedTuple):
    """The plan of a pandas array that the core reads.

    ``job`` has the numbers of its job. ``values_number`` says which of them is the place of its values; it is -1 if
    Arrow refers to the array's own memory. ``dictionary`` has the values that its codes lead to.
    """

    type: pa.DataType
    job: npt.NDArray[np.int64]
    values_number: int
    values: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None = None
    dictionary: pa.Array | None = None

    @property
    def is_scanned(self) -> bool:
        """Whether the core has anything to do for it."""
        return self.values_number >= 0 or self.has_bitmap

    @property
    def has_bitmap(self) -> bool:
        """Whether it may have nulls."""
        return bool(self.job[_VALIDITY] != Validity.NONE)


_VALIDITY = _FIELDS.index("validity")
_BITMAP_AT = _FIELDS.index("bitmap_at")
_VALUES_AT = _FIELDS.index("values_at")
_PANDAS_AT = _FIELDS.index("pandas_at")


class ArrayMover:
    """Moves the planned columns of one frame, all in one run of the core."""

    def __init__(self, rows: int, threads: int) -> None:
        self._rows = rows
        self._threads = threads
        self._memory = Outputs()

    def move(self, columns: list[ArrayColumn]) -> list[Any]:
        """The Arrow arrays of the columns; None for one with a value that its type cannot represent."""
        to_scan = [column for column in columns if column.is_scanned]
        results = iter(self._scan(to_scan) if to_scan else ())
        return [self._array(column, *(next(results) if column.is_scanned else _NOTHING)) for column in columns]

    def _scan(self, columns: list[ArrayColumn]) -> list[tuple[Any, Any, int, bool]]:
        jobs = np.array([column.job for column in columns])
        jobs[:, _FIRST_PIECE] = np.arange(len(columns))
        outputs: list[npt.NDArray[np.uint8]] = []
        places = []
        for column, job in zip(columns, jobs, strict=True):
            values = bitmap = None
            if column.values_number >= 0:
                is_bool = pt.is_boolean(column.type)
                size = (self._rows + 7) // 8 if is_bool else self._rows * _width(column)
                job[column.values_number] = len(outputs) << 32
                values = self._memory.new((size,), _UINT8)
                outputs.append(values)
            if column.has_bitmap:
                job[_BITMAP_AT] = len(outputs) << 32
                bitmap = self._memory.new(((self._rows + 7) // 8,), _UINT8)
                outputs.append(bitmap)
            places.append((values, bitmap))
        self._memory.touch(self._threads)
        sources = [(column.values, column.mask) for column in columns]
        results = _core.move_arrays(sources, jobs, outputs, self._rows, self._threads)
        return [(*arrays, *result) for arrays, result in zip(places, results, strict=True)]

    def _array(self, column: ArrayColumn, values: Any, bitmap: Any, nulls: int, overflows: bool) -> Any:
        if overflows:
            return None
        source = as_bytes(column.values) if values is None else values
        buffers = [pa.py_buffer(bitmap) if nulls else None, pa.py_buffer(source)]
        if column.dictionary is None:
            return pa.Array.from_buffers(column.type, self._rows, buffers, nulls)
        indices = pa.Array.from_buffers(column.type.index_type, self._rows, buffers, nulls)
        return pa.DictionaryArray.from_arrays(indices, column.dictionary, ordered=column.type.ordered, safe=False)


_UINT8 = np.dtype(np.uint8)
_NOTHING = (None, None, 0, False)


def _width(column: ArrayColumn) -> int:
    type_ = column.type.index_type if column.dictionary is not None else column.type
    width: int = type_.bit_width // 8
    return width


def plan_array(array: Any, type_: pa.DataType | None, *, safe: bool, copy: bool) -> ArrayColumn | None:
    """Plan an array; ``type_`` is the type that it shall get. None if PyArrow converts it."""
    make = _PLANS.get(dtype_kind(array.dtype))
    return None if make is None else make(array, type_, safe, copy)


_jobs: dict[tuple[Any, ...], npt.NDArray[np.int64]] = {}


def _job(**fields: int) -> npt.NDArray[np.int64]:
    """The numbers of a job that writes nowhere; made once for the same fields."""
    key = tuple(fields.items())
    job = _jobs.get(key)
    if job is None:
        row = np.zeros(1, JOB)
        for name, value in fields.items():
            row[name] = value
        for place in _PLACES:
            row[place] = -1
        job = _jobs[key] = row.view(np.int64).reshape(-1)
        job.setflags(write=False)  # columns share it
    return job


def _copied(
    type_: pa.DataType,
    values: npt.NDArray[Any],
    validity: Validity,
    copy: bool,
    mask: npt.NDArray[np.bool_] | None = None,
) -> ArrayColumn:
    if values.dtype.kind == "b":
        job = _job(values=Values.BYTES_TO_BITS, validity=validity, width=1)
        return ArrayColumn(type_, job, _VALUES_AT, values, mask)
    if copy or not values.flags.c_contiguous:
        job = _job(values=Values.FIXED, validity=validity, width=values.itemsize)
        return ArrayColumn(type_, job, _VALUES_AT, values, mask)
    return ArrayColumn(type_, _job(validity=validity, width=values.itemsize), -1, values, mask)


_natural: dict[np.dtype[Any], tuple[pa.DataType, Validity] | None] = {}


def _natural_type(dtype: np.dtype[Any]) -> tuple[pa.DataType, Validity] | None:
    """The Arrow type of a NumPy dtype, and what says that a value is null; None if PyArrow converts it."""
    if dtype not in _natural:
        kind, natural = dtype.kind, None
        if kind in "biufmM" and dtype.isnative and dtype.itemsize <= 8:
            try:
                validity = _NAN[dtype.itemsize] if kind == "f" else Validity.NAT if kind in "mM" else Validity.NONE
                natural = pa.from_numpy_dtype(dtype), validity
            except (pa.ArrowNotImplementedError, ValueError):
                pass  # a unit that Arrow does not have
        if len(_natural) > 100:
            _natural.clear()
        _natural[dtype] = natural
    return _natural[dtype]


def _plan_numpy(values: npt.NDArray[Any], type_: pa.DataType | None, safe: bool, copy: bool) -> ArrayColumn | None:
    natural = _natural_type(values.dtype)
    if natural is None:
        return None
    if type_ is None or type_ == natural[0]:
        return _copied(natural[0], values, natural[1], copy)
    if safe and values.dtype.kind == "f" and values.itemsize > 2 and pt.is_integer(type_):
        job = _job(
            validity=_NAN[values.itemsize],
            width=values.itemsize,
            element=ELEMENT[values.dtype.name],
            pandas_buffer=PandasBuffer.INTEGERS,
            pandas_element=ELEMENT[str(type_)],
        )
        return ArrayColumn(type_, job, _PANDAS_AT, values)
    return None


def _plan_zoned(array: Any, type_: pa.DataType | None, _: bool, copy: bool) -> ArrayColumn | None:
    natural = pa.timestamp(array.dtype.unit, array.dtype.tz)
    if type_ not in (None, natural):
        return None
    return _copied(natural, internals.numpy_of(array), Validity.NAT, copy)


def _plan_masked(array: Any, type_: pa.DataType | None, _: bool, copy: bool) -> ArrayColumn | None:
    values, mask = internals.masked_parts(array)
    natural = _natural_type(values.dtype)
    if natural is None or type_ not in (None, natural[0]) or mask.strides != (1,):
        return None
    return _copied(natural[0], values, Validity.MASK, copy, mask)


def _plan_categorical(array: Any, type_: pa.DataType | None, _: bool, copy: bool) -> ArrayColumn | None:
    if type_ is not None:
        return None
    codes = internals.codes_of(array)
    empty = _without_rows(array)
    if empty.type.index_type != pa.from_numpy_dtype(codes.dtype):
        return None
    return _copied(empty.type, codes, Validity.NEGATIVE, copy)._replace(dictionary=empty.dictionary)


_MOST_REMEMBERED = 64
_MOST_BYTES = 16 << 10
_without_rows_of: dict[tuple[int, bool, Any], tuple[Any, pa.DictionaryArray]] = {}


def _without_rows(array: Any) -> pa.DictionaryArray:
    """A categorical's type and dictionary, as PyArrow makes them; made once for the same small categories."""
    categories = internals.array_of_index(array.categories)
    key = id(categories), array.ordered, internals.codes_of(array).dtype
    entry = _without_rows_of.get(key)
    if entry is not None:  # it keeps the categories, so that no others have their id
        return entry[1]
    empty: pa.DictionaryArray = pa.array(array[:0], from_pandas=True)
    if empty.dictionary.get_total_buffer_size() <= _MOST_BYTES:
        if len(_without_rows_of) >= _MOST_REMEMBERED:
            _without_rows_of.clear()
        _without_rows_of[key] = categories, empty
    return empty


_PLANS: dict[str, Callable[[Any, pa.DataType | None, bool, bool], ArrayColumn | None]] = {
    "numpy": _plan_numpy,
    "datetimetz": _plan_zoned,
    "masked": _plan_masked,
    "category": _plan_categorical,
}
