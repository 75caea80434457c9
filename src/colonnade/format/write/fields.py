"""The fields of a schema that are a name and a type.

Does not depend on: columns, values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class NamedTypes(Sequence[tuple[str, pa.DataType]]):
    """A sequence of (name, type), without a tuple for each that stays.

    Python's garbage collector runs after each few hundred new tuples: 15 times for 10,000 columns.
    """

    names: Sequence[str]
    types: Sequence[pa.DataType]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> tuple[str, pa.DataType]: ...
    @overload
    def __getitem__(self, at: slice) -> NamedTypes: ...
    def __getitem__(self, at: int | slice) -> tuple[str, pa.DataType] | NamedTypes:
        if isinstance(at, slice):
            return NamedTypes(self.names[at], self.types[at])
        return self.names[at], self.types[at]

    def __iter__(self) -> Iterator[tuple[str, pa.DataType]]:
        return zip(self.names, self.types, strict=True)
