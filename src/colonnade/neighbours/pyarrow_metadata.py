"""The ``pandas`` schema metadata, written by PyArrow itself.

Knows: PyArrow's ``pandas_compat`` module, the parts of it that ``Table.from_pandas`` is made of.
Must not know: how the table is stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.pandas_compat as compat


def field_name(label: Any) -> str:
    """The Arrow name of a column label, as PyArrow writes it."""
    return str(compat._column_name_to_strings(label))


def index_field_name(level: Any, position: int, taken: Sequence[str]) -> str:
    """The Arrow name of an index level, as PyArrow writes it."""
    return str(compat._index_level_name(level, position, list(taken)))


def pandas_metadata(
    df: Any, columns: Sequence[Any], index_levels: Sequence[Any], fields: Sequence[pa.Field]
) -> bytes | None:
    """Make the metadata for a frame whose columns and stored index levels became ``fields``, in that order.

    None where PyArrow has no words for the labels; Arrow readers then get plain columns.
    """
    names = [field.name for field in fields[: len(columns)]]
    stored = iter(fields[len(columns) :])
    descriptors = [
        compat._get_range_index_descriptor(level) if level is df.index and _is_range(level) else next(stored).name
        for level in index_levels
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what PyArrow loses is kept by the second reading
            written = compat.construct_metadata(
                [*columns, *(level for level, d in zip(index_levels, descriptors, strict=True) if isinstance(d, str))],
                df,
                [compat._column_name_to_strings(label) for label in df.columns],
                index_levels,
                descriptors,
                None,
                [field.type for field in fields],
                column_field_names=names,
            )
    except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None
    return bytes(written[b"pandas"])


def _is_range(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"
