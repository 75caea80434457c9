"""Rows into a growing table: `appender`, `append`.

Does not depend on: how the verbs work. Each method imports what it calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from colonnade._verbs.base import StoreBase

if TYPE_CHECKING:
    from colonnade._append import Appender


class Appending(StoreBase):
    """What appends rows to a growing table."""

    def appender(
        self,
        name: str,
        columns: Mapping[str, Any] | None = None,
        *,
        like: Any = None,
        index: str | None = None,
        retain: int | str | timedelta | None = None,
        shared: bool = False,
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
            Int64, Float64 and boolean, ``str``, ``category`` (of strings). Not needed if the table exists.
        like : DataFrame, optional
            A frame with the same columns, instead of ``columns``. Its rows are not appended. If its index is a column
            with a name, it is the table's.
        index : str, optional
            The column that is the index of the frames that readers get, of numbers or times. Its values ascend.
        retain : int, str or timedelta, optional
            How much is kept, at least: a number of rows, the rows of a time (``"1h"``), or a size (``"4GiB"``). Whole
            segments are dropped, oldest first. By default what was given before, else everything.
        shared : bool, default False
            Let other processes append too, all with ``shared=True``. Each append then waits for its turn.

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
        from colonnade._append import Appender
        from colonnade._append_arguments import retention_of, schema_of

        return Appender(self._catalog, name, schema_of(columns, like, index), retention_of(retain), shared=shared)

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
