"""Columns of an Arrow table that are read in the same way, and why each is or is not copied.

Knows: types, nulls, options, the rules. Does not depend on: memory. Thousands of columns are a handful of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.c_stream import ImportedColumns, import_columns
from colonnade.interop.pyarrow import Head
from colonnade.rules import Reading, Rule, codes_dtype, dtype_for, rule_for


@dataclass(slots=True, eq=False)
class Group:
    """Columns of one Arrow type that become one dtype in one way.

    ``members`` are their numbers among the imported columns, where they were imported. ``encoded``: PyArrow is to make
    a dictionary of each first.
    """

    arrow: pa.DataType
    dtype: Any
    nulls: bool
    rule: Rule
    positions: npt.NDArray[np.intp]
    members: npt.NDArray[np.intp]
    extension: bool  # whether the dtype was given, and not the rules' to choose
    encoded: bool = False


def is_imported(type_: pa.DataType) -> bool:
    """Whether a type is a validity bitmap and one buffer that the core reads."""
    return bool(
        pt.is_integer(type_)
        or pt.is_floating(type_)
        or pt.is_boolean(type_)
        or pt.is_timestamp(type_)
        or pt.is_duration(type_)
        or pt.is_date(type_)
        or pt.is_dictionary(type_)
    )


def group_columns(
    head: Head, extension_dtypes: Mapping[int, Any], encoded: set[int], options: Mapping[str, Any]
) -> tuple[list[Group], ImportedColumns]:
    """Group the columns of a table.

    ``extension_dtypes`` are those that are not the rules' to choose, by position. ``encoded`` are the columns that
    PyArrow is to make dictionaries of.
    """
    kinds = list(_kinds(head, extension_dtypes, encoded))
    to_import = [positions for type_, _, is_encoded, positions in kinds if is_imported(type_) and not is_encoded]
    order = np.sort(np.concatenate([*to_import, np.empty(0, np.intp)]))
    imported = import_columns(head.table, order, 0 if options["use_threads"] else 1)
    groups = []
    for type_, extension, is_encoded, positions in kinds:
        if is_encoded or not is_imported(type_):
            dtype = extension if extension is not None else np.dtype(object)
            rule = _CONVERTED if is_encoded else rule_for(type_, dtype, False)
            groups.append(Group(type_, dtype, False, rule, positions, positions[:0], extension is not None, is_encoded))
            continue
        members = np.searchsorted(order, positions)
        has_nulls = imported.nulls[members] > 0
        for nulls, chosen in ((False, ~has_nulls), (True, has_nulls)):
            if chosen.any():
                dtype = extension if extension is not None else dtype_for(type_, nulls, options)
                rule = rule_for(type_, dtype, nulls)
                parts = positions[chosen], members[chosen]
                groups.append(Group(type_, dtype, nulls, rule, *parts, extension is not None))
    return [_settled(group, options) for group in groups], imported


def _kinds(
    head: Head, extension_dtypes: Mapping[int, Any], encoded: set[int]
) -> Iterator[tuple[pa.DataType, Any, bool, npt.NDArray[np.intp]]]:
    """(type, extension dtype or None, whether it is encoded, positions)."""
    is_special = np.zeros(len(head.kinds), bool)
    is_special[[*encoded, *extension_dtypes]] = True
    for kind, type_ in enumerate(head.types):
        positions = head.positions(kind)
        special = positions[is_special[positions]]
        if len(special) < len(positions):
            yield type_, None, False, positions[~is_special[positions]] if len(special) else positions
        parts: dict[tuple[Any, bool], list[int]] = {}
        for position in special.tolist():
            parts.setdefault((extension_dtypes.get(position), position in encoded), []).append(position)
        for (extension, is_encoded), where in parts.items():
            yield type_, extension, is_encoded, np.array(where, np.intp)


_CONVERTED = rule_for(pa.null(), np.dtype(object), False)


def _settled(group: Group, options: Mapping[str, Any]) -> Group:
    """The group as `to_pandas` reads it: what the rules say of stored tables does not always hold for others."""
    reading = group.rule.reading
    dtype = group.dtype
    if (
        # A given dtype makes itself of Arrow data, but where that is known to be values and a mask, or wrapped text.
        (group.extension and reading not in (Reading.MASKED, Reading.STRING))
        # pandas masks NaN as well, and casts what is of another type.
        or (reading is Reading.MASKED and not _is_masked_as_it_is(group.arrow, dtype))
        or (reading is Reading.REPEATED and not options["deduplicate_objects"])
    ):
        group.rule = _CONVERTED
    return group


def _is_masked_as_it_is(arrow: pa.DataType, dtype: Any) -> bool:
    return not pt.is_floating(arrow) and bool(arrow == pa.from_numpy_dtype(dtype.numpy_dtype))


def bytes_copied(group: Group, column: pa.ChunkedArray) -> int:
    """How many bytes are written for a column that is copied; of Python objects, the pointers."""
    rows, reading = len(column), group.rule.reading
    if reading is Reading.STRING:
        return sum(8 * (len(chunk) + 1) for chunk in column.chunks)
    if reading is Reading.CODES:
        counts = [len(chunk.dictionary) for chunk in column.chunks]
        if _shares_codes(group, column):
            return int(column.chunk(0).dictionary.nbytes)
        return rows * np.dtype(codes_dtype(max(counts, default=0))).itemsize
    if reading is Reading.MASKED:
        return rows * int(group.dtype.numpy_dtype.itemsize + 1)
    return int(column.nbytes) if group.extension else rows * int(group.dtype.itemsize)


_WHY = {
    Reading.BYTES: "its bits become bytes",
    Reading.FLOAT64: "integers with nulls become float64",
    Reading.SCALED: "its times change their unit",
    Reading.MASKED: "it gets a mask of bytes",
    Reading.REPEATED: "pandas holds Python objects here; each distinct one is made once",
    Reading.CONVERTED: "pandas holds Python objects here; PyArrow makes them",
}


def why_copied(group: Group, column: pa.ChunkedArray, options: Mapping[str, Any]) -> str:
    """Why a column of the group is copied; empty where it is not."""
    reading, chunks = group.rule.reading, column.num_chunks
    if reading is Reading.VALUES:
        if not options["split_blocks"]:
            return "pandas keeps all columns of a dtype in one block; split_blocks=True gives each its own"
        if group.nulls:
            return "its null slots are filled with NaN or NaT"
        return f"it has {chunks} chunks" if chunks != 1 else ""
    if reading is Reading.CODES:
        return _why_codes(group, column)
    if reading is Reading.STRING:
        return "its offsets become 64 bits wide" if pt.is_string(group.arrow) else ""
    if reading is Reading.CONVERTED and group.extension:
        return f"pandas makes {group.dtype} of it"
    return _WHY.get(reading, "")


def _shares_codes(group: Group, column: pa.ChunkedArray) -> bool:
    """Whether the indices are pandas' codes as they are."""
    if group.nulls or column.num_chunks != 1:
        return False
    return str(group.arrow.index_type) == codes_dtype(len(column.chunk(0).dictionary))


def _why_codes(group: Group, column: pa.ChunkedArray) -> str:
    if group.nulls or column.num_chunks != 1:
        return "codes are one array, with -1 for null"
    if not _shares_codes(group, column):
        count = len(column.chunk(0).dictionary)
        return f"its indices are {group.arrow.index_type}, and the codes of {count} categories {codes_dtype(count)}"
    if not pt.is_primitive(group.arrow.value_type):
        return f"categories are made of its dictionary of {group.arrow.value_type}"
    return ""
