"""Families: the processes that may still receive what one of them has sent. `sent` argues what that is for.

Knows: locks on descriptors, forks, exits. Does not depend on: what is sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
from multiprocessing.util import Finalize
from pathlib import Path

from colonnade.storage import folders, paths, segment, spares
from colonnade.storage.directory import Directory
from colonnade.storage.in_flight import ALONE
from colonnade.storage.shared import AT_THE_END

_joined: dict[str, int] = {}  # the descriptors that keep them
_begun: dict[Path, str] = {}  # by the store


def begin(directory: Directory) -> str:
    """Begin a family, of this process and the children that it will have; or go on with the one that it began."""
    # Under the store's lock, so that nobody who cleans sees it unlocked.
    with directory.lock() as root, folders.below(root, [paths.SEGMENTS], make=0o700) as folder:
        known = _begun.get(directory.root)  # a forked child has its parent's
        if known is not None and folders.is_there(folder, f"{paths.FAMILY_PREFIX}{known}"):
            return known
        if multiprocessing.parent_process() is not None:
            return ALONE
        file = paths.random_name(paths.FAMILY_PREFIX)
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        fcntl.flock(fd, fcntl.LOCK_SH)
    family = file.removeprefix(paths.FAMILY_PREFIX)
    _stay(directory, family, fd)
    _begun[directory.root] = family
    return family


def join(directory: Directory, family: str) -> None:
    """Be one of a family that a parent began; nothing where it has ended, or where a fork made this one of it."""
    if family == ALONE or family in _joined:
        return
    with contextlib.suppress(OSError):
        with directory.opened() as root, folders.below(root, [paths.SEGMENTS]) as folder:
            fd = os.open(f"{paths.FAMILY_PREFIX}{family}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
        fcntl.flock(fd, fcntl.LOCK_SH)
        _stay(directory, family, fd)


def _stay(directory: Directory, family: str, fd: int) -> None:
    _joined[family] = fd
    Finalize(None, _leave, (directory, family), exitpriority=AT_THE_END)


def _leave(directory: Directory, family: str) -> None:
    """End with it. Who is the last one frees what nobody can receive any more, and the spares of what was received."""
    os.close(_joined.pop(family))
    with contextlib.suppress(OSError), directory.lock() as root:
        with folders.below(root, [paths.SEGMENTS]) as folder:
            if segment.remove_abandoned(folder, f"{paths.FAMILY_PREFIX}{family}") is None:
                return
        spares.trim(root, 0)
        with contextlib.suppress(OSError):  # others' are there
            os.rmdir(paths.SEGMENTS, dir_fd=root)
