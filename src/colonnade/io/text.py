"""CSV and JSON lines, block by block.

Text does not declare the types of its columns. PyArrow's streams (and its datasets, which use them) find the types in
the first block: they fail at the first ``1.5`` of an integer column, and leave out columns that the first objects lack.
PyArrow's readers of whole files look at all values, but hold all of the text in memory. So every block is read by
itself, and the types of the blocks are united: integers become floats if one block has floats. A column for which no
type holds all values is read again, as text.

Does not depend on: stores.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import csv, json

from colonnade.errors import UnreadableFileError
from colonnade.io.batches import POOL, Source, release_memory, without_columns
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.progress import Meter

# Measured on 59 MB of CSV, two processors: a whole read 110 ms; blocks of 1, 4 and 16 MiB 180, 140 and 160 ms.
_BLOCK = 4 << 20
_RELEASED = 8  # blocks after which memory is returned to the kernel, which takes 4 ms


class TextFile(NamedTuple):
    """A file: its path, for messages; how to open it, decompressed; its size before decompression."""

    path: str
    open: Callable[[], Any]
    size: int
    again: bool  # whether it can be read twice; a pipe cannot


# The type of integers that no type of PyArrow's readers holds, as their text.
_DIGITS = pa.large_string()

# A column, as all files of a load have it: its name, and which one it is of those that a file gives this name.
_Key = tuple[str, int]


class _Part(NamedTuple):
    """The columns of one block. A table would lose the rows of a block without columns."""

    rows: int
    columns: dict[_Key, pa.ChunkedArray]


def read_text(files: Sequence[TextFile], kind: FileFormat, meter: Meter) -> Source:
    """Read files to their end, and find each column's type in all of its values."""
    parts = list(_parts(files, kind, meter, None))
    arrays: dict[_Key, list[pa.ChunkedArray]] = {}
    for part in parts:
        for key, column in part.columns.items():
            arrays.setdefault(key, []).append(column)
    types = {key: _united(columns) for key, columns in arrays.items()}
    kinds = {key: {column.type for column in columns} for key, columns in arrays.items()}
    del arrays
    if as_text := {key for key, type_ in types.items() if type_ is None}:
        for file in files:
            if not file.again:
                names = ", ".join(name for name, _ in sorted(as_text))
                raise UnreadableFileError(
                    f"{file.path} cannot be read twice, which columns of several types need ({names}); nothing was "
                    "stored. Save it to a file first"
                )
        for part in parts:
            for key in as_text & part.columns.keys():
                del part.columns[key]
        for part, again in zip(parts, _parts(files, kind, Meter(), as_text), strict=True):
            part.columns.update(again.columns)
        for key in as_text:
            if kinds[key] <= _BOOLEANS and _to_booleans(parts, key):
                types[key] = pa.bool_()
    schema = pa.schema([pa.field(name, types[name, nth] or pa.string()) for name, nth in types])
    return Source(schema, _batches(parts, list(types), schema))


# PyArrow reads 1 and 0 as booleans if the other values are true and false, and as integers if there are no others.
_BOOLEANS = {pa.bool_(), pa.int64(), pa.null()}


def _to_booleans(parts: list[_Part], key: _Key) -> bool:
    """Turn a column of texts into booleans, if it has no other values."""
    try:
        booleans = [part.columns[key].cast(pa.bool_()) if key in part.columns else None for part in parts]
    except pa.ArrowInvalid:
        return False
    for part, column in zip(parts, booleans, strict=True):
        if column is not None:
            part.columns[key] = column
    return True


