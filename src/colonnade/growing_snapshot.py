"""A growing table at one number of rows: what `open` gives for the name of one.

Does not depend on: how rows are written, how a new row is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from colonnade import arguments
from colonnade.arguments import number_of_rows
from colonnade.displayed import displayed
from colonnade.errors import (
    ColonnadeError,
    CorruptSnapshotError,
    NotFoundError,
)
from colonnade.explanation import ColumnReport, Explanation
from colonnade.format.growing import Kind
from colonnade.format.polars_reading import why_polars_converts
from colonnade.format.read.growing import (
    check_all,
    check_values,
    is_time,
    read_arrow,
    span_of_time,
    start_of_window,
)
from colonnade.growing_facts import GrowingFacts
from colonnade.growing_frames import chunks_of, private_frame, shared_frame
from colonnade.interop import pyarrow_calls
from colonnade.interop.pandas import values_of
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_reader import LogReader, LogTable, Look, Part, find_log, rows_dropped
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
        if isinstance(error, Exception):
            _raise_located(self._snapshot, error)


def _raise_located(snapshot: GrowingSnapshot, error: Exception) -> None:
    """Raise the error that says which table is damaged; nothing for an error that passes as it is."""
    if isinstance(error, MemoryError) or (
        isinstance(error, ColonnadeError) and not isinstance(error, CorruptSnapshotError)
    ):
        return
    if isinstance(error, OSError) and error.errno in SHORTAGES:  # which says nothing of the file
        raise explain_use(error, f"reading {snapshot.name!r}") from error
    what = str(error) if isinstance(error, ColonnadeError) else f"damaged values ({type(error).__name__}: {error})"
    raise CorruptSnapshotError(
        f"{snapshot.name!r} cannot be read: {what}. Its folder is {snapshot.path}; delete it, and append anew"
    ) from error


@displayed
class GrowingSnapshot(GrowingFacts):
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
        # What a Snapshot has of a file, this one does not have: see `GrowingFacts`.
        self._table = table
        self._first = first
        self._stop = stop
        self._reader = reader
        self._look = look

    @classmethod
    def at(cls, reader: LogReader, look: Look) -> GrowingSnapshot:
        """Make the snapshot of what was seen.

        Parameters
        ----------
        reader : LogReader
            The growing table.
        look : Look
            Its rows, with their segments.

        Returns
        -------
        GrowingSnapshot
        """
        return cls(reader.table, look.first, look.stop, reader, look)

    # -- its views -----------------------------------------------------------------------------------------------------

    def to_pandas(
        self,
        *,
        columns: Iterable[Any] | str | None = None,
        writable: bool = True,
        dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
    ) -> pd.DataFrame:
        """Open the rows as pandas: nothing is copied, over any number of segments.

        Parameters
        ----------
        columns : iterable of labels or str, optional
            Take these columns, in this order, and the index. A string is one label.
        writable : bool, default True
            True: the frame may be written to, and nobody else sees the change. False: the arrays are views of memory
            that all read-only frames of the process share.
        dtype_backend : {"numpy_nullable", "pyarrow"}, optional
            As in `Snapshot.to_pandas`.
        types_mapper : callable, optional
            As in `Snapshot.to_pandas`.

        Returns
        -------
        pandas.DataFrame
            Its index is the column that is the index, or the numbers of the rows.

        Raises
        ------
        NotFoundError
            If there is no column of a label.
        CorruptSnapshotError
            If a segment is damaged.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-pandas", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2]})
        >>> cn.open("docs/grown-pandas").to_pandas()["x"].sum()
        np.int64(3)
        >>> cn.delete("docs/grown-pandas")
        """
        # Few calls: a reader that was just woken has nothing in the processor's caches, and each takes 2 us then.
        if type(writable) is not bool:
            arguments.check_flags(writable=writable)  # type: ignore[unreachable]  # callers may give anything
        labels = None if columns is None else arguments.labels(columns)
        if dtype_backend is not None or types_mapper is not None:
            from colonnade._dtype_backend import mapper_of

            frame: pd.DataFrame = pyarrow_calls.to_pandas(
                self.to_arrow(validate="full"), types_mapper=mapper_of(dtype_backend, types_mapper)
            )
            return frame if labels is None else frame[labels]
        reader, look = self._attached()
        try:
            return (private_frame if writable else shared_frame)(reader, look, range(self._first, self._stop), labels)
        except Exception as error:
            _raise_located(self, error)
            raise

    def to_arrow(self, *, validate: Literal["full"] | None = None) -> pa.Table:
        """Open the rows as PyArrow: one chunk for each segment; nothing is copied.

        Parameters
        ----------
        validate : {"full", None}, default None
            "full" first looks at every value that Arrow reads.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        CorruptSnapshotError
            If a segment is damaged; values are looked at only with ``validate="full"``.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-arrow", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2]})
        >>> cn.open("docs/grown-arrow").to_arrow()["x"].to_pylist()
        [1, 2]
        >>> cn.delete("docs/grown-arrow")
        """
        reader, _ = self._attached()
        with self._located():
            chunks = chunks_of(self._parts())
            if validate is not None:
                check_values(reader.schema, chunks)
            return read_arrow(reader.schema, chunks)

    def to_polars(self, *, validate: Literal["full"] | None = None) -> pl.DataFrame:
        """Open the rows as Polars; numbers and times are not copied. Needs the extra ``polars``.

        Parameters
        ----------
        validate : {"full", None}, default None
            As in `Snapshot.to_polars`.

        Returns
        -------
        polars.DataFrame

        Raises
        ------
        CorruptSnapshotError
            If a segment is damaged.
        ModuleNotFoundError
            If Polars is not installed.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-polars", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2]})
        >>> cn.open("docs/grown-polars").to_polars()["x"].to_list()
        [1, 2]
        >>> cn.delete("docs/grown-polars")
        """
        try:
            from colonnade.interop.polars import from_arrow
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_polars() needs Polars: pip install 'colonnade[polars]'") from error
        is_checked = validate is not None or self._attached()[0].owner != os.geteuid()
        return from_arrow(self.to_arrow(validate="full" if is_checked else None))

    def to_numpy(self, *, writable: bool = True) -> npt.NDArray[Any]:
        """Open the rows as an array of shape (rows, columns).

        Parameters
        ----------
        writable : bool, default True
            As in `to_pandas`.

        Returns
        -------
        numpy.ndarray
            A view if all columns are of one dtype, else a copy.

        Raises
        ------
        CorruptSnapshotError
            If a segment is damaged.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-numpy", {"x": "int64", "y": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2], "y": [3, 4]})
        >>> cn.open("docs/grown-numpy").to_numpy().tolist()
        [[1, 3], [2, 4]]
        >>> cn.delete("docs/grown-numpy")
        """
        return values_of(self.to_pandas(writable=writable))

    def last(self, last: int | str | timedelta) -> GrowingSnapshot:
        """Take the newest rows only.

        Parameters
        ----------
        last : int, str or timedelta
            How many rows; or, where the table has an index of times, a time as in ``"5min"``: the rows that are later
            than the newest row's time less that much. It is found by binary search.

        Returns
        -------
        GrowingSnapshot
            Of the same version, with these rows.

        Raises
        ------
        ValueError
            For a time where the index is not one of times.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-last", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2, 3]})
        >>> cn.open("docs/grown-last").last(2).to_pandas()["x"].tolist()
        [2, 3]
        >>> cn.delete("docs/grown-last")
        """
        reader, look = self._attached()
        first, stop = self._first, self._stop
        start = self._start_of_window(last) if is_time(last) else max(first, stop - number_of_rows(last))
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
        """Report for each column how pandas reads it: none is copied.

        Returns
        -------
        Explanation
            A sequence of reports, which prints as a table.

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.appender("docs/grown-explain", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2, 3]})
        >>> [(report.column, report.zero_copy) for report in cn.open("docs/grown-explain").explain()]
        [('x', True)]
        >>> cn.delete("docs/grown-explain")
        """
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
            Something is damaged. The message says what.
        """
        reader, _ = self._attached()
        with self._located():
            check_all(reader.schema, chunks_of(self._parts()))

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
                raise rows_dropped(where.name, self._first, look)
            self._reader, self._look = reader, look
        return self._reader, self._look

    def _located(self) -> Any:
        return _Located(self)

    def _parts(self) -> list[Part]:
        return self._attached()[1].parts(self._first, self._stop)

    def fileno(self) -> int:
        """Give the number of the descriptor of the newest segment.

        Returns
        -------
        int
            It belongs to the snapshot, which closes it.

        Raises
        ------
        ValueError
            If it was closed, or has no rows.

        Examples
        --------
        >>> import colonnade as cn, os
        >>> with cn.appender("docs/grown-fileno", {"x": "int64"}) as log:
        ...     _ = log.append({"x": [1, 2, 3]})
        >>> snap = cn.open("docs/grown-fileno")
        >>> os.fstat(snap.fileno()).st_nlink
        1
        >>> cn.delete("docs/grown-fileno")
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
