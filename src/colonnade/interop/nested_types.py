"""Arrow types with other types inside: the same structure, with some of its parts replaced.

Does not depend on: values, files.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.types as pt


def replaced(type_: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """The type with ``change`` applied to each innermost type; an equal type if that changes nothing.

    Dictionaries and extension types count as innermost. Unions, run ends and list views stay as they are.
    """
    if isinstance(type_, pa.BaseExtensionType) or not type_.num_fields:
        return change(type_)
    make = next((make for is_it, make in _MAKERS if is_it(type_)), None)
    if make is None:
        return type_
    fields = [type_.field(number) for number in range(type_.num_fields)]
    types = [replaced(field.type, change) for field in fields]
    if types == [field.type for field in fields]:
        return type_
    return make(type_, [field.with_type(part) for part, field in zip(types, fields, strict=True)])


_MAKERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, list[pa.Field]], pa.DataType]], ...] = (
    (pt.is_struct, lambda _, fields: pa.struct(fields)),
    (pt.is_list, lambda _, fields: pa.list_(fields[0])),
    (pt.is_large_list, lambda _, fields: pa.large_list(fields[0])),
    (pt.is_fixed_size_list, lambda type_, fields: pa.list_(fields[0], type_.list_size)),
    (pt.is_map, lambda type_, fields: pa.map_(*fields[0].type.fields, keys_sorted=type_.keys_sorted)),
)
