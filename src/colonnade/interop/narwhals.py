"""A stored table for Narwhals, which libraries use to take frames of any kind. Imported only when Narwhals asks.

``nw.from_native`` calls an object's ``__narwhals_dataframe__``, the hook for types that it does not know. What it wants
there is its own wrapper of a PyArrow table, for which it has no public constructor. Does not depend on: files.
"""

from __future__ import annotations

from typing import Any

import narwhals
import pyarrow as pa


def wrapped(table: pa.Table) -> Any:
    """Narwhals' own wrapper of a PyArrow table."""
    return narwhals.from_native(table, eager_only=True)._compliant_frame
