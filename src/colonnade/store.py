"""Class Store: every method is one delegation.

Does not depend on: how any of it is done. Readers do without most of the library, so the methods import what they use.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from colonnade.displayed import displayed
from colonnade.errors import CorruptSnapshotError, NotFoundError, StoreAccessError
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
    from colonnade._latest import Latest
    from colonnade._lookup import Key
    from colonnade._put import Writer
    from colonnade._serve import Server
    from colonnade._watch import Watch
    from colonnade.interop.protocols import Data
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.usage import Usage


class TableInfo(NamedTuple):
    """One table of `Store.ls`; ``nbytes`` is the size of its newest version's file, ``created`` is in UTC."""

    name: str
    version: int
    rows: int
    columns: int
    nbytes: int
    created: datetime


@displayed
class Tables(list[TableInfo]):
    """A list of tables that notebooks and Rich show as a table."""


@displayed
class Store:
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
        ttl: float | timedelta | None = None,
        key: Key | None = None,
        unique: bool = False,
    ) -> Snapshot:
        """Store a table under a name, as its next version.

        The columns are copied once, from where they are into the store, by all processors. The source must not change
        until this returns. Readers of older versions are not disturbed.

        Parameters
        ----------
        name : str
            ``/``-separated parts of ``[A-Za-z0-9._-]``, no part starting with a dot.
        data : pandas DataFrame or Series, anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, array or bytes
            A Series is stored as a frame of one column. A Polars LazyFrame is collected. A stream is read to its end
            first. NumPy arrays of any shape and any dtype except Python objects, and objects with the buffer protocol,
            come back as they are, by `Snapshot.to_numpy` and `Snapshot.to_buffer`.
        keep : int, default 1
            How many versions of the name to keep, this one included: ``open(name, version=n)`` finds them.
        expect_version : int or Snapshot, optional
            Store only if the name is at this version (0: does not exist), or still leads to this very Snapshot. Pass
            the Snapshot if the table may be deleted: after a delete, versions begin at 1 again, so that a number alone
            may match other data.
        ttl : float (seconds) or timedelta, optional
            The table's lifetime, in whole seconds, rounded up. After that, the next `gc` removes it, or a put that
            needs its room. The lifetime of a name is that of its newest version: versions that ``keep=`` retains are
            removed with it.
        key : str, list of str or True, optional
            Columns to look rows up by, or True for the row index: integers, times, decimals, text, bytes of a fixed
            length or categories. The file gets an index over them, of about 16 bytes a row, which each process uses
            as it is: see `Snapshot.locate` and `Snapshot.rows`. Rows whose key has a null are not in it.
        unique : bool, default False
            With ``key``: refuse a table in which a key stands in several rows.

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        InvalidNameError
            If the name is outside of the grammar.
        NotATableError, UnsupportedTypeError
            If the data is not a table, or has columns that cannot be stored; each is named.
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

        return self._writer.put(data, Request.checked(name, keep, expect_version, ttl), key, unique=unique)

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
        progress: bool = True,
        keep: int = 1,
        expect_version: int | Snapshot | None = None,
        ttl: float | timedelta | None = None,
        key: Key | None = None,
        unique: bool = False,
    ) -> Snapshot:
        """Store what a file, a folder of files or a database contains, as the next version of a table.

        The source is read in batches, and each is released as soon as it is stored: the table is never in memory twice.

        Parameters
        ----------
        name : str
            As in `put`.
        source : path, URL, connection or Arrow data
            A file or a folder of Parquet, CSV, Feather, Arrow IPC, ORC or JSON lines (text also with .gz, .bz2 or
            .zst), here or at a URL that PyArrow knows (``s3://``, ``gs://``, ``hdfs://``); a folder has the columns of
            all its files. With ``query``, a database: ``sqlite:///data.db`` (four slashes before an absolute path) or
            ``postgresql://user@host/name``, which need the extra ``adbc``; or a DB-API connection whose cursors give
            Arrow, as those of DuckDB and ADBC do. Or anything with ``__arrow_c_stream__``, ``fetch_record_batch`` or
            ``fetch_arrow_table``: a DuckDB relation, a cursor that has run its query.
        query : str, optional
            The query that the database runs.
        format : str, optional
            The format of a file whose suffix does not tell: parquet, csv, feather, arrow, orc, json.
        progress : bool, default True
            Draw a progress bar on stderr, if that is a terminal, for loads that take longer than a second.
        keep, expect_version, ttl, key, unique
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

        request = Request.checked(name, keep, expect_version, ttl)
        return load(
            self._writer, source, request, query=query, format_=format, progress=progress, key=key, unique=unique
        )

    def allocate(
        self,
        name: str,
        schema: Mapping[Any, Any],
        rows: int,
        *,
        nulls: bool = True,
        keep: int = 1,
        expect_version: int | Snapshot | None = None,
        ttl: float | timedelta | None = None,
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
            An older version.
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
            raise ValueError(f"validate must be 'full' or None, got {validate!r}")
        if "://" in name:
            from colonnade._fetch import open_remote

            snapshot = open_remote(self._catalog, name, version)
        else:
            snapshot = Snapshot.attached(self.path, name, *self._catalog.attach(name, version))
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
        validate: Literal["full"] | None = None,
    ) -> pd.DataFrame:
        """Open a table as pandas: zero-copy, writable, private to this process.

        Parameters
        ----------
        name : str
            The table.
        version : int, optional
            An older version, which ``keep=`` retained.
        columns : iterable of labels or str, optional
            Take these columns, in this order; the index comes along. A string is one label.
        writable : bool, default True
            Map privately: the frame may be written to, and the kernel copies only the pages that are touched. False:
            the arrays are read-only.
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
            return snapshot.to_pandas(columns=columns, writable=writable)

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
            An older version, which ``keep=`` retained.
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

        def find(name: str) -> pa.Table:
            with self.open(name) as snapshot:
                return snapshot.to_arrow(validate="full")  # DuckDB follows offsets and trusts text

        return run(query, params, find, external_access=external_access)

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
            ``close()``, from any thread or signal handler, ends its loop. It holds one inotify descriptor, of which a
            user has 128 by default (``fs.inotify.max_user_instances``).

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

    def latest(self, name: str) -> Latest:
        """Make a handle whose ``.frame`` is always that of the newest version; asking costs one ``stat``.

        It is for programs that serve look-ups from a table that another process replaces again and again. While a table
        is deleted, the handle keeps the last version. If there has been none, its ``frame`` and ``snapshot`` raise
        NotFoundError.

        Parameters
        ----------
        name : str
            The table.

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
        >>> prices = cn.latest("docs/prices")
        >>> for bid in (1.08, 1.09):
        ...     cn.put("docs/prices", pd.DataFrame({"bid": [bid]})).close()
        ...     print(prices.frame["bid"].max())
        1.08
        1.09
        >>> cn.delete("docs/prices")
        """
        from colonnade._latest import Latest

        return Latest(name, paths.path_of(self.path, paths.Entry(name, None)), lambda: self.open(name))

    # -- the directory -------------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether there is a table of this name.

        Raises
        ------
        InvalidNameError, StoreAccessError
            If the name is outside of the grammar, or the store cannot be read.

        Examples
        --------
        >>> import colonnade as cn
        >>> cn.exists("docs/nothing")
        False
        """
        return self._catalog.current_version(name) > 0

    def ls(self) -> list[TableInfo]:
        """List the newest versions, by name. Files that are no snapshots are left out; `check` names them.

        A warning says which tables this user may not read.

        Returns
        -------
        list of TableInfo
            Notebooks and Rich show it as a table.

        Raises
        ------
        StoreAccessError
            If the store is a file, or cannot be read.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/ls", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> [(table.name, table.version, table.rows) for table in cn.ls() if table.name == "docs/ls"]
        [('docs/ls', 1, 3)]
        >>> cn.delete("docs/ls")
        """
        unreadable: list[str] = []
        tables = Tables(sorted(self._infos(unreadable)))
        if unreadable:
            more = ", ..." if len(unreadable) > 5 else ""
            warnings.warn(
                f"{len(unreadable)} tables or folders of {self.path} are left out, because this user may not read them "
                f"or does not trust their owner: {', '.join(map(repr, unreadable[:5]))}{more}. check() says why",
                UserWarning,
                stacklevel=2,
            )
        return tables

    def _infos(self, unreadable: list[str]) -> Iterator[TableInfo]:
        for entry in self._catalog.entries(lambda folder, _: unreadable.append(f"{folder}/")):
            if entry.version is None:
                try:
                    yield self.info(entry.name)
                except (NotFoundError, CorruptSnapshotError):
                    continue
                except StoreAccessError:
                    unreadable.append(entry.name)

    def info(self, name: str, *, version: int | None = None) -> TableInfo:
        """Get the line of `ls` of one table.

        Parameters
        ----------
        name : str
            The table.
        version : int, optional
            An older version, which ``keep=`` retained.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
            As in `open`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/info", pd.DataFrame({"x": [1, 2, 3]})).close()
        >>> cn.info("docs/info").rows
        3
        >>> cn.delete("docs/info")
        """
        with self.open(name, version=version) as snap:
            return TableInfo(snap.name, snap.version, snap.num_rows, snap.num_columns, snap.nbytes, snap.created)

    def sizes(self) -> dict[str, int]:
        """Get the bytes of each table, all its versions together.

        Raises
        ------
        StoreAccessError
            If the store is a file, or cannot be read.
        """
        return self._catalog.sizes()

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

    def __repr__(self) -> str:
        return f"<colonnade.Store {str(self.path)!r}>"

    def __rich_repr__(self) -> Iterator[Any]:
        yield str(self.path)