def _batches(parts: list[_Part], keys: list[_Key], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    parts.reverse()
    while parts:
        rows, columns = parts.pop()  # the caller alone has its batches then
        if not keys:
            yield without_columns(rows, schema)
            continue
        missing = pa.chunked_array([pa.nulls(rows)])
        arrays = [_cast(columns.get(key, missing), type_) for key, type_ in zip(keys, schema.types, strict=True)]
        yield from pa.table(arrays, schema=schema).to_batches()


def _cast(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    # Integers past 2**53 become the nearest float, as they would if the text were read as floats.
    return column if column.type == type_ else column.cast(type_, safe=not pt.is_floating(type_))


def _united(columns: Sequence[pa.ChunkedArray]) -> pa.DataType | None:
    """Give the type that holds all values of these columns, or None: only text does."""
    types = list(dict.fromkeys(column.type for column in columns))
    if {pa.uint64(), _DIGITS} & set(types):
        others = [type_ for type_ in types if type_ not in (_DIGITS, pa.uint64(), pa.null())]
        if pa.float64() in others and all(pt.is_integer(type_) or pt.is_floating(type_) for type_ in others):
            return pa.float64()
        if _DIGITS in types or not all(map(pt.is_integer, others)):
            return _DIGITS if set(types) <= {_DIGITS, pa.null()} else None
        signed = (column for column in columns if pt.is_signed_integer(column.type))
        return None if any((pc.min(column).as_py() or 0) < 0 for column in signed) else pa.uint64()
    return reduce(_together, types)


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


def _parts(files: Sequence[TextFile], kind: FileFormat, meter: Meter, as_text: set[_Key] | None) -> Iterator[_Part]:
    """Read one part for each block: all columns, or those in ``as_text``, as strings."""
    read = _READERS[kind]
    before = unreleased = 0
    for file in files:
        with explaining(file.path, kind), file.open() as stream:
            for part in read(stream, as_text):
                for column in part.columns.values():
                    meter.nbytes += column.nbytes
                meter.rows += part.rows
                meter.done = before + stream.tell()
                unreleased += 1
                if unreleased == _RELEASED:
                    release_memory()
                    unreleased = 0
                yield part
        before += file.size


def _blocks(stream: Any, end_of_rows: Callable[[bytes], int]) -> Iterator[bytes]:
    """Give the text in blocks that end with a row; at least one."""
    rest = b""
    any_block = False
    while data := stream.read(_BLOCK):
        if rest:
            data = rest + data
        if len(data) >= _BLOCK and (end := end_of_rows(data)):
            rest, any_block = data[end:], True
            yield data[:end]
        else:
            rest = data
    if rest.strip() or not any_block:
        yield rest


def _end_of_lines(data: bytes) -> int:
    return data.rfind(b"\n") + 1


# Whole rows. A quote begins a field, or is a character like any other, as in 5" pipe. Nothing is matched twice.
_FIELD = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|(?!")[^,\n]*+)'
_CSV_ROWS = re.compile(rb"(?:(?:%b,)*+%b\n)*+" % (_FIELD, _FIELD))


def _end_of_csv_rows(data: bytes) -> int:
    """Find the end of the last line that ends outside of quotes."""
    if b'"' not in data:
        return _end_of_lines(data)
    end = _end_of_regular_rows(data)
    if end is None:
        rows = _CSV_ROWS.match(data)
        end = rows.end() if rows else 0
    return end


_QUOTE = ord('"')
_SEPARATOR = np.zeros(256, np.bool_)  # by character
_SEPARATOR[list(b",\n\r")] = True


def _end_of_regular_rows(data: bytes) -> int | None:
    """Find the same where every quote encloses a field or is doubled within one; None where it is not so.

    Then a line ends outside of quotes if the number of quotes before it is even. By induction: outside of quotes, a
    comma or a line break ends a field, and a quote behind one begins a field; the next quote ends it, if a comma, a
    line break or a second quote follows. It takes 3 ms for 4 MiB, where the expression above takes 90.
    """
    signs = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(signs == _QUOTE)
    end = len(data)
    while (end := data.rfind(b"\n", 0, end)) >= 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            break
        end = int(quotes[before - 1])  # the quote that is open here
    quotes = quotes[: int(np.searchsorted(quotes, end))] if end >= 0 else quotes[:0]
    opening, closing = quotes[::2], quotes[1::2]
    begins = _SEPARATOR[signs[opening - 1]] | (opening == 0)
    begins[1:] |= opening[1:] == closing[:-1] + 1
    ends = _SEPARATOR[signs[closing + 1]] | (signs[closing + 1] == _QUOTE)
    return end + 1 if begins.all() and ends.all() else None


# -- CSV ---------------------------------------------------------------------------------------------------------------

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_EMPTY = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+")
_NO_ROWS = re.compile(rb"[\r\n]*+")  # PyArrow and pandas skip empty lines, also those before the header
_HEADER_FIELD = rb'(?:"(?:[^"]++|"")*+"[^,\r\n]*+|(?!")[^,\r\n]*+)'
_HEADER = re.compile(rb"(?:%b,)*+%b(?:\r\n|\r|\n|\Z)" % (_HEADER_FIELD, _HEADER_FIELD))


def _read_csv(stream: Any, as_text: set[_Key] | None) -> Iterator[_Part]:
    keys: list[_Key] = []
    empty_lines = b""
    for block in _blocks(stream, _end_of_csv_rows):
        rows = memoryview(block)
        if not keys:
            block = empty_lines + block  # noqa: PLW2901 -- the header may begin in a later block
            if _EMPTY.fullmatch(block):
                empty_lines = block
                continue
            keys, start = _header(block)
            rows = memoryview(block)[start:]
        ids = dict(zip(map(str, range(len(keys))), keys, strict=True))  # names need not be unique
        chosen = [id_ for id_, key in ids.items() if as_text is None or key in as_text]
        if _NO_ROWS.fullmatch(rows):
            yield _Part(0, {ids[id_]: pa.chunked_array([pa.nulls(0)]) for id_ in chosen})
            continue
        table = _parse_csv(pa.py_buffer(rows), list(ids), chosen, as_text is not None)
        yield _Part(table.num_rows, {ids[id_]: table.column(id_) for id_ in chosen})
    if not keys:
        raise pa.ArrowInvalid("it is empty; a CSV file begins with a row of names")


def _header(block: bytes) -> tuple[list[_Key], int]:
    """Give the columns that the first row names, and where the second row begins."""
    if block.startswith(_UTF_16):
        raise pa.ArrowInvalid("it is UTF-16; save it as UTF-8")
    start = len(_BOM) if block.startswith(_BOM) else 0
    start += len(_NO_ROWS.match(block, start)[0])  # type: ignore[index]  # it always matches
    row = _HEADER.match(block, start)
    if row is None:
        raise pa.ArrowInvalid("the header has a quote that is not closed")
    text = row[0].rstrip(b"\r\n")
    options = csv.ReadOptions(block_size=len(text) + 2)
    names = csv.read_csv(pa.BufferReader(text + b"\n"), options, _PARSING).column_names
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append((name, seen[name]))
        seen[name] += 1
    return keys, row.end()


_PARSING = csv.ParseOptions(newlines_in_values=True)


def _parse_csv(data: pa.Buffer, ids: list[str], chosen: list[str], as_text: bool) -> pa.Table:
    # As pandas reads it: an empty cell is null, among strings too.
    converting = csv.ConvertOptions(strings_can_be_null=True, include_columns=chosen)
    if as_text:
        converting.column_types = dict.fromkeys(chosen, pa.string())

    def parse(options: dict[str, int]) -> pa.Table:
        reading = csv.ReadOptions(column_names=ids, **options)
        return csv.read_csv(pa.BufferReader(data), reading, _PARSING, converting, memory_pool=POOL)

    table = _of_long_rows(parse, data)
    if not as_text and (large := [id_ for id_ in chosen if _may_be_integers(table.column(id_))]):
        texts = _parse_csv(data, ids, large, as_text=True)
        for id_ in large:
            table = table.set_column(table.column_names.index(id_), id_, _exact(table.column(id_), texts.column(id_)))
    return table


def _may_be_integers(column: pa.ChunkedArray) -> bool:
    """Say whether floats may be integers that int64 cannot hold, which PyArrow rounds."""
    if not pt.is_float64(column.type):
        return False
    smallest, largest = pc.min_max(column).values()
    return bool(smallest.is_valid and max(largest.as_py(), -smallest.as_py()) >= _PAST_INT64)


_PAST_INT64 = 2.0**63


def _exact(floats: pa.ChunkedArray, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give integers that int64 cannot hold as uint64, or else as their digits; floats as they are."""
    if not pc.all(pc.match_substring_regex(texts, r"^[+-]?[0-9]+$")).as_py():
        return floats
    try:
        return texts.cast(pa.uint64())
    except pa.ArrowInvalid:
        return texts.cast(_DIGITS)


# -- JSON lines --------------------------------------------------------------------------------------------------------


def _read_json(stream: Any, as_text: set[_Key] | None) -> Iterator[_Part]:
    names = None if as_text is None else [name for name, _ in as_text]
    for number, block in enumerate(_blocks(stream, _end_of_lines)):
        if number == 0 and block.lstrip(_BOM + b" \t\r\n").startswith(b"["):
            raise pa.ArrowInvalid("it is a JSON array; JSON lines are wanted: one object a line, without [ and ]")
        data = pa.py_buffer(block)
        if names is not None:
            table = _parse_json(data, dict.fromkeys(names, pa.string()))
        else:
            table = _parse_json(data, {})
            for name in table.column_names:
                if _may_be_integers(table.column(name)):
                    with contextlib.suppress(pa.ArrowInvalid):
                        exact = _parse_json(data, {name: pa.uint64()})
                        table = table.set_column(table.column_names.index(name), name, exact.column(name))
        table.validate(full=True)  # PyArrow's reader does not check that text is UTF-8
        yield _Part(table.num_rows, {(name, 0): table.column(name) for name in table.column_names})


def _parse_json(data: pa.Buffer, types: dict[str, pa.DataType]) -> pa.Table:
    """Parse a block: all columns with the types that PyArrow finds, or those with these types."""
    options = {"explicit_schema": pa.schema(types.items()), "unexpected_field_behavior": "ignore"} if types else {}
    parsing = json.ParseOptions(**options)

    def parse(options: dict[str, int]) -> pa.Table:
        return json.read_json(pa.BufferReader(data), json.ReadOptions(**options), parsing, memory_pool=POOL)

    return _of_long_rows(parse, data)


def _of_long_rows(parse: Callable[[dict[str, int]], pa.Table], data: pa.Buffer) -> pa.Table:
    """Parse a block in parts, by all processors. A row must fit into a part, else the block is parsed whole."""
    try:
        return parse({})
    except pa.ArrowInvalid:
        return parse({"block_size": max(data.size, 1)})


_READERS = {FileFormat.CSV: _read_csv, FileFormat.JSON: _read_json}
