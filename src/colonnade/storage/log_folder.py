"""The folder of a growing table: made, found, removed.

Does not depend on: rows, what a schema means.

It is made below ``.segments`` under a name that nobody looks up, with its head, and gets its own name by one rename
under the store's lock. It is removed by the rename back. A crash between leaves a folder ``new@<random>``, which `gc`
removes: it does so under the store's lock too, so whatever it sees is abandoned.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from colonnade import _core
from colonnade.core.alignment import PAGE
from colonnade.errors import ColonnadeError, InvalidNameError, NotFoundError
from colonnade.storage import folders, paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.log_head import STATE, HeadReader, LogState
from colonnade.storage.log_lock import try_lock, unlock
from colonnade.storage.os_errors import explained
from colonnade.storage.publish import Publisher

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW
NONE = (FileNotFoundError, NotADirectoryError)


def path_of(root: Path, name: str) -> Path:
    """The whole path of a growing table's folder, for people to read."""
    where = paths.locate(name)
    return root.joinpath(*where.folders, where.live)


def open_folder(catalog: Catalog, name: str) -> _core.Descriptor:
    """Open the folder of a growing table; no link is followed.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no growing table of this name.
    StoreAccessError
        If the folder is of a user who is not trusted.
    """
    where = paths.locate(name)
    directory = catalog.directory
    with directory.opened() as root:
        return folders.below(root, [*where.folders, where.live], directory.trusts)


def is_there(catalog: Catalog, name: str) -> bool:
    """Whether a name is a growing table.

    Raises
    ------
    StoreAccessError
        It cannot be seen.
    """
    try:
        open_folder(catalog, name).close()
    except NONE:
        return False
    except OSError as error:
        with explained(catalog.directory.root, f"looking for the growing table {name!r}"):
            raise error
    return True


def make(
    catalog: Catalog, publisher: Publisher, name: str, head: Callable[[], bytes], use: Callable[[int], None]
) -> bool:
    """Make a growing table; False if there is one of this name.

    ``use`` is called with the folder before it has its name: what fails there leaves nothing.

    Raises
    ------
    InvalidNameError
        The name is a table.
    StoreFullError, StoreAccessError, LockTimeoutError, ReentrantCallError
    """
    where, directory = paths.locate(name), catalog.directory
    temporary_name = paths.random_name(paths.NEW_LOG_PREFIX)
    with explained(directory.root, f"the growing table {name!r}"), directory.lock() as root:
        settings = directory.settings(root)
        try:
            with (
                publisher.make_folder(root, name, where, settings.folder_mode, growing=True) as folder,
                folders.segments(root, make=True) as segments,
            ):
                if folders.is_folder(folder, where.live):
                    return False
                if folders.is_there(folder, where.live):
                    raise InvalidNameError(
                        f"{path_of(directory.root, name)} is in the way of a growing table {name!r}: it is "
                        "not a folder; remove it, or use another name"
                    )
                os.mkdir(temporary_name, settings.folder_mode, dir_fd=segments)
                try:
                    with _core.Descriptor(temporary_name, _FOLDER, dir_fd=segments) as new:
                        os.fchmod(new, settings.folder_mode)
                        folders.give_to_owner(new, root)
                        _write(new, paths.HEAD, head(), settings.file_mode, root)
                        use(new)
                    os.rename(temporary_name, where.live, src_dir_fd=segments, dst_dir_fd=folder)
                except BaseException:
                    with contextlib.suppress(OSError):  # an interrupt came after the rename; else gc removes it
                        _remove_folder(segments, temporary_name)
                    raise
                return True
        except BaseException:
            with contextlib.suppress(OSError):
                folders.remove_empty_parents(root, where.folders)
            raise


def _write(folder: int, name: str, data: bytes, mode: int, root: int) -> None:
    """Write a file of which the pages of zeros at its start take no memory."""
    with _core.Descriptor(name, _NEW_FILE, 0o600, folder) as fd:
        os.fchmod(fd, mode)
        folders.give_to_owner(fd, root)
        os.ftruncate(fd, len(data))
        for at in range(0, len(data), PAGE):
            part = data[at : at + PAGE]
            if any(part):
                os.pwrite(fd, part, at)


