"""Keeps the envelopes of frames, because PyArrow takes more than 1 us a column for a schema and a file of one row.

A frame that is put again with other values of fixed width has the same envelope: the same names, Arrow types, layout
metadata and dictionaries. The last two are compared by the one row of a column, which is one object for all columns of
a plain type (`column.one_null`). Every other type has a new one for each column, so PyArrow writes its envelope each
time: equal types may differ in what they do not compare, such as the metadata of nested fields.

Does not depend on: columns, values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from colonnade.format.schema import METADATA_KEY
from colonnade.format.write.envelope import Envelope
from colonnade.recent import Recent


class Form(NamedTuple):
    """``repeats`` fields with one and the same row in the envelope."""

    one_row: pa.Array
    repeats: int

    def is_same(self, other: Form) -> bool:
        """Whether both are the same in every envelope."""
        return self.one_row is other.one_row and self.repeats == other.repeats


class Shape(NamedTuple):
    """What is in the schema of a table besides its metadata: ``fields``, ``order`` and ``forms`` as in `TablePlan`."""

    fields: Sequence[pa.Field | tuple[str, pa.DataType]]
    order: Sequence[int]
    forms: Sequence[Form]

    def names(self) -> list[str]:
        """The names of the fields that are a name and a type; other fields may have metadata of their own."""
        return [field[0] for field in self.fields if isinstance(field, tuple)]


class _Kept(NamedTuple):
    names: Sequence[str]
    order: Sequence[int]
    forms: Sequence[Form]
    metadata: Mapping[bytes, bytes]
    envelope: Envelope


# The bytes of all envelopes together.
_KEPT: Recent[_Kept] = Recent(16 << 20)


def envelope_of(
    shape: Shape, metadata: Mapping[bytes, bytes], alignment: int, write: Callable[[], Envelope]
) -> Envelope:
    """The envelope of a table; ``write`` makes it where none is kept."""
    names = shape.names()
    if len(names) < len(shape.fields):
        return write()
    key = alignment, len(names), len(metadata[METADATA_KEY])

    def fits(kept: _Kept) -> bool:
        return (
            kept.metadata == metadata
            and kept.names == names
            and kept.order == shape.order
            and len(kept.forms) == len(shape.forms)
            and all(map(Form.is_same, kept.forms, shape.forms))
        )

    kept = _KEPT.find(key, fits)
    if kept is not None:
        return kept.envelope
    envelope = write()
    _KEPT.add(key, _Kept(names, shape.order, shape.forms, metadata, envelope), envelope.nbytes)
    return envelope
