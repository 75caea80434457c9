"""Arrow data looked at before it is stored: what its producer says of it must be possible.

Other libraries export Arrow data through the C data interface, and nothing on the way checks it. Wrong data would
replace a good version, and end the process that reads it. Does not depend on: how a table is stored.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from colonnade.errors import InvalidDataError, UnsupportedTypeError
from colonnade.format.read.values import check_array


def check_table(table: pa.Table) -> None:
    """Check lengths, offsets at both ends, null counts and the indices of dictionaries.

    The first three take 0.5 us a column, whatever its length; the indices are read once, at 10 GB/s.

    Raises
    ------
    InvalidDataError
    UnsupportedTypeError
        For types that PyArrow cannot read from a file, or at which it ends the process.
    """
    _validate(table)
    for name, column in zip(table.column_names, table.columns, strict=True):
        _check_dictionaries(name, column)


def check_column(name: str, data: pa.ChunkedArray) -> None:
    """Check one column, as `check_table`."""
    _validate(data)
    _check_dictionaries(name, data)


def check_sample(table: pa.Table) -> None:
    """Check the values of a table's first row, which PyArrow converts to find out what pandas makes of it."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pt.is_primitive(column.type):  # it may have any bytes
            continue
        for chunk in column.chunks:
            try:
                check_array(chunk)
            except pa.ArrowException as error:
                raise _invalid(f"column {name!r}: {error}") from error


def _validate(data: pa.Table | pa.ChunkedArray) -> None:
    try:
        data.validate()
    except pa.ArrowException as error:
        raise _invalid(str(error)) from error


def _invalid(reason: str) -> InvalidDataError:
    return InvalidDataError(
        f"the Arrow data is not valid ({reason}), and nothing was stored; the library that made it has to be mended"
    )


def _check_dictionaries(name: str, column: pa.ChunkedArray) -> None:
    if pt.is_primitive(column.type):
        return
    _check_type(name, column.type)
    type_ = column.type.storage_type if isinstance(column.type, pa.BaseExtensionType) else column.type
    if pt.is_dictionary(type_):
        for chunk in column.chunks:
            _check_indices(name, chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk)
    elif contains_dictionary(type_):
        # Those inside of other types are rare, and copied by PyArrow: a full look at them costs as much again.
        for chunk in column.chunks:
            try:
                chunk.validate(full=True)
            except pa.ArrowException as error:
                raise _invalid(f"column {name!r}: {error}") from error


def _check_type(name: str, type_: pa.DataType) -> None:
    if _has_double_dictionary(type_):
        # PyArrow 26 writes files of them that it cannot read, and ends the process when it converts them.
        raise UnsupportedTypeError(
            f"column {name!r} is {type_}: dictionaries of dictionaries cannot be stored, and nothing was; "
            "cast the column to its plain type"
        )
    if _is_lost_in_files(type_):
        raise UnsupportedTypeError(
            f"column {name!r} is {type_}, which PyArrow cannot read from a file: a dictionary of an extension type, "
            "or an extension type of run ends or a union, inside of another type; cast the column to the storage of "
            "its type. Nothing was stored"
        )
    if _ends_process(type_):
        raise UnsupportedTypeError(
            f"column {name!r} is {type_}, at which PyArrow ends the process: an extension type of a dictionary, "
            "a zoned time or a union; cast the column to the storage of its type. Nothing was stored"
        )
    if _runs_end_process(type_):
        raise UnsupportedTypeError(
            f"column {name!r} is {type_}, at which PyArrow ends the process: run ends of a zoned time, or of list "
            "views; decode the column, as with pyarrow.compute.run_end_decode. Nothing was stored"
        )


def _check_indices(name: str, array: pa.DictionaryArray) -> None:
    try:
        array.dictionary.validate(full=True)  # its values are compared with each other
    except pa.ArrowException as error:
        raise _invalid(f"column {name!r}: the dictionary: {error}") from error
    bounds = pc.min_max(array.indices)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is not None and not 0 <= low <= high < len(array.dictionary):
        raise _invalid(
            f"column {name!r}: indices from {low} to {high} in a dictionary of {len(array.dictionary)} values"
        )


def contains_dictionary(type_: pa.DataType) -> bool:
    """Whether a type is a dictionary, or has one inside."""
    return _contains(type_, pt.is_dictionary)


def _ends_process(type_: pa.DataType, *, inside: bool = False) -> bool:
    """Whether PyArrow 26 ends the process when it converts a type, or makes a null of it (unions inside of others)."""
    if not isinstance(type_, pa.BaseExtensionType):
        return any(_ends_process(type_.field(number).type, inside=True) for number in range(type_.num_fields))
    storage = _storage(type_)
    if inside:
        return pt.is_dictionary(storage) or pt.is_union(storage) or _ends_process(storage, inside=True)
    is_fatal = pt.is_dictionary(storage) or (pt.is_timestamp(storage) and storage.tz is not None)
    return (is_fatal and not _has_pandas_dtype(type_)) or _ends_process(storage)


def _runs_end_process(type_: pa.DataType) -> bool:
    """Whether PyArrow 26 ends the process when it converts run ends: of zoned times, or of list views."""
    if pt.is_run_end_encoded(type_) and pt.is_timestamp(type_.value_type) and type_.value_type.tz is not None:
        return True
    return _contains(type_, lambda part: pt.is_run_end_encoded(part) and _contains(part, _is_list_view))


def _is_list_view(type_: pa.DataType) -> bool:
    return bool(pt.is_list_view(type_) or pt.is_large_list_view(type_))


def _is_lost_in_files(type_: pa.DataType, *, inside: bool = False) -> bool:
    """Whether PyArrow 26 writes a type into files in a way that it cannot read, or that is not valid.

    A field has one name of an extension type, which is that of the dictionary's values. PyArrow takes it for that of
    the dictionary, and Colonnade leaves it out where it is the whole column.
    """
    if isinstance(type_, pa.BaseExtensionType):
        inside = inside or isinstance(type_.storage_type, pa.BaseExtensionType)
        type_ = _storage(type_)
        if inside and (pt.is_run_end_encoded(type_) or pt.is_union(type_)):
            return True
    elif inside and pt.is_dictionary(type_) and isinstance(type_.value_type, pa.BaseExtensionType):
        return True
    return any(_is_lost_in_files(type_.field(number).type, inside=True) for number in range(type_.num_fields))


def _contains(type_: pa.DataType, is_that: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is of a kind, or has one inside."""
    type_ = _storage(type_)
    return is_that(type_) or any(_contains(type_.field(number).type, is_that) for number in range(type_.num_fields))


def _storage(type_: pa.DataType) -> pa.DataType:
    """The type in which the values of an extension type are stored; another type is its own."""
    while isinstance(type_, pa.BaseExtensionType):
        type_ = type_.storage_type
    return type_


def _has_pandas_dtype(type_: pa.BaseExtensionType) -> bool:
    try:
        type_.to_pandas_dtype()
    except NotImplementedError:
        return False
    return True


def _has_double_dictionary(type_: pa.DataType) -> bool:
    """Whether the values of a dictionary are a dictionary, somewhere in a type."""
    if isinstance(type_, pa.BaseExtensionType):
        return _has_double_dictionary(type_.storage_type)
    if pt.is_dictionary(type_):
        values = type_.value_type
        return pt.is_dictionary(getattr(values, "storage_type", values)) or _has_double_dictionary(values)
    return any(_has_double_dictionary(type_.field(number).type) for number in range(type_.num_fields))
