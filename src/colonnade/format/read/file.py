"""One Arrow file in memory and its layout metadata, opened and not yet read.

Does not depend on: pandas' frames, names, descriptors, how a column is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from colonnade.errors import ColonnadeError, CorruptSnapshotError
from colonnade.format import schema
from colonnade.format.bounds import Body, Stretch
from colonnade.format.ipc import OpenedEnvelope, read_envelope
from colonnade.format.seal import Checksums, end_of_contents
from colonnade.interop.pyarrow_calls import first_batch


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turn whatever a malformed file leads to into a CorruptSnapshotError.

    pandas and PyArrow fail in many ways where values make no sense. The library's own errors pass, and so does a lack
    of memory, which need not be the file's fault.
    """
    try:
        yield
    except (ColonnadeError, MemoryError):
        raise
    except Exception as error:
        raise CorruptSnapshotError(f"damaged values or layout metadata ({type(error).__name__}: {error})") from error


class StoredFile:
    """One Arrow file, ``buffer[start : start + size]``: its body, its rows and its layout metadata.

    Whatever is made from it keeps ``buffer`` alive. ``is_nested``: the file stands in the nested tables section of
    another one, and has no nested tables itself; else a small file could be as many tables as 2 has powers. What is
    read of ``envelope`` must match ``checksums``, if there are any. ``cache`` is a dictionary for what is computed from
    ``layout`` alone; files of equal layout metadata may have it in common. ``check`` is called with each nested table
    before its values are looked at.
    """

    __slots__ = (
        "_batches",
        "body",
        "buffer",
        "cache",
        "check",
        "checksums",
        "envelope",
        "is_nested",
        "layout",
        "size",
        "start"
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 -- made in two places of this file
        self,
        buffer: Any,
        start: int,
        size: int,
        body: Body,
        layout: schema.TableLayout,
        cache: dict[str, Any],
        envelope: OpenedEnvelope,
        checksums: Checksums | None = None,
        is_nested: bool = False,
        check: Callable[[StoredFile], None] | None = None,
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.size = size
        self.body = body
        self.layout = layout
        self.cache = cache
        self.envelope = envelope
        self.checksums = checksums
        self.is_nested = is_nested
        self.check = check
        self._batches: list[pa.RecordBatch] = []

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.layout.rows

    @property
    def frame(self) -> schema.FrameLayout:
        """The layout metadata of what was put as a table."""
        if not isinstance(self.layout, schema.FrameLayout):
            raise schema.invalid("an array where a table should be")
        return self.layout

    @property
    def array(self) -> schema.ArrayLayout | None:
        """The layout metadata of what was put as an array or as bytes; None for a table."""
        return self.layout if isinstance(self.layout, schema.ArrayLayout) else None

    @property
    def series(self) -> schema.Series | None:
        """What was put as a Series has this; None for a frame and an array."""
        return self.layout.series if isinstance(self.layout, schema.FrameLayout) else None

    @property
    def batch(self) -> pa.RecordBatch:
        """The Arrow record batch, over the same memory. Buffer sizes are checked; values are not looked at.

        It is read once, at the first use: a frame of numbers does not need it.
        """
        # No cached_property: before Python 3.12 it has a lock, which a child forked meanwhile would wait for for ever.
        if not self._batches:
            memory = self._memory
            if self.checksums is not None:
                self.checksums.check_arrow(self.envelope.message, self.envelope.footer)
            self._batches.append(_read_batch(memory, self.rows))
        return self._batches[0]

    @property
    def address(self) -> int:
        """The address of ``buffer``, from which `bounds.Stretch` counts."""
        address: int = pa.py_buffer(self.buffer).address
        return address

    @property
    def _memory(self) -> memoryview:
        return memoryview(self.buffer)[self.start : self.start + self.size]

    def check_values(self) -> None:
        """Raise CorruptSnapshotError if the values do not match their checksum; a file may have none."""
        if self.checksums is not None:
            self.checksums.check_values(self._memory[: end_of_contents(self._memory)[0]])

    def checked(self, check: Callable[[StoredFile], None] | None) -> StoredFile:
        """The same file, whose nested tables are checked before they are read."""
        return self._with(self.body, check)

    def watched(self, stretches: list[Stretch]) -> StoredFile:
        """The same file, whose views are recorded in a list."""
        body = Body(self.body.buffer, self.body.start, self.body.size, stretches)
        return self._with(body, self.check)

    def _with(self, body: Body, check: Callable[[StoredFile], None] | None) -> StoredFile:
        file = StoredFile(
            self.buffer,
            self.start,
            self.size,
            body,
            self.layout,
            self.cache,
            self.envelope,
            self.checksums,
            self.is_nested,
            check,
        )
        file._batches = self._batches  # one list: whichever reads the batch first, both have it
        return file


def open_file(buffer: Any, start: int, size: int, checksums: Checksums | None = None) -> StoredFile:
    """Open a file that stands in memory; every place in its envelope is checked against its size.

    Its layout must match ``checksums``, if there are any: the layout metadata now, what Arrow reads when it is read.

    Raises
    ------
    CorruptSnapshotError
    """
    return _open(buffer, start, size, checksums, is_nested=False)


def _open(buffer: Any, start: int, size: int, checksums: Checksums | None, *, is_nested: bool) -> StoredFile:
    envelope = read_envelope(memoryview(buffer)[start : start + size], checksums)
    body = Body(buffer, start + envelope.body_start, envelope.body_limit)
    layout, cache = schema.decode_kept(envelope.metadata)
    return StoredFile(buffer, start, size, body, layout, cache, envelope, checksums, is_nested)


def open_nested(file: StoredFile, place: schema.NestedTable) -> StoredFile:
    """Open a nested table, checked first where that is asked for."""
    if file.is_nested:
        raise schema.invalid("a nested table has nested tables")
    file.body.bytes(place.at, place.size)
    table = _open(file.buffer, file.body.start + place.at, place.size, None, is_nested=True)
    if file.check is not None:
        file.check(table)
    return table


def _read_batch(memory: memoryview, rows: int) -> pa.RecordBatch:
    try:
        batch = first_batch(memory)
        batch.validate()
    except MemoryError:
        raise
    except Exception as error:  # extension types of pandas fail in Python
        raise CorruptSnapshotError(f"PyArrow cannot read it ({error})") from error
    if batch.num_rows != rows:
        raise CorruptSnapshotError(
            f"the record batch has {batch.num_rows} rows and the layout metadata declares {rows}"
        )
    return batch
