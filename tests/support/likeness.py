"""Comparisons of the results of two conversions: frames, tables, exceptions and warnings.

pandas' own comparison is too mild here: to it None is NaN, a list is an array, and one block is three.
"""

import dataclasses
import datetime as dt
import decimal
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


@dataclasses.dataclass
class Outcome:
    """The outcome of a call: a value or an exception, and the warnings."""

    value: object = None
    error: BaseException | None = None
    warned: frozenset = frozenset()

    def __str__(self):
        return f"{type(self.error).__name__}: {self.error}" if self.error is not None else type(self.value).__name__


def outcome(call, *args, **kwargs):
    with warnings.catch_warnings(record=True) as warnings_raised:
        warnings.simplefilter("always")
        try:
            result = Outcome(value=call(*args, **kwargs))
        except Exception as error:
            result = Outcome(error=error)
    result.warned = frozenset(warning.category for warning in warnings_raised)
    return result


def assert_same_outcome(result, expected, assert_same, where=""):
    """The same value, or an exception that a handler of the expected one also catches."""
    if expected.error is None and result.error is not None:
        raise AssertionError(f"{where}: raised {result}") from result.error
    if expected.error is not None:
        assert isinstance(result.error, type(expected.error)), f"{where}: gave {result} instead of {expected}"
    else:
        assert_same(result.value, expected.value, where)
    assert result.warned == expected.warned, f"{where}: warned of {result.warned} instead of {expected.warned}"


# ---- Frames ---------------------------------------------------------------------------------------------------------------------


def assert_same_frame(result, expected, where="frame"):
    """Equal in everything that a program can see, and in how pandas holds it."""
    _same(type(result), type(expected), where, "type")
    _same(result.shape, expected.shape, where, "shape")
    _same(_structure(result), _structure(expected), where, "blocks")
    assert_same_index(result.columns, expected.columns, f"{where}.columns")
    assert_same_index(result.index, expected.index, f"{where}.index")
    assert_same_values(result.attrs, expected.attrs, f"{where}.attrs")
    _same(result.flags, expected.flags, where, "flags")
    for ours, theirs in zip(_blocks(result), _blocks(expected), strict=True):
        place = f"{where}.columns[{list(ours.mgr_locs)}]"
        _same(type(ours), type(theirs), place, "type of the block")
        assert_same_array(ours.values, theirs.values, place)
        if isinstance(theirs.values, np.ndarray) and theirs.values.flags.writeable and theirs.values.size:
            assert ours.values.flags.writeable, f"{place}: read-only"


def _blocks(df):
    return sorted(df._mgr.blocks, key=lambda block: (list(block.mgr_locs), str(block.dtype)))


def _structure(df):
    return [(str(block.dtype), list(block.mgr_locs), block.shape) for block in _blocks(df)]


def _same(result, expected, where, what):
    assert result == expected, f"{where}: {what} is {result!r} instead of {expected!r}"


def assert_same_index(result, expected, where="index"):
    _same(type(result), type(expected), where, "type")
    assert_same_values(list(result.names), list(expected.names), f"{where}.names")
    if isinstance(expected, pd.RangeIndex):
        _same((result.start, result.stop, result.step), (expected.start, expected.stop, expected.step), where, "range")
    elif isinstance(expected, pd.MultiIndex):
        _same(result.nlevels, expected.nlevels, where, "nlevels")
        for i, (ours, theirs) in enumerate(zip(result.levels, expected.levels, strict=True)):
            assert_same_index(ours, theirs, f"{where}.levels[{i}]")
            assert_same_array(result.codes[i], expected.codes[i], f"{where}.codes[{i}]")
    else:
        _same_dtype(result.dtype, expected.dtype, where)
        _same(getattr(result, "freq", None), getattr(expected, "freq", None), where, "freq")
        assert_same_array(result.array, expected.array, where)


