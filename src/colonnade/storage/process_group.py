"""Process groups: the processes that may still receive what one of them has sent. `in_flight` argues what they are for.

Does not depend on: what is sent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from multiprocessing.util import Finalize
from pathlib import Path

from colonnade import _core
from colonnade.storage import draft, folders, paths, spares
from colonnade.storage.directory import Directory
from colonnade.storage.in_flight import ALONE
from colonnade.storage.os_errors import explained
from colonnade.storage.shared import AT_THE_END

_members: dict[str, _core.Descriptor] = {}  # what keeps this process in a group
_group_of_store: dict[Path, str] = {}


def begin(directory: Directory) -> str:
    """Begin a process group, of this process and its later children; or go on with the one that this process began."""
    # Under the store's lock, so that no cleaner sees the file unlocked.
    with (
        explained(directory.root, "by_reference"),
        directory.lock() as root,
        folders.segments(root, make=True) as folder,
    ):
        token = _group_of_store.get(directory.root)  # a forked child has its parent's
        if token is not None and folders.is_there(folder, f"{paths.GROUP_PREFIX}{token}"):
            return token
        if multiprocessing.parent_process() is not None:
            return ALONE
        file = paths.random_name(paths.GROUP_PREFIX)
        descriptor = _core.Descriptor(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, folder)
        descriptor.try_lock(shared=True)
    group = file.removeprefix(paths.GROUP_PREFIX)
    _stay(directory, group, descriptor)
    _group_of_store[directory.root] = group
    return group


def join(directory: Directory, group: str) -> None:
    """Join a process group that a parent began; nothing if it has ended, or if this process was forked in it."""
    if group == ALONE or group in _members:
        return
    with contextlib.suppress(OSError):
        with directory.opened() as root, folders.segments(root) as folder:
            descriptor = _core.Descriptor(f"{paths.GROUP_PREFIX}{group}", os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        if descriptor.try_lock(shared=True):  # else a cleaner is removing it: it has ended
            _stay(directory, group, descriptor)


def _stay(directory: Directory, group: str, descriptor: _core.Descriptor) -> None:
    _members[group] = descriptor
    Finalize(None, _leave, (directory, group), exitpriority=AT_THE_END)


def _leave(directory: Directory, group: str) -> None:
    """Leave the group. The last process to leave frees in-flight segments that nobody can receive, and the spares.

    It does not wait for the store's lock, whose holder may be stopped: then the next put, delete or gc of anybody does
    it.
    """
    _members.pop(group).close()
    with contextlib.suppress(OSError), directory.lock_at_once() as root:
        with folders.segments(root) as folder:
            if draft.remove_if_abandoned(folder, f"{paths.GROUP_PREFIX}{group}") is None:
                return
        spares.trim(root, 0)
        folders.remove_segments(root)
