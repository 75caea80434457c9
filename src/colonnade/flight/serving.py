"""Which process of a host serves a store, and at which address.

Does not depend on: Flight, what is served.

The file ``.serving`` in the store's directory is locked by the process that serves it, and contains its address.
The kernel drops the lock when that process ends, however it ends; then a process that stands by takes over, at the same
port if it can, so that references to the address go on to work. References read the address without the lock: an
address where nobody serves is an error where it is used, on another host.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.flight import address as addresses
from colonnade.flight.credentials import Credentials, leave_in_store, remove_from_store
from colonnade.storage import paths, processes
from colonnade.storage.directory import Directory

_LONGEST = 1024


class Election:
    """A process' candidacy to serve one store."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._fd = -1
        self.previous = ""

    def stand(self) -> bool:
        """Try to become the process that serves.

        ``previous`` is then the address of the one before, or of the other. It is kept when that one ends in order,
        and removes the file.

        Raises
        ------
        OSError
        """
        with self._directory.opened() as root:
            while True:
                mode = self._directory.settings(root).file_mode
                fd = os.open(paths.SERVING, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=root)
                is_winner = False
                try:
                    self.previous = _read(fd) or self.previous
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    is_winner = _leads_to(root, fd)
                    if is_winner:
                        self._fd = fd
                        return True
                except BlockingIOError:
                    return False
                finally:
                    if not is_winner:
                        os.close(fd)

    def is_lost(self) -> bool:
        """Whether this process has no file: somebody removed the store and made it again, or it could not make one."""
        if self._fd < 0:
            return True
        with contextlib.suppress(OSError, ColonnadeError), self._directory.opened() as root:
            return not _leads_to(root, self._fd)
        return False

    def announce(self, address: str, credentials: Credentials) -> None:
        """Write the address where references find it, and the credentials where other processes of this user do.

        Raises
        ------
        OSError, ColonnadeError
            The file is removed, so that no process waits for one that nobody finds.
        """
        data = address.encode()
        try:
            with self._directory.opened() as root:
                leave_in_store(root, credentials)
            os.pwrite(self._fd, data, 0)
            os.ftruncate(self._fd, len(data))
        except BaseException:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Remove the file, and leave the place to the next one."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError, ColonnadeError), self._directory.opened() as root:
                if _leads_to(root, fd):
                    remove_from_store(root)
                    os.unlink(paths.SERVING, dir_fd=root)
            os.close(fd)

    def forget(self) -> None:
        """Close the file in a forked child, which shares the lock with its parent and must not drop it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def describe_other(self) -> str:
        """The process that serves, for messages."""
        with contextlib.suppress(OSError), self._directory.opened() as root:
            fd = os.open(paths.SERVING, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=root)
            try:
                holder = processes.lock_holder(fd)
            finally:
                os.close(fd)
            if holder is not None:
                return f"process {holder.pid} ({holder.command})"
        return "another process"


def address_of(store: str) -> str | None:
    """The address at which a store is served, as the file says; None if it is not.

    A file of somebody who is neither this user nor the directory's owner says nothing.
    """
    try:
        fd = os.open(Path(store) / paths.SERVING, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if os.fstat(fd).st_uid not in (os.geteuid(), Path(store).stat().st_uid):
            return None
        return _read(fd) or None
    except OSError:
        return None
    finally:
        os.close(fd)


def _read(fd: int) -> str:
    text = os.pread(fd, _LONGEST, 0).decode("utf-8", "replace")
    try:
        addresses.parse(text)
    except ValueError:
        return ""
    return text


def _leads_to(root: int, fd: int) -> bool:
    """Whether the name still leads to an open file: one that withdraws removes it."""
    try:
        return os.path.samestat(os.stat(paths.SERVING, dir_fd=root, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False