def _same_dtype(result, expected, where):
    if result is expected:
        return
    _same(type(result), type(expected), where, "type of the dtype")
    _same(result, expected, where, "dtype")
    _same(str(result), str(expected), where, "dtype")
    if isinstance(expected, pd.DatetimeTZDtype):
        _same(type(result.tz), type(expected.tz), where, "type of the time zone")
    elif isinstance(expected, pd.StringDtype):
        _same(result.storage, expected.storage, where, "storage")
        _same(result.na_value is pd.NA, expected.na_value is pd.NA, where, "missing value is NA")
    elif isinstance(expected, pd.CategoricalDtype):
        _same(result.ordered, expected.ordered, where, "ordered")
        assert_same_index(result.categories, expected.categories, f"{where}.categories")


def assert_same_array(result, expected, where="array"):
    """Two arrays as pandas holds them, bit for bit; what lies under a mask may differ."""
    _same(type(result), type(expected), where, "type")
    _same_dtype(result.dtype, expected.dtype, where)
    _same(result.shape, expected.shape, where, "shape")
    if isinstance(expected, np.ndarray) and expected.dtype == object:
        assert_same_values(result.tolist(), expected.tolist(), where)
    elif isinstance(expected, np.ndarray):
        _same_bytes(result, expected, where)
    elif isinstance(expected, pd.Categorical):
        assert_same_array(result.codes, expected.codes, f"{where}.codes")
    elif hasattr(expected, "_pa_array"):
        assert_same_arrow(result._pa_array, expected._pa_array, where)
    elif hasattr(expected, "_mask"):
        assert_same_array(result._mask, expected._mask, f"{where}.mask")
        assert_same_array(result._data[~expected._mask], expected._data[~expected._mask], where)
    elif isinstance(expected, pd.arrays.IntervalArray):
        _same(result.closed, expected.closed, where, "closed")
        for side in ("left", "right"):
            assert_same_index(getattr(result, side), getattr(expected, side), f"{where}.{side}")
    else:
        _same(getattr(result, "freq", None), getattr(expected, "freq", None), where, "freq")
        assert_same_array(result._ndarray, expected._ndarray, where)


def _same_bytes(result, expected, where):
    if result.tobytes() == expected.tobytes():
        return
    size = expected.dtype.itemsize
    ours, theirs = (np.ascontiguousarray(array).view(f"V{size}").ravel() for array in (result, expected))
    at = int(np.flatnonzero([a.tobytes() != b.tobytes() for a, b in zip(ours, theirs, strict=True)])[0])
    a, b = result.ravel()[at], expected.ravel()[at]
    raise AssertionError(f"{where}: value {at} is {a!r} ({a.tobytes().hex()}) instead of {b!r} ({b.tobytes().hex()})")


NULLS = (None, pd.NA, pd.NaT)
PLAIN = {str, bytes, int, bool, type(None), dt.date}  # that are the same if they are equal and of one type


def assert_same_values(result, expected, where="value"):
    """Two Python objects: of one type, equal, and the same kind of null; containers in all their parts."""
    if type(result) is not type(expected):
        types = [type(value).__name__ for value in (result, expected)]
        raise AssertionError(f"{where}: {result!r} ({types[0]}) instead of {expected!r} ({types[1]})")
    if isinstance(expected, (list, tuple)):
        _same_items(result, expected, where)
    elif isinstance(expected, dict):
        assert_same_values(list(result.items()), list(expected.items()), where)
    elif isinstance(expected, np.ndarray):
        assert_same_array(result, expected, where)
    elif isinstance(expected, (float, np.floating)):
        _same(np.array(result).tobytes(), np.array(expected).tobytes(), where, f"{expected!r}, of which the memory")
    elif any(expected is null for null in NULLS):
        assert result is expected, f"{where}: {result!r} instead of {expected!r}"
    elif isinstance(expected, decimal.Decimal):
        _same(result.as_tuple(), expected.as_tuple(), where, "decimal")
    else:
        _same(result, expected, where, "value")
        _same(getattr(result, "unit", None), getattr(expected, "unit", None), where, "unit")
        zones = [getattr(value, "tzinfo", None) for value in (result, expected)]
        _same(type(zones[0]), type(zones[1]), where, "type of the time zone")
        _same(str(zones[0]), str(zones[1]), where, "time zone")


def _same_items(result, expected, where):
    _same(len(result), len(expected), where, "length")
    types = list(map(type, expected))
    if PLAIN.issuperset(types) and list(map(type, result)) == types and result == expected:
        return
    for i, (a, b) in enumerate(zip(result, expected, strict=True)):
        if a is not b:
            assert_same_values(a, b, f"{where}[{i}]")


