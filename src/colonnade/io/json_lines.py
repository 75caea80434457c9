"""One block of JSON lines, parsed by PyArrow: what its parser makes wrong, and what ends the process, is kept away.

Does not depend on: files, how the types of blocks are united.
"""

from __future__ import annotations

import re
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import json

from colonnade.io.batches import POOL, without_columns
from colonnade.io.text_parts import may_be_integers

_NULL_FIRST = re.compile(rb"\s*+null")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"')
# An integer that int64 may not hold, and not the digits of a float.
_LARGE = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}+(?![.eE])")


def parse_json_lines(data: pa.Buffer, types: pa.Schema | None, others: Literal["infer", "ignore", "error"]) -> pa.Table:
    """Parse a block: the columns of a schema with these types, and others as said.

    Raises
    ------
    pyarrow.ArrowInvalid
    """
    parsing = json.ParseOptions(explicit_schema=types, unexpected_field_behavior=others)
    if _NULL_FIRST.match(data):  # PyArrow 26 ends the process; a null further down is a row of nulls
        table = _without_first_row(_read(pa.py_buffer(b"{}" + data.to_pybytes()), parsing))
    else:
        table = _read(data, parsing)
    table.validate(full=True)  # PyArrow's reader does not check that text is UTF-8
    return table


def _read(data: pa.Buffer, parsing: json.ParseOptions) -> pa.Table:
    reading = json.ReadOptions(use_threads=False, block_size=max(data.size, 1))
    return json.read_json(pa.BufferReader(data), reading, parsing, memory_pool=POOL)


def _without_first_row(table: pa.Table) -> pa.Table:
    if table.num_columns:
        return table.slice(1)
    return pa.Table.from_batches([without_columns(table.num_rows - 1, table.schema)])


def refuse_rounded(table: pa.Table, data: pa.Buffer) -> None:
    """Refuse columns of integers of which int64 does not hold all: PyArrow makes floats of them.

    Raises
    ------
    pyarrow.ArrowInvalid
    """
    names = [name for name in table.column_names if any(map(_may_be_rounded, _floats_of(table.column(name))))]
    if names and _LARGE.search(_TEXT.sub(b"", data.to_pybytes())):
        name = names[0]
        raise pa.ArrowInvalid(
            f"column {name!r} has integers that int64 does not hold, and floats would round them. Say with types= what "
            f'they are: types={{{name!r}: "float64"}} rounds them, and pyarrow.decimal128(38) does not'
        )


def _floats_of(column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """A column, or what is inside of it."""
    if pt.is_struct(column.type):
        return [inner for part in column.flatten() for inner in _floats_of(part)]
    if pt.is_list(column.type):
        return _floats_of(pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type))
    return [column]


def _may_be_rounded(column: pa.ChunkedArray) -> bool:
    return may_be_integers(column) and bool(pc.all(pc.equal(column, pc.floor(column))).as_py())
