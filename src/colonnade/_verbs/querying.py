"""Queries by DuckDB: `sql`, `attach`.

Does not depend on: how DuckDB reads a table (`interop.duckdb`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from colonnade._verbs.base import StoreBase
from colonnade.errors import NotFoundError, brief_repr
from colonnade.storage import paths

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class Querying(StoreBase):
    """The verbs that query tables by their names."""

    def sql(self, query: str, *, params: Any = None, external_access: bool = False) -> duckdb.DuckDBPyRelation:
        """Query tables by their names, with DuckDB. Needs the extra ``duckdb``.

        The tables that the query mentions are opened now, the newest version of each. The relation always reads
        these versions, even if it is run again after another put. DuckDB reads numbers and times directly from the
        store's memory.

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
            If ``query`` is not one query.
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
        closed; so all queries of a session see the same data. Numbers and times are not copied.

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
            If two names differ only in upper and lower case, because SQL treats them as one; if the connection has a
            table of its own by one of the names; if it is closed.

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
