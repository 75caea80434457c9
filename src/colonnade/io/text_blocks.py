"""Text in blocks that end with a row, so that each block can be parsed by itself.

Does not depend on: how a block is parsed, files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Measured on 100 MB of CSV, two processors: blocks of 1, 2, 4 and 8 MiB are equally fast. A block that is being parsed
# takes two and a half times its size.
BLOCK = 4 << 20


def blocks(stream: Any, end_of_rows: Callable[[bytes], int]) -> Iterator[bytes]:
    """Give the text in blocks that end with a row; at least one."""
    rest = b""
    any_block = False
    while data := stream.read(BLOCK):
        if rest:
            data = rest + data
        if len(data) >= BLOCK and (end := end_of_rows(data)):
            rest, any_block = data[end:], True
            yield data[:end]
        else:
            rest = data
    if rest.strip() or not any_block:
        yield rest


def end_of_lines(data: bytes) -> int:
    """Find the end of the last line; 0 if no line ends."""
    return data.rfind(b"\n") + 1


class CsvRows:
    """Finds rows of CSV whose fields are separated by one ASCII character."""

    def __init__(self, delimiter: str) -> None:
        sign = delimiter.encode()
        other = re.escape(sign)
        # Whole rows. A quote begins a field, or is a character like any other, as in 5" pipe. Nothing is matched twice.
        field = rb'(?:"(?:[^"]++|"")*+"[^%b\n]*+|(?!")[^%b\n]*+)' % (other, other)
        self.rows = re.compile(rb"(?:(?:%b%b)*+%b\n)*+" % (field, other, field))
        field = rb'(?:"(?:[^"]++|"")*+"[^%b\r\n]*+|(?!")[^%b\r\n]*+)' % (other, other)
        self.header = re.compile(rb"(?:%b%b)*+%b(?:\r\n|\r|\n|\Z)" % (field, other, field))
        self._separates = np.zeros(256, np.bool_)  # by character
        self._separates[list(sign + b"\n\r")] = True

    def end(self, data: bytes) -> int:
        """Find the end of the last line that ends outside of quotes; 0 if none does."""
        if b'"' not in data:
            return end_of_lines(data)
        end = self.end_of_regular(data)
        if end is None:
            rows = self.rows.match(data)
            end = rows.end() if rows else 0
        return end

    def end_of_regular(self, data: bytes) -> int | None:
        """Find the same where every quote encloses a field or is doubled within one; None where it is not so.

        Then a line ends outside of quotes if the number of quotes before it is even. By induction: outside of quotes, a
        delimiter or a line break ends a field, and a quote behind one begins a field; the next quote ends it, if a
        delimiter, a line break or a second quote follows. It takes 3 ms for 4 MiB, where the expression takes 90.
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
        begins = self._separates[signs[opening - 1]] | (opening == 0)
        begins[1:] |= opening[1:] == closing[:-1] + 1
        ends = self._separates[signs[closing + 1]] | (signs[closing + 1] == _QUOTE)
        return end + 1 if begins.all() and ends.all() else None


_QUOTE = ord('"')
