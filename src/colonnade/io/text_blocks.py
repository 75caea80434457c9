"""Text in blocks that end with a row, so that each block can be parsed by itself.

Does not depend on: how a block is parsed, files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from colonnade import _core

# Measured on 100 MB of CSV, two processors: blocks of 1, 2, 4 and 8 MiB are equally fast. What is parsed of a block
# takes up to twice its size.
BLOCK = 4 << 20


# Where the last row of data[start:stop] ends; `start` if none does.
EndOfRows = Callable[[Any, int, int], int]


class Text(Protocol):
    """A file's text: all of it in memory (``mapping``), or read piece by piece. ``at`` is how far its blocks are."""

    mapping: Any
    at: int

    def read(self, size: int, /) -> bytes:
        """Read the next bytes, at most ``size``; none at the end."""
        ...


def blocks(text: Text, end_of_rows: EndOfRows) -> Iterator[memoryview]:
    """Give the text in blocks that end with a row; at least one."""
    return _of_memory(text, end_of_rows) if text.mapping is not None else _of_stream(text, end_of_rows)


def _of_memory(text: Text, end_of_rows: EndOfRows) -> Iterator[memoryview]:
    data, size = text.mapping, len(text.mapping)
    view = memoryview(data)
    start = 0
    while start < size:
        stop = start + BLOCK
        while stop < size and (end := end_of_rows(data, start, stop)) == start:
            stop = start + 2 * (stop - start)  # a row that is longer
        text.at = size if stop >= size else end
        yield view[start : text.at]
        start = text.at


def _of_stream(text: Text, end_of_rows: EndOfRows) -> Iterator[memoryview]:
    rest = b""
    any_block = False
    while data := text.read(BLOCK):
        if rest:
            data = rest + data
        if len(data) >= BLOCK and (end := end_of_rows(data, 0, len(data))):
            rest, any_block = data[end:], True
            yield memoryview(data)[:end]
        else:
            rest = data
    if rest.strip(b"\r\n") or not any_block:  # blanks and tabs may be a row of CSV
        yield memoryview(rest)


def end_of_lines(data: Any, start: int, stop: int) -> int:
    """Find the end of the last line."""
    return max(int(data.rfind(b"\n", start, stop)) + 1, start)


class CsvRows:
    """Finds rows of CSV whose fields are separated by one ASCII character."""

    def __init__(self, delimiter: str) -> None:
        sign = delimiter.encode()
        other = re.escape(sign)
        # A quote begins a field, or is a character like any other, as in 5" pipe. Nothing is matched twice.
        field = rb'(?:"(?:[^"]++|"")*+"[^%b\r\n]*+|(?!")[^%b\r\n]*+)' % (other, other)
        self.header = re.compile(rb"(?:%b%b)*+%b(?:\r\n|\r|\n|\Z)" % (field, other, field))
        self._delimiter = ord(delimiter)

    def end(self, data: Any, start: int, stop: int) -> int:
        """Find the end of the last line that ends outside of quotes; ``data`` has a row's start at ``start``."""
        if data.find(b'"', start, stop) < 0:
            return end_of_lines(data, start, stop)
        return start + _core.end_of_csv_rows(memoryview(data)[start:stop], self._delimiter)
