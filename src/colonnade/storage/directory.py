"""A store's directory: made, opened, locked; and what it is told to keep to.

Knows: its owner, its lock, its settings. Does not depend on: names, segments.

A child forked while a thread of its parent holds the lock shares it; so it is dropped by LOCK_UN, which works for
both, and not by closing the descriptor, which would not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from colonnade.errors import StoreAccessError
from colonnade.storage import folders, settings
from colonnade.storage.settings import Settings


class Directory:
    """The directory of one store, and how it was opened.

    ``own``: one of another user is refused. ``trusted`` are the users whose files are read. ``chosen`` settings hold
    before those that the directory keeps.
    """

    def __init__(self, root: Path, *, own: bool, durable: bool, trusted: frozenset[int], chosen: Settings) -> None:
        self.root = root
        self.durable = durable
        self.trusted = trusted
        self._own = own
        self.chosen = chosen

    def prepare(self) -> None:
        """Make the directory, or see that it is one that this user may write.

        Raises
        ------
        StoreAccessError
            Where it is a file, cannot be made, is not writable, or is another user's and should not be.
        """
        try:
            if not self.root.is_dir():
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.root.chmod(self.chosen.folder_mode)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise StoreAccessError(errno.EACCES, f"this user may not write to the store {self.root}")
            with self.opened():
                pass
        except StoreAccessError:
            raise
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be a store: {os.strerror(error.errno or 0)}; name another directory"
            ) from error

    def opened(self) -> contextlib.AbstractContextManager[int]:
        return folders.opened(self.root, own=self._own)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the store's lock; gives the descriptor of its directory."""
        with self.opened() as root:
            fcntl.flock(root, fcntl.LOCK_EX)
            try:
                yield root
            finally:
                fcntl.flock(root, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def lock_at_once(self) -> Iterator[int]:
        """The same for who may not wait: a destructor, which may run in the very thread that holds the lock.

        Raises
        ------
        BlockingIOError
            Where somebody holds it.
        """
        with self.opened() as root:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield root
            finally:
                fcntl.flock(root, fcntl.LOCK_UN)

    def settings(self, root: int) -> Settings:
        """What was chosen, else what the directory keeps."""
        return self.chosen.or_else(settings.read(root, self.trusted))

    def configure(self, wanted: Settings) -> Settings:
        """Keep settings in the directory; those that are None stay as they are."""
        with self.lock() as root:
            try:
                kept = settings.read(root, self.trusted)
            except StoreAccessError as error:
                if error.errno != errno.EINVAL:
                    raise
                kept = Settings()  # they cannot be read, and are set anew
            settings.write(root, wanted.or_else(kept))
            found = self.settings(root)
            if wanted.mode is not None:
                os.fchmod(root, found.folder_mode)
            return found
