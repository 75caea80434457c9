"""Folders of a store, opened part by part: no link below the store's directory is ever followed.

Knows: descriptors of directories. Does not depend on: what their files are.

Whoever may write into a folder may swap a folder below it for a link at any instant, so nothing is checked by path and
used by path afterwards: a folder is opened once, and what is done in it is done by its descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from colonnade.errors import StoreAccessError
from colonnade.storage import paths

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def opened(root: Path, *, own: bool = False) -> Iterator[int]:
    """Open a store's directory. ``own``: it must be this user's, and no link: anybody may make one in shared memory.

    Raises
    ------
    OSError
        As the kernel has it: FileNotFoundError where there is none.
    StoreAccessError
        Where it is not this user's.
    """
    try:
        fd = os.open(root, _FOLDER | (os.O_NOFOLLOW if own else 0))
    except NotADirectoryError:
        if own and root.is_symlink():
            raise _not_own(root, "is a link") from None
        raise
    try:
        if own and (owner := os.fstat(fd).st_uid) != os.geteuid():
            raise _not_own(root, f"belongs to user {owner}")
        yield fd
    finally:
        os.close(fd)


def _not_own(root: Path, what: str) -> StoreAccessError:
    return StoreAccessError(
        errno.EPERM, f"{root} {what}; set {paths.STORE_VARIABLE} to a directory of your own, or remove it"
    )


@contextlib.contextmanager
def below(root: int, folders: Iterable[str], *, make: int | None = None) -> Iterator[int]:
    """Open a folder below a store; ``make`` is the mode to make missing ones with.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
    StoreAccessError
        Where a part of it is a link.
    """
    parts = list(folders)
    if not parts:
        yield root
        return
    fd = os.dup(root)
    try:
        for folder in parts:
            made = make is not None and _make(fd, folder)
            inner = _open_inner(fd, folder)
            os.close(fd)
            fd = inner
            if made:
                os.fchmod(fd, cast(int, make))  # whatever the umask
        yield fd
    finally:
        os.close(fd)


def _make(fd: int, folder: str) -> bool:
    try:
        os.mkdir(folder, 0o700, dir_fd=fd)
    except FileExistsError:
        return False
    return True


def _open_inner(fd: int, folder: str) -> int:
    try:
        return os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
    except NotADirectoryError:
        if _is_link(fd, folder):
            raise StoreAccessError(
                errno.EPERM, f"the folder {folder!r} leads out of the store; remove that link"
            ) from None
        raise


class File(NamedTuple):
    """One thing in a store that is no folder. ``folder`` is a descriptor that is good until the walk goes on."""

    folders: tuple[str, ...]
    name: str
    folder: int

    @property
    def path(self) -> Path:
        """Where it is below the store; for people to read."""
        return Path(*self.folders, self.name)

    def stat(self) -> os.stat_result:
        """What is there; a link itself, where it is one."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)


def walk(root: int) -> Iterator[File]:
    """Everything below a store that is no folder, in the order of names; links are things, and are not followed."""
    for where, folders, files, fd in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        folders.sort()
        parts = Path(where).parts
        links = [name for name in folders if _is_link(fd, name)]
        yield from (File(parts, name, fd) for name in sorted([*files, *links]))


def is_there(folder: int, name: str) -> bool:
    """Whether there is anything of that name in a folder."""
    return _mode(folder, name) is not None


def is_folder(folder: int, name: str) -> bool:
    """Whether there is a folder of that name in a folder."""
    mode = _mode(folder, name)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(folder: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _is_link(folder: int, name: str) -> bool:
    mode = _mode(folder, name)
    return mode is not None and stat.S_ISLNK(mode)


def remove_empty(root: int) -> int:
    """Remove empty folders below a store; how many."""
    removed = 0
    for _, folders, _, fd in os.fwalk(".", dir_fd=root, topdown=False, follow_symlinks=False):
        for folder in folders:
            with contextlib.suppress(OSError):
                os.rmdir(folder, dir_fd=fd)
                removed += 1
    return removed


def remove_empty_parents(root: int, folders: tuple[str, ...]) -> None:
    """Remove a folder that is empty, and those above it that are empty then."""
    for depth in range(len(folders), 0, -1):
        with contextlib.suppress(FileNotFoundError), below(root, folders[: depth - 1]) as parent:
            try:
                os.rmdir(folders[depth - 1], dir_fd=parent)
            except OSError:
                return
