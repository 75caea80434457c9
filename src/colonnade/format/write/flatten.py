"""Arrow arrays into nodes, buffers and jobs: the one place that walks through Arrow's physical layouts.

The layouts are https://arrow.apache.org/docs/format/Columnar.html. Does not depend on: pandas, tables, files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from colonnade.core.jobs import Batches, Job, Piece, Validity, Values
from colonnade.core.regions import Region
from colonnade.core.text_views import without_text
from colonnade.errors import UnsupportedTypeError
from colonnade.format.write.column import Flat, Node, Text, bitmap_region, one_null
from colonnade.format.write.envelope import read_message
from colonnade.interop.dictionaries import concatenated
from colonnade.rules import fill_pattern

OFFSET_LIMIT = 2**31 - 1


def _address(buffer: pa.Buffer | None) -> int:
    return 0 if buffer is None else buffer.address


def _has_nulls(arrays: Sequence[pa.Array]) -> bool:
    return any(array.null_count for array in arrays)


def _fixed(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    width = type_.bit_width // 8
    pieces = []
    for array in arrays:
        validity, values = array.buffers()[:2]
        pieces.append(
            Piece(_address(values), width, _address(validity) if array.null_count else 0, array.offset, len(array))
        )
    return _leaf(type_, arrays, pieces, Values.FIXED, width=width, region=Region(sum(map(len, arrays)) * width))


def _bool(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    pieces = []
    for array in arrays:
        validity, values = array.buffers()
        pieces.append(
            Piece(_address(values), 0, _address(validity) if array.null_count else 0, array.offset, len(array))
        )
    return _leaf(type_, arrays, pieces, Values.BITS, width=0, region=bitmap_region(sum(map(len, arrays))))


def _leaf(
    type_: pa.DataType, arrays: Sequence[pa.Array], pieces: list[Piece], values: Values, *, width: int, region: Region
) -> Flat:
    rows = sum(map(len, arrays))
    job = Job(
        rows,
        pieces,
        values,
        width=width,
        validity_kind=Validity.BITS,
        fill=fill_pattern(type_),
        values=region,
        bitmap=bitmap_region(rows) if _has_nulls(arrays) else None,
        keep=Batches(arrays),
    )
    return Flat(type_, (Node(rows, job, (job.bitmap, job.values)),), (job,))


def _offsets(array: pa.Array, wide: bool) -> tuple[int, int, int]:
    """The address of the offsets buffer, and the first and last offset of the array's slice."""
    buffer = array.buffers()[1]
    offsets = np.frombuffer(buffer, np.int64 if wide else np.int32)
    return buffer.address, int(offsets[array.offset]), int(offsets[array.offset + len(array)])


def _variable(
    arrays: Sequence[pa.Array], *, wide: bool, out_wide: bool, type_: pa.DataType
) -> tuple[Flat, list[tuple[int, int]]]:
    """Offsets and validity of strings, binaries, lists and maps; and each array's range of children, (first, last)."""
    rows = sum(map(len, arrays))
    ranges: list[tuple[int, int]] = []
    pieces: list[Piece] = []
    total = 0
    for array in arrays:
        address, first, last = _offsets(array, wide)
        validity = _address(array.buffers()[0]) if array.null_count else 0
        pieces.append(Piece(address, 0, validity, array.offset, len(array), total))
        ranges.append((first, last))
        total += last - first
    width = 8 if out_wide else 4
    offsets = Region((rows + 1) * width)
    job = Job(
        rows,
        pieces,
        Values.OFFSETS64 if wide else Values.OFFSETS32,
        out_width=width,
        validity_kind=Validity.BITS,
        values=offsets,
        bitmap=bitmap_region(rows) if _has_nulls(arrays) else None,
        keep=Batches(arrays),
    )
    last_offset = (offsets, rows * width, total.to_bytes(width, "little"))
    return Flat(type_, (Node(rows, job, (job.bitmap, offsets)),), (job,), (last_offset,)), ranges


def _total(arrays: Sequence[pa.Array], wide: bool) -> int:
    return sum(last - first for _, first, last in (_offsets(array, wide) for array in arrays))


