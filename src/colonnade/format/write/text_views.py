"""Which columns of a table get views beside their text.

Does not depend on: places, values.
"""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.core.text_views import has_offsets
from colonnade.format.write.column import Column


def view_fields(columns: Sequence[Column], *, views: bool) -> list[int]:
    """The fields that get views: what came in view layout; with ``views``, all text and bytes."""
    return [
        field
        for field, column in enumerate(columns)
        if (views or column.came_as_views) and has_offsets(column.flat.type)
    ]
