"""Tables out of a store: `open`, `get`, `dump`, and `serve` for other hosts.

Does not depend on: how the verbs work. Each method imports what it calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from colonnade._attach import attach
from colonnade._verbs.base import StoreBase
from colonnade.errors import brief_repr
from colonnade.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from colonnade._serve import Server


class Reading(StoreBase):
    """What opens a table, here or on another host."""

    def open(self, name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
        """Attach a table: its newest version, or one that ``keep=`` retained. The time does not depend on its size.

        Parameters
        ----------
        name : str
            The table; or one of another host that serves its store (`serve`): ``grpc://host:port/name``, or
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
        return self._opened(name, version, validate, None)

    def _opened(
        self,
        name: str,
        version: int | None,
        validate: Literal["full"] | None,
        last: int | str | timedelta | None,
    ) -> Snapshot:
        """Attach a table, or the last rows of it."""
        if validate not in (None, "full"):
            raise ValueError(f"validate must be 'full' or None, got {brief_repr(validate)}")
        if isinstance(name, str) and "://" in name:
            from colonnade._fetch import open_remote

            if last is not None:
                raise ValueError(
                    f"last={last!r} is for growing tables of this host. Of another host all rows are fetched: open the "
                    "table without last=, and call tail() of it"
                )
            snapshot = open_remote(self._catalog, name, version)
        else:
            snapshot = attach(self._catalog, name, self.version_number(name, version), last)
        if validate is not None:
            try:
                snapshot.validate()
            except BaseException:
                snapshot.close()
                raise
        return snapshot

    def get(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: Iterable[Any] | str | None = None,
        last: int | str | timedelta | None = None,
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
        last : int, str or timedelta, optional
            Only the newest rows of a growing table: a number of rows; or, if its index holds times, a span before the
            last row, such as ``"5min"``.
        writable : bool, default True
            True: the frame may be written to; the kernel copies only the pages that are written. False: the arrays are
            read-only.
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
        with self._opened(name, version, validate, last) as snapshot:
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
            The secret that other hosts must send. By default ``$COLONNADE_TOKEN``, else a random one: `Server.token`.
            A process that stands by needs the same token as the process that serves.
        cert, key : path, optional
            This host's certificate and its key, in PEM; by default ``$COLONNADE_CERT`` and ``$COLONNADE_KEY``.
        ca : path, optional
            Hosts that connect must have a certificate that one of these authorities signed; by default the token is
            enough. This process trusts them when it connects to other hosts, instead of those of ``$COLONNADE_CA``.
        advertise : str, optional
            The name or number by which other hosts reach this one, without a port, if it is not ``host``.
        insecure : bool, default False
            Allow an address that other machines reach without TLS. Machines in between can read the token then.

        Returns
        -------
        Server
            Its ``address`` and ``token``. A context manager.

        Raises
        ------
        ValueError
            If the address would be reached without TLS, or a parameter is wrong.
        StoreAccessError
            If the port is taken, a certificate cannot be used, or another process serves with another token.
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

        files = (None if path is None else os.fspath(path) for path in (ca, cert, key))
        own = credentials.Credentials(token, *files)
        own = own._replace(client_ca=own.ca)
        return serve(
            self._catalog,
            host,
            port,
            credentials=own.or_else(credentials.current()),
            advertise=advertise,
            insecure=insecure,
        )
