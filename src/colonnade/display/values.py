"""One value of an Arrow column, as a short text.

A bounded number of bytes is read, whatever the value is: the beginning of a string, the first items of a list. Every
offset is checked before memory is read, because opening a stored table does not check its values.

Does not depend on: how a text is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from colonnade.display.fitting import one_line

_LONGEST = 300  # characters of a text
_BYTES = 4 * _LONGEST  # of a string
_ITEMS = 5  # of a list or struct
_DEPTH = 3  # of lists in lists
_SMALL = 256  # bits of a value that is read as it is
_MORE = "…"
DAMAGED = "(damaged)"


def text_of(column: Any, row: int) -> str:
    """Write the value of an Arrow array at a row; "null" for a null, `DAMAGED` for a damaged value."""
    return brief(_text(column, row, _DEPTH, quoted=False))


def brief(value: Any) -> str:
    """Write any value on one line, shortened to what a person reads."""
    text = str(value)
    return one_line(text) if len(text) <= _LONGEST else one_line(text[: _LONGEST - 1]) + _MORE


def _text(array: Any, row: int, depth: int, *, quoted: bool) -> str:
    try:
        one = array.slice(row, 1)
        one.validate()  # the offsets of this one value must be inside of the buffers
        if len(one) != 1:
            return DAMAGED
        if one.null_count:
            return "null"
        return next(read for fits, read in _WAYS if fits(one.type))(one, depth, quoted)
    except (pa.ArrowException, ValueError, IndexError, ArithmeticError, TypeError):
        return DAMAGED


def _string(one: Any, _: int, quoted: bool) -> str:
    binary = one.view(pa.large_binary() if pt.is_large_string(one.type) else pa.binary())
    data = _beginning(binary)
    text = data[:_BYTES].decode(errors="replace" if len(data) <= _BYTES else "ignore")
    return (repr(text) if quoted else text) + (_MORE if len(data) > _BYTES else "")


def _binary(one: Any, _: int, __: bool) -> str:
    data = _beginning(one)
    return repr(data[:_BYTES]) + (_MORE if len(data) > _BYTES else "")


def _beginning(one: Any) -> bytes:
    data: bytes = pc.binary_slice(one, 0, _BYTES + 1)[0].as_py()
    return data


def _dictionary(one: Any, depth: int, quoted: bool) -> str:
    return _text(one.dictionary, one.indices[0].as_py(), depth, quoted=quoted)


def _list(one: Any, depth: int, _: bool) -> str:
    if pt.is_fixed_size_list(one.type):
        size = one.type.list_size
        start = one.offset * size
    elif pt.is_list_view(one.type) or pt.is_large_list_view(one.type):
        start, size = one.offsets[0].as_py(), one.sizes[0].as_py()
    else:
        start, end = one.offsets.to_pylist()
        size = end - start
    # `values` of a map are its items; keys and items together are a struct.
    if pt.is_map(one.type):
        keys, items = one.keys, one.items
        return _joined("{}", start, size, depth, lambda at: f"{_inner(keys, at, depth)}: {_inner(items, at, depth)}")
    values = one.values
    if start < 0 or start + size > len(values):
        return DAMAGED
    return _joined("[]", start, size, depth, lambda at: _inner(values, at, depth))


def _struct(one: Any, depth: int, _: bool) -> str:
    def member(at: int) -> str:
        return f"{one.type.field(at).name!r}: {_inner(one.field(at), 0, depth)}"

    return _joined("{}", 0, one.type.num_fields, depth, member)


def _inner(array: Any, at: int, depth: int) -> str:
    return _text(array, at, depth - 1, quoted=True)


def _joined(brackets: str, start: int, size: int, depth: int, item: Callable[[int], str]) -> str:
    if size and not depth:
        return f"{brackets[0]}{_MORE}{brackets[1]}"
    items = [item(at) for at in range(start, start + min(size, _ITEMS))]
    return f"{brackets[0]}{', '.join([*items, *([_MORE] if size > _ITEMS else [])])}{brackets[1]}"


def _of_pandas(one: Any, _: int, __: bool) -> str:
    return str(one.to_pandas().iloc[0])  # Arrow gives the numbers that represent periods and intervals


def _extension(one: Any, depth: int, quoted: bool) -> str:
    storage = one.type.storage_type
    return _small(one, depth, quoted) if _is_small(storage) else _text(one.storage, 0, depth, quoted=quoted)


def _small(one: Any, _: int, quoted: bool) -> str:
    try:
        value = one[0].as_py()
    except (ArithmeticError, ValueError, KeyError):  # a year outside of Python's range, an unknown time zone
        if pt.is_timestamp(one.type) and one.type.tz is not None:
            one = one.view(pa.timestamp(one.type.unit, "UTC"))
        try:
            value = one.cast(pa.string())[0].as_py()
        except pa.ArrowException:
            return _MORE
    return repr(value) if quoted and isinstance(value, (str, bytes)) else str(value)


def _run(one: Any, depth: int, quoted: bool) -> str:
    return _text(one.values, one.find_physical_offset(), depth, quoted=quoted)


def _is_small(kind: Any) -> bool:
    try:
        return bool(kind.bit_width <= _SMALL)
    except ValueError:  # of no fixed width
        return False


# The first entry whose test is true reads the value. Unions, which hardly anybody stores, are not read.
_WAYS: tuple[tuple[Callable[[Any], bool], Callable[[Any, int, bool], str]], ...] = (
    (lambda kind: getattr(kind, "extension_name", "").startswith("pandas."), _of_pandas),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pt.is_dictionary, _dictionary),
    (pt.is_run_end_encoded, _run),
    (lambda kind: pt.is_string(kind) or pt.is_large_string(kind), _string),
    (lambda kind: pt.is_binary(kind) or pt.is_large_binary(kind), _binary),
    (lambda kind: pt.is_fixed_size_binary(kind) and not _is_small(kind), _binary),
    (lambda kind: pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind) or pt.is_map(kind), _list),
    (lambda kind: pt.is_list_view(kind) or pt.is_large_list_view(kind), _list),
    (pt.is_struct, _struct),
    (lambda kind: _is_small(kind) or pt.is_null(kind), _small),
    (lambda _: True, lambda *_: _MORE),
)
