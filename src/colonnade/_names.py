"""The names of a store: which there are, in which versions, and the store as a mapping of names to tables.

`Store` inherits this. Does not depend on: how a table is read or written, and stored.
"""

import abc
import contextlib
import itertools
import warnings
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

from colonnade.arguments import whole_number
from colonnade.displayed import displayed
from colonnade.errors import CorruptSnapshotError, InvalidNameError, NotFoundError, StoreAccessError, brief_repr
from colonnade.snapshot import Snapshot
from colonnade.storage.catalog import Catalog
from colonnade.storage.os_errors import SHORTAGES, explained

# A version that is counted from the newest may be removed between the look and the opening.
_TRIES = 10


class TableInfo(NamedTuple):
    """One version of a table, as `Store.ls` lists it.

    ``nbytes`` is the size of its file, ``created`` is in UTC, ``meta`` is what ``meta=`` of its put gave. ``live``: it
    is a growing table, whose version is the number of rows that were ever appended.
    """

    name: str
    version: int
    rows: int
    columns: int
    nbytes: int
    created: datetime
    meta: dict[str, Any]
    live: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Make the line of a snapshot.

        Parameters
        ----------
        snapshot : Snapshot
            The table.

        Returns
        -------
        TableInfo

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.TableInfo.of(cn.put("docs/line", pd.DataFrame({"x": [1, 2, 3]}))).rows
        3
        >>> cn.delete("docs/line")
        """
        return cls(
            snapshot.name,
            snapshot.version,
            snapshot.num_rows,
            snapshot.num_columns,
            snapshot.nbytes,
            snapshot.created,
            snapshot.meta,
            snapshot.log is not None,
        )


@displayed
class Tables(list[TableInfo]):
    """A list of tables that notebooks and Rich show as a table."""


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern, as shells have them, and not a name or a folder."""
    return isinstance(text, str) and any(sign in text for sign in "*?[")


