"""Say what is in a column: what the readers in this folder print, so that it can be compared with any other reader's.

Times count as the whole numbers they are stored as, and decimals without their point.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any


def describe(name: str, type_: object, nulls: int, values: Iterable[Any]) -> dict[str, Any]:
    """A column's name, its type, how many nulls it has, the sum of its numbers and a digest of its strings."""
    text = hashlib.sha256()
    numbers: list[Any] = []
    for leaf in _leaves(values):
        if isinstance(leaf, str):
            text.update(f"{leaf}\n".encode())
        else:
            numbers.append(leaf)
    total = math.fsum(numbers) if any(isinstance(number, float) for number in numbers) else sum(numbers)
    return {"name": name, "type": str(type_).strip(), "nulls": nulls, "sum": str(total), "text": text.hexdigest()}


def _leaves(value: Any) -> Iterator[Any]:
    """Everything in a value, and in the lists and structs of it, that is not null."""
    match value:
        case None:
            pass
        case str():
            yield value
        case dict():
            yield from _leaves(value.values())
        case Decimal():
            yield int(value.scaleb(-int(value.as_tuple().exponent)))
        case Iterable():
            for item in value:
                yield from _leaves(item)
        case _:
            yield value
