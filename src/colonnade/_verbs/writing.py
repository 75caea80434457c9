"""Tables into a store: `put`, `share`, `load`, `allocate`.

Does not depend on: how the verbs work. Each method imports what it calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from colonnade._verbs.base import StoreBase
from colonnade.snapshot import Snapshot

if TYPE_CHECKING:
    from colonnade._allocate import DraftTable
    from colonnade.format.write.key import Key
    from colonnade.interop.protocols import Data


class Writing(StoreBase):
    """What stores a table."""

    def put(
        self,
        name: str,
        data: Data,
        *,
        keep: int = 1,
        expect_version: int | Snapshot | None = None,
        ttl: float | str | timedelta | None = None,
        key: Key | None = None,
        unique: bool = False,
        sort_by: Hashable | list[Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        checksum: bool = False,
        views: bool = False,
    ) -> Snapshot:
        """Store a table under a name, as its next version.

        The columns are copied once, from where they are into the store, by all processors. The source must not change
        until this returns. Readers of older versions are not disturbed.

        Parameters
        ----------
        name : str
            ``/``-separated parts of ``[A-Za-z0-9._-]``, no part starting with a dot.
        data : DataFrame, Series, anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, array, bytes or mapping
            A Series of pandas or Polars comes back as one. A Polars LazyFrame is collected. A stream is read to its end
            first. NumPy arrays of any shape and any dtype except Python objects, and objects with the buffer protocol,
            come back as they are, by `Snapshot.to_numpy` and `Snapshot.to_buffer`. A mapping of labels to arrays of one
            length is stored as a frame.
        keep : int, default 1
            How many versions of the name to keep, this one included: ``open(name, version=n)`` finds them.
        expect_version : int or Snapshot, optional
            Store only if the name is at this version (0: does not exist), or still leads to this very Snapshot. Pass
            the Snapshot if the table may be deleted: after a delete, versions begin at 1 again, so that a number alone
            may match other data.
        ttl : float (seconds), timedelta or str, optional
            The table's lifetime, in whole seconds, rounded up; as text ``"90s"``, ``"15min"``, ``"12h"``, ``"1d"``.
            After that, the next `gc` removes it, or a put that needs its room. The lifetime of a name is that of its
            newest version: versions that ``keep=`` retains are removed with it.
        key : label, list of labels or True, optional
            Columns to look rows up by, or True for the row index: integers, times, decimals, text, bytes or
            categories. The file gets an index over them, of about 16 bytes a row, which each process uses
            as it is: see `Snapshot.locate` and `Snapshot.rows`. Rows whose key has a null are not in it.
        unique : bool, default False
            With ``key``: refuse a table in which a key occurs in several rows.
        sort_by : label, list of labels or True, optional
            Store the rows in the order of these columns, or of the row index (True). The sort is stable, and nulls come
            last. A sorted copy of the table is made first, which takes as long as pandas or PyArrow need. A
            default RangeIndex starts anew; any other index moves with its rows.
        meta : mapping of str to JSON values, optional
            Other facts about the table: its source, a schema, a commit. `Snapshot.meta`, `ls` and `info`
            show it.
        checksum : bool, default False
            Store a checksum of all values. `check` and ``validate="full"`` compare it, and so find pages of a file that
            never reached the disk, or changed there. Making it reads the table once more, at the speed of memory.
            Without it, only the layout of the file has checksums.
        views : bool, default False
            Store text and bytes in Arrow's view layout too, 16 bytes a row, so that `Snapshot.to_polars` copies
            nothing. A table that comes in that layout, as from Polars, always has it.

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.
        NotATableError, UnsupportedTypeError
            If the data is not a table, or has columns that cannot be stored; each is named. Or if ``meta`` is not JSON.
        NotFoundError
            If there is no column that ``sort_by`` names.
        DuplicateKeyError
            With ``unique``, if a key occurs in several rows.
        ConflictError
            If the name is not at the expected version.
        StoreFullError, StoreAccessError
            If there is no room, or this user may not write to the store. After each of these errors the store is as it
            was.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/put", pd.DataFrame({"x": [1, 2, 3]})).num_rows
        3
        >>> cn.put("docs/put", pd.DataFrame({"x": [1, 2, 3, 4]}), expect_version=1).version
        2
        >>> cn.delete("docs/put")
        """
        from colonnade._put import Request

        request = Request.checked(
            name,
            keep,
            expect_version,
            ttl,
            key=key,
            unique=unique,
            sort_by=sort_by,
            meta=meta,
            checksum=checksum,
            views=views,
        )
        return self._writer.put(data, request)

    def share(self, data: Data) -> Snapshot:
        """Share a table without a name, for as long as this process holds the Snapshot.

        Pickled, it is a reference of a few hundred bytes: an argument for a process pool. Processes that open it while
        the owner holds it have frames that outlive it. The table is freed when its Snapshot is closed or collected, or
        when its owner exits. If the owner was killed, the next put or `gc` of any process frees it.

        Parameters
        ----------
        data : pandas DataFrame or Series, anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, array or bytes
            As in `put`.

        Returns
        -------
        Snapshot
            The owner's, also a context manager. A forked child may use its own copy, and does not own the table.

        Raises
        ------
        NotATableError, UnsupportedTypeError, StoreFullError, StoreAccessError
            As in `put`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd, pickle
        >>> with cn.share(pd.DataFrame({"x": [1.5, 2.5]})) as shared:
        ...     message = pickle.dumps(shared)                # a few hundred bytes
        ...     df = pickle.loads(message).to_pandas()        # in any process of this user
        >>> df["x"].sum()
        np.float64(4.0)
        """
        from colonnade._share import share

        return share(self._writer, data)

    def load(
        self,
        name: str,
        source: Any,
        *,
        query: str | None = None,
        format: str | None = None,
        columns: str | Iterable[str] | None = None,
        filters: Any = None,
        types: Mapping[str, Any] | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        engine: Literal["pyarrow", "duckdb", "polars"] | None = None,
        progress: bool = True,
        keep: int = 1,
        expect_version: int | Snapshot | None = None,
        ttl: float | str | timedelta | None = None,
        key: Key | None = None,
        unique: bool = False,
        meta: Mapping[str, Any] | None = None,
        checksum: bool = False,
        views: bool = False,
    ) -> Snapshot:
        """Store what a file, a folder of files or a database contains, as the next version of a table.

        The source is read in batches, and each is released as soon as it is stored: the table is never in memory twice.

        Parameters
        ----------
        name : str
            As in `put`.
        source : path, URL, connection or Arrow data
            A file or a folder of Parquet, CSV, TSV, Feather, Arrow IPC (files and streams), ORC or JSON lines (text
            also with .gz, .bz2, .zst or .xz), here or at a URL: ``s3://``, ``gs://``, ``hdfs://``, and with the extra
            ``remote`` what fsspec knows, as ``https://``. A folder has the columns of all its files, and those that the
            names of its folders say (``year=2013/``). A pattern (``"2026-*.csv"``, ``"**/*.parquet"``) stands for the
            files of this machine that match it. With ``query``, a database: ``sqlite:///data.db`` (four slashes before
            an absolute path) or ``postgresql://user@host/name``, which need the extra ``adbc``; or a DB-API connection
            whose cursors give Arrow, as those of DuckDB and ADBC do. Or a dataset of PyArrow, or anything with
            ``__arrow_c_stream__``, ``fetch_record_batch`` or ``fetch_arrow_table``: a DuckDB relation, a cursor
            that has run its query.
        query : str, optional
            The query that the database runs.
        format : str, optional
            The format of a file whose suffix does not say it: parquet, csv, tsv, feather, arrow, orc, json.
        columns : str or list of str, optional
            Only these columns, in this order; the other columns of Parquet files are not read.
        filters : expression or list of tuples, optional
            Only the rows for which this is true, as in ``pyarrow.parquet.read_table``: ``[("year", "==", 2013)]``, or
            an expression of ``pyarrow.dataset``. Parts of Parquet files whose statistics exclude it are not read. Not
            for text.
        types : mapping of names to types, optional
            The types of columns of text, which are otherwise found in all values: ``{"zip": "string"}``. A type is
            PyArrow's or its name, or ``category``. For CSV, TSV and JSON lines.
        delimiter, decimal : str, optional
            The characters of CSV between fields and in numbers; by default ``,`` (a tab for TSV) and ``.``.
        encoding : str, optional
            The encoding of text, by default UTF-8: a name that Python knows, as ``latin-1``.
        engine : {"pyarrow", "duckdb", "polars"}, optional
            The library that parses text and finds its types; by default PyArrow. The others are extras.
        progress : bool, default True
            Draw a progress bar on stderr, if that is a terminal, for loads that take longer than a second.
        keep, expect_version, ttl, key, unique, meta, checksum, views
            As in `put`.

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        UnreadableFileError
            If the file is broken, or not of the format that its suffix says.
        QueryError
            If the database refused the query, or stopped before its end.
        InvalidNameError, NotATableError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError
            As in `put`.
        OSError, ValueError, ModuleNotFoundError
            If there is no such file, options exclude each other, or an extra is not installed. After each of these
            errors the store is as it was.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "bids.csv"
        >>> pd.DataFrame({"pair": ["EURUSD", "USDJPY"], "bid": [1.08, None]}).to_csv(file, index=False)
        >>> cn.load("docs/bids", file).num_rows
        2
        >>> cn.get("docs/bids")
             pair   bid
        0  EURUSD  1.08
        1  USDJPY   NaN
        >>> cn.delete("docs/bids")
        """
        from colonnade._load import load
        from colonnade._put import Request
        from colonnade.io.options import ReadOptions

        request = Request.checked(
            name, keep, expect_version, ttl, key=key, unique=unique, meta=meta, checksum=checksum, views=views
        )
        options = ReadOptions.checked(
            columns=columns,
            filters=filters,
            types=types,
            delimiter=delimiter,
            decimal=decimal,
            encoding=encoding,
            engine=engine,
        )
        return load(self._writer, source, request, query=query, format_=format, options=options, progress=progress)

    def allocate(
        self,
        name: str,
        schema: Mapping[Any, Any],
        rows: int,
        *,
        nulls: bool = True,
        keep: int = 1,
        expect_version: int | Snapshot | None = None,
        ttl: float | str | timedelta | None = None,
    ) -> contextlib.AbstractContextManager[DraftTable]:
        """Make a table to be filled in place, in a ``with`` block, and publish it when the block ends.

        The columns are NumPy arrays over the segment itself: what is stored there is not copied again. If the block
        ends with an error, nothing is stored. Processes that are forked in the block may fill the arrays too; they must
        be done when it ends.

        Parameters
        ----------
        name : str
            As in `put`.
        schema : mapping of labels to dtypes or data
            A dtype of fixed width (bool, numbers, datetimes, timedeltas; also datetimes with a zone, whose array holds
            UTC) makes a column to fill. Anything else is the column's values: strings, categoricals, masked arrays.
        rows : int
            The number of rows.
        nulls : bool, default True
            Whether NaN and NaT become nulls of Arrow, as in `put`. If so, the columns are read once more when the block
            ends. False: they stay values.
        keep, expect_version, ttl
            As in `put`.

        Yields
        ------
        DraftTable
            A mapping of labels to arrays of shape (rows,). Before they are filled, they hold arbitrary values.

        Raises
        ------
        InvalidNameError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError
            As in `put`.
        ValueError
            If ``rows`` is not a count, or data has another length. After each of these errors the store is as it was.

        Examples
        --------
        >>> import colonnade as cn, numpy as np
        >>> with cn.allocate("docs/walk", {"t": "datetime64[s]", "x": "float32"}, rows=1_000) as draft:
        ...     draft["t"][:] = np.datetime64("2026-01-01") + np.arange(1_000)
        ...     draft["x"][:] = np.random.default_rng(1).standard_normal(1_000).cumsum()
        >>> cn.get("docs/walk").shape
        (1000, 2)
        >>> cn.delete("docs/walk")
        """
        from colonnade._allocate import allocate
        from colonnade._put import Request

        return allocate(self._writer, schema, rows, Request.checked(name, keep, expect_version, ttl), nulls=nulls)
