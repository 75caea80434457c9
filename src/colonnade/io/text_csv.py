"""CSV: the row of names, and blocks of rows.

Does not depend on: files, how the types of blocks are united.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import csv

from colonnade.io.batches import POOL
from colonnade.io.options import ReadOptions
from colonnade.io.text_blocks import CsvRows, Text, blocks
from colonnade.io.text_parts import BOM, DIGITS, Key, Part, may_be_integers

_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_EMPTY = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+")
_NO_ROWS = re.compile(rb"[\r\n]*+")  # PyArrow and pandas skip empty lines, also those before the header


def csv_blocks(text: Text, options: ReadOptions, as_text: set[Key] | None) -> Iterator[Callable[[], Part]]:
    """Give one function for each block, which parses it: all chosen columns, or those in ``as_text``, as strings."""
    delimiter = options.delimiter or ","
    rows = CsvRows(delimiter)
    reader: _Reader | None = None
    empty_lines = b""
    for block in blocks(text, rows.end):
        if reader is None:
            if _EMPTY.fullmatch(first := empty_lines + bytes(block)):
                empty_lines = first  # the header begins in a later block
                continue
            keys, start = _header(first, rows, delimiter)
            reader = _Reader.of(keys, options, delimiter, as_text)
            block = memoryview(first)[start:]  # noqa: PLW2901 -- the block without the row of names
        yield partial(reader.parse, block)
    if reader is None:
        raise pa.ArrowInvalid("it is empty; a CSV file begins with a row of names")


def _header(block: bytes, rows: CsvRows, delimiter: str) -> tuple[list[Key], int]:
    """Give the columns that the first row names, and where the second row begins."""
    for mark, encoding in _MARKS.items():
        if block.startswith(mark):
            raise pa.ArrowInvalid(f'it is {encoding.upper()}; say so with encoding="{encoding}"')
    start = len(BOM) if block.startswith(BOM) else 0
    start += len(_NO_ROWS.match(block, start)[0])  # type: ignore[index]  # it always matches
    row = rows.header.match(block, start)
    if row is None:
        raise pa.ArrowInvalid("the header has a quote that is not closed")
    text = row[0].rstrip(b"\r\n")
    reading = csv.ReadOptions(block_size=len(text) + 2)
    parsing = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    names = csv.read_csv(pa.BufferReader(text + b"\n"), reading, parsing).column_names
    repetitions: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append((name, repetitions[name]))
        repetitions[name] += 1
    return keys, row.end()


class _Reader(NamedTuple):
    """How the blocks of a file are parsed. Names need not be unique, so PyArrow knows a column by its number."""

    ids: dict[str, Key]
    selection: list[str]
    types: dict[str, pa.DataType]
    parsing: csv.ParseOptions
    decimal: str

    @classmethod
    def of(cls, keys: list[Key], options: ReadOptions, delimiter: str, as_text: set[Key] | None) -> _Reader:
        ids = dict(zip(map(str, range(len(keys))), keys, strict=True))
        ids_to_read = [
            id_
            for id_, key in ids.items()
            if (as_text is None or key in as_text) and (options.columns is None or key[0] in options.columns)
        ]
        if as_text is None:
            column_types = options.types or {}
            types = {id_: column_types[key[0]] for id_, key in ids.items() if key[0] in column_types}
        else:
            types = dict.fromkeys(ids_to_read, pa.string())
        return cls(ids, ids_to_read, types, csv.ParseOptions(delimiter=delimiter), options.decimal or ".")

    def parse(self, text: memoryview) -> Part:
        """Parse a block."""
        if _NO_ROWS.fullmatch(text):
            empty = {id_: pa.nulls(0, self.types.get(id_, pa.null())) for id_ in self.selection}
            return self._part(0, {id_: pa.chunked_array([column]) for id_, column in empty.items()})
        data = pa.py_buffer(text)
        table = self._table(data, self.selection, self.types)
        for id_ in self.selection:
            if id_ not in self.types and pt.is_binary(table.column(id_).type):
                raise pa.ArrowInvalid(
                    f"column {self.ids[id_][0]!r} is not UTF-8; say with encoding= what the text is, as "
                    'encoding="latin-1", or with types= that it is "binary"'
                )
        large = [id_ for id_ in self.selection if id_ not in self.types and may_be_integers(table.column(id_))]
        if large:
            texts = self._table(data, large, dict.fromkeys(large, pa.string()))
            for id_ in large:
                exact = _exact(table.column(id_), texts.column(id_))
                table = table.set_column(table.column_names.index(id_), id_, exact)
        return self._part(table.num_rows, {id_: table.column(id_) for id_ in self.selection})

    def _part(self, rows: int, columns: dict[str, pa.ChunkedArray]) -> Part:
        names = [name for name, _ in self.ids.values()]
        return Part(rows, {self.ids[id_]: column for id_, column in columns.items()}, names)

    def _table(self, data: pa.Buffer, ids_to_read: list[str], types: dict[str, pa.DataType]) -> pa.Table:
        # As pandas reads it: an empty cell is null, among strings too.
        converting = csv.ConvertOptions(
            strings_can_be_null=True, include_columns=ids_to_read, column_types=types, decimal_point=self.decimal
        )
        reading = csv.ReadOptions(column_names=list(self.ids), use_threads=False, block_size=max(data.size, 1))
        return csv.read_csv(pa.BufferReader(data), reading, self.parsing, converting, memory_pool=POOL)


def _exact(floats: pa.ChunkedArray, texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give integers that int64 cannot hold as uint64, or else as their digits; floats as they are."""
    if not pc.all(pc.match_substring_regex(texts, r"^[+-]?[0-9]+$")).as_py():
        return floats
    try:
        return texts.cast(pa.uint64())
    except pa.ArrowInvalid:
        return texts.cast(DIGITS)
