"""Groups the columns of an Arrow table that are read in the same way; thousands of columns are a handful of groups.

What decides is a column's type, whether it has nulls, the options and the rules.
Does not depend on: memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.table_head import Head
from colonnade.interop.pandas_options import PandasOptions
from colonnade.rules import Reading, Rule, dtype_for, rule_for


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Columns of one Arrow type that become one dtype in one way.

    ``members`` are their numbers among the imported columns; it is empty if they were not imported. ``is_given`` says
    that the caller or the metadata chose the dtype, not the rules. ``is_encoded`` says that PyArrow makes a dictionary
    of each column first.
    """

    arrow: pa.DataType
    dtype: Any
    nulls: bool
    rule: Rule
    positions: npt.NDArray[np.intp]
    members: npt.NDArray[np.intp]
    is_given: bool
    is_encoded: bool = False


def is_imported(type_: pa.DataType) -> bool:
    """Whether the core reads a type itself: it is a validity bitmap and one buffer."""
    return bool(
        pt.is_integer(type_)
        or pt.is_floating(type_)
        or pt.is_boolean(type_)
        or pt.is_timestamp(type_)
        or pt.is_duration(type_)
        or pt.is_date(type_)
        or pt.is_dictionary(type_)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The columns of one head by what they have in common, whatever their values are.

    ``kinds`` are (type, given dtype or None, whether it is encoded, positions); ``import_positions`` are the positions
    of the columns that the core reads, in order.
    """

    kinds: tuple[tuple[pa.DataType, Any, bool, npt.NDArray[np.intp]], ...]
    import_positions: npt.NDArray[np.intp]


def kinds_of(head: Head) -> Kinds:
    """Find the columns of each type, and those that the core reads."""
    kinds = tuple(_kinds(head))
    to_import = [positions for type_, _, is_encoded, positions in kinds if is_imported(type_) and not is_encoded]
    return Kinds(kinds, np.sort(np.concatenate([*to_import, np.empty(0, np.intp)])))


def group_columns(kinds: Kinds, has_nulls: npt.NDArray[np.bool_], options: PandasOptions) -> list[Group]:
    """Group columns; ``has_nulls`` has an item for each imported column."""
    flags = options.flags()
    groups = []
    for type_, mapped_dtype, is_encoded, positions in kinds.kinds:
        is_given = mapped_dtype is not None
        if is_encoded or not is_imported(type_):
            dtype = mapped_dtype if is_given else np.dtype(object)
            rule = _CONVERTED if is_encoded else rule_for(type_, dtype, False)
            groups.append(Group(type_, dtype, False, rule, positions, positions[:0], is_given, is_encoded))
            continue
        members = np.searchsorted(kinds.import_positions, positions)
        nulls_here = has_nulls[members]
        for nulls, mask in ((False, ~nulls_here), (True, nulls_here)):
            if mask.any():
                dtype = mapped_dtype if is_given else dtype_for(type_, nulls, flags)
                rule = rule_for(type_, dtype, nulls)
                groups.append(Group(type_, dtype, nulls, rule, positions[mask], members[mask], is_given))
    return [_as_read_from_memory(group, options) for group in groups]


def _kinds(head: Head) -> Iterator[tuple[pa.DataType, Any, bool, npt.NDArray[np.intp]]]:
    """(type, given dtype or None, whether it is encoded, positions) of the columns that have these in common."""
    is_special = np.zeros(len(head.kinds), bool)
    is_special[[*head.encoded_positions, *head.extension_dtypes]] = True
    for kind, type_ in enumerate(head.types):
        positions = head.positions(kind)
        special = positions[is_special[positions]]
        if len(special) < len(positions):
            yield type_, None, False, positions[~is_special[positions]] if len(special) else positions
        parts: dict[tuple[Any, bool], list[int]] = {}
        for position in special.tolist():
            parts.setdefault((head.extension_dtypes.get(position), position in head.encoded_positions), []).append(
                position
            )
        for (dtype, is_encoded), where in parts.items():
            yield type_, dtype, is_encoded, np.array(where, np.intp)


_CONVERTED = rule_for(pa.null(), np.dtype(object), False)


def _as_read_from_memory(group: Group, options: PandasOptions) -> Group:
    """The group as `to_pandas` reads it; the rules for stored tables do not always hold for other tables."""
    reading = group.rule.reading
    if (
        # A given dtype makes its own array from Arrow data, except where that array is known to be values and a mask,
        # or wrapped text.
        (group.is_given and reading not in (Reading.MASKED, Reading.STRING))
        # pandas masks NaN as well, and casts values of another type.
        or (reading is Reading.MASKED and not _is_masked_as_it_is(group.arrow, group.dtype))
        or (reading is Reading.REPEATED and not options.deduplicate_objects)
    ):
        return replace(group, rule=_CONVERTED)
    return group


def _is_masked_as_it_is(arrow: pa.DataType, dtype: Any) -> bool:
    return not pt.is_floating(arrow) and bool(arrow == pa.from_numpy_dtype(dtype.numpy_dtype))
