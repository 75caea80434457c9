"""Plans one pandas column. The jobs read the column's own memory where that is possible.

`format.write.objects` first makes Arrow arrays of columns of Python objects.
Does not depend on: files, places, frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.core.jobs import Job, PandasBuffer, Piece, Validity, Values
from colonnade.core.regions import Region
from colonnade.dtype_kinds import codes_dtype, dtype_kind
from colonnade.errors import UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.dtypes import encode_dtype, encode_plain_dtype
from colonnade.format.labels import index_freq, index_name
from colonnade.format.read.column import from_arrow, is_wrapped_string
from colonnade.format.write.arrow_check import check_column
from colonnade.format.write.arrow_column import (
    arrow_column,
    categorical_layout,
    chunks_of,
    converted_layout,
    masked_layout,
    objects_layout,
    values_layout,
)
from colonnade.format.write.column import Column, Flat, MakeLayout, Node, bitmap_region, block_region, one_null
from colonnade.format.write.flatten import flatten, widen_strings
from colonnade.format.write.null_kinds import unify_nulls
from colonnade.format.write.objects import to_arrow
from colonnade.format.zones import arrow_zone
from colonnade.interop import pandas as internals
from colonnade.rules import Reading

_NAN = {2: Validity.NAN16, 4: Validity.NAN32, 8: Validity.NAN64}


def _piece(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None = None) -> Piece:
    data: tuple[int, bool] = values.__array_interface__["data"]
    validity = 0 if mask is None else int(mask.__array_interface__["data"][0])
    return Piece(data[0], values.strides[-1], validity, 0, values.shape[-1])


def _count(values: npt.NDArray[Any]) -> int:
    """Of how many columns these are the values."""
    return 1 if values.ndim == 1 else len(values)


def _step(values: npt.NDArray[Any]) -> int:
    """Bytes from the values of one column to those of the next."""
    return 0 if values.ndim == 1 else values.strides[0]


def _flat(type_: pa.DataType, job: Job) -> Flat:
    return Flat(type_, (Node(job.rows, job, (job.bitmap, job.values)),), (job,))


def _leaf(
    type_: pa.DataType,
    job: Job,
    reading: Reading,
    block: tuple[str | schema.ZonedDtype, Region] | None = None,
) -> Column:
    return Column(_flat(type_, job), one_null(type_), reading, block, count=job.count)


class _Form(NamedTuple):
    """What all columns of one dtype have in common, when they stand in a block."""

    type: pa.DataType
    validity: Validity
    dtype_layout: str | schema.ZonedDtype
    one_row: pa.Array


@lru_cache(256)
def _form(dtype: np.dtype[Any]) -> _Form:
    """The form of a NumPy dtype. It is kept, because to make it takes longer than all else of a column.

    Raises
    ------
    UnsupportedTypeError
    """
    if dtype.kind not in "iufmM" or dtype.itemsize > 8:
        raise UnsupportedTypeError(f"Arrow has no type for {dtype}")
    type_ = pa.from_numpy_dtype(dtype)
    validity = _NAN[dtype.itemsize] if dtype.kind == "f" else Validity.NAT if dtype.kind in "mM" else Validity.NONE
    return _Form(type_, validity, encode_plain_dtype(dtype), one_null(type_))


def _in_block(values: npt.NDArray[Any], form: _Form) -> Column:
    job = _values_job(values, form.validity)
    assert job.values is not None
    return Column(_flat(form.type, job), form.one_row, Reading.VALUES, (form.dtype_layout, job.values), count=job.count)


def _values_job(values: npt.NDArray[Any], validity: Validity) -> Job:
    """The job that copies a column; or several, where ``values`` has a row for each."""
    if not values.dtype.isnative:
        raise UnsupportedTypeError("its byte order is not this machine's; use .astype(dtype.newbyteorder('='))")
    rows, count = values.shape[-1], _count(values)
    return Job(
        rows,
        [_piece(values)],
        Values.FIXED,
        width=values.itemsize,
        validity_kind=validity,
        values=block_region(rows * values.itemsize, count),
        bitmap=None if validity is Validity.NONE else bitmap_region(rows, count),
        keep=values,
        count=count,
        source_step=_step(values),
    )


def plain_job(values: npt.NDArray[Any]) -> Job:
    """The job that copies values without nulls, such as the codes of a MultiIndex."""
    return _values_job(values, Validity.NONE)


def _numpy(_: str, values: npt.NDArray[Any]) -> Column:
    kind = values.dtype.kind
    if kind == "O":
        return _object(values)
    if kind == "b":
        return _bool(values)
    return _in_block(values, _form(values.dtype))


def _bool(values: npt.NDArray[np.bool_]) -> Column:
    job = _bits_job(values, Validity.NONE, None)
    assert job.pandas_buffer is not None
    return _leaf(pa.bool_(), job, Reading.BYTES, ("bool", job.pandas_buffer))


def _bits_job(values: npt.NDArray[np.bool_], validity: Validity, mask: npt.NDArray[np.bool_] | None) -> Job:
    rows, count = values.shape[-1], _count(values)
    return Job(
        rows,
        [_piece(values, mask)],
        Values.BYTES_TO_BITS,
        width=1,
        validity_kind=validity,
        pandas_kind=PandasBuffer.BYTES,
        pandas_element="uint8",
        values=bitmap_region(rows, count),
        bitmap=None if mask is None else bitmap_region(rows),
        mask=None if mask is None else Region(rows),
        pandas_buffer=block_region(rows, count),
        keep=(values, mask),
        count=count,
        source_step=_step(values),
    )


def _object(values: Any) -> Column:
    values, nulls = unify_nulls(values)
    array, objects = to_arrow(values)
    if nulls is None:
        return _converted(array, converted_layout(values.dtype, objects))
    codes = Region(len(values))
    column = _converted(array, objects_layout(objects, nulls.kinds, codes))
    return replace(column, flat=replace(column.flat, jobs=(*column.flat.jobs, _null_codes_job(nulls.codes, codes))))


def _null_codes_job(codes: npt.NDArray[np.int8], region: Region) -> Job:
    return Job(
        len(codes),
        [_piece(codes)],
        width=1,
        validity_kind=Validity.NEGATIVE,
        element="int8",
        pandas_kind=PandasBuffer.CODES,
        pandas_element="int8",
        pandas_buffer=region,
        keep=codes,
    )


def _converted(array: Any, layout: MakeLayout) -> Column:
    chunks = chunks_of(array)
    flat = widen_strings(array.type, chunks) if pa.types.is_string(array.type) else flatten(array.type, chunks)
    return Column(flat, one_null(flat.type), Reading.CONVERTED, make_layout=layout)


def _by_pyarrow(values: Any) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, SystemError) as error:
        reason = str(error).splitlines()[0]
        raise UnsupportedTypeError(f"Arrow has no one type for what it holds ({reason})") from error


def _zoned(_: str, values: Any) -> Column:
    # Not kept: zones of two libraries are equal, and each must come back as it was.
    type_ = pa.timestamp(values.dtype.unit, arrow_zone(values.dtype.tz))
    form = _Form(type_, Validity.NAT, encode_plain_dtype(values.dtype), one_null(type_))
    return _in_block(internals.numpy_of(values), form)


def _masked(_: str, array: Any) -> Column:
    values, mask = internals.masked_parts(array)
    values, mask = np.ascontiguousarray(values), np.ascontiguousarray(mask)
    if values.dtype == np.bool_:
        job = _bits_job(values, Validity.MASK, mask)
        region = job.pandas_buffer
    else:
        job = replace(
            _values_job(values, Validity.MASK),
            pieces=[_piece(values, mask)],
            mask=Region(len(values)),
            keep=(values, mask),
        )
        region = job.values
    assert region is not None
    assert job.mask is not None
    column = _leaf(pa.from_numpy_dtype(values.dtype), job, Reading.MASKED)
    return replace(column, make_layout=masked_layout(array.dtype, region, job.mask))


def _categorical(_: str, array: Any) -> Column:
    codes = np.ascontiguousarray(internals.codes_of(array))
    categories = array.categories
    dictionary, objects = _dictionary(categories)
    rows = len(codes)
    # Without a null, Arrow's indices are pandas' codes, and no second buffer is needed. The layout depends on this, so
    # the codes are read now.
    nulls = bool(rows) and int(codes.min()) < 0
    pandas_buffer = Region(rows * codes.itemsize) if nulls else None
    job = Job(
        rows,
        [_piece(codes)],
        Values.FIXED,
        width=codes.itemsize,
        validity_kind=Validity.NEGATIVE if nulls else Validity.NONE,
        element=codes.dtype.name,
        pandas_kind=PandasBuffer.CODES if nulls else PandasBuffer.NONE,
        pandas_element=codes.dtype.name,
        values=Region(rows * codes.itemsize),
        bitmap=bitmap_region(rows) if nulls else None,
        pandas_buffer=pandas_buffer,
        keep=codes,
    )
    type_ = pa.dictionary(pa.from_numpy_dtype(codes.dtype), dictionary.type, ordered=array.ordered)
    codes_type = codes_dtype(len(categories))
    if codes_type != codes.dtype.name:
        raise AssertionError(f"pandas holds {len(categories)} categories as {codes.dtype}")
    layout = schema.Categories(encode_dtype(categories.dtype), index_name(categories), index_freq(categories), objects)
    region = pandas_buffer or job.values
    assert region is not None
    return replace(
        _leaf(type_, job, Reading.CODES),
        one_row=one_null(type_, dictionary),
        make_layout=categorical_layout(region, codes_type, layout, ordered=bool(array.ordered)),
    )


def _dictionary(categories: Any) -> tuple[pa.Array, schema.Objects | None]:
    """Categories as an Arrow dictionary, and the kind of objects in it; None for no objects.

    Raises
    ------
    UnsupportedTypeError
        If they would not come back equal.
    """
    try:
        if categories.dtype == object:
            array, objects = to_arrow(categories.to_numpy())
            if objects.parts:
                raise UnsupportedTypeError(
                    "no one Arrow type holds them; convert them to one, as with .cat.rename_categories(str)"
                )
        else:
            array, objects = _by_pyarrow(categories), None
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(f"its categories: {error}") from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    # PyArrow cannot read a dictionary of an extension type back; the dtype says what it was.
    dictionary = array.storage if isinstance(array, pa.ExtensionArray) else array
    if not _is_exact_dictionary(categories.dtype) and not _restores(dictionary, objects, categories):
        raise UnsupportedTypeError(f"its categories of {categories.dtype} would not come back equal from Arrow")
    return dictionary, objects


def _is_exact_dictionary(dtype: Any) -> bool:
    """Whether Arrow always gives categories of this dtype back equal, so that they need not be compared.

    Columns with many categories have these dtypes, and a comparison takes time.
    """
    return is_wrapped_string(dtype) or (isinstance(dtype, np.dtype) and dtype.kind in "biuf")


def _restores(dictionary: pa.Array, objects: schema.Objects | None, categories: Any) -> bool:
    # PyArrow cannot read a dictionary whose values are dictionaries.
    if _has_dictionary(dictionary.type):
        return False
    try:
        values = from_arrow(dictionary, categories.dtype, objects)
        index = internals.make_index(values, categories.name, None)
        return bool(index.dtype == categories.dtype and type(index) is type(categories) and index.equals(categories))
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        return False


def _has_dictionary(type_: pa.DataType) -> bool:
    return pa.types.is_dictionary(type_) or any(_has_dictionary(type_.field(i).type) for i in range(type_.num_fields))


def _period(_: str, array: Any) -> Column:
    values = internals.numpy_of(array)
    job = _values_job(values, Validity.NAT)
    assert job.values is not None
    column = _leaf(pa.array(array[:0]).type, job, Reading.VALUES)
    return replace(column, make_layout=values_layout(array.dtype, job.values))


def _interval(_: str, array: Any) -> Column:
    subtype = array.dtype.subtype
    if dtype_kind(subtype) not in ("numpy", "datetimetz"):
        raise UnsupportedTypeError(f"Arrow has no form for intervals of {subtype}")
    arrow = _by_pyarrow(array)
    flat = flatten(arrow.type, [arrow])
    left, right = (node.buffers[1] for node in flat.nodes[1:])
    assert left is not None
    assert right is not None
    dtype = encode_dtype(array.dtype)
    assert isinstance(dtype, schema.IntervalDtype)
    return Column(
        flat,
        one_null(arrow.type),
        Reading.INTERVAL,
        make_layout=lambda place, _: schema.Interval(dtype, place(left), place(right)),
    )


def _string(name: str, array: Any) -> Column:
    if array.dtype.storage == "python":
        return _converted(_by_pyarrow(array), converted_layout(array.dtype))
    return _arrow(name, array)


def _arrow(name: str, array: Any) -> Column:
    data = internals.arrow_of(array)
    check_column(name, data)
    return arrow_column(data, array.dtype)


def _other(_: str, array: Any) -> Column:
    raise UnsupportedTypeError(f"its dtype is {array.dtype}, which has no Arrow form")


_COLUMN: dict[str, Callable[[str, Any], Column]] = {
    "numpy": _numpy,
    "datetimetz": _zoned,
    "masked": _masked,
    "category": _categorical,
    "string": _string,
    "arrow": _arrow,
    "period": _period,
    "interval": _interval,
    "other": _other,
}


def are_of_one_form(dtype: Any) -> bool:
    """Whether columns of a dtype differ in their values alone, so that many can be planned as one."""
    return dtype_kind(dtype) == "datetimetz" or (isinstance(dtype, np.dtype) and dtype.kind != "O")


def pandas_column(name: str, array: Any) -> Column:
    """Plan one column; or several that `are_of_one_form`, of an array that has a row for each.

    Raises
    ------
    UnsupportedTypeError
        It says what the column holds, but not its name.
    """
    return _COLUMN[dtype_kind(array.dtype)](name, array)
