"""Names to versions, as a reader sees them.

Knows: a store's directory, versions, owners. Does not depend on: columns; how a name comes to lead elsewhere.

A reader opens by name, and then asks whether the name still leads to what it opened, before it reads anything of it;
if not, it starts again. `recycle` argues why it never sees a page that is being rewritten. A segment of a user who is
neither this one nor trusted is never read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from colonnade.errors import ConflictError, CorruptSnapshotError, NotFoundError, StoreAccessError
from colonnade.format.seal import Seal
from colonnade.storage import folders, paths
from colonnade.storage.directory import Directory
from colonnade.storage.paths import Entry, Location
from colonnade.storage.segment import Segment
from colonnade.storage.settings import Settings

# No file of that name, a part of it that is no folder, a link.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


# How long to wait for a lease test, which takes microseconds, in seconds; and how often to ask for what is denied.
_PAUSE = 1e-4
_DENIED = 3


class Catalog:
    """The names of one store."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    @classmethod
    def at(cls, root: str, owner: int) -> Catalog:
        """The names of the store that a reference leads to, whose owner is trusted."""
        trusted = frozenset([os.geteuid(), owner])
        return cls(Directory(Path(root), own=False, durable=False, trusted=trusted, chosen=Settings()))

    def attach(self, name: str, version: int | None = None) -> tuple[Segment, Seal]:
        """Open a name's newest version, or the given one.

        Raises
        ------
        NotFoundError, CorruptSnapshotError, StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self.directory.opened() as root, folders.below(root, where.folders) as folder:
                segment, seal = self._attach(folder, where.current, name)
                if version is None or seal.version == version:
                    return segment, seal
                segment.close()
                return self._attach(folder, where.retained(version), name)
        except (FileNotFoundError, NotADirectoryError):
            raise self.not_found(name, version) from None
        except PermissionError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def attach_unnamed(self, file: str) -> tuple[Segment, Seal]:
        """Open a segment that was shared or sent.

        Raises
        ------
        FileNotFoundError
            Where it is gone, or has been received.
        CorruptSnapshotError, StoreAccessError
        """
        name = f"{paths.SEGMENTS}/{file}"
        try:
            with self.directory.opened() as root, folders.below(root, [paths.SEGMENTS]) as folder:
                return self._attach(folder, file, name)
        except PermissionError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def _attach(self, folder: int, file: str, name: str) -> tuple[Segment, Seal]:
        for attempt in count(1):
            try:
                segment = self._open(folder, file, name)
            except BlockingIOError:
                time.sleep(_PAUSE)  # a lease test, so the name leads elsewhere by now
                continue
            except PermissionError as error:
                if attempt < _DENIED:
                    continue  # it may have become a spare since it was looked up, and be its owner's alone
                raise _unreadable(name, self._path(file, name), error) from error
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
        raise AssertionError("unreachable")

    def _open(self, folder: int, file: str, name: str) -> Segment:
        path = self._path(file, name)
        try:
            return Segment.open(path, folder, file)
        except (FileNotFoundError, NotADirectoryError, BlockingIOError, PermissionError):
            raise
        except OSError as error:
            raise _unreadable(name, path, error) from error

    def _path(self, file: str, name: str) -> Path:
        return self.directory.root / Path(name).parent / file

    def _check_owner(self, segment: Segment, name: str) -> None:
        owner = segment.owner
        if owner not in self.directory.trusted:
            raise StoreAccessError(
                errno.EPERM,
                f"{name!r} belongs to user {owner}, who could change it while it is read; the file is {segment.path}. "
                f"Remove it, or trust that user: Store({str(self.directory.root)!r}, trust={owner})",
            )

    def not_found(self, name: str, version: int | None) -> NotFoundError:
        if version is not None:
            with contextlib.suppress(OSError):
                where = paths.locate(name)
                with self.directory.opened() as root, folders.below(root, where.folders) as folder:
                    newest = self.version_in(folder, where, name)
                    kept = sorted([*retained(folder, where), *([newest] if newest else [])])
                if kept:
                    return NotFoundError(
                        f"there is no version {version} of {name!r} in {self.directory.root}; there are "
                        f"{', '.join(map(str, kept))}. Older versions are kept by put(..., keep=n)"
                    )
        names = sorted({entry.name for entry in self.entries()})
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        there = f"there are: {shown}" if names else "the store is empty"
        return NotFoundError(f"there is no table {name!r} in {self.directory.root}; {there}")

    def current_version(self, name: str) -> int:
        """A name's newest version; 0 where there is none. What is no snapshot counts as none, and a put replaces it.

        Raises
        ------
        StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self.directory.opened() as root, folders.below(root, where.folders) as folder:
                return self.version_in(folder, where, name)
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def version_in(self, folder: int, where: Location, name: str) -> int:
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
            compare(name, version, self.current_version(name))

    def sizes(self) -> dict[str, int]:
        """The bytes of each table, all its versions together.

        Raises
        ------
        StoreAccessError
        """
        sizes: dict[str, int] = {}
        for entry, file in self.files():
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                sizes[entry.name] = sizes.get(entry.name, 0) + file.stat().st_size
        return sizes

    def entries(self) -> Iterator[Entry]:
        """All tables' files, retained versions included, by name; none where the directory is not there yet.

        Raises
        ------
        StoreAccessError
        """
        return (entry for entry, _ in self.files())

    def files(self) -> Iterator[tuple[Entry, folders.File]]:
        """The same, each with where it is found.

        Raises
        ------
        StoreAccessError
        """
        try:
            with self.directory.opened() as root:
                for file in folders.walk(root):
                    entry = paths.parse(file.folders, file.name)
                    if entry is not None:
                        yield entry, file
        except FileNotFoundError:
            return
        except (NotADirectoryError, PermissionError) as error:
            raise StoreAccessError(
                error.errno, f"{self.directory.root} cannot be read as a store: {os.strerror(error.errno or 0)}"
            ) from error


def _unreadable(name: str, place: Path, error: OSError) -> StoreAccessError:
    return StoreAccessError(error.errno, f"{name!r} cannot be read from {place}: {os.strerror(error.errno or 0)}")


def compare(name: str, version: int, found: int) -> None:
    """See that a name is at the version that is expected; 0: it does not exist.

    Raises
    ------
    ConflictError
    """
    if version != found:
        told = f"is at version {found}" if found else "does not exist"
        raise ConflictError(f"{name!r} {told}, and version {version} was expected; read it again and retry")


def retained(folder: int, where: Location) -> set[int]:
    """The versions that are retained for a name."""
    return {version for file in os.listdir(folder) if (version := where.version_of(file)) is not None}
