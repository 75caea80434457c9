"""Which objects of a column stand for null, where several do: None beside NaN, as after `concat` and `merge`.

Arrow has one null. So the column is stored with null for all of them, as other readers expect it, and a code for each
row says which one it was.

Does not depend on: what the other objects are, how Arrow arrays are laid out.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from colonnade import _core
from colonnade.format.object_parts import MISSING, ObjectArray
from colonnade.format.schema import NullKind


class NullCodes(NamedTuple):
    """``codes`` are the place in ``kinds`` of what stands for null in each row, and -1 where nothing does."""

    kinds: tuple[NullKind, ...]
    codes: npt.NDArray[np.int8]


def unify_nulls(values: ObjectArray) -> tuple[ObjectArray, NullCodes | None]:
    """The same objects with None for everything that stands for null, and what it was; None if there is one kind."""
    missing = _missing_types(values)
    if len(missing) < 2:
        return values, None
    numbers: dict[Any, int] = {type_: number for number, type_ in enumerate(missing)}
    codes = np.fromiter(map(numbers.get, map(type, values.tolist()), repeat(-1)), np.int8, len(values))
    result = values.copy()
    result[codes >= 0] = None
    return result, NullCodes(tuple(missing.values()), codes)


def _missing_types(values: ObjectArray) -> dict[type, NullKind]:
    types = _core.types_of(values)
    missing: dict[type, NullKind] = {}
    for type_, (kind, _) in MISSING.items():
        if kind != "absent" and type_ in types:
            missing[type_] = kind
    # NaN is a number among numbers, and where there are no other values.
    if len(missing) > 1 and float in missing and (len(missing) == len(types) or has_numbers(values)):
        del missing[float]
    return missing


def has_numbers(values: ObjectArray) -> bool:
    """Whether floats are there that are not NaN, and so no missing values."""
    return any(type(value) is float and not math.isnan(value) for value in values)