# ---- Arrow ----------------------------------------------------------------------------------------------------------------------


def assert_same_table(result, expected, where="table"):
    """Equal schemas with all metadata, equal values and nulls; how the rows are cut into chunks does not matter."""
    _same(type(result), type(expected), where, "type")
    _same(result.shape, expected.shape, where, "shape")
    _same(result.schema.metadata, expected.schema.metadata, where, "metadata")
    for i, (ours, theirs) in enumerate(zip(result.schema, expected.schema, strict=True)):
        assert ours.equals(theirs, check_metadata=True), f"{where}: field {i} is {ours} instead of {theirs}"
        _same(ours.metadata, theirs.metadata, where, f"metadata of field {i}")
    for i, (ours, theirs) in enumerate(zip(result.columns, expected.columns, strict=True)):
        assert_same_arrow(ours, theirs, f"{where}[{i}]")


def assert_same_arrow(result, expected, where="array"):
    """Two Arrow arrays, with or without chunks: floats bit for bit, dictionaries in their order."""
    _same(str(result.type), str(expected.type), where, "type")
    assert result.type.equals(expected.type), f"{where}: type is {result.type!r} instead of {expected.type!r}"
    _same(len(result), len(expected), where, "length")
    if pa.types.is_run_end_encoded(expected.type):
        assert_same_values(result.to_pylist(), expected.to_pylist(), where)
        return
    _same(result.null_count, expected.null_count, where, "null count")
    if result.equals(expected) and not _may_hide(expected.type):
        return
    ours, theirs = (array.chunks if isinstance(array, pa.ChunkedArray) else [array] for array in (result, expected))
    if [len(chunk) for chunk in ours] != [len(chunk) for chunk in theirs]:
        ours, theirs = ([pa.concat_arrays(chunks)] for chunks in (ours, theirs))
    for a, b in zip(ours, theirs, strict=True):
        _same_parts(a, b, where)


def _may_hide(type_):
    """Whether Arrow calls values of the type equal that are not the same: 0.0 and -0.0, or dictionaries in another order."""
    if isinstance(type_, pa.BaseExtensionType):
        return _may_hide(type_.storage_type)
    return pa.types.is_floating(type_) or pa.types.is_dictionary(type_) or any(
        _may_hide(type_.field(i).type) for i in range(type_.num_fields)
    )  # fmt: skip


def _same_parts(result, expected, where):
    type_ = expected.type
    if isinstance(type_, pa.BaseExtensionType):
        assert_same_arrow(result.storage, expected.storage, where)
        return
    if pa.types.is_dictionary(type_):
        assert_same_arrow(result.dictionary, expected.dictionary, f"{where}.dictionary")
        assert result.indices.equals(expected.indices), (
            f"{where}: codes are {result.indices} instead of {expected.indices}"
        )
        return
    assert result.is_valid().equals(expected.is_valid()), f"{where}: nulls are elsewhere"
    if pa.types.is_floating(type_):
        bits = pa.type_for_alias(f"uint{type_.bit_width}")
        ours, theirs = (pc.fill_null(array.view(bits), 0) for array in (result, expected))
        assert ours.equals(theirs), f"{where}: {result} instead of {expected}"
    elif pa.types.is_struct(type_):
        for i in range(type_.num_fields):
            # The fields as they are under the struct's own nulls and offset.
            assert_same_arrow(result.flatten()[i], expected.flatten()[i], f"{where}.{type_.field(i).name}")
    elif pa.types.is_nested(type_) and not pa.types.is_union(type_):
        assert_same_values(_lengths(result), _lengths(expected), f"{where}, lengths")
        if pa.types.is_map(type_):
            pairs = pa.list_(pa.struct([type_.key_field, type_.item_field]))
            _same_parts(result.cast(pairs), expected.cast(pairs), where)
        else:
            assert_same_arrow(result.flatten(), expected.flatten(), f"{where}[]")
    else:
        assert result.equals(expected), f"{where}: {result} instead of {expected}"


def _lengths(array):
    return [None if value is None else len(value) for value in array.to_pylist()]
