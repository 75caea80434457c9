"""Names to versions. Publishing is one atomic rename.

Knows: a store's directory, its lock, versions. Must not know: columns; how a spare is proved unused.

Invariants
----------
1. A name leads to a whole, sealed segment or to nothing. The only step that makes a name lead elsewhere is ``rename``,
   which is atomic, of a file that is complete.
2. The version in a name's seal grows by 1 with each put, because it is read, increased and renamed under the store's
   lock. The lock is ``flock`` on the directory: the kernel drops it when its holder dies. It is never held while
   columns move.
3. A crash leaves at most: one ``.publish`` (removed by the next put or gc), hidden drafts and a spare's name of a
   segment that has another one (both removed by the next put that retires something, or gc), or a retained version
   that is also the newest one, or one too many (removed by the next put of the name).
4. A reader opens by name, and then asks whether the name still leads to what it opened, before it reads anything of
   it; if not, it starts again. `recycle` argues why it never sees a page that is being rewritten.
5. A segment of a user who is neither this one nor trusted is never read, nor replaced.

A child forked while a thread of its parent holds the lock shares it; so it is dropped by LOCK_UN, which works for
both, and not by closing the descriptor, which would not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import (
    ConflictError,
    CorruptSnapshotError,
    InvalidNameError,
    NotFoundError,
    StoreAccessError,
)
from colonnade.layout.seal import Seal
from colonnade.store import folders, paths, recycle, room, settings
from colonnade.store.paths import Entry, Location
from colonnade.store.segment import MAPPED, Draft, Segment, is_abandoned
from colonnade.store.settings import Settings

# No file of that name, a part of it that is no folder, a link.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Freed(NamedTuple):
    """What `gc` removed: how many files and folders, the bytes they held, and the bytes of idle memory it freed."""

    files: int
    folders: int
    nbytes: int
    memory: int = 0


class Catalog:
    """The names of one store directory. ``own``: a directory of another user is refused."""

    def __init__(
        self,
        root: Path,
        *,
        own: bool,
        durable: bool,
        trusted: frozenset[int],
        chosen: Settings = Settings(),  # noqa: B008 -- it is immutable
    ) -> None:
        self.root = root
        self.durable = durable
        self.trusted = trusted
        self._own = own
        self._chosen = chosen
        self._keeps_spares: bool | None = None

    # -- the directory -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the directory, or see that it is one that this user may write.

        Raises
        ------
        StoreAccessError
            Where it is a file, cannot be made, is not writable, or is another user's and should not be.
        """
        try:
            if not self.root.is_dir():
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.root.chmod(self._chosen.folder_mode)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise StoreAccessError(errno.EACCES, f"this user may not write to the store {self.root}")
            with self._opened():
                pass
        except StoreAccessError:
            raise
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be a store: {os.strerror(error.errno or 0)}; name another directory"
            ) from error

    def _opened(self) -> contextlib.AbstractContextManager[int]:
        return folders.opened(self.root, own=self._own)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the store's lock; gives the descriptor of its directory."""
        with self._opened() as root:
            fcntl.flock(root, fcntl.LOCK_EX)
            try:
                yield root
            finally:
                fcntl.flock(root, fcntl.LOCK_UN)

    def settings(self, root: int) -> Settings:
        """What was chosen, else what the directory keeps."""
        return self._chosen.or_else(settings.read(root, self.trusted))

    def configure(self, wanted: Settings) -> Settings:
        """Keep settings in the directory; those that are None stay as they are."""
        with self.lock() as root:
            try:
                kept = settings.read(root, self.trusted)
            except StoreAccessError as error:
                if error.errno != errno.EINVAL:
                    raise
                kept = Settings()  # they cannot be read, and are set anew
            settings.write(root, wanted.or_else(kept))
            found = self.settings(root)
            if wanted.mode is not None:
                os.fchmod(root, found.folder_mode)
            return found

    # -- reading -------------------------------------------------------------------------------------------------------

    def attach(self, name: str, version: int | None = None) -> tuple[Segment, Seal]:
        """Open a name's newest version, or the given one.

        Raises
        ------
        NotFoundError, CorruptSnapshotError, StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self._opened() as root, folders.below(root, where.folders) as folder:
                segment, seal = self._attach(folder, where.current, name)
                if version is None or seal.version == version:
                    return segment, seal
                segment.close()
                return self._attach(folder, where.retained(version), name)
        except (FileNotFoundError, NotADirectoryError):
            raise self._not_found(name, version) from None
        except PermissionError as error:
            raise StoreAccessError(
                error.errno, f"{name!r} cannot be read from {self.root}: {os.strerror(error.errno or 0)}"
            ) from error

    def _attach(self, folder: int, file: str, name: str) -> tuple[Segment, Seal]:
        while True:
            try:
                segment = self._open(folder, file, name)
            except BlockingIOError:
                continue  # a lease test, so the name leads elsewhere by now
            try:
                if not segment.is_at(folder, file):
                    segment.close()
                    continue
                # From here on it is nobody's to write, for it is open.
                self._check_owner(segment, name)
                return segment, segment.seal()
            except CorruptSnapshotError as error:
                segment.close()
                raise type(error)(
                    f"{name!r} cannot be opened: {error}. The file is {segment.path}; "
                    "delete it, or read it with pyarrow and put it again"
                ) from None
            except BaseException:
                segment.close()
                raise

    def _open(self, folder: int, file: str, name: str) -> Segment:
        path = self.root / Path(name).parent / file
        try:
            return Segment.open(path, folder, file)
        except (FileNotFoundError, NotADirectoryError, BlockingIOError):
            raise
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{name!r} cannot be read from {path}: {os.strerror(error.errno or 0)}"
            ) from error

    def _check_owner(self, segment: Segment, name: str) -> None:
        owner = segment.owner
        if owner not in self.trusted:
            raise StoreAccessError(
                errno.EPERM,
                f"{name!r} belongs to user {owner}, who could change it while it is read; the file is {segment.path}. "
                f"Remove it, or trust that user: Store({str(self.root)!r}, trust={owner})",
            )

    def _not_found(self, name: str, version: int | None) -> NotFoundError:
        if version is not None:
            with contextlib.suppress(OSError):
                where = paths.locate(name)
                with self._opened() as root, folders.below(root, where.folders) as folder:
                    newest = self._current_version(folder, where, name)
                    kept = sorted([*_retained(folder, where), *([newest] if newest else [])])
                if kept:
                    return NotFoundError(
                        f"there is no version {version} of {name!r} in {self.root}; there are "
                        f"{', '.join(map(str, kept))}. Older versions are kept by put(..., keep=n)"
                    )
        names = sorted({entry.name for entry in self.entries()})
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        there = f"there are: {shown}" if names else "the store is empty"
        return NotFoundError(f"there is no table {name!r} in {self.root}; {there}")

    def current_version(self, name: str) -> int:
        """A name's newest version; 0 where there is none. What is no snapshot counts as none, and a put replaces it.

        Raises
        ------
        StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self._opened() as root, folders.below(root, where.folders) as folder:
                return self._current_version(folder, where, name)
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def _current_version(self, folder: int, where: Location, name: str) -> int:
        try:
            segment, seal = self._attach(folder, where.current, name)
        except (FileNotFoundError, NotADirectoryError, CorruptSnapshotError, IsADirectoryError):
            return 0
        except StoreAccessError as error:
            if error.errno in _NO_FILE:
                return 0
            raise
        segment.close()
        return seal.version

    def expect(self, name: str, version: int | None) -> None:
        """See that a name's newest version is ``version``, unless that is None; 0: the name does not exist.

        Raises
        ------
        ConflictError
        """
        if version is not None:
            _expect(name, version, self.current_version(name))

    def entries(self) -> Iterator[Entry]:
        """All tables' files, retained versions included, by name; none where the directory is not there yet.

        Raises
        ------
        StoreAccessError
        """
        try:
            with self._opened() as root:
                for file in folders.walk(root):
                    entry = paths.parse(file.folders, file.name)
                    if entry is not None:
                        yield entry
        except FileNotFoundError:
            return
        except (NotADirectoryError, PermissionError) as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be read as a store: {os.strerror(error.errno or 0)}"
            ) from error

    def _tables(self, root: int) -> list[room.Held]:
        """What each table's file holds."""
        found = []
        for file in folders.walk(root):
            entry = paths.parse(file.folders, file.name)
            if entry is None:
                continue
            with contextlib.suppress(OSError, CorruptSnapshotError):
                segment = Segment.open(self.root, file.folder, file.name)
                try:
                    expires = segment.seal().expires_ns
                except CorruptSnapshotError:
                    expires = None
                finally:
                    segment.close()
                found.append(room.Held(entry, file.stat().st_blocks * 512, room.is_expired(expires)))
        return found

    # -- changing ------------------------------------------------------------------------------------------------------

    def draft(self, size: int) -> Draft:
        """Make a segment of so many bytes, of a spare if one fits; there is room for it.

        Raises
        ------
        StoreFullError
            Before anything is written.
        """
        with self._opened() as root:
            chosen = self.settings(root)
            if chosen.capacity is None and size < MAPPED and room.free_bytes(root) >= size:
                return Draft.fresh(root, chosen.file_mode)
        with self.lock() as root:
            if chosen.capacity is not None:
                room.check_capacity(self.root, size, chosen.capacity, self._tables(root))
            draft = recycle.claim(root, size, chosen.file_mode) if size >= MAPPED else None
            try:
                self._make_room(root, size - (draft.allocated if draft else 0))
            except BaseException:
                if draft:
                    draft.close()
                raise
            return draft or Draft.fresh(root, chosen.file_mode)

    def _make_room(self, root: int, size: int) -> None:
        """Free what may go, spares first, where the file system has less than ``size`` bytes."""
        room.free_spares(root, size)
        if room.free_bytes(root) < size:
            self._remove_expired(root, self._tables(root))
            room.free_spares(root, size)
            if (free := room.free_bytes(root)) < size:
                room.check_file_system(self.root, size, free, self._tables(root))

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
        with self.lock() as root:
            chosen = self.settings(root)
            with self._made(root, name, where, chosen.folder_mode) as folder:
                version = self._current_version(folder, where, name)
                if expect is not None:
                    _expect(name, expect, version)
                older = _retained(folder, where)
                sealed = seal._replace(version=max([version, *older]) + 1)
                write_seal(sealed)
                if self.durable:
                    draft.sync()
                if chosen.capacity is not None:
                    tables = self._tables(root)
                    room.check_capacity(self.root, seal.size, chosen.capacity, tables)
                    self._remove_expired(root, tables)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(paths.PUBLISH, dir_fd=root)
                staged = draft.stage(root)
                if version and keep > 1:
                    keeper = where.retained(version)
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(keeper, dir_fd=folder)
                    os.link(where.current, keeper, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                    older.add(version)
                limit = self._spares_limit(root, chosen)
                if version and keep == 1 and self._is_worth_keeping(folder, where.current, limit):
                    recycle.link(root, folder, where.current)
                os.rename(staged.name, where.current, src_dir_fd=staged.folder, dst_dir_fd=folder)
                draft.published()
                for old in sorted(older)[: max(len(older) - (keep - 1), 0)]:
                    self._drop(root, folder, where.retained(old), limit)
                if self.durable:
                    self._sync_folders(root, where)
            recycle.trim(root, self._within_capacity(root, chosen, limit))
        return sealed

    @contextlib.contextmanager
    def _made(self, root: int, name: str, where: Location, mode: int) -> Iterator[int]:
        """The folder of a name, made if it is not there, in which nothing else has the name."""
        try:
            inside = folders.below(root, where.folders, make=mode)
            with inside as folder:
                if _is_folder(folder, where.current):
                    raise InvalidNameError(
                        f"{name!r} cannot be a table: {self.root / name}{paths.SUFFIX} is the folder of other tables"
                    )
                yield folder
        except NotADirectoryError:
            raise InvalidNameError(f"{name!r} cannot be a table: a part of it is the file of another table") from None

    def _spares_limit(self, root: int, chosen: Settings) -> int:
        """How many bytes of spares are kept: none where they could not be proved unused."""
        if self._keeps_spares is None:
            self._keeps_spares = recycle.is_possible(root)
        if not self._keeps_spares:
            return 0
        return recycle.default_limit(root) if chosen.spares is None else chosen.spares

    def _within_capacity(self, root: int, chosen: Settings, limit: int) -> int:
        if chosen.capacity is None:
            return limit
        return min(limit, max(chosen.capacity - sum(held.nbytes for held in self._tables(root)), 0))

    def _is_worth_keeping(self, folder: int, file: str, limit: int) -> bool:
        found = os.stat(file, dir_fd=folder, follow_symlinks=False)
        return stat.S_ISREG(found.st_mode) and recycle.is_worth_keeping(found, limit)

    def _drop(self, root: int, folder: int, file: str, limit: int) -> None:
        """Take a name away; what it led to becomes a spare if it is worth it."""
        try:
            if self._is_worth_keeping(folder, file, limit):
                recycle.retire(root, folder, file)
            else:
                os.unlink(file, dir_fd=folder)
        except FileNotFoundError:
            pass

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
            with self.lock() as root:
                with folders.below(root, where.folders) as folder:
                    if not _is_there(folder, where.current):
                        raise FileNotFoundError
                    limit = self._spares_limit(root, self.settings(root))
                    # The newest goes last: killed half-way, the name still leads to what it led to.
                    for version in _retained(folder, where):
                        self._drop(root, folder, where.retained(version), limit)
                    self._drop(root, folder, where.current, limit)
                folders.remove_empty_parents(root, where.folders)
                recycle.trim(root, limit)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._not_found(name, None) from None

    def _remove_expired(self, root: int, tables: list[room.Held]) -> int:
        """Remove expired tables' files."""
        expired = [held.entry for held in tables if held.expired]
        for entry in expired:
            where = paths.locate(entry.name)
            with contextlib.suppress(OSError), folders.below(root, where.folders) as folder:
                os.unlink(where.current if entry.version is None else where.retained(entry.version), dir_fd=folder)
        return len(expired)

    def gc(self) -> Freed:
        """Remove what killed writers left, spares, expired tables, versions of names that are gone, empty folders."""
        try:
            with self.lock() as root:
                tables = self._tables(root)
                files = self._remove_expired(root, tables)
                nbytes = sum(held.nbytes for held in tables if held.expired)
                for file in folders.walk(root):
                    with contextlib.suppress(FileNotFoundError):
                        if self._is_leftover(file):
                            found = file.stat()
                            os.unlink(file.name, dir_fd=file.folder)
                            files += 1
                            nbytes += found.st_blocks * 512 if found.st_nlink == 1 else 0
                return Freed(files, folders.remove_empty(root), nbytes)
        except FileNotFoundError:
            return Freed(0, 0, 0)

    def collapse(self) -> None:
        """Put tables into huge pages that did not come into them when they were written."""
        with contextlib.suppress(FileNotFoundError), self._opened() as root:
            if not _core.in_memory(root):
                return
            for file in folders.walk(root):
                if paths.parse(file.folders, file.name) is not None:
                    with contextlib.suppress(OSError):
                        segment = Segment.open(self.root, file.folder, file.name)
                        try:
                            if segment.size >= MAPPED and segment.owner == os.geteuid():
                                segment.map(writable=False).collapse()
                        finally:
                            segment.close()

    def _is_leftover(self, file: folders.File) -> bool:
        if not stat.S_ISREG(file.stat().st_mode):
            return False
        if not file.folders:
            return file.name == paths.PUBLISH or file.name.startswith(f"{paths.SETTINGS}-") or self._lost(file)
        if file.folders == (paths.SEGMENTS,):
            return file.name.startswith(paths.SPARE_PREFIX) or is_abandoned(file.folder, file.name)
        return self._lost(file)

    def _lost(self, file: folders.File) -> bool:
        """Whether it is a version of a name that is gone."""
        entry = paths.parse(file.folders, file.name)
        return (
            entry is not None
            and entry.version is not None
            and not _is_there(file.folder, paths.locate(entry.name).current)
        )


def _expect(name: str, version: int, found: int) -> None:
    if version != found:
        told = f"is at version {found}" if found else "does not exist"
        raise ConflictError(f"{name!r} {told}, and version {version} was expected; read it again and retry")


def _retained(folder: int, where: Location) -> set[int]:
    """The versions that are retained for a name."""
    return {version for file in os.listdir(folder) if (version := where.version_of(file)) is not None}


def _is_there(folder: int, file: str) -> bool:
    try:
        os.stat(file, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_folder(folder: int, file: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(file, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
