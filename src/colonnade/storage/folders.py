"""Folders of a store, opened part by part: no link below the store's directory is ever followed.

Does not depend on: what the files in them are.

A user who may write into a folder may replace a folder below it by a link at any instant. So nothing is checked by path
and used by path afterwards: a folder is opened once, its owner is looked at, and what is done in it is done by its
descriptor.

A folder that the store made has the sticky bit, from the `mkdir` on. It is how the store proves later that it may
remove the folder when it is empty; a user's own empty folders stay.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import StoreAccessError
from colonnade.storage import paths
from colonnade.storage.os_errors import SHORTAGES

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_KEPT_BITS = stat.S_ISGID | stat.S_ISVTX  # a folder of a group hands its group on; see above


def opened(root: Path, *, own: bool = False) -> _core.Descriptor:
    """Open a store's directory. ``own``: it must be this user's, and no link: anybody may make one in shared memory.

    Raises
    ------
    OSError
        As the kernel has it: FileNotFoundError if there is none.
    StoreAccessError
        If it is not this user's.
    """
    try:
        descriptor = _core.Descriptor(os.fspath(root), _FOLDER | (os.O_NOFOLLOW if own else 0))
    except NotADirectoryError:
        if own and root.is_symlink():
            raise _not_own(root, "is a link") from None
        raise
    if own and (owner := os.fstat(descriptor.fileno()).st_uid) != os.geteuid():
        raise _not_own(root, f"belongs to user {owner}")
    return descriptor


def _not_own(root: Path, what: str) -> StoreAccessError:
    return StoreAccessError(
        errno.EPERM, f"{root} {what}; set {paths.STORE_VARIABLE} to a directory of your own, or remove it"
    )


def below(
    root: int, folders: Iterable[str], trusts: Callable[[int], bool] | None, *, make: int | None = None
) -> _core.Descriptor:
    """Open a folder below a store.

    Parameters
    ----------
    root : int
        The store's directory.
    folders : iterable of str
        The parts of the path.
    trusts : callable, optional
        Says to which users a part may belong. None: to anybody.
    make : int, optional
        The mode to make missing folders with.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
    StoreAccessError
        If a part of it is a link, or belongs to another user, who could exchange its content.
    """
    descriptor = _core.Descriptor.duplicate(root)
    for folder in folders:
        new = make is not None and _make(descriptor.fileno(), folder, 0o700 | stat.S_ISVTX)
        inner = _open_inner(descriptor.fileno(), folder)
        if new and make is not None:
            set_mode(inner.fileno(), make | stat.S_ISVTX)  # whatever the umask
            give_to_owner(inner.fileno(), root)
        elif trusts is not None and not trusts(owner := os.fstat(inner.fileno()).st_uid):
            raise StoreAccessError(
                errno.EPERM,
                f"the folder {folder!r} of the store belongs to user {owner}, who could exchange what is in it. "
                f"Remove it, or trust that user: Store(..., trust={owner})",
            )
        descriptor.close()
        descriptor = inner
    return descriptor


def segments(root: int, *, make: bool = False) -> _core.Descriptor:
    """Open the folder of the segments without a table's name, which is closed to everybody but its owner.

    Raises
    ------
    FileNotFoundError
    StoreAccessError
        If it is a link, or belongs to neither this user nor the directory's owner.
    """
    if make:
        _make(root, paths.SEGMENTS, 0o700)
    descriptor = _open_inner(root, paths.SEGMENTS)
    status, directory = os.fstat(descriptor.fileno()), os.fstat(root)
    user = os.geteuid()
    if status.st_uid not in (user, directory.st_uid):
        raise StoreAccessError(
            errno.EPERM,
            f"the folder {paths.SEGMENTS!r} of the store belongs to user {status.st_uid}; "
            "use a store in a directory of your own",
        )
    if status.st_uid == user != directory.st_uid and user == 0:  # made by root in a user's store
        os.fchown(descriptor.fileno(), directory.st_uid, directory.st_gid)
    return descriptor


def give_to_owner(fd: int, root: int) -> None:
    """Give what root has made in a user's own store to that user, who could not use it otherwise."""
    if os.geteuid() == 0 and (directory := os.fstat(root)).st_uid != 0 and not directory.st_mode & OTHERS_MAY_WRITE:
        os.fchown(fd, directory.st_uid, directory.st_gid)


def set_mode(folder: int, mode: int) -> None:
    """Set the mode of a folder; the bits that hand its group on and that mark it as the store's stay."""
    os.fchmod(folder, mode | (os.fstat(folder).st_mode & _KEPT_BITS))


def set_modes_below(root: int, mode: int) -> None:
    """Set the mode of the folders of tables below a store that belong to this user, as far as it may be set."""
    with contextlib.suppress(OSError):
        for name, is_directory in _entries(root):
            if is_directory and paths.is_part(name):
                with contextlib.suppress(OSError), _open_inner(root, name) as inner:
                    if os.fstat(inner).st_uid == os.geteuid():
                        set_mode(inner, mode)
                        set_modes_below(inner, mode)


