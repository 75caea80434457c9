"""Class Store. Its verbs are in `_verbs`, a file for each group: writing, appending, reading, querying, and so on.

Does not depend on: what a verb does.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any, Self

from colonnade._verbs.appending import Appending
from colonnade._verbs.following import Following
from colonnade._verbs.managing import Managing
from colonnade._verbs.querying import Querying
from colonnade._verbs.reading import Reading
from colonnade._verbs.writing import Writing
from colonnade.displayed import displayed


@displayed
class Store(Writing, Appending, Reading, Querying, Following, Managing):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close: a store holds no file."""

    def __repr__(self) -> str:
        return f"<colonnade.Store {str(self.path)!r}>"

    def __rich_repr__(self) -> Iterator[Any]:
        yield str(self.path)


# Python's errors of wrong arguments then name the class that users know.
for group in Store.__bases__:
    for name, method in vars(group).items():
        if isinstance(method, FunctionType):
            method.__qualname__ = f"{Store.__name__}.{name}"