def matches(name: str, pattern: str) -> bool:
    """Whether a table has this name, is in this folder, or matches this pattern, whose ``*`` includes slashes.

    All tables are in the folder ``""``.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"a pattern is a string, got {brief_repr(pattern)}")
    if is_pattern(pattern):
        return fnmatchcase(name, pattern)
    return not pattern or name == pattern or name.startswith(pattern.rstrip("/") + "/")


class Names(abc.ABC):
    """What a store has of names."""

    @property
    @abc.abstractmethod
    def _catalog(self) -> Catalog: ...

    @property
    @abc.abstractmethod
    def path(self) -> Path:
        """The directory."""

    @abc.abstractmethod
    def open(self, name: str, *, version: int | None = None, validate: Literal["full"] | None = None) -> Snapshot:
        """Attach a table."""

    @abc.abstractmethod
    def get(self, name: str) -> Any:
        """Open a table as pandas."""

    @abc.abstractmethod
    def put(self, name: str, data: Any, *, ttl: Any = None, meta: Mapping[str, Any] | None = None) -> Snapshot:
        """Store a table."""

    @abc.abstractmethod
    def delete(self, name: str) -> None:
        """Remove a table."""

    # -- lists ---------------------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether there is a table of this name.

        Parameters
        ----------
        name : str
            The name.

        Returns
        -------
        bool

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
        return self._catalog.current_version(name) > 0 or self._catalog.is_growing(name)

    def ls(self, pattern: str | None = None) -> list[TableInfo]:
        """List the newest versions, by name. Files that are not snapshots are left out; `check` names them.

        A warning says which tables this user may not read, and which growing tables are damaged.

        Parameters
        ----------
        pattern : str, optional
            A folder (``"nyc"``: all tables below it, and one of this name), or a pattern as shells have them
            (``"nyc/*"``, ``"*/2026-??"``), whose ``*`` includes slashes.

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
        >>> cn.put("docs/ls", pd.DataFrame({"x": [1, 2, 3]}), meta={"source": "a test"}).close()
        >>> [(table.name, table.version, table.rows, table.meta) for table in cn.ls("docs/l*")]
        [('docs/ls', 1, 3, {'source': 'a test'})]
        >>> cn.delete("docs/ls")
        """
        unreadable: list[str] = []
        damaged_names: list[str] = []
        tables = Tables(sorted(self._infos(pattern, unreadable, damaged_names), key=lambda table: table.name))
        for left_out, what, why in (
            (unreadable, "tables or folders", "this user may not read them or does not trust their owner"),
            (damaged_names, "growing tables", "they are damaged"),
        ):
            if left_out:
                more = ", ..." if len(left_out) > 5 else ""
                warnings.warn(
                    f"{len(left_out)} {what} of {self.path} are left out, because {why}: "
                    f"{', '.join(map(repr, left_out[:5]))}{more}. check() says why",
                    UserWarning,
                    stacklevel=2,
                )
        return tables

    def _infos(self, pattern: str | None, unreadable: list[str], damaged_names: list[str]) -> Iterator[TableInfo]:
        entries = self._catalog.entries(lambda folder, _: unreadable.append(f"{folder}/"))
        names = ((entry.name, False) for entry in entries if entry.version is None)
        growing = ((name, True) for name in self._catalog.growing())
        for name, is_growing in itertools.chain(names, growing):
            if pattern is None or matches(name, pattern):
                try:
                    yield self.info(name)
                except NotFoundError:
                    if is_growing and self._catalog.is_growing(name):  # there is a folder, and no head in it
                        damaged_names.append(name)
                except CorruptSnapshotError:
                    if is_growing:
                        damaged_names.append(name)
                except StoreAccessError as error:
                    if error.errno in SHORTAGES:
                        raise
                    unreadable.append(name)

    def info(self, name: str, *, version: int | None = None) -> TableInfo:
        """Get the line of `ls` of one table.

        Parameters
        ----------
        name : str
            The table.
        version : int, optional
            As in `open`.

        Returns
        -------
        TableInfo

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
        with explained(self.path, f"reading what {name!r} is"), self.open(name, version=version) as snapshot:
            return TableInfo.of(snapshot)

    def versions(self, name: str) -> list[TableInfo]:
        """List the versions of a table that are there: the newest, and those that ``keep=`` retained; oldest first.

        Parameters
        ----------
        name : str
            The table.

        Returns
        -------
        list of TableInfo
            Notebooks and Rich show it as a table.

        Raises
        ------
        NotFoundError, InvalidNameError, CorruptSnapshotError, StoreAccessError
            As in `open`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> for n in (1, 2, 3):
        ...     cn.put("docs/versions", pd.DataFrame({"n": range(n)}), keep=2).close()
        >>> [(table.version, table.rows) for table in cn.versions("docs/versions")]
        [(2, 2), (3, 3)]
        >>> len(cn.get("docs/versions", version=-2))
        2
        >>> cn.delete("docs/versions")
        """
        newest = self.info(name)
        if newest.live:
            return Tables([newest])
        older = []
        for version in sorted(self._catalog.retained_versions(name) - {newest.version}):
            with contextlib.suppress(NotFoundError):  # removed by a put meanwhile
                older.append(self.info(name, version=version))
        return Tables([*older, newest])

    def version_number(self, name: str, version: int | None) -> int | None:
        """Give the number of a version that may be counted from the newest.

        Parameters
        ----------
        name : str
            The table.
        version : int or None
            The version; -1 is the newest, -2 the one before.

        Returns
        -------
        int or None
            None for the newest version.

        Raises
        ------
        NotFoundError
            There are fewer versions.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> store = cn.Store()
        >>> for n in (1, 2):
        ...     store.put("docs/number", pd.DataFrame({"n": [n]}), keep=2).close()
        >>> store.version_number("docs/number", -2)
        1
        >>> store.delete("docs/number")
        """
        return None if version is None else self._catalog.version_number(name, whole_number(version, "version"))

    def sizes(self) -> dict[str, int]:
        """Get the bytes of each table, all its versions together.

        Returns
        -------
        dict of str to int

        Raises
        ------
        StoreAccessError
            If the store is a file, or cannot be read.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> store = cn.Store()
        >>> store.put("docs/sizes", pd.DataFrame({"n": [1]})).close()
        >>> store.sizes()["docs/sizes"] == store.info("docs/sizes").nbytes
        True
        >>> store.delete("docs/sizes")
        """
        from colonnade.storage.log_files import files_of_logs

        return self._catalog.sizes() | {log.name: log.nbytes for log in files_of_logs(self._catalog)}

    # -- a mapping of names to tables ----------------------------------------------------------------------------------

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self.exists(name)
        except InvalidNameError:
            return False

    def __iter__(self) -> Iterator[str]:
        """The names of all tables, in order."""
        tables = {entry.name for entry in self._catalog.entries() if entry.version is None}
        return iter(sorted(tables.union(self._catalog.growing())))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # a place, which need not be there yet; whether it is empty is len()'s to say

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def keys(self) -> KeysView[str]:
        """Give the names of all tables, in order, so that ``dict(store)`` is all tables by name.

        Returns
        -------
        collections.abc.KeysView

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> store = cn.Store()
        >>> store["docs/mapping"] = pd.DataFrame({"n": [1]})
        >>> list(store.keys())
        ['docs/mapping']
        >>> del store["docs/mapping"]
        """
        return KeysView(cast(Any, self))

    def items(self) -> ItemsView[str, Any]:
        """Give the names of all tables, in order, each with its table as `get` gives it.

        Returns
        -------
        collections.abc.ItemsView

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> store = cn.Store()
        >>> store["docs/mapping"] = pd.DataFrame({"n": [1, 2]})
        >>> [(name, len(df)) for name, df in store.items()]
        [('docs/mapping', 2)]
        >>> del store["docs/mapping"]
        """
        return ItemsView(cast(Any, self))

    def values(self) -> ValuesView[Any]:
        """Give all tables, as `get` gives them, in the order of their names.

        Returns
        -------
        collections.abc.ValuesView

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> store = cn.Store()
        >>> store["docs/mapping"] = pd.DataFrame({"n": [1, 2]})
        >>> [len(df) for df in store.values()]
        [2]
        >>> del store["docs/mapping"]
        """
        return ValuesView(cast(Any, self))

    def __setitem__(self, name: str, data: Any) -> None:
        self.put(name, data).close()

    def __delitem__(self, name: str) -> None:
        self.delete(name)
