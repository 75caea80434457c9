"""Compares the files that a store has with the files that it should have.

Does not depend on: columns; the caller hands in a function that looks inside a snapshot.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade.errors import ColonnadeError
from colonnade.storage import folders, paths
from colonnade.storage.segment import Segment

_UNNAMED = (
    paths.DRAFT_PREFIX,
    paths.SPARE_PREFIX,
    paths.SHARED_PREFIX,
    paths.IN_FLIGHT_PREFIX,
    paths.GROUP_PREFIX,
    paths.COPY_PREFIX,
    paths.FETCH_PREFIX,
)


class Problem(NamedTuple):
    """One thing that is not as it should be, and what to do about it."""

    path: Path
    what: str
    remedy: str


def check(
    root: Path,
    trusts: Callable[[int], bool],
    look_inside: Callable[[paths.Entry], None],
    look_inside_growing: Callable[[str], Iterable[tuple[str, str]]],
) -> Iterator[Problem]:
    """Look at every file below a store, and at the directory itself.

    ``look_inside`` raises a ColonnadeError for a snapshot that is damaged. ``look_inside_growing`` gives
    the damaged files of a growing table, and what is wrong with each.
    """
    if not root.exists():
        return
    if not root.is_dir():
        yield Problem(root, "the store is a file", "name another directory")
        return
    yield from _ownership(root, root.stat(), trusts)
    with folders.opened(root) as directory:
        for file in folders.walk(directory):
            try:
                yield from _file(root, file, trusts, look_inside)
            except FileNotFoundError:
                continue  # superseded since it was listed
        for parts, folder in folders.walk_folders(directory):
            name = paths.live_name(parts, folder)
            if name is not None:
                try:
                    yield from _growing(root, directory, [*parts, folder], name, trusts, look_inside_growing)
                except FileNotFoundError:
                    continue  # deleted since it was listed


def _file(
    root: Path, file: folders.File, trusts: Callable[[int], bool], look_inside: Callable[[paths.Entry], None]
) -> Iterator[Problem]:
    status = file.stat()
    path = root / file.path
    entry = paths.parse(file.folders, file.name)
    if not stat.S_ISREG(status.st_mode):
        yield Problem(path, "neither a file nor a folder", "remove it")
    elif _is_the_stores(file):
        # Not a problem: a put that is under way has one, spares wait there, and gc removes what a killed one left.
        yield from _ownership(path, status, trusts)
    elif entry is None:
        yield Problem(path, "not a file of this store", "remove it")
    else:
        yield from _ownership(path, status, trusts)
        yield from _inside(path, file, entry, look_inside)


def _growing(  # noqa: PLR0917 -- the store, the table, and who says what is right
    root: Path,
    directory: int,
    parts: list[str],
    name: str,
    trusts: Callable[[int], bool],
    look_inside: Callable[[str], Iterable[tuple[str, str]]],
) -> Iterator[Problem]:
    path = root.joinpath(*parts)
    with folders.below(directory, parts, None) as folder:
        yield from _ownership(path, os.fstat(folder), trusts)
        strange = set()
        for file in sorted(os.listdir(folder)):
            status = os.stat(file, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                strange.add(file)
                yield Problem(path / file, "neither a file nor a folder", "remove it")
            elif file == paths.HEAD or paths.is_log_segment(file):
                # Segments that the head does not name were left by a killed producer. gc removes them.
                yield from _ownership(path / file, status, trusts)
            else:
                yield Problem(path / file, "not a file of this store", "remove it")
        remedy = f"copy what can still be read (colonnade dump {name}), colonnade delete {name}, and append anew"
        yield from (Problem(path / file, what, remedy) for file, what in look_inside(name) if file not in strange)


def _is_the_stores(file: folders.File) -> bool:
    if file.folders == (paths.SEGMENTS,):
        return file.name.startswith(_UNNAMED)
    return not file.folders and (
        file.name in (paths.SETTINGS, paths.SERVING, paths.CREDENTIALS, paths.WORK)
        or paths.is_staged(file.name)
        or paths.is_temporary_settings(file.name)
    )


def _ownership(path: Path, status: os.stat_result, trusts: Callable[[int], bool]) -> Iterator[Problem]:
    if not trusts(status.st_uid):
        yield Problem(path, f"owned by user {status.st_uid}", "remove it, unless that user is trusted")
    elif status.st_mode & stat.S_IWOTH:
        yield Problem(path, "writable by every user", f"chmod o-w {path}")


def _inside(
    path: Path, file: folders.File, entry: paths.Entry, look_inside: Callable[[paths.Entry], None]
) -> Iterator[Problem]:
    try:
        segment = Segment.open(path, file.folder, file.name)
    except (FileNotFoundError, BlockingIOError):
        return  # superseded since it was listed
    except OSError as error:
        yield Problem(path, f"cannot be opened: {os.strerror(error.errno or 0)}", "see who owns it")
        return
    try:
        if not segment.is_at(file.folder, file.name):
            return
        version = segment.seal().version
        if entry.version not in (None, version):
            yield Problem(path, f"holds version {version}", f"colonnade delete {entry.name}, and put it again")
        if entry.version is not None and not folders.is_there(file.folder, paths.locate(entry.name).current):
            return  # a delete that was killed has left it: no reader finds it, and gc removes it
        look_inside(entry)
    except ColonnadeError as error:
        if segment.is_at(file.folder, file.name):
            yield Problem(path, str(error), f"colonnade delete {entry.name}, and put it again")
    finally:
        segment.close()