def remove(catalog: Catalog, name: str) -> None:
    """Remove a growing table; processes that have its segments mapped keep them, and its producer finds out.

    Raises
    ------
    NotFoundError
    """
    where, directory = paths.locate(name), catalog.directory
    temporary_name = paths.random_name(paths.NEW_LOG_PREFIX)
    try:
        with explained_unless_none(directory.root, name), directory.lock() as root:
            with (
                catalog.folder(root, where) as folder,
                folders.segments(root, make=True) as segments,
            ):
                os.rename(where.live, temporary_name, src_dir_fd=folder, dst_dir_fd=segments)
                with contextlib.suppress(OSError, ValueError):  # a head that is cut off has no such word
                    _say_deleted(segments, temporary_name)
                with contextlib.suppress(OSError):  # gc removes what is left
                    _remove_folder(segments, temporary_name)
            with contextlib.suppress(OSError):
                folders.remove_empty_parents(root, where.folders)
    except NONE:
        raise NotFoundError(f"there is no growing table {name!r} in {directory.root}") from None


class explained_unless_none(explained):  # noqa: N801 -- a block, as `explained` is one
    """`explained`, but for a name that is not there."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, f"removing the growing table {name!r}")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, NONE):
            super().__exit__(kind, error, trace)


def _say_deleted(segments: int, temporary_name: str) -> None:
    with (
        _core.Descriptor(temporary_name, _FOLDER, dir_fd=segments) as folder,
        _core.Descriptor(paths.HEAD, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder) as fd,
    ):
        head = _core.Mapping.of_draft(fd, os.fstat(fd).st_size)
        _core.store_word(head, STATE, LogState.DELETED)
        _core.wake_word(head, 64)


def remove_abandoned(root: int) -> int:
    """Remove the folders of growing tables that never got a name, or lost it; how many. Under the store's lock."""
    count = 0
    with contextlib.suppress(*NONE), folders.segments(root) as segments:
        for name in os.listdir(segments):
            if name.startswith(paths.NEW_LOG_PREFIX) and folders.is_folder(segments, name):
                with contextlib.suppress(OSError):
                    _remove_folder(segments, name)
                    count += 1
    return count


def remove_leftovers(root: int, name: str) -> list[int]:
    """Remove segments that a killed producer had begun, and of which no row was published; the bytes of each.

    Under the store's lock. Nothing is done while a producer has the table locked: it may be making a segment.
    """
    where = paths.locate(name)
    with (
        contextlib.suppress(OSError, ColonnadeError),
        folders.below(root, [*where.folders, where.live], None) as folder,
        _core.Descriptor(paths.HEAD, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder) as fd,
    ):
        words = _core.SharedWords(fd, max(os.fstat(fd).st_size, 1))
        reader = HeadReader(memoryview(cast(Any, words)), Path(name, paths.HEAD), words.load)
        if not _leftovers(folder, reader) or not try_lock(fd):
            return []
        try:
            return [_remove_file(folder, file) for file in _leftovers(folder, reader)]
        finally:
            unlock(fd)
    return []


def _leftovers(folder: int, reader: HeadReader) -> list[str]:
    """The segments that the head does not name. It is read after the folder: a segment is there before its entry."""
    files = [file for file in os.listdir(folder) if paths.is_log_segment(file)]
    segments = {paths.log_segment(entry.base, entry.number) for entry in reader.read().entries}
    return [file for file in files if file not in segments]


def _remove_file(folder: int, file: str) -> int:
    nbytes = os.stat(file, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    os.unlink(file, dir_fd=folder)
    return nbytes


def _remove_folder(parent: int, name: str) -> None:
    with _core.Descriptor(name, _FOLDER, dir_fd=parent) as folder:
        for file in os.listdir(folder):
            os.unlink(file, dir_fd=folder)
    os.rmdir(name, dir_fd=parent)


def collapse(folder: int, segment: str) -> bool:
    """Put a segment into huge pages, but not its holes; False if it has many, or the kernel does not.

    Sums over 16 segments take 1.5 times as long as over one array, and 1.14 times in huge pages, which takes 13 ms for
    64 MiB. Rows are written into them at twice the speed.
    """
    with _core.Descriptor(segment, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder) as fd:
        status = os.fstat(fd)
        is_full = 4 * 512 * status.st_blocks >= 3 * status.st_size
        return is_full and _core.Mapping.of_draft(fd, status.st_size).collapse()
