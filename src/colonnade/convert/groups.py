"""Columns of an Arrow table that are read in the same way, and why each is or is not copied.

Knows: types, nulls, options, the rules. Must not know: memory. Thousands of columns are a handful of groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade.convert.rules import Reading, Rule, dtype_for, family, rule_for
from colonnade.convert.walk import Walked, walk


@dataclass(slots=True, eq=False)
class Group:
    """Columns of one Arrow type that become one dtype in one way.

    ``members`` are their numbers among the walked columns, where they were walked.
    """

    arrow: pa.DataType
    dtype: Any
    nulls: bool
    rule: Rule
    positions: npt.NDArray[np.intp]
    members: npt.NDArray[np.intp]


def is_walked(type_: pa.DataType) -> bool:
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
    table: pa.Table, extension_dtypes: Mapping[int, Any], encoded: set[int], options: Mapping[str, Any]
) -> tuple[list[Group], Walked]:
    """Group the columns of a table.

    ``extension_dtypes`` are those that are not the rules' to choose, by position. ``encoded`` are the columns that
    PyArrow is to make categorical.
    """
    kinds: dict[tuple[pa.DataType, Any, bool], list[int]] = {}
    for position, type_ in enumerate(table.schema.types):
        kinds.setdefault((type_, extension_dtypes.get(position), position in encoded), []).append(position)
    chosen_positions = [p for (type_, _, by), where in kinds.items() if is_walked(type_) and not by for p in where]
    order = np.array(sorted(chosen_positions), np.intp)
    walked = walk(table, order)
    groups = []
    for (type_, extension, by_pyarrow), where in kinds.items():
        positions = np.array(where, np.intp)
        if by_pyarrow or not is_walked(type_):
            dtype = extension if extension is not None else np.dtype(object)
            groups.append(Group(type_, dtype, False, rule_for(type_, dtype, False), positions, positions[:0]))
            continue
        members = np.searchsorted(order, positions)
        has_nulls = walked.nulls[members] > 0
        for nulls in (False, True):
            chosen = has_nulls if nulls else ~has_nulls
            if not chosen.any():
                continue
            dtype = extension if extension is not None else dtype_for(type_, nulls, options)
            rule = rule_for(type_, dtype, nulls)
            groups.append(Group(type_, dtype, nulls, rule, positions[chosen], members[chosen]))
    return [_settled(group, options) for group in groups], walked


_CONVERTED = rule_for(pa.null(), np.dtype(object), False)


def _settled(group: Group, options: Mapping[str, Any]) -> Group:
    """The group as `to_pandas` reads it: what the rules say of stored tables does not always hold for others."""
    reading = group.rule.reading
    dtype = group.dtype
    if (
        (reading is Reading.REPEATED and not options["deduplicate_objects"])
        # pandas masks NaN as well, and casts what is of another type.
        or (reading is Reading.MASKED and not _is_masked_as_it_is(group.arrow, dtype))
        or (reading is Reading.VALUES and family(dtype) == "period")
        or (reading is Reading.INTERVAL)
    ):
        group.rule = _CONVERTED
    return group


def _is_masked_as_it_is(arrow: pa.DataType, dtype: Any) -> bool:
    return not pt.is_floating(arrow) and bool(arrow == pa.from_numpy_dtype(dtype.numpy_dtype))


_WHY = {
    Reading.BYTES: "its bits become bytes",
    Reading.FLOAT64: "integers with nulls become float64",
    Reading.SCALED: "its times change their unit",
    Reading.CODES: "its indices become codes of categories",
    Reading.MASKED: "it gets a mask of bytes",
    Reading.REPEATED: "pandas holds Python objects here; each distinct one is made once",
    Reading.CONVERTED: "pandas holds Python objects here; PyArrow makes them",
}


def why_copied(group: Group, chunks: int, options: Mapping[str, Any]) -> str:
    """Why a column of the group is copied; empty where it is not."""
    reading = group.rule.reading
    if reading is Reading.VALUES:
        if not options["split_blocks"]:
            return "pandas keeps all columns of a dtype in one block; split_blocks=True gives each its own"
        if group.nulls:
            return "its null slots are filled with NaN or NaT"
        return f"it has {chunks} chunks" if chunks != 1 else ""
    if reading is Reading.STRING:
        return "its offsets become 64 bits wide" if pt.is_string(group.arrow) else ""
    if reading is Reading.CONVERTED and family(group.dtype) != "numpy":
        return f"pandas makes {group.dtype} of it"
    return _WHY.get(reading, "")
