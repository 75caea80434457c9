"""Other names for what is stored already: `rename` and `copy` without moving a byte.

Does not depend on: columns; how a put changes a name.

A segment may have several names: link counts say so, and a spare is claimed only when its link count is 1 (`spares`).
So a copy is a second name of the same file, which nobody ever writes, and which is freed with its last name.

Invariants
----------
1. The **commit** is one ``rename`` of the newest version's file, under the store's lock. Readers find it under the old
   name before, and under the new one after.
2. Retained versions get their second name before the commit, and lose their first one after it. Killed in between, a
   process leaves versions of a name that is not there, which the next gc removes; none is lost.
3. A ``rename`` is what `path_watch` waits for. So a copy is linked to a temporary name first, and renamed then.
"""

from __future__ import annotations

import contextlib
import os

from colonnade.errors import ColonnadeError, ConflictError
from colonnade.format.seal import Seal
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog, retained
from colonnade.storage.os_errors import explain_os_error
from colonnade.storage.paths import Location
from colonnade.storage.publish import Publisher
from colonnade.storage.segment import Segment


def rename(catalog: Catalog, publisher: Publisher, old: str, new: str) -> None:
    """Give a table, with all versions that are retained, another name.

    Raises
    ------
    NotFoundError
        There is no such table.
    ConflictError
        There is a table of the new name already.
    CorruptSnapshotError, StoreAccessError, InvalidNameError
    """
    directory, source, target = catalog.directory, paths.locate(old), paths.locate(new)
    try:
        with directory.lock() as root, catalog.folder(root, source) as folder:
            segment, seal = catalog.attach(old)  # refuses, in the usual words, what is not there or not a snapshot
            segment.close()
            mode = directory.settings(root).folder_mode
            try:
                with publisher.make_folder(root, new, target, mode) as new_folder:
                    _check_free(catalog, new_folder, target, new)
                    _move(folder, source, new_folder, target)
            except BaseException:
                folders.remove_empty_parents(root, target.folders)
                raise
            with contextlib.suppress(OSError):
                folders.remove_empty_parents(root, source.folders)
            if directory.durable:
                result = f"{old!r} is renamed to {new!r} (version {seal.version})"
                publisher.sync_folders(root, target, len(target.folders), result)
                publisher.sync_folders(root, source, _depth(root, source), result)
    except (FileNotFoundError, NotADirectoryError):
        raise catalog.not_found(old, None) from None
    except OSError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise explain_os_error(error, directory.root, f"renaming {old!r} to {new!r}") from error


def _move(folder: int, source: Location, new_folder: int, target: Location) -> None:
    versions = sorted(retained(folder, source))
    files: list[str] = []
    try:
        for version in versions:
            file = target.retained(version)
            os.link(source.retained(version), file, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)
            files.append(file)
        os.rename(source.current, target.current, src_dir_fd=folder, dst_dir_fd=new_folder)
    except BaseException:
        if folders.is_there(folder, source.current):
            for file in files:
                with contextlib.suppress(OSError):  # else the next gc does it
                    os.unlink(file, dir_fd=new_folder)
        raise
    for version in versions:
        with contextlib.suppress(OSError):
            os.unlink(source.retained(version), dir_fd=folder)


def link(
    catalog: Catalog, publisher: Publisher, name: str, version: int | None, new: str
) -> tuple[Segment, Seal] | None:
    """Give one version of a table a second name, which is not there yet. None: only a copy of the bytes can do that.

    That is so where the new name has a version already, whose number the next one follows, and for another user's file.

    Returns
    -------
    Segment, Seal
        The version, opened before it got its name: nothing can fail after that.

    Raises
    ------
    NotFoundError, CorruptSnapshotError, StoreAccessError, InvalidNameError
    NotDurableError
        The copy is there, and that is not known to be on the disk.
    """
    directory, source = catalog.directory, paths.locate(name)
    target = paths.path_of(directory.root, paths.Entry(new, None))
    try:
        with directory.lock() as root, catalog.folder(root, source) as folder:
            segment, seal = catalog.attach(name, version)
            try:
                newest = catalog.seal_in(folder, source, name)
                file = source.current if newest == seal else source.retained(seal.version)
                mode = directory.settings(root).folder_mode
                if segment.owner == os.geteuid() and _link(publisher, root, folder, file, new, mode=mode):
                    segment.where = target
                    if directory.durable:
                        where = paths.locate(new)
                        publisher.sync_folders(root, where, len(where.folders), f"the copy {new!r} is stored")
                    return segment, seal
            except BaseException:
                segment.close()
                raise
            segment.close()
            return None
    except (FileNotFoundError, NotADirectoryError):
        raise catalog.not_found(name, version) from None
    except OSError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise explain_os_error(error, directory.root, f"copying {name!r} to {new!r}") from error


def _link(publisher: Publisher, root: int, folder: int, file: str, new: str, *, mode: int) -> bool:
    target = paths.locate(new)
    temporary_name = paths.random_name(f"{paths.PUBLISH}-")
    try:
        with publisher.make_folder(root, new, target, mode) as new_folder:
            if folders.is_there(new_folder, target.current) or retained(new_folder, target):
                return False
            os.link(file, temporary_name, src_dir_fd=folder, dst_dir_fd=root, follow_symlinks=False)
            os.rename(temporary_name, target.current, src_dir_fd=root, dst_dir_fd=new_folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary_name, dir_fd=root)
        folders.remove_empty_parents(root, target.folders)
        if isinstance(error, PermissionError):  # a file system without links, or whose rules forbid this one
            return False
        raise
    return True


def _check_free(catalog: Catalog, folder: int, where: Location, name: str) -> None:
    if folders.is_there(folder, where.current):
        seal = catalog.seal_in(folder, where, name)
        state = f"at version {seal.version}" if seal else "and is not a snapshot"
        raise ConflictError(f"there is a table {name!r} already, {state}; delete it first, or choose a free name")
    for version in retained(folder, where):  # of a table that is gone; the next gc would remove it
        os.unlink(where.retained(version), dir_fd=folder)


def _depth(root: int, where: Location) -> int:
    """How many of the folders above a name are still there."""
    for depth in range(len(where.folders), 0, -1):
        with contextlib.suppress(OSError), folders.below(root, where.folders[:depth], None):
            return depth
    return 0
