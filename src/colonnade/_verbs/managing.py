"""The tables and the directory as a whole: `rename`, `copy`, `delete`, `gc`, `check`, `usage`, settings.

Does not depend on: how the verbs work. Each method imports what it calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from colonnade._verbs.base import StoreBase
from colonnade.errors import InvalidNameError
from colonnade.snapshot import Snapshot
from colonnade.storage import paths, settings
from colonnade.storage.os_errors import explained
from colonnade.storage.settings import Settings

if TYPE_CHECKING:
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.usage import Usage


class Managing(StoreBase):
    """The verbs that change names and settings, free memory, and examine the whole store."""

    def rename(self, old: str, new: str) -> None:
        """Give a table another name; its versions keep their numbers. Nothing is copied.

        Processes that have it open keep it. References that were pickled before, and handles of the old name, do not
        find it any more.

        Parameters
        ----------
        old : str
            The table.
        new : str
            The new name.

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

        if self._catalog.is_growing(old):
            raise InvalidNameError(
                f"{old!r} is a growing table, which its producer and its readers know by name: it cannot be renamed. "
                "Put what it has under the new name: put(new, open(old)), or copy(old, new)"
            )
        rename(self._catalog, self._writer.publisher, old, new)

    def copy(self, name: str, new: str, *, version: int | None = None) -> Snapshot:
        """Keep a table under a second name, which does not depend on the first.

        If there is no table of the new name, both names lead to one file, which takes no memory: version, identity,
        times and lifetime are the same. If there is one, or the table is another user's, the bytes are copied into its
        next version.

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
            As in `open` and `put`. After an error the store is as it was.

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
        """Remove a table and all its versions, or a growing table. Processes that have it open keep it.

        A process that appends to a growing table, follows it or watches it gets NotFoundError.

        Parameters
        ----------
        name : str
            The table.

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
        if self._catalog.is_growing(name):
            from colonnade.storage import log_folder

            log_folder.remove(self._catalog, name)
        else:
            self._writer.publisher.delete(name)

    def gc(self) -> Freed:
        """Free spares, expired tables and what killed writers left; remove empty folders.

        It may run at any time, also while other processes read and write.

        Returns
        -------
        Freed
            What was freed.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/brief", pd.DataFrame({"x": [1]}), ttl="1h").close()
        >>> cn.delete("docs/brief")
        >>> cn.Store().gc()
        Freed(files=..., folders=..., nbytes=..., memory=...)
        """
        from colonnade.storage import gc

        removal = gc.gc(self._catalog)
        gc.collapse(self._catalog)
        return removal

    def check(self) -> list[Problem]:
        """Check everything in the store, values included, and list what is wrong.

        It reads every byte of every file.

        Returns
        -------
        list of Problem
            Empty if nothing is wrong.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> cn.put("docs/sound", pd.DataFrame({"x": [1]})).close()
        >>> cn.check()
        []
        >>> cn.delete("docs/sound")
        """
        from colonnade.storage import check
        from colonnade.storage.log_check import damages

        def look_inside(entry: paths.Entry) -> None:
            with self.open(entry.name, version=entry.version) as snapshot:
                snapshot.validate()

        def look_inside_growing(name: str) -> Iterator[tuple[str, str]]:
            return damages(self._catalog, name)

        with explained(self.path, "check"):
            return list(check.check(self.path, self._catalog.directory.trusts, look_inside, look_inside_growing))

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
        """The settings in effect: those of this object, else those that the directory stores."""
        directory = self._catalog.directory
        with explained(self.path, "reading settings"):
            try:
                with directory.opened() as root:
                    return directory.settings(root)
            except FileNotFoundError:
                return directory.options

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
            As in `Store`. None leaves a setting as it is. ``trust`` is stored for this user only.

        Returns
        -------
        Settings
            All settings in effect.

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