def _make(fd: int, folder: str, mode: int) -> bool:
    try:
        os.mkdir(folder, mode, dir_fd=fd)
    except FileExistsError:
        return False
    return True


def _open_inner(fd: int, folder: str) -> _core.Descriptor:
    try:
        return _core.Descriptor(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except NotADirectoryError:
        if _is_link(fd, folder):
            raise StoreAccessError(
                errno.EPERM, f"the folder {folder!r} leads out of the store; remove that link"
            ) from None
        raise


class File(NamedTuple):
    """One thing in a store that is not a folder. ``folder`` is a descriptor that is good until the walk goes on."""

    folders: tuple[str, ...]
    name: str
    folder: int

    @property
    def path(self) -> Path:
        """Where it is below the store; for people to read."""
        return Path(*self.folders, self.name)

    def stat(self) -> os.stat_result:
        """What is there; a link itself, if it is one."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


def walk(root: int, on_refusal: Callable[[Path, OSError], None] | None = None) -> Iterator[File]:
    """Give everything below a store that is not a folder, in the order of names; no link is followed.

    Folders whose names are not a table's are left alone: they do not belong to the store. ``on_refusal`` is called for
    each folder that may not be read.
    """
    with _core.Descriptor.duplicate(root) as fd:
        yield from _walk(fd, (), on_refusal)


def _walk(fd: int, parts: tuple[str, ...], on_refusal: Callable[[Path, OSError], None] | None) -> Iterator[File]:
    inner = []
    for name, is_folder in sorted(_entries(fd)):
        if not is_folder:
            yield File(parts, name, fd)
        elif paths.is_part(name) or (not parts and name == paths.SEGMENTS):
            inner.append(name)
    for name in inner:
        try:
            folder = _open_inner(fd, name)
        except (FileNotFoundError, NotADirectoryError, StoreAccessError):
            continue  # gone since it was listed, or swapped
        except OSError as error:
            if error.errno in SHORTAGES:
                raise
            if on_refusal is not None and name != paths.SEGMENTS:
                on_refusal(Path(*parts, name), error)
            continue
        with folder as here:
            yield from _walk(here, (*parts, name), on_refusal)


def walk_folders(root: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the folders below a store that do not contain tables, each with the folders that it is in.

    Folders that may not be read are left out.
    """
    with contextlib.suppress(PermissionError), _core.Descriptor.duplicate(root) as fd:
        yield from _walk_folders(fd, ())


def _walk_folders(fd: int, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, is_directory in sorted(_entries(fd)):
        if is_directory and not paths.is_part(name):
            yield parts, name
        elif is_directory:
            errors = (FileNotFoundError, NotADirectoryError, PermissionError, StoreAccessError)
            with contextlib.suppress(*errors), _open_inner(fd, name) as inner:
                yield from _walk_folders(inner, (*parts, name))


def _entries(fd: int) -> list[tuple[str, bool]]:
    with os.scandir(fd) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


def is_there(folder: int, name: str) -> bool:
    """Whether there is anything of that name in a folder."""
    return _stat(folder, name) is not None


def is_folder(folder: int, name: str) -> bool:
    """Whether there is a folder of that name in a folder."""
    status = _stat(folder, name)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _stat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_link(folder: int, name: str) -> bool:
    status = _stat(folder, name)
    return status is not None and stat.S_ISLNK(status.st_mode)


def _is_made_here(folder: int, name: str) -> bool:
    """Whether a folder is one that this user's store made."""
    status = _stat(folder, name)
    return (
        status is not None
        and stat.S_ISDIR(status.st_mode)
        and bool(status.st_mode & stat.S_ISVTX)
        and status.st_uid == os.geteuid()
    )


def remove_empty(root: int) -> int:
    """Remove the empty folders below a store that the store made; how many."""
    count = 0
    for name in os.listdir(root):
        if paths.is_part(name) and is_folder(root, name):
            with contextlib.suppress(OSError):
                with _open_inner(root, name) as inner:
                    count += remove_empty(inner)
                if _is_made_here(root, name):
                    os.rmdir(name, dir_fd=root)
                    count += 1
    return count


def remove_empty_parents(root: int, folders: tuple[str, ...]) -> int:
    """Remove a folder that the store made and that is empty, and those above it that are empty then.

    Returns how many of the folders are left.
    """
    for depth in range(len(folders), 0, -1):
        try:
            with below(root, folders[: depth - 1], None) as parent:
                if not _is_made_here(parent, folders[depth - 1]):
                    return depth
                os.rmdir(folders[depth - 1], dir_fd=parent)
        except FileNotFoundError:
            continue
        except OSError:
            return depth
    return 0


def remove_segments(root: int) -> None:
    """Remove the folder of segments if it is empty: the last step under the store's lock, which may be its lock."""
    with contextlib.suppress(OSError):  # others' segments are there
        os.rmdir(paths.SEGMENTS, dir_fd=root)
