"""A growing table at one number of rows: what `open` gives for the name of one.

Does not depend on: how rows are written, how a new row is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
import pyarrow as pa

from colonnade import arguments
from colonnade.arguments import whole_number
from colonnade.displayed import displayed
from colonnade.errors import (
    ColonnadeError,
    CorruptSnapshotError,
    NotFoundError,
    RowsDroppedError,
    UnsupportedTypeError,
    brief_repr,
)
from colonnade.explanation import ColumnReport, Explanation
from colonnade.format.growing import Kind
from colonnade.format.polars_reading import why_polars_converts
from colonnade.format.read.growing import check_all, check_values, read_arrow, span_of_time, start_of_window
from colonnade.growing_frames import chunks_of, private_frame, shared_frame
from colonnade.interop import pyarrow_calls
from colonnade.interop.pandas import values_of
from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_reader import LogReader, LogTable, Look, Part, find_log
from colonnade.storage.os_errors import SHORTAGES, explain_use

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import polars as pl


class _Located:
    """The block within which a snapshot is read: whatever fails there says which table is damaged, and where it is.

    pandas and PyArrow fail in many ways where values make no sense. The library's own errors pass, and so does a lack
    of memory. A generator would take 3 us, which is much of the time of a frame.
    """

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: GrowingSnapshot) -> None:
        self._snapshot = snapshot

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            return
        if isinstance(error, ColonnadeError) and not isinstance(error, CorruptSnapshotError):
            return
        if isinstance(error, OSError) and error.errno in SHORTAGES:  # which says nothing of the file
            raise explain_use(error, f"reading {self._snapshot.name!r}") from error
        what = str(error) if isinstance(error, ColonnadeError) else f"damaged values ({type(error).__name__}: {error})"
        raise CorruptSnapshotError(
            f"{self._snapshot.name!r} cannot be read: {what}. Its folder is {self._snapshot.path}; delete it, and "
            "append anew"
        ) from error


@displayed
class GrowingSnapshot(Snapshot):
    """A growing table at one number of rows, which never changes: the rows that come later are in later snapshots.

    Made by `colonnade.open`, `colonnade.watch` and `colonnade.latest` for a name that `colonnade.appender` made. It is
    a `Snapshot`; its **version is the number of rows** that were ever appended when it was made. Rows that retention
    dropped before that are not in it: ``rows_range`` says which are.

    It holds a descriptor for each segment until it is closed or collected, and frames hold the memory of their rows.
    Pickling it gives a reference, which finds the same rows as long as they are retained.

    Examples
    --------
    >>> import colonnade as cn
    >>> with cn.appender("docs/grown", {"x": "float64"}) as log:
    ...     _ = log.append({"x": [1.5, 2.5]})
    ...     snap = cn.open("docs/grown")
    ...     _ = log.append({"x": [3.5]})
    >>> snap.version, snap.to_pandas()["x"].tolist()
    (2, [1.5, 2.5])
    >>> cn.delete("docs/grown")
    """

    def __init__(
        self, table: LogTable, first: int, stop: int, reader: LogReader | None = None, look: Look | None = None
    ) -> None:
        # What a Snapshot has of a file, this one does not have: see its properties.
        self._table = table
        self._first = first
        self._stop = stop
        self._reader = reader
        self._look = look

    @classmethod
    def at(cls, reader: LogReader, look: Look) -> GrowingSnapshot:
        """Make the snapshot of what was seen."""
        return cls(reader.table, look.first, look.stop, reader, look)

    # -- what it is ----------------------------------------------------------------------------------------------------

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
        """The labels of the columns; the column that is the index is none of them."""
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

    # -- its views -----------------------------------------------------------------------------------------------------

    def to_pandas(
        self,
        *,
        columns: Iterable[Any] | str | None = None,
        writable: bool = True,
        dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
    ) -> pd.DataFrame:
        """Open the rows as pandas; parameters and errors are those of `Snapshot.to_pandas`.

        Nothing is copied, over any number of segments. The index is the column that is the index, or the numbers of the
        rows. ``writable=False`` gives views of memory that all read-only frames of the process share.
        """
        arguments.check_flags(writable=writable)
        labels = arguments.labels(columns)
        if dtype_backend is not None or types_mapper is not None:
            from colonnade._dtype_backend import mapper_of

            frame: pd.DataFrame = pyarrow_calls.to_pandas(
                self.to_arrow(validate="full"), types_mapper=mapper_of(dtype_backend, types_mapper)
            )
            return frame if labels is None else frame[labels]
        reader, look = self._attached()
        with self._located():
            return (private_frame if writable else shared_frame)(reader, look, self.rows_range, labels)

    def to_arrow(self, *, validate: Literal["full"] | None = None) -> pa.Table:
        """Open the rows as PyArrow: one chunk for each segment; nothing is copied. See `Snapshot.to_arrow`."""
        reader, _ = self._attached()
        with self._located():
            chunks = chunks_of(self._parts())
            if validate is not None:
                check_values(reader.schema, chunks)
            return read_arrow(reader.schema, chunks)

    def to_polars(self, *, validate: Literal["full"] | None = None) -> pl.DataFrame:
        """Open the rows as Polars; numbers and times are not copied. See `Snapshot.to_polars`."""
        try:
            from colonnade.interop.polars import from_arrow
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_polars() needs Polars: pip install 'colonnade[polars]'") from error
        is_checked = validate is not None or self._attached()[0].owner != os.geteuid()
        return from_arrow(self.to_arrow(validate="full" if is_checked else None))

    def to_numpy(self, *, writable: bool = True) -> npt.NDArray[Any]:
        """Open the rows as an array of shape (rows, columns): a view if all columns are of one dtype."""
        return values_of(self.to_pandas(writable=writable))

    def to_buffer(self) -> pa.Buffer:
        """Refuse: the rows of a growing table are in several segments.

        Raises
        ------
        UnsupportedTypeError
        """
        raise UnsupportedTypeError(
            f"{self._called} is a growing table, whose rows are not one buffer: use to_numpy(), or put it as a table"
        )

    def __buffer__(self, flags: int) -> memoryview:
        raise BufferError(f"{self._called} is a growing table, whose memory is more than one buffer; use to_numpy()")

    def locate(self, keys: Any) -> Any:  # noqa: ARG002 -- as of a Snapshot
        """Refuse: a growing table has no key.

        Raises
        ------
        UnsupportedTypeError
        """
        raise self._without_key()

    def rows(self, keys: Any) -> pd.DataFrame:  # noqa: ARG002 -- as of a Snapshot
        """Refuse, as `locate`."""
        raise self._without_key()

    def _without_key(self) -> ColonnadeError:
        return UnsupportedTypeError(
            f"{self._called} is a growing table, which has no key index: put(name, snapshot, key=...) makes a table "
            "that has one"
        )

    def last(self, last: int | str | timedelta) -> GrowingSnapshot:
        """Take the newest rows only.

        Parameters
        ----------
        last : int, str or timedelta
            How many rows; or, where the table has an index of times, a time as in ``"5min"``: the rows that are later
            than the newest row's time less that much. It is found by binary search.

        Raises
        ------
        ValueError
            For a time where the index is not one of times.
        """
        reader, look = self._attached()
        first, stop = self._first, self._stop
        start = self._start_of_window(last) if _is_time(last) else max(first, stop - _count(last))
        return GrowingSnapshot(reader.table, start, stop, reader, look)

    def _start_of_window(self, last: str | timedelta | np.timedelta64) -> int:
        span = span_of_time(last, "last")
        reader, _ = self._attached()
        index = reader.schema.index
        number = reader.schema.names.index(index) if index is not None else None
        if number is None or reader.schema.columns[number].kind is not Kind.TIME:
            raise ValueError(
                f"last={last!r} needs an index of times, and {self._called} has "
                + (f"the index {index!r}" if index else "none")
                + "; give a number of rows, or make the table with appender(..., index='time')"
            )
        with self._located():
            parts = self._parts()
            return start_of_window(reader.schema.columns[number], number, chunks_of(parts), self.rows_range, span)

    def explain(self) -> Explanation:
        """Say of each column how pandas reads it: none is copied."""
        schema, table = self._attached()[0].schema, self.to_arrow()
        return Explanation(
            ColumnReport(
                column.name,
                "index" if column.name == schema.index else "column",
                str(column.arrow),
                str(column.dtype),
                table.column(number).nbytes,  # of its rows; the buffers have room for more
                table.column(number).null_count,
                0,
                "",
                why_polars_converts(column.arrow, views=False),
            )
            for number, column in enumerate(schema.columns)
        )

    def validate(self) -> None:
        """Check everything, values included: offsets, text, codes and the order of the index.

        Raises
        ------
        CorruptSnapshotError
        """
        reader, _ = self._attached()
        with self._located():
            check_all(reader.schema, chunks_of(self._parts()))

    @property
    def _called(self) -> str:
        return repr(self._table.name)

    # -- its life ------------------------------------------------------------------------------------------------------

    def _attached(self) -> tuple[LogReader, Look]:
        """The reader and the segments; a reference is opened now."""
        if self._closed:
            raise ValueError(f"{self._called} is closed; open it again")
        if self._reader is None or self._look is None:
            where = self._table
            reader = find_log(Catalog.at(where.store, where.owner), where.name)
            if reader is None or reader.identity != where.identity:
                raise NotFoundError(
                    f"a reference to the growing table {where.name!r} was passed to this process, and it is not in "
                    f"{where.store} any more: it was deleted, or it is on another machine. On another machine, open it "
                    "by the address of its host, which serves the rows so far; or put its rows as a table and send that"
                )
            look = reader.look()
            if look.first > self._first or look.stop < self._stop:
                raise dropped(where.name, self._first, look)
            self._reader, self._look = reader, look
        return self._reader, self._look

    def _located(self) -> Any:
        return _Located(self)

    def _parts(self) -> list[Part]:
        return self._attached()[1].parts(self._first, self._stop)

    def fileno(self) -> int:
        """The descriptor of the newest segment.

        Raises
        ------
        ValueError
            If it was closed, or has no rows.
        """
        parts = self._parts()
        if not parts:
            raise ValueError(f"{self._called} has no rows, so there is no file")
        return parts[-1].segment.fd

    def close(self) -> None:
        """Release its segments. Frames and tables made before live on."""
        self._reader = self._look = None
        self._closed = True

    def __reduce__(self) -> tuple[Any, ...]:
        return GrowingSnapshot, (self._table, self._first, self._stop)

    def __copy__(self) -> GrowingSnapshot:
        return GrowingSnapshot(self._table, self._first, self._stop, *self._attached())


def _is_time(last: Any) -> TypeGuard[str | timedelta | np.timedelta64]:
    return isinstance(last, (str, timedelta, np.timedelta64))


def _count(last: Any) -> int:
    """How many rows are wanted."""
    if isinstance(last, bool) or not hasattr(last, "__index__"):
        raise TypeError(f"last must be a number of rows or a time, as in '5min', got {brief_repr(last)}")
    count = whole_number(last, "last")
    if count < 0:
        raise ValueError(f"last must be >= 0 rows or a time, got {count}")
    return count


def open_newest(reader: LogReader, last: int | str | timedelta) -> GrowingSnapshot:
    """Make the snapshot of the newest rows: see `GrowingSnapshot.last`. Segments without such rows are not opened."""
    rows = 1 if _is_time(last) else _count(last)
    while True:
        newest = GrowingSnapshot.at(reader, reader.look(rows))
        window = newest.last(last)
        # A window that begins with the first row may have rows before it, where so many were looked at.
        if not _is_time(last) or window.rows_range.start > newest.rows_range.start or newest.num_rows < rows:
            return window
        rows = 4 * newest.num_rows


def open_growing(reader: LogReader, version: int | None) -> GrowingSnapshot:
    """Make the snapshot of a growing table, as it is now or as it was at a number of rows.

    Raises
    ------
    NotFoundError
        The table never had so many rows, or they are no longer retained.
    """
    look = reader.look()
    if version is None:
        return GrowingSnapshot.at(reader, look)
    rows = whole_number(version, "version")
    if rows < 0:
        raise ValueError(
            f"the versions of the growing table {reader.name!r} are numbers of rows, so version={rows} is none; "
            f"it is at {look.stop:,}"
        )
    if rows > look.stop:
        raise NotFoundError(
            f"there is no version {rows:,} of the growing table {reader.name!r}: it has {look.stop:,} rows so far"
        )
    if rows < look.first:
        raise dropped(reader.name, rows, look)
    return GrowingSnapshot(reader.table, look.first, rows, reader, look)


class _VersionDroppedError(RowsDroppedError, NotFoundError):
    """Rows that are not retained any more, where a version was asked for."""


def dropped(name: str, row: int, look: Look) -> _VersionDroppedError:
    """The error of rows that are not there any more."""
    return _VersionDroppedError(
        f"row {row:,} of the growing table {name!r} is not retained any more: rows {look.first:,} to {look.stop:,} "
        "are. Read faster, or retain more: appender(..., retain=)"
    )
