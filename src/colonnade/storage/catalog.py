"""Names to versions, as a reader sees them.

Does not depend on: columns; how a name comes to lead elsewhere.

A reader opens by name, and then asks whether the name still leads to what it opened, before it reads anything of it;
if not, it starts again. `spares` argues why it never sees a page that is being rewritten. A segment of a user who is
neither this one nor trusted is never read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

from colonnade import _core
from colonnade.errors import (
    ColonnadeError,
    CorruptSnapshotError,
    InvalidNameError,
    NotFoundError,
    StoreAccessError,
)
from colonnade.format.seal import MOST, Seal
from colonnade.storage import folders, paths
from colonnade.storage.directory import Directory
from colonnade.storage.os_errors import explain_os_error
from colonnade.storage.paths import Entry, Location
from colonnade.storage.segment import Segment
from colonnade.storage.settings import Settings
from colonnade.suggestions import listed

# No file of that name; a part of the name that is not a folder; a link.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

T = TypeVar("T")

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
        others = frozenset([owner])
        return cls(Directory(Path(root), own=False, durable=False, trusted_users=others, options=Settings()))

    def attach(self, name: str, version: int | None = None) -> tuple[Segment, Seal]:
        """Open a name's newest version, or the given one.

        Raises
        ------
        NotFoundError, CorruptSnapshotError, StoreAccessError
        """
        segment_and_seal = self.find(name, version)
        if segment_and_seal is None:
            raise self.not_found(name, version)
        return segment_and_seal

    def find(self, name: str, version: int | None = None) -> tuple[Segment, Seal] | None:
        """The same; None where there is no such table or version.

        Raises
        ------
        CorruptSnapshotError, StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self.directory.opened() as root, self.folder(root, where) as folder:
                segment, seal = self._attach(folder, where.current, name)
                if version is None or seal.version == version:
                    return segment, seal
                segment.close()
                if version >= MOST:  # it may have more digits than a file's name
                    return None
                return self._attach(folder, where.retained(version), name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except StoreAccessError:
            raise
        except OSError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def is_growing(self, name: str) -> bool:
        """Whether a name leads to a growing table.

        Raises
        ------
        StoreAccessError
        """
        where = paths.locate(name)
        try:
            with self.directory.opened() as root, self.folder(root, where) as folder:
                return folders.is_folder(folder, where.live)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except StoreAccessError:
            raise
        except OSError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def version_number(self, name: str, version: int) -> int | None:
        """The number of a version that may be counted from the newest, as -2 is the one before it; None for the newest.

        Raises
        ------
        NotFoundError
            There are fewer versions.
        """
        if version == -1:
            return None
        if version >= 0 or self.is_growing(name):
            return version
        newest = self.current_version(name)
        there = sorted({*self.retained_versions(name), newest} - {0})
        if not newest or -version > len(there):
            raise self.not_found(name, version if newest else None)
        return there[version]

    def growing(self) -> Iterator[str]:
        """The names of all growing tables, in the order of folders.

        Raises
        ------
        StoreAccessError
        """
        try:
            with self.directory.opened() as root:
                for parts, folder in folders.walk_folders(root):
                    name = paths.live_name(parts, folder)
                    if name is not None:
                        yield name
        except FileNotFoundError:
            return
        except OSError as error:
            if isinstance(error, ColonnadeError):
                raise
            raise explain_os_error(error, self.directory.root, "listing growing tables") from error

    def attach_unnamed(self, file: str) -> tuple[Segment, Seal]:
        """Open a segment that was shared, or is in flight.

        Raises
        ------
        FileNotFoundError
            If it is gone, or has been received.
        InvalidNameError
            If the file's name is not that of a shared table: a forged reference could lead out of the store.
        CorruptSnapshotError, StoreAccessError
        """
        if not paths.is_unnamed((paths.SEGMENTS,), file):
            raise InvalidNameError(f"{file!r} is not the file of a shared table: the reference is damaged or forged")
        name = f"{paths.SEGMENTS}/{file}"
        try:
            with self.directory.opened() as root, folders.segments(root) as folder:
                return self._attach(folder, file, name)
        except (FileNotFoundError, StoreAccessError):
            raise
        except OSError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def folder(self, root: int, where: Location) -> _core.Descriptor:
        """Open the folder of a name, each part of which belongs to this user or a trusted one."""
        return folders.below(root, where.folders, self.directory.trusts)

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
                raise _unreadable(name, Path(self.path_of(file, name)), error) from error
            try:
                if not segment.is_at(folder, file):
                    segment.close()
                    continue
                # From here on nobody writes to it, because it is open.
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
        path = self.path_of(file, name)
        try:
            return Segment.open(path, folder, file)
        except (FileNotFoundError, NotADirectoryError, BlockingIOError, PermissionError):
            raise
        except StoreAccessError:
            raise
        except OSError as error:
            raise _unreadable(name, Path(path), error) from error

    def path_of(self, file: str, name: str) -> str:
        """The path of a file of a name, for people to read. It is text because a Path takes 5 us to make."""
        folders, slash, _ = name.rpartition("/")
        return f"{self.directory.root}/{folders}{slash}{file}"

    def _check_owner(self, segment: Segment, name: str) -> None:
        owner = segment.owner
        if not self.directory.trusts(owner):
            raise StoreAccessError(
                errno.EPERM,
                f"{name!r} belongs to user {owner}, who could change it while it is read; the file is {segment.path}. "
                f"Remove it, or trust that user: Store({str(self.directory.root)!r}, trust={owner})",
            )

    def not_found(self, name: str, version: int | None) -> NotFoundError:
        if version is not None:
            with contextlib.suppress(OSError):
                where = paths.locate(name)
                with self.directory.opened() as root, self.folder(root, where) as folder:
                    newest = self.seal_in(folder, where, name)
                    versions = sorted([*retained(folder, where), newest.version]) if newest else None
                if versions:
                    return NotFoundError(
                        f"there is no version {version} of {name!r} in {self.directory.root}; there are "
                        f"{', '.join(map(str, versions))}. Older versions are kept by put(..., keep=n)"
                    )
        names = sorted([*(entry.name for entry in self.entries() if entry.version is None), *self.growing()])
        there = listed(name, names, empty=f"the store is empty{self._hint_of_logind()}")
        inside = [each for each in names if each.startswith(f"{name}/")]
        if inside:
            there = f"it is a folder of tables; {listed(name, inside)}"
        return NotFoundError(f"there is no table {name!r} in {self.directory.root}; {there}")

    def _hint_of_logind(self) -> str:
        from colonnade.storage.logind import removes_at_logout

        if not (self.directory.root.is_relative_to("/dev/shm") and removes_at_logout(os.geteuid())):  # noqa: S108 -- what logind cleans
            return ""
        return (
            ". systemd removes what a user has in /dev/shm when the last session ends: use `loginctl enable-linger`, "
            f"RemoveIPC=no in logind.conf, or a store elsewhere ({paths.STORE_VARIABLE})"
        )

    def seal_of(self, name: str) -> Seal | None:
        """The seal of a name's newest version; None if there is none, or if the file is not a snapshot.

        Raises
        ------
        StoreAccessError
        """
        return self._look_in_folder(name, lambda folder, where: self.seal_in(folder, where, name), None)

    def current_version(self, name: str) -> int:
        """A name's newest version; 0 if there is none.

        Raises
        ------
        StoreAccessError
        """
        seal = self.seal_of(name)
        return seal.version if seal else 0

    def retained_versions(self, name: str) -> set[int]:
        """The versions of a name that ``keep=`` retained; none if there is no such name.

        Raises
        ------
        StoreAccessError
        """
        return self._look_in_folder(name, retained, set())

    def _look_in_folder(self, name: str, look: Callable[[int, Location], T], nothing: T) -> T:
        """Call ``look`` with the open folder of a name's files; return ``nothing`` if there is no such folder."""
        where = paths.locate(name)
        try:
            with self.directory.opened() as root, self.folder(root, where) as folder:
                return look(folder, where)
        except (FileNotFoundError, NotADirectoryError):
            return nothing
        except StoreAccessError:
            raise
        except OSError as error:
            raise _unreadable(name, self.directory.root, error) from error

    def seal_in(self, folder: int, where: Location, name: str) -> Seal | None:
        """The same as `seal_of`, in a folder that is open."""
        try:
            segment, seal = self._attach(folder, where.current, name)
        except (FileNotFoundError, NotADirectoryError, CorruptSnapshotError, IsADirectoryError):
            return None
        except StoreAccessError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        segment.close()
        return seal

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

    def entries(self, on_refusal: Callable[[Path, OSError], None] | None = None) -> Iterator[Entry]:
        """All tables' files, retained versions included, by name; none if the directory is not there yet.

        ``on_refusal`` is called for each folder that may not be read.

        Raises
        ------
        StoreAccessError
        """
        return (entry for entry, _ in self.files(on_refusal))

    def files(self, on_refusal: Callable[[Path, OSError], None] | None = None) -> Iterator[tuple[Entry, folders.File]]:
        """The same, each with the file that was found.

        Raises
        ------
        StoreAccessError
        """
        try:
            with self.directory.opened() as root:
                for file in folders.walk(root, on_refusal):
                    entry = paths.parse(file.folders, file.name)
                    if entry is not None:
                        yield entry, file
        except FileNotFoundError:
            return
        except (NotADirectoryError, PermissionError) as error:
            raise StoreAccessError(
                error.errno, f"{self.directory.root} cannot be read as a store: {os.strerror(error.errno or 0)}"
            ) from error
        except OSError as error:
            if isinstance(error, ColonnadeError):
                raise
            raise explain_os_error(error, self.directory.root, "listing tables") from error


def _unreadable(name: str, place: Path, error: OSError) -> ColonnadeError:
    """The error for a file that the kernel did not open or read."""
    if isinstance(error, PermissionError):
        return StoreAccessError(error.errno, f"{name!r} cannot be read from {place}: {os.strerror(error.errno or 0)}")
    return explain_os_error(error, place, f"opening {name!r}")


def retained(folder: int, where: Location) -> set[int]:
    """The versions that are retained for a name."""
    return {version for file in os.listdir(folder) if (version := where.version_of(file)) is not None}


def sealed_version(folder: int, file: str) -> int | None:
    """The version in the seal of a file in a folder; None if there is no such file, or a store did not write it."""
    if not folders.is_there(folder, file):
        return None
    try:
        segment = Segment.open(Path(file), folder, file)
    except OSError:
        return None
    try:
        return segment.seal().version
    except (OSError, CorruptSnapshotError):
        return None
    finally:
        segment.close()
