"""The tables that may go by reference: how large each is, and whether it would come back exactly as it was.

Does not depend on: picklers, files. Polars is not imported for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from colonnade.interop.pandas import block_values

if TYPE_CHECKING:
    from colonnade.format.write.table import TablePlan

# The way back of a table that is read as it is stored.
AS_STORED = "as stored"


class Kind(NamedTuple):
    """One type of tables.

    ``way_back`` gives what ``read`` needs to make an equal table of what is planned for it; None: there is no way.
    ``way_back_of_snapshot`` gives it for a table that may have been made of a snapshot; None: there is no way.
    """

    name: str
    library: str
    type_name: str
    nbytes: Callable[[Any], int]
    may_go: Callable[[Any], bool]
    way_back: Callable[[Any, TablePlan], Any]
    way_back_of_snapshot: Callable[[Any], Any]
    read: Callable[[Any, Any], Any]


def _pandas_nbytes(frame: Any) -> int:
    return sum(int(block.nbytes) for block in block_values(frame))


def _holds_no_objects(frame: Any) -> bool:
    """Whether the frame contains no Python objects. Arrow would change some of them: a list comes back as an array."""
    levels = [level for index in (frame.index, frame.columns) for level in getattr(index, "levels", [index])]
    dtypes = [values.dtype for values in (*block_values(frame), *levels)]
    return np.dtype(object) not in [getattr(getattr(dtype, "categories", None), "dtype", dtype) for dtype in dtypes]


def _stored_schema(plan: TablePlan) -> pa.Schema:
    return pa.schema(plan.fields, plan.metadata or None)


def _arrow_way_back(table: pa.Table, plan: TablePlan) -> Any:
    """Strings are stored large; the table's own schema makes them what they were, where Arrow can do that."""
    try:
        _stored_schema(plan).empty_table().cast(table.schema)
    except pa.ArrowException:
        return None
    return _serialized(table.schema)


def _serialized(schema: pa.Schema) -> bytes | None:
    """The bytes of a schema, because its pickle forgets which maps have sorted keys; None where Arrow has none."""
    try:
        serialized = schema.serialize().to_pybytes()
        return serialized if _same(pa.ipc.read_schema(pa.py_buffer(serialized)), schema) else None
    except pa.ArrowException:  # a dictionary of an extension type
        return None


def _read_arrow(snapshot: Any, serialized: bytes) -> pa.Table:
    table, schema = snapshot.to_arrow(), pa.ipc.read_schema(pa.py_buffer(serialized))
    return table.replace_schema_metadata(schema.metadata) if _same(table.schema, schema) else table.cast(schema)


def _same(one: pa.Schema, other: pa.Schema) -> bool:
    return bool(one.equals(other, check_metadata=False)) and all(
        mine.metadata == theirs.metadata for mine, theirs in zip(one, other, strict=True)
    )


def _polars_way_back(frame: Any, plan: TablePlan) -> Any:
    from colonnade.interop.polars import from_arrow

    return AS_STORED if from_arrow(_stored_schema(plan).empty_table()).schema == frame.schema else None


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "pandas", "pandas", "DataFrame", _pandas_nbytes, _holds_no_objects,
            lambda _frame, _plan: AS_STORED,
            lambda _: AS_STORED,
            lambda snapshot, _: snapshot.to_pandas(),
        ),
        Kind(
            "polars", "polars", "DataFrame", lambda frame: int(frame.estimated_size()), lambda _: True,
            _polars_way_back,
            lambda _: AS_STORED,
            lambda snapshot, _: snapshot.to_polars(),
        ),
        Kind(
            "pyarrow", "pyarrow", "Table", lambda table: int(table.nbytes), lambda _: True,
            _arrow_way_back,
            lambda table: _serialized(table.schema),
            _read_arrow,
        ),
    )
}  # fmt: skip


def imported() -> tuple[str, ...]:
    """The libraries that are imported; no program has a table of another one."""
    return tuple(kind.library for kind in KINDS.values() if kind.library in sys.modules)


def types() -> dict[type, Kind]:
    """The types of tables, of the libraries that are imported."""
    return {
        getattr(sys.modules[kind.library], kind.type_name): kind
        for kind in KINDS.values()
        if kind.library in sys.modules
    }


def kind_of(table: Any) -> Kind:
    """The kind of a table, which is of exactly one of the types."""
    return types()[type(table)]
