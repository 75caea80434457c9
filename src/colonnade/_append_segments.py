"""Writes rows into the segments of a growing table, one segment after the other, and shows them to other programs.

Does not depend on: who appends, locks, turns, interrupts (`_append`).
"""

from __future__ import annotations

import time

from colonnade import _core
from colonnade.errors import InvalidDataError
from colonnade.format.growing_envelope import AUTOMATIC_STATES
from colonnade.format.growing_file import Counts
from colonnade.format.stripes import STRIPE
from colonnade.format.write.growing import Rows
from colonnade.format.write.growing_plain import is_signed, plain_columns, row_reader
from colonnade.format.write.growing_rows import RowWriter, text_of
from colonnade.storage.log import Log
from colonnade.storage.log_segment import LogSegment

_BETWEEN_STATES = 0.01  # seconds
# The most text of one column that is expected from the rows so far; twice that is laid out. A few long rows gave a TiB,
# which the file system refused. Rows that are being appended get the room that they need, whatever it is.
_MOST_EXPECTED_TEXT = 16 << 30  # bytes


class SegmentWriter:
    """Writes rows into the last segment of a locked table, and begins the next one where that is full.

    One thread at a time may use it. What an error or an interrupt leaves unfinished, `take_back` undoes.
    """

    def __init__(self, log: Log) -> None:
        schema = log.schema
        self._log = log
        self._index = None if schema.index is None else schema.names.index(schema.index)
        self._signedness = [is_signed(column.dtype) for column in schema.columns]
        # The last value of the index, of the segment before.
        self._index_before: bytes | None = None
        # Segments that are left behind, and what is still to be shown of them.
        self.full_segments: list[tuple[LogSegment, Counts]] = []
        # Rows are shown to other programs when there are this many, and not before this time.
        self.show_from, self.show_at = 0, 0.0
        self._reader = row_reader(schema)
        self.plain = plain_columns(schema)
        self.use(self._new_writer())
        self._show_predecessor()

    def _show_predecessor(self) -> None:
        """Show all rows of the last segment but one: a producer that was killed after a roll-over may not have."""
        before = self._log.predecessor()
        if before is None:
            return
        segment, rows = before
        if segment.state is None or segment.state.rows < rows:
            segment.show(self._writer_of(segment, rows).counts, is_whole=True)
            segment.tell()
        segment.close()

    def _new_writer(self) -> RowWriter | None:
        segment = self._log.segment
        return None if segment is None else self._writer_of(segment, self._log.committed - segment.entry.base)

    def use(self, writer: RowWriter | None) -> None:
        """Write with it from now on; None: with nothing, so that no segment is mapped."""
        self._writer = writer
        self.direct: _core.DirectAppender | None = None
        if writer is not None:
            self.direct = _core.DirectAppender(
                self._reader,
                self.plain,
                writer.core,
                self._log.words,
                writer.codes,
                self._index,
                self._index is not None and self._signedness[self._index],
                self._index_before,
            )

    def _writer_of(self, segment: LogSegment, rows: int) -> RowWriter:
        return RowWriter(self._log.schema, segment.places, segment.mapping, segment.fd, rows)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def write(self, rows: Rows | _core.GrowingBatch, count: int) -> None:
        """Write rows and publish them, over as many segments as they need.

        Raises
        ------
        InvalidDataError, UnsupportedTypeError, StoreFullError, OSError
            No row is published then. Call `take_back` before the next ones.
        """
        text, count_written = text_of(rows) if isinstance(rows, Rows) else 0, 0
        writer = self._writer or self._begin(text, count)
        batch = writer.batch(rows) if isinstance(rows, Rows) else rows
        if self._index is not None:
            self._check_order(writer, batch, self._index)
        while True:
            count_written += writer.core.append(batch, count_written)
            if count_written == count:
                break
            writer = self._begin(text, count - count_written)
        self._log.publish(self._log.committed + count)

    def take_back(self) -> None:
        """Go back to the rows that the head counts as published: remove segments begun since, and count anew."""
        self.use(None)
        self._log.recover()
        self.use(self._new_writer())
        # A segment that is the last one again is not left behind.
        last, rows = self._log.segment, self._log.committed
        self.full_segments = [
            (segment, counts)
            for segment, counts in self.full_segments
            if last is not None
            and segment.entry.number < last.entry.number
            and segment.entry.base + counts.rows <= rows
        ]
        for segment, _ in self.full_segments:
            segment.look_again()

    def _check_order(self, writer: RowWriter, batch: _core.GrowingBatch, index: int) -> None:
        """See that the values of the index ascend.

        Raises
        ------
        InvalidDataError
        """
        row = writer.core.descending_row(batch, index, self._signedness[index], self._index_before)
        if row is not None:
            before = "the last row of the table" if row == 0 else f"row {row - 1:,}"
            raise InvalidDataError(
                f"the index {self._log.schema.index!r} of a growing table ascends, and row {row:,} of the batch is "
                f"less than {before}, or missing; sort the batch, or make a table without index="
            )

    def _begin(self, text: int, rows: int) -> RowWriter:
        """Begin the next segment, for ``rows`` rows, and remember what is to be shown of the last one.

        It gets the dictionaries of the last one. Where that has no room for text, it also gets the rows of its last
        stripe, because a segment ends at a stripe.
        """
        log, before, segment = self._log, self._writer, self._log.segment
        base, start, nbytes = log.committed, 0, rows * log.schema.row_bytes + text
        if before is not None and segment is not None:
            start = before.rows // STRIPE * STRIPE
            base = segment.entry.base + start
            used = max(before.counts.text, default=0)
            # As much again as the rows so far would need in a whole segment. A few long ones say little of the others.
            text_of_rest = min(used * segment.entry.capacity // max(before.rows, 1), _MOST_EXPECTED_TEXT)
            text = 2 * max(text + used, text_of_rest)
        following = log.make(base, text, nbytes)
        writer = self._writer_of(following, 0)
        if before is not None and segment is not None:
            writer.take(before, start)
            self._remember_index(before)
            counts = before.counts if start == before.rows else self._writer_of(segment, start).counts
            self.full_segments.append((segment, counts))
        log.enter(following)
        self.use(writer)
        return writer

    def _remember_index(self, writer: RowWriter) -> None:
        """Remember the last value of the index: the next segment has none before its first row."""
        if self._index is not None and writer.rows:
            at, width = writer.places.columns[self._index].values, writer.widths[self._index]
            assert at is not None
            place = at + (writer.rows - 1) * width
            self._index_before = bytes(writer.memory[place : place + width])

    # -- states for other programs -------------------------------------------------------------------------------------

    def finish_segments(self) -> None:
        """Show the segments whole that were left behind, and drop those that are not to be retained."""
        if not self.full_segments:
            return
        while self.full_segments:
            segment, counts = self.full_segments[0]
            if segment.state is None or segment.state.rows < counts.rows:
                segment.show(counts, is_whole=True)
                segment.tell()
            del self.full_segments[0]
        self._log.retain()

    def show_now_and_then(self) -> None:
        """Show rows to other programs, after a number of rows and at most every 10 ms."""
        segment, writer = self._log.segment, self._writer
        assert segment is not None
        assert writer is not None
        step = segment.entry.capacity // AUTOMATIC_STATES
        visible = 0 if segment.state is None else segment.state.rows
        self.show_from = segment.entry.base + visible + step
        now = time.monotonic()
        if self._log.committed >= self.show_from and now >= self.show_at:
            self.show_at = now + _BETWEEN_STATES
            self.show()
            self.show_from = self._log.committed + step

    def show(self) -> None:
        """Show all rows to other programs. Where a segment has no room for another state, the next one begins."""
        segment, writer = self._log.segment, self._writer
        if segment is None or writer is None or (segment.state is not None and segment.state.rows >= writer.rows):
            return
        if not segment.show(writer.counts, is_whole=writer.rows == segment.entry.capacity):
            writer = self._begin(0, 0)
            segment = self._log.segment
            assert segment is not None
            segment.show(writer.counts)
        segment.tell()
