"""The options of a conversion to pandas, as one value.

Does not depend on: PyArrow's code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class PandasOptions:
    """The options of ``pyarrow.Table.to_pandas``, with PyArrow's names and defaults.

    Values are used as PyArrow uses them: any object that has a truth value may stand for a bool.
    """

    memory_pool: Any = None
    categories: Any = None
    strings_to_categorical: bool = False
    zero_copy_only: bool = False
    integer_object_nulls: bool = False
    date_as_object: bool = True
    timestamp_as_object: bool = False
    use_threads: bool = True
    deduplicate_objects: bool = True
    ignore_metadata: bool = False
    safe: bool = True
    split_blocks: bool = False
    self_destruct: bool = False
    maps_as_pydicts: str | None = None
    types_mapper: Callable[[pa.DataType], Any] | None = None
    coerce_temporal_nanoseconds: bool = False

    def __post_init__(self) -> None:
        if self.maps_as_pydicts is not None and not isinstance(self.maps_as_pydicts, str):
            raise TypeError(f"maps_as_pydicts must be 'lossy', 'strict' or None, got {self.maps_as_pydicts!r}")

    @classmethod
    def names(cls) -> list[str]:
        """The names of all options."""
        return [option.name for option in fields(cls)]

    def flags(self) -> frozenset[str]:
        """The names of the options that are on and change which dtype a column gets."""
        return frozenset(
            name
            for name in (
                "integer_object_nulls",
                "date_as_object",
                "timestamp_as_object",
                "coerce_temporal_nanoseconds",
            )
            if getattr(self, name)
        )

    def category_names(self) -> Sequence[str]:
        """The columns that become categorical."""
        return self.categories or ()