def _binary(type_: pa.DataType, arrays: Sequence[pa.Array], large: pa.DataType, *, wide: bool, widen: bool) -> Flat:
    out_wide = wide or widen or _total(arrays, wide) > OFFSET_LIMIT
    flat, ranges = _variable(arrays, wide=wide, out_wide=out_wide, type_=large if out_wide else type_)
    pieces = [
        Piece(_address(array.buffers()[2]), 1, 0, first, last - first)
        for array, (first, last) in zip(arrays, ranges, strict=True)
    ]
    size = sum(piece.length for piece in pieces)
    data = Job(size, pieces, Values.FIXED, width=1, values=Region(size), keep=Batches(arrays))
    (node,) = flat.nodes
    return replace(flat, nodes=(replace(node, buffers=(*node.buffers, data.values)),), jobs=(*flat.jobs, data))


def _list(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    wide = pt.is_large_list(type_)
    out_wide = wide or (pt.is_list(type_) and _total(arrays, wide) > OFFSET_LIMIT)
    flat, ranges = _variable(arrays, wide=wide, out_wide=out_wide, type_=type_)
    children = [array.values.slice(first, last - first) for array, (first, last) in zip(arrays, ranges, strict=True)]
    child = flatten(type_.value_type if not pt.is_map(type_) else _entries(type_), children)
    if not pt.is_map(type_):
        type_ = (pa.large_list if out_wide else pa.list_)(type_.value_field.with_type(child.type))
    elif child.type != _entries(type_):
        type_ = pa.map_(child.type.field(0), child.type.field(1), type_.keys_sorted)
    return flat.followed_by([child], type_)


def _entries(type_: pa.MapType) -> pa.DataType:
    return pa.struct([type_.key_field, type_.item_field])


def _validity_only(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    rows = sum(map(len, arrays))
    pieces = [
        Piece(0, 0, _address(array.buffers()[0]) if array.null_count else 0, array.offset, len(array))
        for array in arrays
    ]
    bitmap = bitmap_region(rows) if _has_nulls(arrays) else None
    job = Job(rows, pieces, validity_kind=Validity.BITS, bitmap=bitmap, keep=Batches(arrays))
    return Flat(type_, (Node(rows, job, (bitmap,)),), (job,))


def _struct(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    fields = [type_.field(i) for i in range(type_.num_fields)]
    children = [flatten(field.type, [array.field(i) for array in arrays]) for i, field in enumerate(fields)]
    stored_fields = [field.with_type(child.type) for field, child in zip(fields, children, strict=True)]
    return _validity_only(type_, arrays).followed_by(children, pa.struct(stored_fields))


def _fixed_size_list(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    size = type_.list_size
    child = flatten(type_.value_type, [a.values.slice(a.offset * size, len(a) * size) for a in arrays])
    stored_type = pa.list_(type_.value_field.with_type(child.type), size)
    return _validity_only(type_, arrays).followed_by([child], stored_type)


def _views(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    large = pa.large_string() if pt.is_string_view(type_) else pa.large_binary()
    apart = [without_text(array) for array in arrays]
    flat, ranges = _variable([array for array, _ in apart], wide=True, out_wide=True, type_=large)
    starts = [0, *accumulate(last for _, last in ranges)]
    region = Region(starts[-1])
    texts = tuple(Text(region, start, text) for start, (_, text) in zip(starts, apart, strict=False))
    (node,) = flat.nodes
    return replace(flat, nodes=(replace(node, buffers=(*node.buffers, region)),), texts=texts)


def _null(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    rows = sum(map(len, arrays))
    return Flat(type_, (Node(rows, rows, (), has_validity=False),))


def _serialized(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    """Unions, run ends, list views, nested dictionaries: PyArrow writes the column, which copies it twice."""
    # One array is copied too: PyArrow 26 writes a list without rows with its first offset, and without what is before
    # it, and ends the process that converts what it reads.
    array = concatenated(arrays) if arrays else one_null(type_).slice(0, 0)
    message = pa.record_batch([array], names=[""]).serialize()
    nodes, buffers, body = read_message(memoryview(message))
    jobs = [
        Job(
            size,
            [Piece(message.address + body + offset, 1, 0, 0, size)],
            Values.FIXED,
            width=1,
            values=Region(size),
            keep=message,
        )
        for offset, size in buffers
    ]
    # One node takes all buffers: only their order in the whole batch matters.
    *first, (length, nulls) = nodes
    last = Node(length, nulls, tuple(job.values for job in jobs), has_validity=False)
    one_row = _own_row(array, len(buffers)) if len(array) and _contains(type_, _needs_own_row) else None
    others = [Node(length, nulls, (), has_validity=False) for length, nulls in first]
    return Flat(type_, (*others, last), tuple(jobs), one_row=one_row)


def _needs_own_row(type_: pa.DataType) -> bool:
    """Whether a row of nulls would have other dictionaries or buffers, or be invalid (run ends, PyArrow 26)."""
    is_view = pt.is_string_view(type_) or pt.is_binary_view(type_)
    return bool(pt.is_dictionary(type_) or is_view or pt.is_run_end_encoded(type_))


_ROWS_TRIED = 8


def _own_row(array: pa.Array, buffers: int) -> pa.Array:
    """A row with as many buffers as the whole array: text in view layout has none where a list around it is empty.

    Raises
    ------
    UnsupportedTypeError
    """
    for row in range(min(len(array), _ROWS_TRIED)):
        one_row = array.slice(row, 1)
        message = pa.record_batch([one_row], names=[""]).serialize()
        if len(read_message(memoryview(message))[1]) == buffers:
            return one_row
    raise UnsupportedTypeError(f"Arrow type {array.type} has text in view layout inside; cast it to large_string")


_Flatten = Callable[[pa.DataType, Sequence[pa.Array]], Flat]

_LAYOUTS: tuple[tuple[Callable[[pa.DataType], bool], _Flatten], ...] = (
    (pt.is_null, _null),
    (pt.is_boolean, _bool),
    (pt.is_large_string, lambda t, a: _binary(t, a, t, wide=True, widen=True)),
    (pt.is_large_binary, lambda t, a: _binary(t, a, t, wide=True, widen=True)),
    (pt.is_string, lambda t, a: _binary(t, a, pa.large_string(), wide=False, widen=False)),
    (pt.is_binary, lambda t, a: _binary(t, a, pa.large_binary(), wide=False, widen=False)),
    (lambda t: pt.is_list(t) or pt.is_large_list(t) or pt.is_map(t), _list),
    (pt.is_fixed_size_list, _fixed_size_list),
    (pt.is_struct, _struct),
    (lambda t: (pt.is_primitive(t) or pt.is_decimal(t) or pt.is_fixed_size_binary(t)) and t.bit_width > 0, _fixed),
    # Stored with offsets, which every reader knows. Views stand behind the body.
    (lambda t: pt.is_string_view(t) or pt.is_binary_view(t), _views),
)


def _contains(type_: pa.DataType, matches: Callable[[pa.DataType], bool]) -> bool:
    return matches(type_) or any(_contains(type_.field(i).type, matches) for i in range(type_.num_fields))


def _needs_serialization(type_: pa.DataType) -> bool:
    """Whether PyArrow lays out a type, and all that it is in, because the envelope needs a row of the column itself."""
    is_known = any(matches(type_) for matches, _ in _LAYOUTS)
    return not is_known and (pt.is_dictionary(type_) or _contains(type_, _needs_own_row))


@lru_cache(256)
def _layout_of(type_: pa.DataType) -> _Flatten:
    """How a type is taken apart. It is kept, because to find out takes half of the time that a column takes."""
    if not _contains(type_, _needs_serialization):
        for matches, layout in _LAYOUTS:
            if matches(type_):
                return layout
    return _serialized


def flatten(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    """Take a chunked column of one type apart into nodes, buffers and jobs. Nothing is copied.

    32-bit offsets are widened where the joined chunks pass 2 GiB; the returned type says so.

    Raises
    ------
    UnsupportedTypeError
    """
    arrays = [array for array in arrays if len(array)]
    if isinstance(type_, pa.BaseExtensionType):
        flat = flatten(type_.storage_type, [array.storage for array in arrays])
        if flat.type == type_.storage_type:
            one_row = None if flat.one_row is None else pa.ExtensionArray.from_storage(type_, flat.one_row)
            flat = replace(flat, type=type_, one_row=one_row)
        return flat.with_jobs(lambda job: replace(job, fill=job.fill or fill_pattern(type_)))
    if pt.is_dictionary(type_):
        # The dictionary itself is in the envelope; the column's own bytes are its indices.
        return _fixed(type_.index_type, [array.indices for array in arrays])
    return _layout_of(type_)(type_, arrays)


def widen_strings(type_: pa.DataType, arrays: Sequence[pa.Array]) -> Flat:
    """Flatten ``string`` with 64-bit offsets, as pandas' ``str`` wraps it (layout rule 4)."""
    return _binary(type_, [array for array in arrays if len(array)], pa.large_string(), wide=False, widen=True)
