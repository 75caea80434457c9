"""Keeps the envelopes of frames, because PyArrow takes more than 1 us a column for a schema and a file of one row.

A frame that is put again with other values of fixed width has the same envelope: the same names, layout metadata,
Arrow types and dictionaries. Types and dictionaries are compared by the one row of a column, which is one object for
all columns of a plain type (`column.one_null`). Every other type has a new one for each column, so PyArrow writes its
envelope each time: equal types may differ in what they do not compare, such as the metadata of nested fields.

Does not depend on: what a column holds, values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from colonnade.format.schema import METADATA_KEY
from colonnade.format.write.column import one_null
from colonnade.format.write.envelope import Envelope
from colonnade.format.write.fields import NamedTypes
from colonnade.recent import Recent


class Shape(NamedTuple):
    """What is in the schema of a table besides its metadata.

    ``fields`` and ``order`` are as in `TablePlan`; ``rows`` are the one row of each column, and ``counts`` how many
    fields it stands for.
    """

    fields: NamedTypes | Sequence[pa.Field]
    order: Sequence[int]
    rows: Sequence[pa.Array]
    counts: Sequence[int]


class _Kept(NamedTuple):
    """An envelope, and what it was made for. The rows are kept so that no other object gets the id of one."""

    names: Sequence[str]
    order: Sequence[int]
    rows: Sequence[pa.Array]
    row_ids: Sequence[int]
    counts: Sequence[int]
    metadata: Mapping[bytes, bytes]
    envelope: Envelope


# The bytes of all envelopes together.
_KEPT: Recent[_Kept] = Recent(16 << 20)


def envelope_of(
    shape: Shape, metadata: Mapping[bytes, bytes], alignment: int, write: Callable[[], Envelope]
) -> Envelope:
    """The envelope of a table; ``write`` makes it where none is kept.

    Fields that are not only a name and a type may have metadata of their own: their envelopes are not kept.
    """
    if not isinstance(shape.fields, NamedTypes):
        return write()
    names, row_ids = shape.fields.names, list(map(id, shape.rows))
    identity = names, shape.order, row_ids, shape.counts, metadata
    key = alignment, len(names), len(metadata[METADATA_KEY])
    kept = _KEPT.find(
        key,
        lambda kept: identity == (kept.names, kept.order, kept.row_ids, kept.counts, kept.metadata),
    )
    if kept is not None:
        return kept.envelope
    envelope = write()
    if all(row is one_null(row.type) for row in shape.rows):  # else it would never be found
        _KEPT.add(
            key, _Kept(names, shape.order, shape.rows, row_ids, shape.counts, metadata, envelope), envelope.nbytes
        )
    return envelope
