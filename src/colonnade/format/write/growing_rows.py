"""Writes rows into a segment of a growing table, behind those that are published.

Does not depend on: files, the head, who publishes.

The order inside a batch: text before offsets, and what a dictionary gains before the codes that use it. All of it comes
before the rows are published. The last byte of bits is replaced by one store that keeps the published bits.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade.errors import StoreFullError
from colonnade.format.growing import DICTIONARY_TEXT, MOST_CATEGORIES, Column, ColumnPlaces, GrowingSchema, Kind, Places
from colonnade.format.growing_file import Counts
from colonnade.format.write.growing import Chunk, Rows

Ranges = list[tuple[int, int, int]]


class RowWriter:
    """Writes into one segment. ``rows`` are those that it has; their nulls, text and dictionaries are counted anew."""

    def __init__(self, table: GrowingSchema, places: Places, memory: memoryview, rows: int) -> None:
        self._table = table
        self._places = places
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
        self.rows = rows
        self.nulls = [self._count_nulls(at) for _, at in self._columns()]
        self.text = [
            0 if at.offsets is None or not rows else int(self._view(at.offsets, "<i8", rows + 1)[rows])
            for _, at in self._columns()
        ]
        self.categories: dict[int, dict[str, int]] = {
            number: self._read_dictionary(at.dictionary)
            for number, (_, at) in enumerate(self._columns())
            if at.dictionary is not None
        }

    def _columns(self) -> list[tuple[Column, ColumnPlaces]]:
        return list(zip(self._table.columns, self._places.columns, strict=True))

    def _view(self, at: int, dtype: Any, count: int) -> npt.NDArray[Any]:
        kind = np.dtype(dtype)
        return self._bytes[at : at + count * kind.itemsize].view(kind)

    def _count_nulls(self, at: ColumnPlaces) -> int:
        if at.validity is None or not self.rows:
            return 0
        bits = np.unpackbits(self._view(at.validity, "u1", -(-self.rows // 8)), bitorder="little")
        return self.rows - int(np.count_nonzero(bits[: self.rows]))

    def _read_dictionary(self, at: Any) -> dict[str, int]:
        count = int(self._view(at.size, "<u8", 1)[0]) if self.rows else 0
        if not count:
            return {}
        offsets = self._view(at.offsets, "<i8", count + 1)
        text = self._bytes[at.text : at.text + int(offsets[-1])].tobytes()
        return {text[offsets[i] : offsets[i + 1]].decode(): i for i in range(count)}

    @property
    def counts(self) -> Counts:
        """What a state is to say of the rows that are written."""
        sizes = [sum(len(name.encode()) for name in names) for names in self.categories.values()]
        return Counts(self.rows, self.nulls, self.text, [len(names) for names in self.categories.values()], sizes)

    def ranges(self, rows: Rows) -> Ranges:
        """The memory that rows will be written to: start of the region, first byte, end."""
        found: Ranges = []
        first, last = self.rows, self.rows + rows.num_rows
        for number, ((column, at), chunk) in enumerate(zip(self._columns(), rows.chunks, strict=True)):
            width = column.width or 1
            is_bits = column.kind in (Kind.BOOLEAN, Kind.MASKED_BOOLEAN)
            if at.values is not None:
                found.append(
                    (at.values, at.values + first // 8, at.values + -(-last // 8))
                    if is_bits
                    else (at.values, at.values + first * width, at.values + last * width)
                )
            if at.pandas is not None:
                found.append((at.pandas, at.pandas + first * width, at.pandas + last * width))
            if at.validity is not None:
                found.append((at.validity, at.validity + first // 8, at.validity + -(-last // 8)))
            if at.mask is not None:
                found.append((at.mask, at.mask + first, at.mask + last))
            if at.offsets is not None and at.text is not None and chunk.text is not None:
                found.append((at.offsets, at.offsets + 8 * first, at.offsets + 8 * (last + 1)))
                start = at.text + self.text[number]
                found.append((at.text, start, start + chunk.text.nbytes))
            if at.dictionary is not None:
                names = self.categories[number]
                new = [name for name in self._names(chunk) if name not in names]
                end = sum(len(name.encode()) for name in names)
                more = sum(len(name.encode()) for name in new)
                if len(names) + len(new) > MOST_CATEGORIES or end + more > DICTIONARY_TEXT:
                    raise StoreFullError(
                        f"column {column.name!r} would have {len(names) + len(new):,} categories with "
                        f"{end + more:,} bytes of text; {MOST_CATEGORIES:,} and {DICTIONARY_TEXT:,} are the most. "
                        "Use str for columns of many different values"
                    )
                start = at.dictionary.offsets
                found.append((start, start + 8 * len(names), start + 8 * (len(names) + len(new) + 1)))
                found.append((at.dictionary.text, at.dictionary.text + end, at.dictionary.text + end + more))
        return found

    def _names(self, chunk: Chunk) -> list[str]:
        """The categories that the codes of a chunk use."""
        if chunk.text is None or chunk.values is None:
            return []
        used = np.unique(chunk.values[chunk.values >= 0])
        return [name for name in chunk.text.take(pa.array(used)).to_pylist() if name is not None]

    def write(self, rows: Rows) -> None:
        """Write rows; their memory must be there."""
        for number, ((column, at), chunk) in enumerate(zip(self._columns(), rows.chunks, strict=True)):
            valid = self._write(number, column, at, chunk, rows.num_rows)
            if at.validity is not None and valid is not None:
                self._put_bits(at.validity, valid)
                self.nulls[number] += rows.num_rows - int(np.count_nonzero(valid))
        self.rows += rows.num_rows

    def _write(
        self, number: int, column: Column, at: ColumnPlaces, chunk: Chunk, count: int
    ) -> npt.NDArray[np.bool_] | None:
        first, values = self.rows, chunk.values
        if column.kind is Kind.TEXT:
            return self._write_text(number, at, chunk.text, count)
        assert values is not None
        assert at.values is not None
        if column.kind is Kind.CATEGORY:
            return self._write_codes(number, at, chunk)
        if at.pandas is not None:
            self._view(at.pandas, "?", first + count)[first:] = values
            self._put_bits(at.values, values.astype(bool))
        else:
            self._view(at.values, values.dtype, first + count)[first:] = values
        if at.mask is not None and chunk.missing is not None:
            self._view(at.mask, "?", first + count)[first:] = chunk.missing
            return np.asarray(~chunk.missing)
        if column.kind is Kind.TIME:
            return np.asarray(~np.isnat(values))
        return np.asarray(~np.isnan(values)) if column.kind is Kind.FLOATING else None

    def _write_text(self, number: int, at: ColumnPlaces, text: Any, count: int) -> npt.NDArray[np.bool_]:
        assert at.offsets is not None
        assert at.text is not None
        end = self.text[number]
        offsets = np.frombuffer(text.buffers()[1], "<i8", count + 1, 8 * text.offset) if count else np.zeros(1, "<i8")
        size = int(offsets[-1] - offsets[0])
        if end + size > self._places.text_bytes:
            raise StoreFullError("a segment has no room for so much text")
        if size:
            self._bytes[at.text + end : at.text + end + size] = np.frombuffer(
                text.buffers()[2], np.uint8, size, int(offsets[0])
            )
        self._view(at.offsets, "<i8", self.rows + count + 1)[self.rows :] = offsets - offsets[0] + end
        self.text[number] = end + size
        return np.asarray(text.is_valid())

    def _write_codes(self, number: int, at: ColumnPlaces, chunk: Chunk) -> npt.NDArray[np.bool_]:
        assert chunk.values is not None
        assert chunk.text is not None
        assert at.values is not None
        assert at.pandas is not None
        self.add_names(number, self._names(chunk))
        names = self.categories[number]
        table = np.array([names.get(name, -1) for name in chunk.text.to_pylist()] + [-1], np.int32)
        codes = table[chunk.values]  # -1 is the last one
        first, count = self.rows, len(codes)
        self._view(at.pandas, "<i4", first + count)[first:] = codes
        self._view(at.values, "<i4", first + count)[first:] = np.maximum(codes, 0)
        return np.asarray(codes >= 0)

    def dictionary_ranges(self, before: RowWriter) -> Ranges:
        """The memory that the dictionaries of another segment's writer take."""
        found: Ranges = []
        for number, names in before.categories.items():
            at = self._places.columns[number].dictionary
            assert at is not None
            found.append((at.offsets, at.offsets, at.offsets + 8 * (len(names) + 1)))
            found.append((at.text, at.text, at.text + sum(len(name.encode()) for name in names)))
        return found

    def add_names(self, number: int, added: list[str]) -> None:
        """Add categories to a dictionary; those that it has are left out."""
        names, at = self.categories[number], self._places.columns[number].dictionary
        assert at is not None
        new = [name for name in added if name not in names]
        if not new:
            return
        end = sum(len(name.encode()) for name in names)
        for name in new:
            text = name.encode()
            self._bytes[at.text + end : at.text + end + len(text)] = np.frombuffer(text, np.uint8)
            end += len(text)
            names[name] = len(names)
            self._bytes[at.offsets + 8 * len(names) : at.offsets + 8 * len(names) + 8] = np.frombuffer(
                struct.pack("<q", end), np.uint8
            )
        self._view(at.size, "<u8", 1)[0] = len(names)

    def _put_bits(self, at: int, flags: npt.NDArray[np.bool_]) -> None:
        first = self.rows // 8
        kept = self.rows % 8
        packed = np.packbits(np.concatenate([np.zeros(kept, bool), flags]), bitorder="little")
        if kept:
            packed[0] |= self._bytes[at + first] & ((1 << kept) - 1)
        self._bytes[at + first : at + first + len(packed)] = packed
