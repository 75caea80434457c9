"""Removes what is not needed any more, and puts tables into huge pages that were not put there when they were written.

Does not depend on: columns; how a name comes to lead elsewhere.

Nothing is removed that this store did not make. The proof is the folder of segments, which is the store's alone; a seal
in a file of the right version; and the mark that `folders` gives to what it makes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import ColonnadeError
from colonnade.log import logger
from colonnade.storage import capacity, draft, folders, in_flight, log_folder, one_at_a_time, paths
from colonnade.storage.catalog import Catalog, sealed_version
from colonnade.storage.os_errors import explain_os_error
from colonnade.storage.segment import MAPPED, Segment


class Freed(NamedTuple):
    """What `gc` removed: how many files and folders, the bytes they held, and the bytes of idle memory it freed."""

    files: int
    folders: int
    nbytes: int
    memory: int = 0


def gc(catalog: Catalog) -> Freed:
    """Remove what killed writers left, spares, unused copies, expired tables, versions of lost names, empty folders."""
    try:
        with catalog.directory.lock() as root:
            segments = capacity.remove_expired(root)
            files, nbytes = len(segments), sum(segment.nbytes for segment in segments)
            for file in folders.walk(root):
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    file_nbytes = _remove_leftover(file)
                    if file_nbytes is not None:
                        files, nbytes = files + 1, nbytes + file_nbytes
            for name in catalog.growing():
                for file_nbytes in log_folder.remove_leftovers(root, name):
                    files, nbytes = files + 1, nbytes + file_nbytes
            one_at_a_time.remove_unused(root)
            folder_count = folders.remove_empty(root) + log_folder.remove_abandoned(root)
            folders.remove_segments(root)
            if files or folder_count:
                root_path = catalog.directory.root
                logger.info(
                    "gc of %s: %d files and %d folders removed, %d bytes", root_path, files, folder_count, nbytes
                )
            return Freed(files, folder_count, nbytes)
    except FileNotFoundError:
        return Freed(0, 0, 0)
    except OSError as error:
        if isinstance(error, ColonnadeError):
            raise
        raise explain_os_error(error, catalog.directory.root, "gc") from error


def _remove_leftover(file: folders.File) -> int | None:
    """Remove a file if it is not needed; returns its bytes, or None if it is needed."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        return None
    if file.folders == (paths.SEGMENTS,) and in_flight.is_cleaned(file.name):
        return in_flight.remove_if_abandoned(file.folder, file.name)
    if file.folders == (paths.SEGMENTS,) and file.name.startswith(paths.COPY_PREFIX):
        return draft.remove_if_abandoned(file.folder, file.name)
    if not file.folders and file.name == paths.SERVING:
        return _remove_address(file)
    if not _is_leftover(file):
        return None
    os.unlink(file.name, dir_fd=file.folder)
    return status.st_blocks * 512 if status.st_nlink == 1 else 0


def _remove_address(file: folders.File) -> int | None:
    """Remove the address and the credentials of a process that served the store and is gone."""
    descriptor = _core.Descriptor(file.name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=file.folder)
    with descriptor:
        if not descriptor.try_lock():
            return None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(paths.CREDENTIALS, dir_fd=file.folder)
        os.unlink(file.name, dir_fd=file.folder)
        return 0


def _is_leftover(file: folders.File) -> bool:
    if file.folders == (paths.SEGMENTS,):
        return file.name.startswith(paths.SPARE_PREFIX)
    if not file.folders and paths.is_temporary_settings(file.name):
        return True
    if not file.folders and paths.is_staged(file.name):
        return sealed_version(file.folder, file.name) is not None
    entry = paths.parse(file.folders, file.name)
    if entry is None or entry.version is None or folders.is_there(file.folder, paths.locate(entry.name).current):
        return False
    return sealed_version(file.folder, file.name) == entry.version


def collapse(catalog: Catalog) -> None:
    """Put tables into huge pages that are not in them yet; if they are already, it takes 0.4 ms for 1 GiB."""
    with contextlib.suppress(OSError), catalog.directory.opened() as root:
        if not _core.in_memory(root):
            return
        for file in folders.walk(root):
            if paths.parse(file.folders, file.name) is not None:
                with contextlib.suppress(OSError):
                    _collapse(file)
        for name in catalog.growing():
            with contextlib.suppress(OSError), log_folder.open_folder(catalog, name) as folder:
                for segment in os.listdir(folder):
                    if segment.endswith(paths.SUFFIX):
                        with contextlib.suppress(OSError):
                            log_folder.collapse(folder, segment)


def _collapse(file: folders.File) -> None:
    if file.stat().st_size < MAPPED or file.stat().st_uid != os.geteuid():
        return
    segment = Segment.open(file.path, file.folder, file.name)
    try:
        segment.map(writable=False).collapse()
    finally:
        segment.close()
