"""CSV and JSON lines, block by block.

Text does not declare the types of its columns. PyArrow's streams (and its datasets, which use them) find the types in
the first block: they fail at the first ``1.5`` of an integer column, and leave out columns that the first objects lack.
PyArrow's readers of whole files look at all values, but hold all of the text in memory. So every block is read by
itself, and the types of the blocks are united: integers become floats if one block has floats. A column for which no
type holds all values is read again, as text.

Does not depend on: stores.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.types as pt
from pyarrow import csv, json

from colonnade.errors import UnreadableFileError
from colonnade.io.batches import POOL, Source, release_memory
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.progress import Meter

# Measured on 59 MB of CSV, two processors: a whole read 110 ms; blocks of 1, 4 and 16 MiB 180, 140 and 160 ms.
_BLOCK = 4 << 20
# Stands between a column's name and its number, if several columns have the same name.
_NTH = "\0"


class TextFile(NamedTuple):
    """A file: its path, for messages; how to open it, decompressed; its size before decompression."""

    path: str
    open: Callable[[], Any]
    size: int
    again: bool  # whether it can be read twice; a pipe cannot


def read_text(files: Sequence[TextFile], kind: FileFormat, meter: Meter) -> Source:
    """Read files to their end, and find each column's type in all of its values."""
    tables = list(_tables(files, kind, meter, []))
    types: dict[str, list[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, []).append(field.type)
    united = {name: _united(found) for name, found in types.items()}
    if as_text := [name for name, type_ in united.items() if type_ is None]:
        for file in files:
            if not file.again:
                raise UnreadableFileError(
                    f"{file.path} cannot be read twice, which columns of several types need ({', '.join(as_text)}); "
                    "nothing was stored. Save it to a file first"
                )
        tables = [table.select([name for name in table.column_names if name not in as_text]) for table in tables]
        for number, again in enumerate(_tables(files, kind, Meter(), as_text)):
            for name in again.column_names:
                tables[number] = tables[number].append_column(name, again.column(name))
    fields = [pa.field(name.partition(_NTH)[0], type_ or pa.string()) for name, type_ in united.items()]
    return Source(pa.schema(fields), _batches(tables, list(united), pa.schema(fields)))


def _batches(tables: list[pa.Table], names: list[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    tables.reverse()
    while tables:
        table = tables.pop()  # who gets its batches has them alone
        found = dict(zip(table.column_names, table.columns, strict=True))
        missing = pa.chunked_array([pa.nulls(table.num_rows)])
        columns = [_cast(found.get(name, missing), type_) for name, type_ in zip(names, schema.types, strict=True)]
        yield from pa.table(columns, schema=schema).to_batches()


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    # Integers past 2**53 become the nearest float, as they would where the text were read as floats.
    return column if column.type == wanted else column.cast(wanted, safe=not pt.is_floating(wanted))


def _united(types: Sequence[pa.DataType]) -> pa.DataType | None:
    """The type that holds all values of these, or None: only as text."""
    return reduce(_together, dict.fromkeys(types))


def _together(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    if one is None or other is None:
        return None
    for day, time in ((one, other), (other, one)):
        if pt.is_date(day) and pt.is_timestamp(time):
            return time
    schemas = [pa.schema([("", type_)]) for type_ in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").types[0]
    except pa.ArrowTypeError:
        return None


# -- blocks ------------------------------------------------------------------------------------------------------------


def _tables(files: Sequence[TextFile], kind: FileFormat, meter: Meter, as_text: list[str]) -> Iterator[pa.Table]:
    """One table a block: all columns, or these alone, as strings."""
    format_ = _FORMATS[kind]
    before = 0
    for file in files:
        with explaining(file.path, kind), file.open() as stream:
            names: list[str] = []
            for block in _blocks(stream, format_.end_of_rows):
                data = pa.py_buffer(block)
                first = not names
                names = names or format_.names(data)
                table = format_.read(data, names, first, as_text)
                meter.count(table)
                meter.done = before + stream.tell()
                release_memory()
                yield table
        before += file.size


def _blocks(stream: Any, end_of_rows: Callable[[bytes], int]) -> Iterator[bytes]:
    """The text in blocks that end with a row; at least one."""
    rest = b""
    some = False
    while data := stream.read(_BLOCK):
        rest += data
        if len(rest) >= _BLOCK and (end := end_of_rows(rest)):
            yield rest[:end]
            rest, some = rest[end:], True
    if rest.strip() or not some:
        yield rest


def _end_of_lines(data: bytes) -> int:
    return data.rfind(b"\n") + 1


# Whole rows. Quotes begin a field or are like any other character, as in 5" pipe; nothing is tried twice.
_FIELD = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|(?!")[^,\n]*+)'
_CSV_ROWS = re.compile(rb"(?:(?:%b,)*+%b\n)*+" % (_FIELD, _FIELD))


def _end_of_csv_rows(data: bytes) -> int:
    """Behind the last line break that stands in no quotes."""
    if b'"' not in data:
        return _end_of_lines(data)
    rows = _CSV_ROWS.match(data)
    return rows.end() if rows else 0


# -- formats -----------------------------------------------------------------------------------------------------------


def _csv_names(data: pa.Buffer) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for name in csv.open_csv(pa.BufferReader(data), csv.ReadOptions(block_size=max(data.size, 1))).schema.names:
        names.append(f"{name}{_NTH}{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def _read_csv(data: pa.Buffer, names: list[str], first: bool, as_text: list[str]) -> pa.Table:
    # As pandas reads it: an empty cell is null, among strings too.
    converting = csv.ConvertOptions(strings_can_be_null=True)
    if as_text:
        converting.include_columns = [name for name in names if name in as_text]
        converting.column_types = dict.fromkeys(as_text, pa.string())
    parsing = csv.ParseOptions(newlines_in_values=True)

    def read(parts: dict[str, int]) -> pa.Table:
        reading = csv.ReadOptions(column_names=names, skip_rows=int(first), **parts)
        return csv.read_csv(pa.BufferReader(data), reading, parsing, converting, memory_pool=POOL)

    return _of_long_rows(read, data)


def _read_json(data: pa.Buffer, _names: list[str], _first: bool, as_text: list[str]) -> pa.Table:
    parsing = json.ParseOptions()
    if as_text:
        schema = pa.schema([(name, pa.string()) for name in as_text])
        parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def read(parts: dict[str, int]) -> pa.Table:
        return json.read_json(pa.BufferReader(data), json.ReadOptions(**parts), parsing, memory_pool=POOL)

    return _of_long_rows(read, data)


def _of_long_rows(read: Callable[[dict[str, int]], pa.Table], data: pa.Buffer) -> pa.Table:
    """Read a block in parts, by all processors; a row is to fit one of them, so a block of long rows is read as one."""
    try:
        return read({})
    except pa.ArrowInvalid:
        return read({"block_size": max(data.size, 1)})


class _Format(NamedTuple):
    names: Callable[[pa.Buffer], list[str]]
    read: Callable[[pa.Buffer, list[str], bool, list[str]], pa.Table]
    end_of_rows: Callable[[bytes], int]


_FORMATS = {
    FileFormat.CSV: _Format(_csv_names, _read_csv, _end_of_csv_rows),
    FileFormat.JSON: _Format(lambda _: ["each object has its own"], _read_json, _end_of_lines),
}
