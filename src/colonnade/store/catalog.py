"""Names to versions. Publishing is one atomic rename.

Knows: a store's directory, its lock, versions. Must not know: columns.

Invariants
----------
1. A name leads to a whole, sealed segment or to nothing. The only step that makes a name lead elsewhere is ``rename``,
which is
   atomic, of a file that is complete.
2. The version in a name's seal grows by 1 with each put, because it is read, increased and renamed under the store's
lock.
   The lock is ``flock`` on the directory: the kernel drops it when its holder dies. It is never held while columns
   move.
3. A crash leaves at most: one ``.publish`` (removed by the next put or gc), hidden drafts (removed by gc), or a
retained version
   that is also the newest one, or one too many (removed by the next put of the name).
4. A reader opens by name, maps, and then asks whether the name still leads to what it mapped; if not, it starts again.
While
   nothing is ever rewritten that is only a courtesy (a newer version is to be had). Once segments are recycled it is
   what keeps a reader from pages that are being rewritten.

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

from colonnade.errors import (
    ConflictError,
    CorruptSnapshotError,
    InvalidNameError,
    NotFoundError,
    StoreAccessError,
)
from colonnade.layout.seal import Seal
from colonnade.store import paths
from colonnade.store.segment import Draft, Segment, abandoned

# No file of that name, a part of it that is no folder, a link.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Freed(NamedTuple):
    """What `gc` removed: how many files and folders, the bytes they held, and the bytes of idle memory it freed."""

    files: int
    folders: int
    nbytes: int
    memory: int = 0


class Catalog:
    """The names of one store directory."""

    def __init__(self, root: Path, *, durable: bool = False) -> None:
        self.root = root
        self.durable = durable

    def prepare(self) -> None:
        """Make the directory, or see that it is one that this user may write.

        Raises
        ------
        StoreAccessError
            Where it is a file, cannot be made, or is not writable.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be a store: {os.strerror(error.errno or 0)}; name another directory"
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StoreAccessError(errno.EACCES, f"this user may not write to the store {self.root}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store's lock."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)

    # -- reading -------------------------------------------------------------------------------------------------------

    def attach(self, name: str, version: int | None = None) -> tuple[Segment, Seal]:
        """Open a name's newest version, or the given one.

        Raises
        ------
        NotFoundError, CorruptSnapshotError
        """
        newest = paths.current(self.root, name)
        while True:
            segment, seal = self._open(newest, name, version)
            if version is None or seal.version == version:
                path = newest
            else:
                segment.close()
                path = paths.retained(self.root, name, version)
                segment, seal = self._open(path, name, version)
            if segment.is_at(path):
                return segment, seal
            segment.close()

    def _open(self, path: Path, name: str, version: int | None) -> tuple[Segment, Seal]:
        try:
            segment = Segment.open(path)
        except (FileNotFoundError, NotADirectoryError):
            raise self._not_found(name, version) from None
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{name!r} cannot be read from {path}: {os.strerror(error.errno or 0)}"
            ) from error
        try:
            return segment, segment.seal()
        except CorruptSnapshotError as error:
            segment.close()
            raise type(error)(
                f"{name!r} cannot be opened: {error}. The file is {path}; "
                "delete it, or read it with pyarrow and put it again"
            ) from None
        except BaseException:
            segment.close()
            raise

    def _not_found(self, name: str, version: int | None) -> NotFoundError:
        if version is not None and paths.current(self.root, name).exists():
            kept = sorted([*paths.retained_versions(self.root, name), self.current_version(name)])
            return NotFoundError(
                f"there is no version {version} of {name!r} in {self.root}; there are {', '.join(map(str, kept))}. "
                "Older versions are kept by put(..., keep=n)"
            )
        names = sorted({entry.name for entry in self.entries()})
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        there = f"there are: {shown}" if names else "the store is empty"
        return NotFoundError(f"there is no table {name!r} in {self.root}; {there}")

    def current_version(self, name: str) -> int:
        """A name's newest version; 0 where there is none. What is no snapshot counts as none, and a put replaces it."""
        path = paths.current(self.root, name)
        try:
            segment = Segment.open(path)
        except OSError as error:
            if error.errno in _NO_FILE:
                return 0
            raise StoreAccessError(error.errno, f"{path} cannot be read: {os.strerror(error.errno or 0)}") from error
        try:
            return segment.seal().version
        except (CorruptSnapshotError, IsADirectoryError):
            return 0
        finally:
            segment.close()

    def expect(self, name: str, version: int | None) -> int:
        """A name's newest version, which must be ``version`` unless that is None; 0: the name does not exist.

        Raises
        ------
        ConflictError
        """
        found = self.current_version(name)
        if version is not None and version != found:
            told = f"is at version {found}" if found else "does not exist"
            raise ConflictError(f"{name!r} {told}, and version {version} was expected; read it again and retry")
        return found

    def entries(self) -> Iterator[paths.Entry]:
        """All tables' files, retained versions included, by name; none where the directory is not there yet.

        Raises
        ------
        StoreAccessError
        """
        try:
            os.scandir(self.root).close()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be read as a store: {os.strerror(error.errno or 0)}"
            ) from error
        for path in paths.walk(self.root):
            entry = paths.parse(self.root, path)
            if entry is not None:
                yield entry

    # -- changing ------------------------------------------------------------------------------------------------------

    def publish(
        self, name: str, draft: Draft, seal: Seal, write_seal: Callable[[Seal], None], *, keep: int, expect: int | None
    ) -> Seal:
        """Give a complete draft its name and version, and retain the ``keep`` newest versions.

        Raises
        ------
        ConflictError
            Where ``expect`` is not the present version.
        """
        newest = paths.current(self.root, name)
        with self.lock():
            version = self.expect(name, expect)
            older = paths.retained_versions(self.root, name)
            sealed = seal._replace(version=max([version, *older]) + 1)
            write_seal(sealed)
            if self.durable:
                draft.sync()
            self._make_folders(newest.parent, name)
            if newest.is_dir():
                raise InvalidNameError(f"{name!r} cannot be a table: {newest} is the folder of other tables")
            staged = self.root / paths.PUBLISH
            staged.unlink(missing_ok=True)
            draft.link(staged)
            if version and keep > 1:
                keeper = paths.retained(self.root, name, version)
                keeper.unlink(missing_ok=True)
                keeper.hardlink_to(newest)
                older[version] = keeper
            staged.rename(newest)
            for old in sorted(older)[: max(len(older) - (keep - 1), 0)]:
                older[old].unlink(missing_ok=True)
            if self.durable:
                self._sync_folders(newest.parent)
        return sealed

    def _make_folders(self, folder: Path, name: str) -> None:
        if folder == self.root:
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InvalidNameError(f"{name!r} cannot be a table: a part of it is the file of another table") from None
        inside, root = folder.resolve(), self.root.resolve()
        if root not in inside.parents:
            raise StoreAccessError(
                errno.EPERM, f"the folder {folder} leads out of the store {self.root}; remove that link"
            )

    def _sync_folders(self, folder: Path) -> None:
        for path in [folder, *folder.parents]:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            if path == self.root:
                break

    def delete(self, name: str) -> None:
        """Remove a name and all its versions; who has them mapped keeps them.

        Raises
        ------
        NotFoundError
        """
        newest = paths.current(self.root, name)
        if not self.root.is_dir():
            raise self._not_found(name, None)
        with self.lock():
            # The newest goes last: killed half-way, the name still leads to what it led to.
            for path in [*paths.retained_versions(self.root, name).values(), newest]:
                try:
                    path.unlink()
                except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    if path == newest:
                        raise self._not_found(name, None) from None
            self._remove_empty(newest.parent)

    def _remove_empty(self, folder: Path) -> int:
        removed = 0
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:
                break
            removed += 1
            folder = folder.parent
        return removed

    def gc(self) -> Freed:
        """Remove what killed writers left, retained versions of names that are gone, and empty folders."""
        files = folders = nbytes = 0
        if not self.root.is_dir():
            return Freed(0, 0, 0)
        with self.lock():
            for path in [*paths.walk(self.root)]:
                if self._is_leftover(path):
                    with contextlib.suppress(FileNotFoundError):
                        nbytes += path.lstat().st_blocks * 512
                        path.unlink()
                    files += 1
            for folder, _, _ in os.walk(self.root, topdown=False):
                if Path(folder) != self.root:
                    folders += self._remove_empty(Path(folder))
        return Freed(files, folders, nbytes)

    def _is_leftover(self, path: Path) -> bool:
        try:
            return self._seems_leftover(path)
        except FileNotFoundError:
            return False  # its writer removed it meanwhile

    def _seems_leftover(self, path: Path) -> bool:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        if path.parent == self.root and path.name == paths.PUBLISH:
            return True
        if path.parent == self.root and path.name.startswith(paths.DRAFT_PREFIX):
            return abandoned(path)
        entry = paths.parse(self.root, path)
        return entry is not None and entry.version is not None and not paths.current(self.root, entry.name).exists()
