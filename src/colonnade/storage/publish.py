"""Everything that changes a name: put and delete. Publishing is one atomic rename.

Does not depend on: columns; how a spare is proved unused.

Invariants
----------
1. A name leads to a whole, sealed segment or to nothing. The only step that makes a name lead elsewhere is ``rename``,
   which is atomic, of a file that is complete. This is the **commit**.
2. The version in a name's seal grows by 1 with each put: it is read, increased and renamed under the store's lock
   (`directory`). The lock is never held while columns move, nor while a table is written to a disk.
3. Whatever fails before the commit leaves the store as it was. Nothing that follows the commit raises, but for
   NotDurableError, which says so: what could still be tidied up is left to the next put or gc.
4. A crash leaves at most: one ``.publish`` (removed by the next put or gc), unlocked drafts, a spare's name of a
   segment that has another one (both removed by the next put, delete or gc), or a retained version that is also the
   newest one, or one too many, or one of a name that is deleted (removed by the next put of the name; the last by gc
   too). No reader finds a retained version whose name leads to nothing.
5. A segment of a user who is neither this one nor trusted is never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from colonnade import _core
from colonnade.errors import ColonnadeError, InvalidNameError, NotDurableError
from colonnade.format.seal import Seal
from colonnade.storage import capacity, copies, folders, paths, spares
from colonnade.storage.catalog import Catalog, retained, sealed_version
from colonnade.storage.draft import Draft, has_proc
from colonnade.storage.expected import Expected
from colonnade.storage.os_errors import explain_os_error
from colonnade.storage.paths import Location
from colonnade.storage.room import room
from colonnade.storage.segment import MAPPED, Segment
from colonnade.storage.settings import Settings

if TYPE_CHECKING:
    from colonnade.storage.usage import Usage


class Publisher:
    """Changes the names of one store."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._directory = catalog.directory
        self._keeps_spares: bool | None = None

    # -- drafts --------------------------------------------------------------------------------------------------------

    def draft(self, size: int, private: int = 0) -> Draft:
        """Make a segment of ``size`` bytes, from a spare if one fits; there is room for it.

        ``private`` is the memory that it takes to write the segment; it counts where there is a memory limit.

        Raises
        ------
        StoreFullError
            Before anything is written.
        """
        with self._directory.opened() as root:
            settings = self._directory.settings(root)
            if settings.capacity is None and size < MAPPED and capacity.free_bytes(root, size, private) >= size:
                return Draft.fresh(root, settings.file_mode)
        with self._directory.lock() as root:
            if settings.capacity is not None:
                self.check_capacity(root, size, settings.capacity)
            draft = spares.claim(root, size, settings.file_mode) if size >= MAPPED else None
            try:
                self._make_room(root, max(size - (draft.allocated if draft else 0), 0), private)
            except BaseException:
                if draft:
                    draft.close()
                raise
            return draft or Draft.fresh(root, settings.file_mode)

    def _make_room(self, root: int, size: int, private: int) -> None:
        """Free what may go, spares first, where there is room for less than ``size`` bytes."""
        capacity.free_spares(root, size, private)
        if (free := capacity.free_bytes(root, size, private)) < size:
            copies.free(root, size - free)
        if capacity.free_bytes(root, size, private) < size:
            capacity.remove_expired(root)
            capacity.free_spares(root, size, private)
            there_is = room(root, size, private)
            if there_is.nbytes < size:
                raise capacity.refuse_for_room(self._directory.root, size, there_is, self._usage(), private)

    def free_room(self) -> bool:
        """Free all that may go where the file system is full; whether there was anything."""
        with self._directory.lock() as root:
            before = capacity.free_bytes(root)
            spares.trim(root, 0)
            copies.free(root, 1 << 62)
            capacity.remove_expired(root)
            return capacity.free_bytes(root) > before

    def _usage(self) -> Usage:
        from colonnade.storage.usage import look_at

        return look_at(self._catalog, with_holders=has_proc())

    def check_capacity(self, root: int, size: int, limit: int) -> None:
        """See that a table may be added. What may go does not count: it is removed if it would not fit.

        Under the store's lock.

        Raises
        ------
        StoreFullError
        """
        if capacity.used_bytes(root) + size <= limit:
            return
        copies.free(root, capacity.used_bytes(root) + size - limit)
        if capacity.used_bytes(root) + size <= limit:
            return
        capacity.remove_expired(root)
        if capacity.used_bytes(root) + size > limit:
            raise capacity.refuse_for_capacity(self._directory.root, size, limit, self._usage())

    # -- put -----------------------------------------------------------------------------------------------------------

    def publish(
        self,
        name: str,
        draft: Draft,
        seal: Seal,
        write_seal: Callable[[Seal], None],
        *,
        keep: int,
        expected: Expected | None,
    ) -> tuple[Segment, Seal]:
        """Give a complete draft its name and version, and retain the ``keep`` newest versions.

        Returns
        -------
        Segment, Seal
            The segment, opened for reading, and its seal with the version.

        Raises
        ------
        ConflictError
            If the present version is not the expected one.
        StoreFullError
            If others were faster, and the store's capacity would be passed.
        NotDurableError
            The table is stored, and not known to be on the disk.
        """
        where = paths.locate(name)
        if self._directory.durable:
            draft.sync()  # without the lock: a disk may take seconds
        with self._directory.lock() as root:
            settings = self._directory.settings(root)
            limit = self._spares_limit(root, settings)
            if settings.capacity is not None:
                self.check_capacity(root, seal.size, settings.capacity)
            try:
                with self.make_folder(root, name, where, settings.folder_mode) as folder:
                    present = self._catalog.seal_in(folder, where, name)
                    if expected is not None:
                        expected.check(name, present)
                    older = self._retained(root, folder, where, limit)
                    version = present.version if present else 0
                    final_seal = seal._replace(version=max([version, *older]) + 1)
                    write_seal(final_seal)
                    folders.give_to_owner(draft.fd, root)
                    if self._directory.durable:
                        draft.sync()
                    segment = Segment.of_draft(self._catalog.path_of(where.current, name), draft.reopen())
                    if version and keep > 1:
                        older.add(version)
                    self._commit(root, folder, where, draft, retain=version if keep > 1 else 0, limit=limit)
                    surplus = sorted(older)[: max(len(older) - (keep - 1), 0)]
                    self._drop_retained(root, folder, where, surplus, limit)
            except BaseException:
                if where.folders:
                    with contextlib.suppress(OSError):
                        folders.remove_empty_parents(root, where.folders)
                raise
            with contextlib.suppress(OSError):
                spares.trim(root, self._within_capacity(root, settings, limit))
            if self._directory.durable:
                self.sync_folders(
                    root, where, len(where.folders), f"{name!r} is stored as version {final_seal.version}"
                )
        draft.collapse_later(final_seal.size)
        return segment, final_seal

    def _commit(self, root: int, folder: int, where: Location, draft: Draft, *, retain: int, limit: int) -> None:
        """Make the name lead to the draft; what it led to is retained under a version's name, or becomes a spare."""
        if sealed_version(root, paths.PUBLISH) is not None:  # of a writer that was killed
            with contextlib.suppress(OSError):
                os.unlink(paths.PUBLISH, dir_fd=root)
        stage = draft.stage(root)
        staged_folder = stage.folder.fileno()
        draft.check_is_at(staged_folder, stage.name)
        second_name: tuple[int, str] | None = None
        if retain:
            second_name = folder, where.retained(retain)
            _retain(folder, where, retain)
        elif self._is_worth_keeping(folder, where.current, limit):
            with contextlib.suppress(OSError):  # then there is no spare; if the rename fails, the next put removes it
                spares.link(root, folder, where.current)
        try:
            os.rename(stage.name, where.current, src_dir_fd=staged_folder, dst_dir_fd=folder)
        except BaseException:
            if second_name is not None and folders.is_there(staged_folder, stage.name):
                os.unlink(second_name[1], dir_fd=second_name[0])
            raise
        draft.published()
        draft.check_is_at(folder, where.current)

    def _retained(self, root: int, folder: int, where: Location, limit: int) -> set[int]:
        """The versions that are retained for a name. Without a newest one a delete has left them: they are removed."""
        versions = retained(folder, where)
        if versions and not folders.is_there(folder, where.current):
            for version in versions:
                self._drop(root, folder, where.retained(version), limit)
            return set()
        return versions

    def make_folder(
        self, root: int, name: str, where: Location, mode: int, *, growing: bool = False
    ) -> _core.Descriptor:
        """Open the folder of a name, made if it is not there, in which nothing else has the name.

        A name is a table or a growing table, never both: the other one of the two is refused.
        """
        try:
            folder = folders.below(root, where.folders, self._directory.trusts, make=mode)
        except NotADirectoryError:
            raise InvalidNameError(
                f"{name!r} cannot be a table: a part of it is the file of another table; choose another name"
            ) from None
        if folders.is_folder(folder.fileno(), where.current):
            raise InvalidNameError(
                f"{name!r} cannot be a table: {self._directory.root / name}{paths.SUFFIX} is the folder of other tables"
            )
        number = folder.fileno()
        if folders.is_there(number, where.current) if growing else folders.is_folder(number, where.live):
            is_now, action = ("a table", "append to it") if growing else ("a growing table", "put a table there")
            raise InvalidNameError(
                f"{name!r} is {is_now} already, so nobody can {action}; delete it first, or use another name"
            )
        return folder

    # -- spares --------------------------------------------------------------------------------------------------------

    def _spares_limit(self, root: int, settings: Settings) -> int:
        """How many bytes of spares are kept: none where they could not be proved unused."""
        if self._keeps_spares is None:
            self._keeps_spares = spares.is_possible(root)
        if not self._keeps_spares:
            return 0
        return spares.default_limit(root) if settings.spares is None else settings.spares

    def _within_capacity(self, root: int, settings: Settings, limit: int) -> int:
        if settings.capacity is None or not spares.held(root):
            return limit
        return min(limit, max(settings.capacity - capacity.used_bytes(root), 0))

    def _is_worth_keeping(self, folder: int, file: str, limit: int) -> bool:
        try:
            status = os.stat(file, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(status.st_mode) and spares.is_worth_keeping(status, limit)

    def _drop(self, root: int, folder: int, file: str, limit: int) -> None:
        """Remove a name; what it led to becomes a spare if it is worth it."""
        with contextlib.suppress(FileNotFoundError):
            if self._is_worth_keeping(folder, file, limit):
                with contextlib.suppress(OSError):  # then there is no spare
                    spares.retire(root, folder, file)
                    return
            os.unlink(file, dir_fd=folder)

    # -- segments without a table's name -------------------------------------------------------------------------------

    def place(self, draft: Draft, size: int, file: str, *, shared: bool = False) -> Segment:
        """Give a complete draft a name that is not a table's, and open it for reading, locked.

        ``shared`` takes a shared lock.

        Raises
        ------
        StoreFullError
            If others were faster, and the store's capacity would be passed.
        """
        with self._directory.lock() as root:
            limit = self._directory.settings(root).capacity
            if limit is not None:
                self.check_capacity(root, size, limit)
            with folders.segments(root, make=True) as folder:
                folders.give_to_owner(draft.fd, root)
                reading = draft.reopen()
                segment = Segment.of_draft(self._directory.root / paths.SEGMENTS / file, reading)
                try:
                    draft.place(folder, file)
                    # Cleaning is done under the store's lock, so it never sees the file without one.
                    draft.unlock()
                    reading.try_lock(shared=shared)
                    draft.collapse_later(size)
                    return segment
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(file, dir_fd=folder)
                    raise

    def remove_unnamed(self, file: str, *, spare: bool) -> None:
        """Remove the name of a segment without a table's name; with ``spare``, it becomes a spare if it is worth it.

        Does not wait: while a process has the store's lock there is no spare.
        """
        with contextlib.suppress(FileNotFoundError):  # it is gone, or the store was removed
            try:
                with self._directory.lock_at_once() as root:
                    settings = self._directory.settings(root)
                    limit = self._within_capacity(root, settings, self._spares_limit(root, settings)) if spare else 0
                    with folders.segments(root) as folder:
                        self._drop(root, folder, file, limit)
                    if spare:
                        spares.trim(root, limit)
            except BlockingIOError:
                with self._directory.opened() as root, folders.segments(root) as folder:
                    os.unlink(file, dir_fd=folder)

    def retire_copies(self, name: str, version: int) -> None:
        """Remove copies of other hosts' snapshots that nobody needs: old ones, and those of older versions of a table.

        Those of older versions become spares, if they are worth it.
        """
        with self._directory.lock() as root:
            copies.trim(root)
            settings = self._directory.settings(root)
            limit = self._spares_limit(root, settings)
            with contextlib.suppress(OSError), folders.segments(root) as folder:
                for file in copies.superseded(folder, name, version):
                    with contextlib.suppress(OSError):  # of another user: it stays, as in `copies.trim`
                        self._drop(root, folder, file, limit)
            with contextlib.suppress(OSError):
                spares.trim(root, self._within_capacity(root, settings, limit))

    # -- delete --------------------------------------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """Remove a name and all its versions; processes that have them mapped keep them.

        Raises
        ------
        NotFoundError
        NotDurableError
            The name is gone, and that is not known to be on the disk.
        """
        where = paths.locate(name)
        try:
            with self._directory.lock() as root:
                with self._catalog.folder(root, where) as folder:
                    if not folders.is_there(folder, where.current):
                        raise FileNotFoundError
                    limit = self._spares_limit(root, self._directory.settings(root))
                    self._drop_all(root, folder, where, limit)
                depth = len(where.folders)
                with contextlib.suppress(OSError):
                    depth = folders.remove_empty_parents(root, where.folders)
                    spares.trim(root, limit)
                if self._directory.durable:
                    self.sync_folders(root, where, depth, f"{name!r} is deleted")
                folders.remove_segments(root)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._catalog.not_found(name, None) from None
        except OSError as error:
            if isinstance(error, ColonnadeError):
                raise
            raise explain_os_error(error, self._directory.root, f"deleting {name!r}") from error

    def _drop_all(self, root: int, folder: int, where: Location, limit: int) -> None:
        """Remove all versions of a name. The newest goes first, and decides: no reader finds the others without it."""
        versions = retained(folder, where)
        self._drop(root, folder, where.current, limit)
        self._drop_retained(root, folder, where, versions, limit)

    def _drop_retained(self, root: int, folder: int, where: Location, versions: Iterable[int], limit: int) -> None:
        """Remove retained versions after a commit; what fails is left to the next put of the name, or gc."""
        for version in sorted(versions):
            with contextlib.suppress(OSError):
                self._drop(root, folder, where.retained(version), limit)

    def sync_folders(self, root: int, where: Location, depth: int, result: str) -> None:
        """Sync ``depth`` folders above a name, and the directory itself."""
        try:
            for level in range(depth, -1, -1):
                with folders.below(root, where.folders[:level], None) as folder:
                    os.fsync(folder)
        except OSError as error:
            raise NotDurableError(
                error.errno or errno.EIO,
                f"{result}, and everybody sees it, but it is not known to be on the disk: "
                f"{os.strerror(error.errno or errno.EIO)}. Look at the disk, and do it again to be sure",
            ) from error


def _retain(folder: int, where: Location, version: int) -> None:
    """Give the newest version a name of its own."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(where.retained(version), dir_fd=folder)
    os.link(where.current, where.retained(version), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
