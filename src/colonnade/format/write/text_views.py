"""Which columns of a table get views beside their text.

Does not depend on: places, values.
"""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.core.text_views import has_offsets
from colonnade.format.write.column import Column


def view_fields(columns: Sequence[Column], order: Sequence[int], *, views: bool) -> list[int]:
    """The fields that get views: what came in view layout; with ``views``, all text and bytes.

    ``order`` is as in `TablePlan`.
    """
    fields: list[int] = []
    first = 0
    for column in columns:
        if (views or column.came_as_views) and has_offsets(column.flat.type):
            numbers = range(first, first + column.count)
            fields += [order[number] for number in numbers] if order else numbers
        first += column.count
    return sorted(fields)
