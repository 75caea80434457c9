"""Class Store: every method is one delegation.

Does not depend on: how any of it is done. Readers do without most of the library, so the methods import what they use.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, overload

from colonnade._names import Names
from colonnade.displayed import displayed
from colonnade.errors import NotFoundError, brief_repr
from colonnade.snapshot import Snapshot
from colonnade.storage import paths, settings
from colonnade.storage.catalog import Catalog
from colonnade.storage.directory import TIMEOUT
from colonnade.storage.opening import open_catalog
from colonnade.storage.os_errors import explained
from colonnade.storage.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from colonnade._allocate import DraftTable
    from colonnade._append import Appender
    from colonnade._cache import CachedFunction
    from colonnade._latest import Latest
    from colonnade._lookup import Key
    from colonnade._put import Writer
    from colonnade._serve import Server
    from colonnade._watch import Watch
    from colonnade.interop.protocols import Data
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.usage import Usage

P = ParamSpec("P")
R = TypeVar("R")


@displayed
class Store(Names):
    """A directory of named tables, shared by every process that opens it.

    Parameters
    ----------
    path : str or path-like, optional
        The directory, in shared memory (below ``/dev/shm``) or on a disk; the first put makes it. ``~`` is the user's
        home. By default ``$COLONNADE_STORE``, else ``/dev/shm/colonnade-<uid>``.
    capacity : int or str, optional
        How many bytes all tables together may have, as in ``"8GiB"``. A put that would exceed it raises StoreFullError.
        By default what `configure` stored in the directory, else as much as the file system has.
    spares : int or str, optional
        How many bytes of superseded tables are kept for the next puts to write to, which is several times as fast as
        fresh memory; 0 keeps none. They are freed when room is needed. By default what `configure` stored, else an
        eighth of the file system.
    mode : int, optional
        The mode of the files: 0o600, this user alone, or 0o640, the group may read. By default what `configure` stored,
        else 0o600.
    trust : int, str, or iterable of these, optional
        Other users whose snapshots are opened too: numbers or names (``"alice,1001"``). The users that
        ``$COLONNADE_TRUST`` names, and those that `configure` stored, are trusted as well. The owner of a file can
        change it while it is read.
    durable : bool, default False
        Sync file and directory to the disk before a put returns. Without it, a power failure may lose the newest
        versions.
    timeout : float, default 300
        How many seconds to wait while another process changes the store, which takes about 100 us. After 5 seconds a
        warning names that process; after ``timeout`` seconds LockTimeoutError does.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> store = Store(tempfile.mkdtemp())
    >>> store.put("prices/eurusd", pd.DataFrame({"bid": [1.08, 1.09]}))
    <colonnade.Snapshot 'prices/eurusd' version 1: 2 rows x 1 columns, ... bytes>
    >>> store.get("prices/eurusd")["bid"].max()
    np.float64(1.09)
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        capacity: int | str | None = None,
        spares: int | str | None = None,
        mode: int | None = None,
        trust: int | str | Iterable[int | str] = (),
        durable: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self._own_catalog = open_catalog(
            path, capacity=capacity, spares=spares, mode=mode, trust=trust, durable=durable, timeout=timeout
        )

    @property
    def _catalog(self) -> Catalog:
        return self._own_catalog

    _last_writer: Writer | None = None

    @property
    def _writer(self) -> Writer:
        catalog = self._catalog
        writer = self._last_writer
        if writer is None or writer.catalog is not catalog:
            from colonnade._put import Writer

            writer = self._last_writer = Writer(catalog)
        return writer

    @property
    def path(self) -> Path:
        """The directory."""
        return self._catalog.directory.root

    # -- in ------------------------------------------------------------------------------------------------------------

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
        key : str, list of str or True, optional
            Columns to look rows up by, or True for the row index: integers, times, decimals, text, bytes of a fixed
            length or categories. The file gets an index over them, of about 16 bytes a row, which each process uses
            as it is: see `Snapshot.locate` and `Snapshot.rows`. Rows whose key has a null are not in it.
        unique : bool, default False
            With ``key``: refuse a table in which a key stands in several rows.
        sort_by : label, list of labels or True, optional
            Store the rows in the order of these columns, or of the row index (True). The sort is stable, and nulls come
            last. It makes a sorted copy of the table first, and takes as long as pandas or PyArrow need to sort it. A
            default RangeIndex starts anew; any other index moves with its rows.
        meta : mapping of str to JSON values, optional
            What else is to be known of the table: its source, a schema, a commit. `Snapshot.meta`, `ls` and `info`
            show it.
        checksum : bool, default False
            Store a checksum of all values, which `check`, and ``validate="full"`` of any reader, compare. It finds
            pages of a file that never reached the disk, or changed there. Reads the table once more, at the speed of
            memory. Without it, only the layout of the file has checksums.
        views : bool, default False
            Store text and bytes in Arrow's view layout too, 16 bytes a row, so that `Snapshot.to_polars` copies
            nothing. What comes in that layout, as from Polars, always has it.

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
            If ``unique`` is asked for, and a key stands in several rows.
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
            ``remote`` what fsspec knows, as ``https://``. A folder has the columns of all its files. With ``query``, a
            database: ``sqlite:///data.db`` (four slashes before an absolute path) or ``postgresql://user@host/name``,
            which need the extra ``adbc``; or a DB-API connection whose cursors give Arrow, as those of DuckDB and ADBC
            do. Or anything with ``__arrow_c_stream__``, ``fetch_record_batch`` or ``fetch_arrow_table``: a DuckDB
            relation, a cursor that has run its query.
        query : str, optional
            The query that the database runs.
        format : str, optional
            The format of a file whose suffix does not tell: parquet, csv, tsv, feather, arrow, orc, json.
        columns : str or list of str, optional
            Only these columns, in this order; of Parquet the others are not read.
        filters : expression or list of tuples, optional
            Only the rows for which this is true, as in ``pyarrow.parquet.read_table``: ``[("year", "==", 2013)]``, or
            an expression of ``pyarrow.dataset``. Parts of Parquet files whose statistics exclude it are not read. Not
            for text.
        types : mapping of names to types, optional
            The types of columns of text, which are otherwise found in all values: ``{"zip": "string"}``. A type is
            PyArrow's or its name, or ``category``. For CSV, TSV and JSON lines.
        delimiter, decimal : str, optional
            The characters between fields and in numbers of CSV; by default ``,`` (of TSV a tab) and ``.``.
        encoding : str, optional
            The encoding of text, by default UTF-8: a name that Python knows, as ``latin-1``.
        engine : {"pyarrow", "duckdb", "polars"}, optional
            Who parses text, with the types that it finds; by default PyArrow. The others are extras.
        progress : bool, default True
            Draw a progress bar on stderr, if that is a terminal, for loads that take longer than a second.
        keep, expect_version, ttl, key, unique, meta, checksum
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
            If the database did not answer, or not to the end.
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

        request = Request.checked(name, keep, expect_version, ttl, key=key, unique=unique, meta=meta, checksum=checksum)
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
            Whether NaN and NaT are nulls to Arrow, as in `put`: they are looked for when the block ends. False: they
            are values, and nothing is read again.
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

    def appender(
        self,
        name: str,
        columns: Mapping[str, Any] | None = None,
        *,
        like: Any = None,
        index: str | None = None,
        retain: int | str | timedelta | None = None,
    ) -> Appender:
        """Open a growing table to append rows to it, and make it if it is not there.

        A growing table has rows appended to it, and every other process sees them microseconds later, without a copy.
        Rows never change. One process at a time appends; the table stays when it ends, however it ends.

        Parameters
        ----------
        name : str
            As in `put`. A name is a table or a growing table.
        columns : mapping of names to dtypes, optional
            The columns of a new table: bool, numbers, datetimes and timedeltas (also with a time zone), pandas' masked
            Int64, Float64 and boolean, ``str``, ``category`` (of strings). Of an existing table they may be left out.
        like : DataFrame, optional
            A frame with the same columns, instead of ``columns``. Its rows are not appended. If its index is a column
            with a name, it is the table's.
        index : str, optional
            The column that is the index of the frames that readers get, of numbers or times. Its values ascend.
        retain : int, str or timedelta, optional
            How much is kept, at least: so many rows, as many as a time brings (``"1h"``), or a size (``"4GiB"``). Whole
            segments are dropped, oldest first. By default what was given before, else everything.

        Returns
        -------
        Appender
            A context manager with ``append``, ``row``, ``flush`` and ``close``.

        Raises
        ------
        LogBusyError
            Another process appends to the table, which the message names.
        InvalidNameError
            The name is a table, or outside of the grammar.
        UnsupportedTypeError
            For a dtype that cannot grow, naming the column.
        NotFoundError
            There is no such growing table, and no columns are given.
        ValueError
            The table has other columns.
        StoreFullError, StoreAccessError

        Examples
        --------
        >>> import colonnade as cn, numpy as np
        >>> with cn.appender("docs/ticks", {"time": "datetime64[s]", "bid": "float64"}) as log:
        ...     log.append({"time": np.arange(2).astype("M8[s]"), "bid": [1.08, 1.09]})
        ...     log.row(time=np.datetime64("1970-01-01T00:00:02"), bid=1.10)
        2
        3
        """
        from colonnade._append import Appender, retention_of, schema_of

        return Appender(self._catalog, name, schema_of(columns, like, index), retention_of(retain))

    def append(self, name: str, data: Any) -> int:
        """Append one batch of rows to a growing table, which is made like a DataFrame if it is not there.

        For more than one batch, an `appender` takes a fraction of the time.

        Parameters
        ----------
        name : str
            As in `put`.
        data : DataFrame, mapping of columns to arrays, or Arrow data
            The rows.

        Returns
        -------
        int
            How many rows the table has then.

        Raises
        ------
        LogBusyError, InvalidNameError, NotFoundError, ValueError, StoreFullError, StoreAccessError
            As in `appender`. No row was appended then.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.append("docs/losses", pd.DataFrame({"step": [1, 2], "loss": [0.7, 0.5]}))
        2
        """
        from colonnade._append import append

        return append(self._catalog, name, data)

    # -- out -----------------------------------------------------------------------------------------------------------

    def open(self, name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
        """Attach a table: its newest version, or one that ``keep=`` retained. It takes as long for any size.

        Parameters
        ----------
        name : str
            The table; or one of another host that serves its store (`serve`): ``grpc://host:port/name``, and
            ``grpc+tls://`` over TLS. It is fetched into this store first, unless a process of this host has done so.
            ``$COLONNADE_TOKEN`` is the token of that host, ``$COLONNADE_CA``, ``$COLONNADE_CERT`` and
            ``$COLONNADE_KEY`` are the files of TLS.
        version : int, optional
            An older version; -1 is the newest, -2 the one before it that is still there.
        validate : "full", optional
            Read and check all values first, for producers that are not trusted; see `Snapshot.validate`.

        Returns
        -------
        Snapshot
            The table, mapped; nothing is copied.

        Raises
        ------
        NotFoundError, InvalidNameError
            If there is no such table or version, or the name is outside of the grammar.
        CorruptSnapshotError
            If the file is damaged.
        StoreAccessError
            If this user may not read it, or its owner is not trusted.
        RemoteError, StoreFullError
            If another host does not answer or refuses, or there is no room for a table of its size here.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/open", pd.DataFrame({"x": [1.5, 2.5]})).close()
        >>> with cn.open("docs/open") as snapshot:
        ...     snapshot.version, snapshot.num_rows, snapshot.to_arrow()["x"].to_pylist()
        (1, 2, [1.5, 2.5])
        >>> cn.delete("docs/open")
        """
        if validate not in (None, "full"):
            raise ValueError(f"validate must be 'full' or None, got {brief_repr(validate)}")
        if isinstance(name, str) and "://" in name:
            from colonnade._fetch import open_remote

            snapshot = open_remote(self._catalog, name, version)
        else:
            segment, seal = self._catalog.attach(name, self.version_number(name, version))
            snapshot = Snapshot.attached(self.path, name, segment, seal)
        if validate is not None:
            try:
                snapshot.validate()
            except BaseException:
                snapshot.close()
                raise
        return snapshot

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        advertise: str | None = None,
        insecure: bool = False,
    ) -> Server:
        """Serve the tables to other hosts, over Arrow Flight, read-only, until the Server is closed.

        One process of a host serves a store; others that call this stand by, and one of them takes over if it ends.
        Other hosts open ``grpc://host:port/name``, and references (pickled Snapshots) carry the address. A host fetches
        a table once, into its own store. Any other Flight client reads the tables as record batches.

        Parameters
        ----------
        host : str, default "127.0.0.1"
            The address to listen at. Others than loopback need TLS, or ``insecure``.
        port : int, default 0
            The port; 0: any that is free.
        token : str, optional
            What other hosts must bring. By default ``$COLONNADE_TOKEN``, else a random one: `Server.token`.
        cert, key : path, optional
            This host's certificate and its key, in PEM; by default ``$COLONNADE_CERT`` and ``$COLONNADE_KEY``.
        ca : path, optional
            Hosts that connect must have a certificate that is signed by these; by default ``$COLONNADE_CA``, else
            anybody who has the token may connect.
        advertise : str, optional
            The name or number by which other hosts reach this one, if it is not ``host``.
        insecure : bool, default False
            Allow an address that other machines reach without TLS: whoever is in between can read the token.

        Returns
        -------
        Server
            Its ``address`` and ``token``. A context manager.

        Raises
        ------
        ValueError
            If the address would be reached without TLS, or a parameter is wrong.
        StoreAccessError
            If the port is taken, a certificate cannot be used, or another process serves with a token that this one
            does not know.
        ModuleNotFoundError
            If this PyArrow has no Flight.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/served", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> with cn.serve() as server:
        ...     cn.open(f"{server.address}/docs/served").to_pandas()["x"].sum()
        np.int64(6)
        >>> cn.delete("docs/served")
        """
        from colonnade._serve import serve
        from colonnade.flight import credentials

        given = credentials.Credentials(token, *(None if path is None else os.fspath(path) for path in (ca, cert, key)))
        return serve(
            self._catalog,
            host,
            port,
            credentials=given.or_else(credentials.current()),
            advertise=advertise,
            insecure=insecure,
        )

    def get(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: Iterable[Any] | str | None = None,
        writable: bool = True,
        dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
        validate: Literal["full"] | None = None,
    ) -> pd.DataFrame:
        """Open a table as pandas: zero-copy, writable, private to this process.

        Parameters
        ----------
        name : str
            The table.
        version : int, optional
            As in `open`.
        columns : iterable of labels or str, optional
            Take these columns, in this order; the index comes along. A string is one label.
        writable : bool, default True
            Map privately: the frame may be written to, and the kernel copies only the pages that are touched. False:
            the arrays are read-only.
        dtype_backend, types_mapper
            As in `Snapshot.to_pandas`.
        validate : "full", optional
            As in `open`.

        Returns
        -------
        pandas.DataFrame
            As of `Snapshot.to_pandas`. It outlives the table.

        Raises
        ------
        NotFoundError, InvalidNameError
            If there is no such table, version or column, or the name is outside of the grammar.
        CorruptSnapshotError, StoreAccessError
            As in `open`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snapshot = cn.put("docs/get", pd.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "c"]}))
        >>> df = cn.get("docs/get", columns=["x"])
        >>> df["x"] += 1                        # private to this frame
        >>> int(df["x"].sum()), int(cn.get("docs/get")["x"].sum())
        (9, 6)
        >>> cn.delete("docs/get")
        """
        with self.open(name, version=version, validate=validate) as snapshot:
            return snapshot.to_pandas(
                columns=columns, writable=writable, dtype_backend=dtype_backend, types_mapper=types_mapper
            )

    def dump(
        self, name: str, path: str | os.PathLike[str], *, version: int | None = None, progress: bool = True
    ) -> None:
        """Write a table to a file: Parquet, Feather, Arrow IPC or CSV (also .csv.gz, .bz2, .zst), by the suffix.

        The file is written under another name and renamed when it is complete. Parquet and Feather keep what pandas
        needs to give the same frame, its index too; CSV has the columns of the index first.

        Parameters
        ----------
        name : str
            The table.
        path : path
            The file; an existing one is replaced.
        version : int, optional
            As in `open`.
        progress : bool, default True
            As in `load`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
            As in `open`.
        UnsupportedTypeError
            If the format cannot represent a column.
        ValueError, OSError
            If the suffix is not known, the folder does not exist, or there is no room. No file is left.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "bids.parquet"
        >>> cn.put("docs/bids", pd.DataFrame({"bid": [1.08, 1.09]})).close()
        >>> cn.dump("docs/bids", file)
        >>> pd.read_parquet(file)["bid"].max()
        np.float64(1.09)
        >>> cn.delete("docs/bids")
        """
        from colonnade.io.dump import checked_path, dump
        from colonnade.io.progress import progress_bar

        file, kind = checked_path(path)
        with self.open(name, version=version) as snapshot, progress_bar(f"dumping {name}", enabled=progress) as meter:
            dump(snapshot.to_arrow(validate="full"), file, kind, meter)

    def sql(self, query: str, *, params: Any = None, external_access: bool = False) -> duckdb.DuckDBPyRelation:
        """Query tables by their names, with DuckDB. Needs the extra ``duckdb``.

        The tables that the query mentions are opened now, the newest version of each. The relation reads those and no
        others, however often it is run and whatever is put meanwhile. Numbers and times are read where they are in the
        store.

        A name with slashes or dots is written in double quotes. DuckDB is given one SELECT and nothing else to run, and
        has no access to files, the network, settings and extensions. Pass values from outside by ``params``.

        Parameters
        ----------
        query : str
            One query: ``select``, ``with``, ``from``, ``values``, ``describe`` or ``summarize``.
        params : sequence or mapping, optional
            The values of ``?``, or of ``$name``. With them the query is run at once.
        external_access : bool, default False
            Let the query, and the methods of its relation, read and write local files and the network with the rights
            of this process (``from 'file.csv'``, ``read_parquet('s3://...')``), and change DuckDB's settings.

        Returns
        -------
        duckdb.DuckDBPyRelation
            It is run when its rows are asked for: ``.df()``, ``.pl()``, ``.to_arrow_table()``, ``.fetchall()``; `put`
            takes it too. It keeps the tables open, and belongs to one thread at a time.

        Raises
        ------
        NotFoundError, CorruptSnapshotError, StoreAccessError
            For a table of the query.
        UnsupportedTypeError
            If a table has columns that DuckDB cannot read; each is named.
        ValueError
            If it is not one query.
        duckdb.Error
            If the query is wrong; also later, if running it fails.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/flights", pd.DataFrame({"carrier": ["UA", "AA", "UA"], "delay": [2.0, 5.0, 4.0]})).close()
        >>> cn.put("airlines", pd.DataFrame({"carrier": ["AA", "UA"], "name": ["American", "United"]})).close()
        >>> cn.sql('''
        ...     select name, avg(delay) as delay from "docs/flights" join airlines using (carrier)
        ...     group by name order by name
        ... ''').df()
               name  delay
        0  American    5.0
        1    United    3.0
        >>> cn.sql("select name from airlines where carrier = ?", params=["AA"]).fetchall()
        [('American',)]
        >>> cn.delete("docs/flights"), cn.delete("airlines")
        (None, None)
        """
        try:
            from colonnade.interop.duckdb import run
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("sql() needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'") from error

        return run(query, params, self._table_for_duckdb, external_access=external_access)

    def attach(self, connection: duckdb.DuckDBPyConnection, pattern: str | None = None) -> list[str]:
        """Register tables as views of their names in a DuckDB connection of your own. Needs the extra ``duckdb``.

        The newest version of each is opened now, and the connection reads that one until it is attached again or
        closed; so all queries of a session see the same data. Numbers and times are read where they are in the store.

        Parameters
        ----------
        connection : duckdb.DuckDBPyConnection
            Not to be used by another thread meanwhile.
        pattern : str, optional
            Which tables, as in `ls`: a folder, or a pattern like ``"nyc/*"``. All by default.

        Returns
        -------
        list of str
            The names. A name with slashes or dots is written in double quotes in a query.

        Raises
        ------
        CorruptSnapshotError, StoreAccessError
        UnsupportedTypeError
            If a table has columns that DuckDB cannot read; each is named.
        ValueError
            If two names differ in upper and lower case only, which are one to SQL.

        Examples
        --------
        >>> import colonnade as cn, duckdb, pandas as pd
        >>> cn.put("docs/prices", pd.DataFrame({"x": [1, 2]})).close()
        >>> con = duckdb.connect()
        >>> cn.attach(con, "docs/prices")
        ['docs/prices']
        >>> con.sql('select sum(x) from "docs/prices"').fetchall()
        [(3,)]
        >>> con.close()
        >>> cn.delete("docs/prices")
        """
        try:
            from colonnade.interop.duckdb import register
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("attach() needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'") from error

        if not hasattr(connection, "register"):
            raise TypeError(f"attach() takes a connection of DuckDB, got {brief_repr(connection)}")
        tables = {}
        for info in self.ls(pattern):
            with contextlib.suppress(NotFoundError):  # deleted meanwhile
                tables[info.name] = self._table_for_duckdb(info.name)
        register(connection, tables)
        return list(tables)

    def _table_for_duckdb(self, name: str) -> pa.Table:
        with self.open(paths.check_name(name)) as snapshot:  # a query reaches no other host
            return snapshot.to_arrow(validate="full")  # DuckDB follows offsets and trusts text

    # -- new versions --------------------------------------------------------------------------------------------------

    def watch(self, name: str, *, timeout: float | None = None) -> Watch:
        """Wait for each new version of a table: an iterator of Snapshots, for ``for`` and ``async for``.

        The present version comes first. Then each put wakes the waiting thread or task, within a millisecond, and it
        gets the newest version, never a backlog. If there is no such table yet, it is waited for, its folders and the
        store too.

        A table that is deleted raises NotFoundError once, if no other was put by then. Asked again, the watch waits for
        the next put, whose versions begin at 1 again. A watch holds no snapshot; the variable of a loop does, until it
        gets the next one.

        Parameters
        ----------
        name : str
            The table.
        timeout : float, optional
            How many seconds to wait for each version; after that, WaitTimeoutError. 0 looks and does not wait.

        Returns
        -------
        Watch
            ``close()``, from any thread or signal handler, ends its loop. It holds one descriptor; all watches of a
            process share one inotify instance.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.
        StoreAccessError
            If the store cannot be watched.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/prices", pd.DataFrame({"bid": [1.08]})).close()
        >>> for snapshot in cn.watch("docs/prices"):
        ...     print(snapshot.version, snapshot.to_pandas()["bid"].max())
        ...     if snapshot.version == 2:
        ...         break
        ...     cn.put("docs/prices", pd.DataFrame({"bid": [1.09]})).close()
        1 1.08
        2 1.09
        >>> cn.delete("docs/prices")
        """
        from colonnade._watch import Watch

        return Watch(self._catalog.directory, paths.check_name(name), lambda: self.open(name), timeout)

    def latest(self, name: str, *, prepare: Callable[[Snapshot], Any] | None = None) -> Latest:
        """Make a handle whose ``.frame`` is always that of the newest version; asking costs one ``stat``.

        It is for programs that serve look-ups from a table that another process replaces again and again. While a table
        is deleted, the handle keeps the last version. If there has been none, it raises NotFoundError.

        Parameters
        ----------
        name : str
            The table.
        prepare : callable, optional
            Called with the Snapshot of each new version before it is served, by the thread that sees it first; what it
            returns is ``.prepared``. The other threads are given the version before meanwhile. If it raises, that
            thread gets the error, it is logged, and the version before is served until there is a newer one.

        Returns
        -------
        Latest
            The handle; it opens nothing before it is asked.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> prices = cn.latest("docs/prices", prepare=lambda snapshot: snapshot.to_pandas()["bid"].max())
        >>> for bid in (1.08, 1.09):
        ...     cn.put("docs/prices", pd.DataFrame({"bid": [bid]})).close()
        ...     look = prices.now()
        ...     print(look.version, float(look.prepared), len(look.frame))
        1 1.08 1
        2 1.09 1
        >>> cn.delete("docs/prices")
        """
        from colonnade._latest import Latest

        return Latest(self._catalog, paths.check_name(name), prepare)

    # -- results of functions ------------------------------------------------------------------------------------------

    @overload
    def cache(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
    @overload
    def cache(
        self, *, ttl: float | str | timedelta | None = None, ignore: Sequence[str] = ()
    ) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
    def cache(
        self,
        function: Callable[P, R] | None = None,
        *,
        ttl: float | str | timedelta | None = None,
        ignore: Sequence[str] = (),
    ) -> Any:
        """Keep the frames that a function returns, for all processes: a decorator.

        For each set of arguments the function runs once, in one process; the others wait and open its result, without a
        copy. If that process is killed, another one runs it. An exception is not kept. The tables have names below
        ``cache/``, one folder a function: `ls` shows them, and each may be deleted at any time.

        Parameters
        ----------
        function : callable
            It returns a frame or a Series of pandas or Polars, a PyArrow table or a NumPy array.
        ttl : float (seconds), timedelta or str, optional
            How long a result is good, as in `put`: ``"15min"``, ``"1d"``. By default as long as it is there.
        ignore : sequence of str, optional
            Parameters that do not change the result: ``["connection", "self"]``.

        Returns
        -------
        CachedFunction
            The function; ``.clear()`` deletes what it has kept. Its key consists of its module and name, its code (but
            not that of functions it calls) and its arguments: plain values, containers, dataclasses, arrays and frames.

        Raises
        ------
        TypeError
            When it is called: if an argument has no stable key, or the function returns something else.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> @cn.cache(ttl="1d")
        ... def squares(n):
        ...     print("computing")
        ...     return pd.DataFrame({"x": [i * i for i in range(n)]})
        >>> int(squares(4)["x"].sum()), int(squares(n=4)["x"].sum())
        computing
        (14, 14)
        >>> squares.clear()
        """
        from colonnade._cache import CachedFunction

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            return CachedFunction(function, self, lambda: self._catalog, ttl, ignore)

        return decorate if function is None else decorate(function)

    # -- the directory -------------------------------------------------------------------------------------------------

    def rename(self, old: str, new: str) -> None:
        """Give a table another name; its versions keep their numbers. Nothing is copied.

        Processes that have it open keep it. References that were pickled before, and handles of the old name, do not
        find it any more.

        Raises
        ------
        NotFoundError, InvalidNameError
            If there is no such table, or a name is outside of the grammar.
        ConflictError
            If there is a table of the new name.
        CorruptSnapshotError, StoreAccessError
            If the file is damaged, or this user may not write to the store.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/draft", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> cn.rename("docs/draft", "docs/final")
        >>> cn.exists("docs/draft"), cn.exists("docs/final")
        (False, True)
        >>> cn.delete("docs/final")
        """
        from colonnade.storage.rename import rename

        rename(self._catalog, self._writer.publisher, old, new)

    def copy(self, name: str, new: str, *, version: int | None = None) -> Snapshot:
        """Keep a table under a second name, whatever happens to the first.

        If there is no table of the new name, it is the same file and takes no memory: same version, identity, times and
        lifetime. If there is one, or the table is another user's, the bytes are copied, as the next version.

        Parameters
        ----------
        name, new : str
            The table, and the name of the copy.
        version : int, optional
            As in `open`.

        Returns
        -------
        Snapshot
            The copy.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreFullError, StoreAccessError
            As in `open` and `put`. The store is as it was then.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/prices", pd.DataFrame({"bid": [1.08]})).close()
        >>> cn.copy("docs/prices", "docs/prices-monday").close()
        >>> cn.put("docs/prices", pd.DataFrame({"bid": [1.09]})).close()
        >>> float(cn.get("docs/prices-monday")["bid"].max())
        1.08
        >>> cn.delete("docs/prices"), cn.delete("docs/prices-monday")
        (None, None)
        """
        from colonnade._copy import copy

        return copy(self, self._writer, name, new, self.version_number(name, version))

    def delete(self, name: str) -> None:
        """Remove a table and all its versions. Processes that have it open keep it.

        Raises
        ------
        NotFoundError, InvalidNameError
            If there is no such table, or the name is outside of the grammar.
        StoreAccessError
            If this user may not write to the store.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/delete", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> cn.delete("docs/delete")
        >>> cn.exists("docs/delete")
        False
        """
        self._writer.publisher.delete(name)

    def gc(self) -> Freed:
        """Free spares, expired tables and what killed writers left; remove empty folders.

        It is safe at any time, whatever else runs.

        Returns
        -------
        Freed
            What was freed.
        """
        from colonnade.storage import gc

        freed = gc.gc(self._catalog)
        gc.collapse(self._catalog)
        return freed

    def check(self) -> list[Problem]:
        """Check everything in the store, values included, and list what is wrong.

        It reads every byte.

        Returns
        -------
        list of Problem
            Empty for a store in order.
        """
        from colonnade.storage import check

        def look_inside(entry: paths.Entry) -> None:
            with self.open(entry.name, version=entry.version) as snapshot:
                snapshot.validate()

        with explained(self.path, "check"):
            return list(check.check(self.path, self._catalog.directory.trusts, look_inside))

    def usage(self) -> Usage:
        """See what occupies the store's memory, and which processes hold it.

        It covers tables, spares, drafts, and deleted or superseded tables that a process has open. Processes of other
        users are only counted, unless root asks.

        Returns
        -------
        Usage
            It prints as a table.

        Raises
        ------
        StoreAccessError
            If the store is a file, or cannot be read.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd, tempfile
        >>> store = cn.Store(tempfile.mkdtemp())
        >>> df = store.put("held", pd.DataFrame({"x": [1.0]})).to_pandas()
        >>> store.delete("held")
        >>> [(segment.role, len(segment.holders)) for segment in store.usage().segments]
        [('deleted', 1)]
        """
        from colonnade.storage.usage import look_at

        with explained(self.path, "looking at what is there"):
            return look_at(self._catalog)

    @property
    def settings(self) -> Settings:
        """The settings that hold: those of this object, else those that the directory stores."""
        directory = self._catalog.directory
        with explained(self.path, "reading settings"):
            try:
                with directory.opened() as root:
                    return directory.settings(root)
            except FileNotFoundError:
                return directory.chosen

    def configure(
        self,
        *,
        capacity: int | str | None = None,
        spares: int | str | None = None,
        mode: int | None = None,
        trust: int | str | Iterable[int | str] | None = None,
    ) -> Settings:
        """Store settings in the directory, for every process that opens it.

        Parameters
        ----------
        capacity, spares, mode, trust
            As those of `Store`. None leaves a setting as it is. The trust holds for this user alone.

        Returns
        -------
        Settings
            All that hold now.

        Raises
        ------
        ValueError
            If a setting is not a size, or not one of the modes.
        StoreAccessError
            If this user may not write to the store.

        Examples
        --------
        >>> import colonnade as cn, tempfile
        >>> store = cn.Store(tempfile.mkdtemp())
        >>> store.configure(capacity="8GiB", spares=0)
        Settings(capacity=8589934592, spares=0, mode=None, trust=None)
        """
        changes = settings.checked(capacity=capacity, spares=spares, mode=mode, trust=trust)
        if changes == Settings():
            return self.settings
        self._catalog.directory.prepare()
        return self._catalog.directory.configure(changes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close: a store holds no file."""

    def __repr__(self) -> str:
        return f"<colonnade.Store {str(self.path)!r}>"

    def __rich_repr__(self) -> Iterator[Any]:
        yield str(self.path)
