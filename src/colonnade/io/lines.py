"""CSV and JSON lines as they come through a pipe: a table for each block of whole lines.

Does not depend on: stores, who sends the lines.

A file is read to its end before its types are decided (`text.py`). Here the first lines decide, because the next ones
may come in an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.types as pt
from pyarrow import csv

from colonnade.errors import InvalidDataError
from colonnade.io.json_lines import parse_json_lines, refuse_rounded

_BLOCK = 1 << 20


class LineReader:
    """Reads lines from a pipe: an iterator of tables. Each has the lines that have arrived by then.

    Values contain no line breaks. A line that is not complete yet is kept until the rest of it comes, or the end.

    Parameters
    ----------
    read : callable
        Returns the bytes that have arrived, at most ``size``, and waits if there are none; at the end, no bytes.
        ``BufferedReader.read1`` is one.
    kind : {"csv", "json"}
        CSV has the names of the columns in its first line.
    columns : pyarrow.Schema, optional
        The columns; None: the first lines decide.

    Raises
    ------
    InvalidDataError
        While iterating: lines cannot be read, or have other columns. The message says which lines.
    """

    def __init__(
        self, read: Callable[[int], bytes], kind: Literal["csv", "json"], columns: pa.Schema | None = None
    ) -> None:
        self._types = None if columns is None else {field.name: _as_text(field.type) for field in columns}
        self._read = read
        self._kind = kind
        self._header: bytes | None = None
        self._line = 1  # the number of the next line
        self.lines = ""  # which lines the last table has, for messages

    def __iter__(self) -> Iterator[pa.Table]:
        for block in self._blocks():
            first = self._line
            self._line += block.count(b"\n")
            data = block
            if self._kind == "csv" and self._header is None:
                head, _, data = block.partition(b"\n")
                self._header = head.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r") + b"\n"
            if not data.strip():
                continue
            self.lines = f"lines {first:,} to {self._line - 1:,}"
            try:
                table = self._parse(data)
                table.validate(full=True)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError) as error:
                raise InvalidDataError(f"{self.lines} were not appended: {error}") from error
            if self._types is None:
                repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
                if repeated:
                    raise InvalidDataError(f"{self.lines} were not appended: several columns are called {repeated}")
                nested_columns = [
                    f"{field.name!r} ({field.type})" for field in table.schema if pt.is_nested(field.type)
                ]
                if nested_columns:
                    raise InvalidDataError(
                        f"{self.lines} were not appended: columns hold numbers, text, booleans or times, and not what "
                        f"is in {', '.join(nested_columns)}"
                    )
                table = table.cast(pa.schema((field.name, _growing(field.type)) for field in table.schema))
                self._types = {field.name: field.type for field in table.schema}
            yield table

    def _blocks(self) -> Iterator[bytes]:
        """Whole lines, as soon as they are there."""
        rest = b""
        while data := self._read(_BLOCK):
            whole, end, after = data.rpartition(b"\n")
            if not end:
                rest += data
                continue
            yield rest + whole + end
            rest = after
        if rest:
            yield rest + b"\n"

    def _parse(self, data: bytes) -> pa.Table:
        if self._kind == "json":
            schema = None if self._types is None else pa.schema(self._types.items())
            lines = pa.py_buffer(data)
            table = parse_json_lines(lines, schema, "infer" if schema is None else "error")
            if schema is None:
                refuse_rounded(table, lines)
            return table
        assert self._header is not None
        # Without threads, as for JSON: no thread of PyArrow runs on when an error ends the program.
        return csv.read_csv(
            pa.BufferReader(self._header + data),
            csv.ReadOptions(use_threads=False, block_size=len(self._header) + len(data) + 1),
            convert_options=csv.ConvertOptions(column_types=self._types or {}, strings_can_be_null=True),
        )


def _as_text(type_: pa.DataType) -> pa.DataType:
    """The type that text is parsed to: categories and long strings are strings there."""
    plain = type_.value_type if pt.is_dictionary(type_) else type_
    return pa.string() if pt.is_large_string(plain) else plain


def _growing(type_: pa.DataType) -> pa.DataType:
    """Widen the type that the first lines give a column, so that it can hold values of later lines."""
    if pt.is_timestamp(type_):
        return pa.timestamp("ns", type_.tz)
    if pt.is_date(type_):
        return pa.timestamp("ns")
    # Nothing is known of a column that has no value yet. Text can hold whatever comes.
    return pa.string() if pt.is_time(type_) or pt.is_null(type_) else type_


def frame_like(table: pa.Table) -> pd.DataFrame:
    """The columns of a new table: whole numbers and booleans have nulls if the first lines have some."""
    masked_dtypes = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    names = [field.name for field in table.schema if table[field.name].null_count and field.type in masked_dtypes]
    like: pd.DataFrame = table.to_pandas()
    return like.assign(**table.select(names).to_pandas(types_mapper=masked_dtypes.get))
