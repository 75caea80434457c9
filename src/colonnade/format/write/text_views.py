"""Which columns of a table get views beside their text.

Does not depend on: places, values.
"""

from __future__ import annotations

from colonnade.core.text_views import has_offsets
from colonnade.format.write.table import TablePlan


def view_fields(plan: TablePlan, *, views: bool) -> list[int]:
    """The fields that get views: what came in view layout; with ``views``, all text and bytes."""
    return [
        field
        for field, column in enumerate(plan.columns)
        if column.came_as_views or (views and has_offsets(column.flat.type))
    ]
