"""Stores. Every method delegates.

Knows: that a put is plan, lay out, write, publish; and that an open is attach.
Does not depend on: how any of these is done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from colonnade.displayed import displayed
from colonnade.errors import CorruptSnapshotError, NotFoundError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.snapshot import Snapshot
from colonnade.storage import paths, settings
from colonnade.storage.catalog import Catalog
from colonnade.storage.directory import Directory
from colonnade.storage.draft import Draft
from colonnade.storage.os_errors import explained
from colonnade.storage.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from colonnade._allocate import DraftTable
    from colonnade._latest import Latest
    from colonnade._put import Wanted
    from colonnade._share import Sharing
    from colonnade._watch import Watch
    from colonnade.format.write.table import LaidOut
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.publish import Publisher
    from colonnade.storage.usage import Usage


class TableInfo(NamedTuple):
    """One line of `Store.ls`; ``nbytes`` is the file's size, ``created`` is in UTC."""

    name: str
    version: int
    rows: int
    columns: int
    nbytes: int
    created: datetime


@displayed
class Tables(list[TableInfo]):
    """A list that is shown as a table where there is more than plain text."""


@displayed
class Store:
    """A directory of named tables, shared by every process that names it.

    Parameters
    ----------
    path : str or path-like, optional
        The directory, made on the first put. Shared memory (below ``/dev/shm``) or a disk. By default
        ``$COLONNADE_STORE``, else ``/dev/shm/colonnade-<uid>``.
    capacity : int or str, optional
        How many bytes all tables together may hold, as in ``"8GiB"``: a put that would pass it gets StoreFullError. By
        default what `configure` keeps in the directory, else as much as its file system has.
    spares : int or str, optional
        How many bytes of superseded tables are kept for the next puts to write to, which is several times as fast as
        fresh memory; 0 keeps none. They are freed when there is no room. By default what `configure` keeps, else an
        eighth of the file system.
    mode : int, optional
        The mode of the files: 0o600, this user alone, or 0o640, the group may read. By default what `configure` keeps,
        else 0o600.
    trust : int or iterable of int, optional
        The numbers of other users whose snapshots are opened too. Who owns a file can change it while it is read.
    durable : bool, default False
        Have file and directory on the disk before a put returns. Without it, a power failure may lose the newest
        versions.

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
        trust: int | Iterable[int] = (),
        durable: bool = False,
    ) -> None:
        root = paths.default_store() if path is None else Path(path)
        self._directory = Directory(
            Path(os.path.abspath(root)),  # noqa: PTH100 -- and follow no link
            own=path is None,
            durable=durable,
            trusted=frozenset([os.geteuid(), *([trust] if isinstance(trust, int) else trust)]),
            chosen=settings.checked(capacity=capacity, spares=spares, mode=mode),
        )
        self._catalog = Catalog(self._directory)
        self._writes: Publisher | None = None

    @property
    def path(self) -> Path:
        """The directory."""
        return self._directory.root

    def put(
        self,
        name: str,
        data: Any,
        *,
        keep: int = 1,
        expect_version: int | None = None,
        ttl: float | timedelta | None = None,
    ) -> Snapshot:
        """Store a table under a name, as its next version.

        The columns are copied once, from where they stand into the store, by all processors; the source must not
        change until this returns. Readers of older versions are not disturbed.

        Parameters
        ----------
        name : str
            ``/``-separated parts of ``[A-Za-z0-9._-]``, no part starting with a dot.
        data : pandas DataFrame or Series, anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, array or bytes
            A Series is stored as a frame of one column; a Polars LazyFrame is collected; a stream is read to its end
            first. NumPy arrays of any shape and any dtype but Python objects, and whatever has the buffer protocol,
            come back as they are: `Snapshot.to_numpy`, `Snapshot.to_buffer`.
        keep : int, default 1
            How many versions keep a name, this one included: ``open(name, version=n)`` finds them.
        expect_version : int, optional
            Store only if the name is at this version (0: does not exist).
        ttl : float (seconds) or timedelta, optional
            How long the table is wanted, in whole seconds, rounded up. Then the next `gc` removes it, or a put that
            needs its room.

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        InvalidNameError, NotATableError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError
            The store is as it was.
        """
        from colonnade._put import Wanted, seal_of, write
        from colonnade.format.write.plan import plan
        from colonnade.format.write.table import lay_out

        wanted = Wanted.checked(name, keep, expect_version, ttl)
        self._get_ready(wanted)
        laid = lay_out(plan(data))
        with self._explaining(laid.size), self._publisher.draft(laid.size) as draft:
            seal = seal_of(laid, wanted.ttl)
            write(laid, draft, seal)
            return self._publish(wanted, laid, draft, seal)

    def share(self, data: Any) -> Snapshot:
        """Share a table without a name, for as long as this process holds the Snapshot.

        Pickled, it is a reference of a few hundred bytes: an argument for a process pool. Whoever opens it while the
        owner holds it has frames that outlive it. It is gone when it is closed or collected, and when its owner exits;
        where the owner was killed, the next put or `gc` of anybody frees it.

        Parameters
        ----------
        data : pandas DataFrame or Series, anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, array or bytes
            As in `put`.

        Returns
        -------
        Snapshot
            The owner's; also a context manager. A child that is forked may use its own copy, and does not own it.

        Raises
        ------
        NotATableError, UnsupportedTypeError, StoreFullError, StoreAccessError

        Examples
        --------
        >>> import pickle, tempfile, pandas as pd
        >>> store = Store(tempfile.mkdtemp())
        >>> with store.share(pd.DataFrame({"x": [1.5, 2.5]})) as shared:
        ...     df = pickle.loads(pickle.dumps(shared)).to_pandas()  # in any process of this user
        >>> df["x"].sum()
        np.float64(4.0)
        """
        from colonnade.format.write.plan import plan
        from colonnade.format.write.table import lay_out

        self._directory.prepare()
        return self._sharing().share(lay_out(plan(data)))

    def _sharing(self) -> Sharing:
        """Tables without names; for `share`, references and `by_reference`."""
        from colonnade._share import Sharing

        return Sharing(self._catalog, self._publisher)

    def load(
        self,
        name: str,
        source: Any,
        *,
        query: str | None = None,
        format: str | None = None,
        progress: bool = True,
        keep: int = 1,
        expect_version: int | None = None,
        ttl: float | timedelta | None = None,
    ) -> Snapshot:
        """Store what a file, a folder of files or a database has, as the next version of a table.

        It is read in batches, and each is let go of as it is stored: the table is never there twice.

        Parameters
        ----------
        name : str
            As in `put`.
        source : path, URL, connection or Arrow data
            A file or a folder of Parquet, CSV, Feather, Arrow IPC, ORC or JSON lines (text also with .gz, .bz2 or
            .zst), here or at a URL that PyArrow knows (``s3://``, ``gs://``, ``hdfs://``); columns of a folder are
            those of all its files. With ``query``, a database: ``sqlite:///data.db`` (four slashes before an absolute
            path), ``postgresql://user@host/name``, for which the extra ``adbc`` is needed; or a DB-API connection
            whose cursors give Arrow, as DuckDB's and ADBC's do. Or anything with ``__arrow_c_stream__``,
            ``fetch_record_batch`` or ``fetch_arrow_table``: a DuckDB relation, a cursor that has run its query.
        query : str, optional
            What the database is asked.
        format : str, optional
            What the file is, where its suffix does not tell: parquet, csv, feather, arrow, orc, json.
        progress : bool, default True
            Draw a bar on stderr, if that is a terminal, for what takes longer than a second.
        keep, expect_version, ttl
            As in `put`.

        Returns
        -------
        Snapshot
            The table as stored.

        Raises
        ------
        UnreadableFileError
            The file is broken, or not what its suffix says.
        QueryError
            The database did not answer, or not to the end.
        InvalidNameError, NotATableError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError
            As in `put`.
        OSError, ValueError, ModuleNotFoundError
            No such file; options that do not go together; an extra that is not installed. The store is as it was.

        Examples
        --------
        >>> import pathlib, tempfile, pandas as pd
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> pd.DataFrame({"pair": ["EURUSD", "USDJPY"], "bid": [1.08, None]}).to_csv(folder / "bids.csv", index=False)
        >>> store = Store(folder / "store")
        >>> store.load("bids", folder / "bids.csv").num_rows
        2
        >>> store.get("bids")
             pair   bid
        0  EURUSD  1.08
        1  USDJPY   NaN
        """
        from colonnade._put import Wanted, seal_of, write_batched
        from colonnade.format.write.arrow_table import plan_table
        from colonnade.format.write.table import lay_out
        from colonnade.io.batches import release_memory
        from colonnade.io.load import read
        from colonnade.io.progress import progress_bar

        wanted = Wanted.checked(name, keep, expect_version, ttl)
        self._get_ready(wanted)
        try:
            with progress_bar(f"loading {name}", enabled=progress) as meter:
                table = read(source, query, format, meter)
                turns = [len(chunk) for chunk in table.columns[0].chunks] if table.num_columns else []
                plan = plan_table(table)
                del table  # the plan refers to its batches one by one
                laid = lay_out(plan)
                with self._explaining(laid.size), self._publisher.draft(laid.size) as draft:
                    seal = seal_of(laid, wanted.ttl)
                    write_batched(laid, draft, seal, turns, release_memory)
                    return self._publish(wanted, laid, draft, seal)
        finally:
            release_memory()

    def dump(
        self, name: str, path: str | os.PathLike[str], *, version: int | None = None, progress: bool = True
    ) -> None:
        """Write a table to a file: Parquet, Feather, Arrow IPC or CSV (also .csv.gz, .bz2, .zst), by the suffix.

        It is written beside its place and renamed when it is whole. Parquet and Feather keep what pandas needs to give
        the same frame, its index too; CSV has the columns of the index first.

        Parameters
        ----------
        name : str
            The table.
        path : path
            The file; one that is there is replaced.
        version : int, optional
            One that ``keep=`` retained.
        progress : bool, default True
            As in `load`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
            As in `open`.
        UnsupportedTypeError
            The format has no words for a column.
        ValueError, OSError
            Another suffix; no room, no such folder. No file is left.

        Examples
        --------
        >>> import pathlib, tempfile, pandas as pd
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> store = Store(folder / "store")
        >>> store.put("bids", pd.DataFrame({"bid": [1.08, 1.09]})).close()
        >>> store.dump("bids", folder / "bids.parquet")
        >>> pd.read_parquet(folder / "bids.parquet")["bid"].max()
        np.float64(1.09)
        """
        from colonnade.io.dump import checked_path, dump
        from colonnade.io.progress import progress_bar

        file, kind = checked_path(path)
        with self.open(name, version=version) as snapshot, progress_bar(f"dumping {name}", enabled=progress) as meter:
            dump(snapshot.to_arrow(validate="full"), file, kind, meter)

    @contextlib.contextmanager
    def allocate(
        self,
        name: str,
        schema: Mapping[Any, Any],
        rows: int,
        *,
        nulls: bool = True,
        keep: int = 1,
        expect_version: int | None = None,
        ttl: float | timedelta | None = None,
    ) -> Iterator[DraftTable]:
        """Make a table to be filled in place, in a ``with`` block, and publish it when the block ends.

        The columns are NumPy arrays over the segment itself: what is stored there is not copied again. If the block
        ends with an error, nothing is stored. Processes forked inside of the block may fill the arrays too; they must
        be done when it ends.

        Parameters
        ----------
        name : str
            As in `put`.
        schema : mapping of labels to dtypes or data
            A dtype of fixed width (bool, numbers, datetimes, timedeltas; also zoned datetimes, whose array holds UTC):
            a column to be filled. Anything else is the column's values: strings, categoricals, masked arrays.
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
            A mapping of labels to arrays of shape (rows,). What they hold before they are filled is anything.

        Raises
        ------
        InvalidNameError, UnsupportedTypeError, ConflictError, StoreFullError, StoreAccessError, ValueError
            The store is as it was.

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> store = Store(tempfile.mkdtemp())
        >>> with store.allocate("walk", {"t": "datetime64[s]", "x": "float32"}, rows=1_000) as draft:
        ...     draft["t"][:] = np.datetime64("2026-01-01") + np.arange(1_000)
        ...     draft["x"][:] = np.random.default_rng(1).standard_normal(1_000).cumsum()
        >>> store.get("walk").shape
        (1000, 2)
        """
        from colonnade._allocate import DraftTable
        from colonnade._put import Wanted, seal_of
        from colonnade.format.write.draft import plan_draft
        from colonnade.format.write.table import lay_out

        wanted = Wanted.checked(name, keep, expect_version, ttl)
        if type(rows) is not int or rows < 0:
            raise ValueError(f"rows={rows!r}: it is a whole number from 0")
        self._get_ready(wanted)
        plan = plan_draft(schema, rows, nulls=nulls)
        laid = lay_out(plan.table)
        with contextlib.ExitStack() as held:
            with self._explaining(laid.size):
                draft = held.enter_context(self._publisher.draft(laid.size))
                table = DraftTable(plan, laid, draft)
            held.callback(table.discard)
            yield table
            with self._explaining(laid.size):
                seal = seal_of(laid, wanted.ttl)
                table.finish(seal.pack())
                self._publish(wanted, laid, draft, seal).close()

    @property
    def _publisher(self) -> Publisher:
        """What a reader does without, and does not wait for the import of."""
        if self._writes is None:
            from colonnade.storage.publish import Publisher

            self._writes = Publisher(self._catalog)
        return self._writes

    def _get_ready(self, wanted: Wanted) -> None:
        self._directory.prepare()
        self._catalog.expect(wanted.name, wanted.expect)  # before any byte moves; it is decided under the lock

    def _publish(self, wanted: Wanted, laid: LaidOut, draft: Draft, seal: Seal) -> Snapshot:
        segment, sealed = self._publisher.publish(
            wanted.name,
            draft,
            seal,
            lambda final: draft.write(laid.seal_at, final.pack()),
            keep=wanted.keep,
            expected=wanted.expect,
        )
        return Snapshot(self.path, wanted.name, segment, sealed)

    def _explaining(self, size: int) -> contextlib.AbstractContextManager[None]:
        return explained(self.path, f"a table of {size:,} bytes")

    def open(self, name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
        """Attach a table: its newest version, or one that ``keep=`` retained. Its size does not matter.

        ``validate="full"`` reads all of it first, for producers that are not trusted; see `Snapshot.validate`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
        """
        if validate not in (None, "full"):
            raise ValueError(f"validate={validate!r}: it is 'full', or None to trust the table's values")
        segment, seal = self._catalog.attach(name, version)
        snapshot = Snapshot(self.path, name, segment, seal)
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
        columns: Iterable[Any] | None = None,
        writable: bool = True,
        validate: Literal["full"] | None = None,
    ) -> pd.DataFrame:
        """Open a table as pandas: zero-copy, writable, private to this process.

        The same as ``open(name, version=version, validate=validate).to_pandas(columns=columns, writable=writable)``;
        see `Snapshot.to_pandas`.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
        """
        with self.open(name, version=version, validate=validate) as snapshot:
            return snapshot.to_pandas(columns=columns, writable=writable)

    def sql(self, query: str, *, params: Any = None, external_access: bool = False) -> duckdb.DuckDBPyRelation:
        """Query tables by their names, with DuckDB. Needs the extra ``duckdb``.

        The tables that the query mentions are opened now, the newest version of each, and it reads those and no others
        however often it is run, whatever is put meanwhile. Numbers and times are read where they stand in the store.

        A name with slashes or dots is written in double quotes. DuckDB is given one SELECT and nothing else to run; it
        has no access to files, the network, settings and extensions. Values from outside belong into ``params``.

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
            It is run when its rows are asked for: ``.df()``, ``.pl()``, ``.to_arrow_table()``, ``.fetchall()``, and
            `put` takes it. It keeps the tables open, and belongs to one thread at a time.

        Raises
        ------
        NotFoundError, CorruptSnapshotError, StoreAccessError
            For a table of the query.
        UnsupportedTypeError
            A table has columns that DuckDB cannot read; each is named.
        ValueError
            It is not one query.
        duckdb.Error
            The query is wrong; also, later, where running it fails.

        Examples
        --------
        >>> import tempfile, pandas as pd
        >>> store = Store(tempfile.mkdtemp())
        >>> store.put("nyc/flights", pd.DataFrame({"carrier": ["UA", "AA", "UA"], "delay": [2.0, 5.0, 4.0]})).close()
        >>> store.put("airlines", pd.DataFrame({"carrier": ["AA", "UA"], "name": ["American", "United"]})).close()
        >>> store.sql('''
        ...     select name, avg(delay) as delay from "nyc/flights" join airlines using (carrier)
        ...     group by name order by name
        ... ''').df()
               name  delay
        0  American    5.0
        1    United    3.0
        >>> store.sql("select name from airlines where carrier = ?", params=["AA"]).fetchall()
        [('American',)]
        """
        try:
            from colonnade.interop.duckdb import run
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("sql() needs DuckDB 2.0 or newer: pip install 'colonnade[duckdb]'") from error

        def find(name: str) -> pa.Table:
            with self.open(name) as snapshot:
                return snapshot.to_arrow(validate="full")  # DuckDB follows offsets and trusts text

        return run(query, params, find, external_access=external_access)

    def watch(self, name: str, *, timeout: float | None = None) -> Watch:
        """Wait for each new version of a table: an iterator of Snapshots, for ``for`` and ``async for``.

        The version that is there comes first; then each put wakes who waits, within a millisecond, and the newest is
        given, never a backlog. A name that is not there yet is waited for, its folders and the store too.

        A table that is deleted raises NotFoundError once, when no other was put by then; asked again, the watch waits
        for the next put, whose versions begin at 1 again. A watch holds no snapshot; a loop's own variable does, until
        it gets the next.

        Parameters
        ----------
        name : str
            The table.
        timeout : float, optional
            How many seconds to wait for each version; past it, WaitTimeoutError. 0 looks and does not wait.

        Returns
        -------
        Watch
            ``close()``, from any thread or signal handler, ends its loop. It holds one inotify descriptor, of which a
            user has 128 by default (``fs.inotify.max_user_instances``).

        Raises
        ------
        InvalidNameError, StoreAccessError

        Examples
        --------
        >>> import tempfile, pandas as pd
        >>> store = Store(tempfile.mkdtemp())
        >>> store.put("prices", pd.DataFrame({"bid": [1.08]})).close()
        >>> for snapshot in store.watch("prices"):
        ...     print(snapshot.version, snapshot.to_pandas()["bid"].max())
        ...     if snapshot.version == 2:
        ...         break
        ...     store.put("prices", pd.DataFrame({"bid": [1.09]})).close()
        1 1.08
        2 1.09
        """
        from colonnade._watch import Watch

        return Watch(self._directory, paths.check_name(name), lambda: self.open(name), timeout)

    def latest(self, name: str) -> Latest:
        """Have a handle whose ``.frame`` is always that of the newest version; asking costs one ``stat``.

        For who serves look-ups from a table that another process puts again and again. While a table is deleted the
        handle keeps the last version; where there has been none, its ``frame`` and ``snapshot`` raise NotFoundError.

        Raises
        ------
        InvalidNameError

        Examples
        --------
        >>> import tempfile, pandas as pd
        >>> store = Store(tempfile.mkdtemp())
        >>> prices = store.latest("prices")
        >>> for bid in (1.08, 1.09):
        ...     store.put("prices", pd.DataFrame({"bid": [bid]})).close()
        ...     print(prices.frame["bid"].max())
        1.08
        1.09
        """
        from colonnade._latest import Latest

        return Latest(name, self._path_of(name), lambda: self.open(name))

    def exists(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return self._catalog.current_version(name) > 0

    def ls(self) -> list[TableInfo]:
        """List the newest versions, by name. Files that are no snapshots are left out; `check` names them.

        Raises
        ------
        StoreAccessError
            Where the store is a file, or may not be read.
        """
        return Tables(sorted(self._infos()))

    def _infos(self) -> Iterator[TableInfo]:
        for entry in self._catalog.entries():
            if entry.version is None:
                with contextlib.suppress(NotFoundError, CorruptSnapshotError, StoreAccessError):
                    yield self._info(entry.name)

    def _info(self, name: str) -> TableInfo:
        with self.open(name) as snap:
            return TableInfo(snap.name, snap.version, snap.num_rows, snap.num_columns, snap.nbytes, snap.created)

    def _sizes(self) -> dict[str, int]:
        """The bytes of each table, all its versions together."""
        sizes: dict[str, int] = {}
        for entry, file in self._catalog.files():
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                sizes[entry.name] = sizes.get(entry.name, 0) + file.stat().st_size
        return sizes

    def delete(self, name: str) -> None:
        """Remove a table and all its versions. Who has it open keeps it.

        Raises
        ------
        NotFoundError, InvalidNameError
        """
        self._publisher.delete(name)

    def gc(self) -> Freed:
        """Free spares, expired tables and what killed writers left; remove empty folders.

        Safe at any time, whatever else runs.
        """
        from colonnade.storage import gc

        freed = gc.gc(self._catalog)
        gc.collapse(self._catalog)
        return freed

    def check(self) -> list[Problem]:
        """Look at everything in the store, values included, and list what is not as it should be.

        Reads every byte; an empty list is a clean store.
        """
        from colonnade.storage import check

        def look_inside(entry: paths.Entry) -> None:
            with self.open(entry.name, version=entry.version) as snapshot:
                snapshot.validate()

        return list(check.check(self.path, self._directory.trusts, look_inside))

    def usage(self) -> Usage:
        """See what occupies the store's memory, and which processes hold it.

        Tables, spares, drafts, and what was deleted or superseded while somebody has it open. Processes of other users
        cannot be looked at, unless root asks; they are counted.

        Raises
        ------
        StoreAccessError
            Where the store is a file, or may not be read.

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
        """The settings that hold: those this object was made with, else those that the directory keeps."""
        try:
            with self._directory.opened() as root:
                return self._directory.settings(root)
        except FileNotFoundError:
            return self._directory.chosen

    def configure(
        self, *, capacity: int | str | None = None, spares: int | str | None = None, mode: int | None = None
    ) -> Settings:
        """Keep settings in the store's directory, for every process that names it; see the parameters of `Store`.

        Those that are None stay as they are. Returns all that hold now.

        Raises
        ------
        ValueError, StoreAccessError

        Examples
        --------
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.configure(capacity="8GiB", spares=0)
        Settings(capacity=8589934592, spares=0, mode=None)
        """
        wanted = settings.checked(capacity=capacity, spares=spares, mode=mode)
        if wanted == Settings():
            return self.settings
        self._directory.prepare()
        return self._directory.configure(wanted)

    def _path_of(self, name: str) -> Path:
        return paths.path_of(self.path, paths.Entry(name, None))

    def __repr__(self) -> str:
        return f"<colonnade.Store {str(self.path)!r}>"

    def __rich_repr__(self) -> Iterator[Any]:
        yield str(self.path)
