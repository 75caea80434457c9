"""What changes a name: put, delete. Publishing is one atomic rename.

Knows: the store's lock, drafts, spares, room. Does not depend on: columns; how a spare is proved unused.

Invariants
----------
1. A name leads to a whole, sealed segment or to nothing. The only step that makes a name lead elsewhere is ``rename``,
   which is atomic, of a file that is complete.
2. The version in a name's seal grows by 1 with each put, because it is read, increased and renamed under the store's
   lock: ``flock`` on the directory, which the kernel drops when its holder dies. It is never held while columns move.
3. A crash leaves at most: one ``.publish`` (removed by the next put or gc), hidden drafts, a spare's name of a
   segment that has another one (both removed by the next put, delete or gc), or a retained version that is also the
   newest one, or one too many (removed by the next put of the name).
4. A segment of a user who is neither this one nor trusted is never replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from colonnade.errors import InvalidNameError
from colonnade.format.seal import Seal
from colonnade.storage import capacity, folders, paths, spares
from colonnade.storage.catalog import Catalog, compare, retained
from colonnade.storage.paths import Location
from colonnade.storage.segment import MAPPED, Draft
from colonnade.storage.settings import Settings

if TYPE_CHECKING:
    from colonnade.storage.usage import Usage


class Publisher:
    """Changes the names of one store."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._directory = catalog.directory
        self._keeps_spares: bool | None = None

    def draft(self, size: int) -> Draft:
        """Make a segment of so many bytes, of a spare if one fits; there is room for it.

        Raises
        ------
        StoreFullError
            Before anything is written.
        """
        with self._directory.opened() as root:
            chosen = self._directory.settings(root)
            if chosen.capacity is None and size < MAPPED and capacity.free_bytes(root) >= size:
                return Draft.fresh(root, chosen.file_mode)
        with self._directory.lock() as root:
            if chosen.capacity is not None:
                self._check_capacity(root, size, chosen.capacity)
            draft = spares.claim(root, size, chosen.file_mode) if size >= MAPPED else None
            try:
                self._make_room(root, size - (draft.allocated if draft else 0))
            except BaseException:
                if draft:
                    draft.close()
                raise
            return draft or Draft.fresh(root, chosen.file_mode)

    def _make_room(self, root: int, size: int) -> None:
        """Free what may go, spares first, where the file system has less than ``size`` bytes."""
        capacity.free_spares(root, size)
        if capacity.free_bytes(root) < size:
            capacity.remove_expired(root)
            capacity.free_spares(root, size)
            if (free := capacity.free_bytes(root)) < size:
                raise capacity.refuse_for_file_system(self._directory.root, size, free, self._usage())

    def _usage(self) -> Usage:
        from colonnade.storage.usage import look_at  # noqa: PLC0415 -- 12 ms of imports, for an error's words

        return look_at(self._catalog)

    def _check_capacity(self, root: int, size: int, limit: int) -> None:
        """See that a table may be added, now that expired ones do not count; they go where it could not."""
        if capacity.used_bytes(root) + size <= limit:
            return
        capacity.remove_expired(root)
        if capacity.used_bytes(root) + size > limit:
            raise capacity.refuse_for_capacity(self._directory.root, size, limit, self._usage())

    def publish(
        self, name: str, draft: Draft, seal: Seal, write_seal: Callable[[Seal], None], *, keep: int, expect: int | None
    ) -> Seal:
        """Give a complete draft its name and version, and retain the ``keep`` newest versions.

        Raises
        ------
        ConflictError
            Where ``expect`` is not the present version.
        StoreFullError
            Where others were faster, and the store's capacity would be passed.
        """
        where = paths.locate(name)
        with self._directory.lock() as root:
            chosen = self._directory.settings(root)
            limit = self._spares_limit(root, chosen)
            if chosen.capacity is not None:
                self._check_capacity(root, seal.size, chosen.capacity)
            with self._made(root, name, where, chosen.folder_mode) as folder:
                version = self._catalog.version_in(folder, where, name)
                if expect is not None:
                    compare(name, expect, version)
                older = retained(folder, where)
                sealed = seal._replace(version=max([version, *older]) + 1)
                write_seal(sealed)
                if self._directory.durable:
                    draft.sync()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(paths.PUBLISH, dir_fd=root)
                staged = draft.stage(root)
                if version and keep > 1:
                    _retain(folder, where, version)
                    older.add(version)
                elif version and self._is_worth_keeping(folder, where.current, limit):
                    spares.link(root, folder, where.current)
                os.rename(staged.name, where.current, src_dir_fd=staged.folder, dst_dir_fd=folder)
                draft.published()
                for old in sorted(older)[: max(len(older) - (keep - 1), 0)]:
                    self._drop(root, folder, where.retained(old), limit)
                if self._directory.durable:
                    self._sync_folders(root, where)
            spares.trim(root, self._within_capacity(root, chosen, limit))
        return sealed

    @contextlib.contextmanager
    def _made(self, root: int, name: str, where: Location, mode: int) -> Iterator[int]:
        """The folder of a name, made if it is not there, in which nothing else has the name."""
        try:
            inside = folders.below(root, where.folders, make=mode)
            with inside as folder:
                if folders.is_folder(folder, where.current):
                    raise InvalidNameError(
                        f"{name!r} cannot be a table: {self._directory.root / name}{paths.SUFFIX} "
                        "is the folder of other tables"
                    )
                yield folder
        except NotADirectoryError:
            raise InvalidNameError(f"{name!r} cannot be a table: a part of it is the file of another table") from None

    def _spares_limit(self, root: int, chosen: Settings) -> int:
        """How many bytes of spares are kept: none where they could not be proved unused."""
        if self._keeps_spares is None:
            self._keeps_spares = spares.is_possible(root)
        if not self._keeps_spares:
            return 0
        return spares.default_limit(root) if chosen.spares is None else chosen.spares

    def _within_capacity(self, root: int, chosen: Settings, limit: int) -> int:
        if chosen.capacity is None or not spares.held(root):
            return limit
        return min(limit, max(chosen.capacity - capacity.used_bytes(root), 0))

    def _is_worth_keeping(self, folder: int, file: str, limit: int) -> bool:
        found = os.stat(file, dir_fd=folder, follow_symlinks=False)
        return stat.S_ISREG(found.st_mode) and spares.is_worth_keeping(found, limit)

    def _drop(self, root: int, folder: int, file: str, limit: int) -> None:
        """Take a name away; what it led to becomes a spare if it is worth it."""
        try:
            if self._is_worth_keeping(folder, file, limit):
                spares.retire(root, folder, file)
            else:
                os.unlink(file, dir_fd=folder)
        except FileNotFoundError:
            pass

    def place(self, draft: Draft, size: int, file: str) -> int:
        """Give a complete draft a hidden name, and open it for reading, locked; of `shared` and `sent` to use.

        Raises
        ------
        StoreFullError
            Where others were faster, and the store's capacity would be passed.
        """
        with self._directory.lock() as root:
            limit = self._directory.settings(root).capacity
            if limit is not None:
                self._check_capacity(root, size, limit)
            with folders.below(root, [paths.SEGMENTS], make=0o700) as folder:
                draft.place(folder, file)
                try:
                    fd = draft.reopen()
                except BaseException:
                    os.unlink(file, dir_fd=folder)
                    raise
            # Whoever cleans does it under the store's lock, and never sees it without one.
            fcntl.flock(draft.fd, fcntl.LOCK_UN)
            fcntl.flock(fd, fcntl.LOCK_EX)
            return fd

    def take_away(self, file: str, *, spare: bool) -> None:
        """Take a hidden name away; with ``spare``, what it led to becomes a spare if it is worth it.

        Does not wait: where somebody holds the store's lock there is no spare.
        """
        with contextlib.suppress(FileNotFoundError):  # it is gone, or somebody removed the store
            with contextlib.suppress(BlockingIOError), self._directory.lock_at_once() as root:
                chosen = self._directory.settings(root)
                limit = self._within_capacity(root, chosen, self._spares_limit(root, chosen)) if spare else 0
                with folders.below(root, [paths.SEGMENTS]) as folder:
                    self._drop(root, folder, file, limit)
                if spare:
                    spares.trim(root, limit)
                return
            with self._directory.opened() as root, folders.below(root, [paths.SEGMENTS]) as folder:
                os.unlink(file, dir_fd=folder)

    def _sync_folders(self, root: int, where: Location) -> None:
        for depth in range(len(where.folders), -1, -1):
            with folders.below(root, where.folders[:depth]) as folder:
                os.fsync(folder)

    def delete(self, name: str) -> None:
        """Remove a name and all its versions; who has them mapped keeps them.

        Raises
        ------
        NotFoundError
        """
        where = paths.locate(name)
        try:
            with self._directory.lock() as root:
                with folders.below(root, where.folders) as folder:
                    if not folders.is_there(folder, where.current):
                        raise FileNotFoundError
                    limit = self._spares_limit(root, self._directory.settings(root))
                    # The newest goes last: killed half-way, the name still leads to what it led to.
                    for version in retained(folder, where):
                        self._drop(root, folder, where.retained(version), limit)
                    self._drop(root, folder, where.current, limit)
                folders.remove_empty_parents(root, where.folders)
                spares.trim(root, limit)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._catalog.not_found(name, None) from None


def _retain(folder: int, where: Location, version: int) -> None:
    """Give the newest version a name of its own."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(where.retained(version), dir_fd=folder)
    os.link(where.current, where.retained(version), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
