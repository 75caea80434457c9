"""What a growing table is at one number of rows, and what it refuses because its rows are in several segments.

Does not depend on: how rows are read, how segments are opened.
"""

from __future__ import annotations

import abc
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from colonnade.errors import ColonnadeError, UnsupportedTypeError
from colonnade.snapshot import Snapshot
from colonnade.storage.log_reader import LogReader, LogTable, Look

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class GrowingFacts(Snapshot):
    """The properties of a `GrowingSnapshot`, and the methods of a `Snapshot` that it refuses."""

    _table: LogTable
    _first: int
    _stop: int

    @abc.abstractmethod
    def _attached(self) -> tuple[LogReader, Look]:
        """The reader and the segments; a reference is opened now."""

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    @property
    def version(self) -> int:
        """How many rows were ever appended when it was made."""
        return self._stop

    @property
    def identity(self) -> int:
        """A random number that no other growing table has, whatever its name."""
        return self._table.identity

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._stop - self._first

    @property
    def num_columns(self) -> int:
        """The number of columns in the Arrow schema, the index included."""
        return self._table.columns

    @property
    def nbytes(self) -> int:
        """The bytes of its rows, text and categories aside."""
        return self.num_rows * self._table.row_bytes

    @property
    def has_checksums(self) -> bool:
        """Always False: rows that are appended have no checksums."""
        return False

    @property
    def created(self) -> datetime:
        """When the table was made, in UTC."""
        return datetime.fromtimestamp(self._table.created_ns / 1e9, UTC)

    @property
    def expires(self) -> datetime | None:
        """Always None: rows leave by retention."""
        return None

    @property
    def rows_range(self) -> range:
        """The numbers of its rows, counted from the first row that was ever appended."""
        return range(self._first, self._stop)

    @property
    def log(self) -> LogReader:
        """The growing table that it is of."""
        return self._attached()[0]

    @property
    def path(self) -> Path:
        """The folder of the growing table; each of its segments is an Arrow IPC file."""
        return self._attached()[0].path

    @property
    def kind(self) -> Literal["table", "array"]:
        """Always ``"table"``."""
        return "table"

    @property
    def meta(self) -> dict[str, Any]:
        """Always empty: a growing table has none."""
        return {}

    @property
    def columns(self) -> list[Any]:
        """The labels of the columns, without the column that is the index."""
        schema = self._attached()[0].schema
        return [name for name in schema.names if name != schema.index]

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""
        return self.num_rows, len(self.columns)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the ``pandas`` metadata."""
        return self._attached()[0].schema.arrow

    # -- what it refuses -----------------------------------------------------------------------------------------------

    def to_buffer(self) -> pa.Buffer:
        """Refuse: the rows of a growing table are in several segments.

        Returns
        -------
        pyarrow.Buffer
            Never.

        Raises
        ------
        UnsupportedTypeError
            Always.
        """
        raise UnsupportedTypeError(
            f"{self._called} is a growing table, whose rows are not one buffer: use to_numpy(), or put it as a table"
        )

    def __buffer__(self, flags: int) -> memoryview:
        raise BufferError(f"{self._called} is a growing table, whose memory is more than one buffer; use to_numpy()")

    def locate(self, keys: Any) -> int | npt.NDArray[np.int64]:  # noqa: ARG002 -- as of a Snapshot
        """Refuse: a growing table has no key.

        Parameters
        ----------
        keys : scalar or array
            As in `Snapshot.locate`.

        Returns
        -------
        int or numpy.ndarray of int64
            Never.

        Raises
        ------
        UnsupportedTypeError
            Always.
        """
        raise self._without_key()

    def rows(self, keys: Any) -> pd.DataFrame:  # noqa: ARG002 -- as of a Snapshot
        """Refuse: a growing table has no key.

        Parameters
        ----------
        keys : scalar or array
            As in `Snapshot.locate`.

        Returns
        -------
        pandas.DataFrame
            Never.

        Raises
        ------
        UnsupportedTypeError
            Always.
        """
        raise self._without_key()

    def _without_key(self) -> ColonnadeError:
        return UnsupportedTypeError(
            f"{self._called} is a growing table, which has no key index: put(name, snapshot, key=...) makes a table "
            "that has one"
        )

    @property
    def _called(self) -> str:
        return repr(self._table.name)
