"""The memory of a growing table's next segment: how many rows it holds, and whether it is a spare or a new file.

Does not depend on: the head, which segments there are, how rows are written.
"""

from __future__ import annotations

import contextlib

from colonnade.core.alignment import PAGE, align
from colonnade.format.growing import GrowingSchema
from colonnade.format.stripes import HUGE_STRIPE, STRIPE
from colonnade.storage import spares
from colonnade.storage.capacity import used_bytes
from colonnade.storage.catalog import Catalog
from colonnade.storage.draft import Draft
from colonnade.storage.log_head import Retention
from colonnade.storage.publish import Publisher

SEGMENT_BYTES = 64 << 20
_TEXT_OF_A_ROW = 64


class Room:
    """Memory for the segments of one growing table; ``mode`` are the permissions of its files.

    ``has_spares``: a segment of this table became a spare, so it is worth looking for one.
    """

    def __init__(self, catalog: Catalog, mode: int) -> None:
        self._catalog = catalog
        self._publisher = Publisher(catalog)
        self._mode = mode
        self.has_spares = False

    def rows(self, schema: GrowingSchema, retention: Retention, nbytes: int) -> int:
        """The capacity of the next segment; ``nbytes`` is the size of the rows that are about to be written.

        Raises
        ------
        StoreFullError
            They would pass the store's capacity.
        """
        rows, limit = _rows(schema, retention), self._limit
        return rows if limit is None else self._within(limit, schema, rows, nbytes)

    def text_bytes(self, schema: GrowingSchema, rows: int, least: int) -> int:
        """The room for the text of each column in a segment of ``rows`` rows: ``least`` bytes or more."""
        return align(max(rows * _TEXT_OF_A_ROW, least), PAGE) if schema.has_text else 0

    @property
    def _limit(self) -> int | None:
        with self._catalog.directory.opened() as root:
            return self._catalog.directory.settings(root).capacity

    def _within(self, limit: int, schema: GrowingSchema, rows: int, nbytes: int) -> int:
        """As many rows in a store that has a capacity: less where the rest would not hold a whole segment.

        The store is asked when a segment begins, and not for each batch. So a table may pass the limit by what one
        stripe of rows takes, and by text that is longer than expected.
        """
        with self._catalog.directory.lock() as root:
            self._publisher.check_capacity(root, nbytes, limit)
            rest = limit - used_bytes(root)
        row_nbytes = schema.row_bytes + _TEXT_OF_A_ROW * schema.has_text
        return max(min(rows, rest // row_nbytes // STRIPE * STRIPE), STRIPE)

    def draft(self, size: int) -> Draft:
        """A spare that nobody sees, or a new file."""
        if not self.has_spares:
            with self._catalog.directory.opened() as root:
                return Draft.fresh(root, self._mode)
        with self._catalog.directory.lock() as root:
            return spares.claim(root, size, self._mode) or Draft.fresh(root, self._mode)

    def free(self) -> bool:
        """Free what may go in a file system that is full, such as spares; whether there was anything."""
        with contextlib.suppress(OSError):
            return self._publisher.free_room()
        return False


def _rows(schema: GrowingSchema, retention: Retention) -> int:
    """A multiple of `STRIPE`, and of `HUGE_STRIPE` if there are so many."""
    limits = (retention.nbytes, retention.rows * schema.row_bytes, 8 * SEGMENT_BYTES)
    rows = min(limit for limit in limits if limit) // 8 // schema.row_bytes
    step = HUGE_STRIPE if rows >= HUGE_STRIPE else STRIPE
    return max(rows // step * step, STRIPE)
