"""JSON lines, in blocks of lines.

Does not depend on: files, how the types of blocks are united.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

import pyarrow as pa

from colonnade.io.json_lines import parse_json_lines, refuse_rounded
from colonnade.io.options import ReadOptions
from colonnade.io.text_blocks import Text, blocks, end_of_lines
from colonnade.io.text_parts import BOM, Key, Part, may_be_integers


def json_blocks(text: Text, options: ReadOptions, as_text: set[Key] | None) -> Iterator[Callable[[], Part]]:
    """Give one function for each block, which parses it: all chosen columns, or those in ``as_text``, as strings."""
    for number, block in enumerate(blocks(text, end_of_lines)):
        if number == 0 and bytes(block).lstrip(BOM + b" \t\r\n").startswith(b"["):
            raise pa.ArrowInvalid("it is a JSON array; JSON lines are wanted: one object a line, without [ and ]")
        yield partial(_parse, pa.py_buffer(block), options, as_text)


def _parse(data: pa.Buffer, options: ReadOptions, as_text: set[Key] | None) -> Part:
    types = options.types or {}
    if as_text is not None:
        with _explaining_several_types(types):
            table = _table(data, dict.fromkeys((name for name, _ in as_text), pa.string()), "ignore")
        names = table.column_names
    else:
        with _explaining_several_types(types):
            table = _table(data, types, "infer")
        names = table.column_names
        if options.columns is not None:
            table = table.select([name for name in options.columns if name in table.column_names])
        for name in table.column_names:
            if name not in types and may_be_integers(table.column(name)):
                with contextlib.suppress(pa.ArrowInvalid):
                    exact = _table(data, {name: pa.uint64()}, "ignore")
                    table = table.set_column(table.column_names.index(name), name, exact.column(name))
        refuse_rounded(table.drop_columns([name for name in types if name in table.column_names]), data)
    return Part(table.num_rows, {(name, 0): table.column(name) for name in table.column_names}, names)


def _table(data: pa.Buffer, types: Mapping[str, pa.DataType], others: Literal["infer", "ignore"]) -> pa.Table:
    return parse_json_lines(data, pa.schema(types.items()), others)


# PyArrow's words, whose number of the row is that of the block.
_SEVERAL_TYPES = re.compile(r"Column\(/(.*)\) changed from (\S+) to (\S+) in row")


@contextlib.contextmanager
def _explaining_several_types(types: Mapping[str, pa.DataType]) -> Iterator[None]:
    """Say the way out where a column has values of several types; ``types`` are those that the caller gave."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if (words := _SEVERAL_TYPES.search(str(error))) is None:
            raise
        path, before, other = words.groups()
        name = next((name for name in types if path == name or path.startswith(f"{name}/")), None)
        if name is not None:
            raise pa.ArrowInvalid(
                f"column {path!r} has a value of type {other}, and types= says {types[name]}"
            ) from error
        way_out = 'engine="duckdb" gives such a column as JSON text'
        if "/" not in path and "number" in (before, other):
            way_out += f"; types={{{path!r}: pyarrow.decimal128(38)}} reads integers that int64 does not hold"
        raise pa.ArrowInvalid(f"column {path!r} has values of several types. {way_out}") from error
