"""A store's directory: made, opened, locked; and the settings that hold in it.

Does not depend on: names, segments.

The lock
--------
1. It is a ``flock`` of the folder ``.segments``, which only its owner may open: a group that may read the tables cannot
   stop the writers. If others may write to the directory, they could stop each other anyway, and the folder may be
   somebody else's: then it is a ``flock`` of the directory itself.
2. Whoever gets the lock sees then that the name still leads to the folder: `gc` removes an empty one, as its last step.
3. A process that ends drops its lock, however it ends. A child that was forked meanwhile shares it; so the lock is
   dropped by LOCK_UN, which works for both, and not by closing the descriptor, which would not.
4. Nobody waits in silence, nor for ever: after `WARN_AFTER` seconds a warning names the process that has the lock (it
   may be stopped, in a debugger or a frozen container), and after ``timeout=`` seconds an error does.
5. A thread never waits for itself. A signal handler or a finalizer that changes the store while the same thread has the
   lock gets an error at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import warnings
from pathlib import Path

from colonnade import _core
from colonnade.errors import LockTimeoutError, NotDurableError, ReentrantCallError, StoreAccessError
from colonnade.log import logger
from colonnade.storage import folders, paths, settings
from colonnade.storage.os_errors import explained
from colonnade.storage.settings import Settings

# How long to wait for the store's lock, in seconds: it is held for about 100 us, and longer where many tables expire.
TIMEOUT = 300.0
WARN_AFTER = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5e-5, 5e-3
_TRIES = 100


class Directory:
    """The directory of one store, and how it was opened.

    Parameters
    ----------
    root : Path
        The directory.
    own : bool
        Whether one of another user is refused.
    durable : bool
        Whether changes are on the disk before they are reported.
    trusted_users : frozenset of int
        Other users whose files are read.
    options : Settings
        Settings that hold before those that the directory stores.
    timeout : float
        How many seconds to wait for the lock.
    """

    def __init__(
        self,
        root: Path,
        *,
        own: bool,
        durable: bool,
        trusted_users: frozenset[int],
        options: Settings,
        timeout: float = TIMEOUT,
    ) -> None:
        self.root = root
        self.durable = durable
        self._others = trusted_users
        self.options = options
        self.timeout = timeout
        self._own = own

    def prepare(self) -> None:
        """Make the directory, or see that this user may write to it.

        Raises
        ------
        StoreAccessError
            If it is a file, cannot be made, is not writable, or is another user's and should not be.
        """
        try:
            try:
                folder = self.opened()
            except FileNotFoundError:
                self._make()
                folder = self.opened()
            except PermissionError as error:
                if self.root.is_dir():
                    raise self._not_writable() from error
                raise
            with folder as root:
                if not os.access(self.root, os.W_OK | os.X_OK):
                    raise self._not_writable()
                self._check_owner(os.fstat(root))
        except StoreAccessError:
            raise
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{self.root} cannot be a store: {os.strerror(error.errno or 0)}; name another directory"
            ) from error

    def _make(self) -> None:
        missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
        for path in reversed(missing):
            mode = 0o700 if path == self.root else 0o777
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode)
                if path == self.root:
                    # Through its descriptor, because another user may have put a link in its place.
                    with folders.opened(path, own=True) as root:
                        folders.set_mode(root, self.options.folder_mode)
            if self.durable:
                with folders.opened(path.parent) as parent:
                    os.fsync(parent)

    def _check_owner(self, status: os.stat_result) -> None:
        """Refuse root another user's store, unless root trusts that user."""
        is_private = not status.st_mode & folders.OTHERS_MAY_WRITE
        if os.geteuid() == 0 and is_private and not self.trusts(status.st_uid):
            raise StoreAccessError(
                errno.EPERM,
                f"the store {self.root} belongs to user {status.st_uid}, and root does not trust that user. Run as "
                f"that user; or trust it, and what root puts there is that user's: trust={status.st_uid}, or "
                f"{paths.TRUST_VARIABLE}={status.st_uid}",
            )

    def opened(self) -> _core.Descriptor:
        """Open the directory; a context manager that gives the number."""
        return folders.opened(self.root, own=self._own)

    # -- the lock ------------------------------------------------------------------------------------------------------

    def lock(self) -> _core.Descriptor:
        """Hold the store's lock, as a context manager that gives the directory's descriptor.

        Raises
        ------
        ReentrantCallError
            If this thread has it already.
        LockTimeoutError
        StoreAccessError
        """
        return self._locked(self.timeout)

    def lock_at_once(self) -> _core.Descriptor:
        """The same without waiting: for destructors, which may run in the thread that holds the lock, and at exit.

        Raises
        ------
        BlockingIOError
            If somebody holds it.
        """
        return self._locked(None)

    def _locked(self, timeout: float | None) -> _core.Descriptor:
        root = self.opened()
        file: _core.Descriptor | None = None
        try:
            while True:
                file = self._lock_file(root.fileno())
                self._wait(file, timeout)
                if _is_current(root.fileno(), file.fileno()):
                    root.keep(file)
                    return root
                file.close()
                logger.debug("the lock of %s was replaced while it was waited for; the new one is taken", self.root)
        except BaseException:  # a traceback keeps this frame, and must not keep the lock
            if file is not None:
                file.close()
            root.close()
            raise

    def _lock_file(self, root: int) -> _core.Descriptor:
        """Open what is locked; see the top of this file."""
        if os.fstat(root).st_mode & folders.OTHERS_MAY_WRITE:
            return _core.Descriptor(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        try:
            for _ in range(_TRIES):
                with contextlib.suppress(FileNotFoundError):  # a gc has just removed it
                    return folders.segments(root, make=not folders.is_there(root, paths.SEGMENTS))
            return folders.segments(root, make=True)
        except PermissionError as error:
            raise self._not_writable() from error

    def _not_writable(self) -> StoreAccessError:
        with contextlib.suppress(OSError):
            if os.statvfs(self.root).f_flag & os.ST_RDONLY:
                return StoreAccessError(
                    errno.EROFS,
                    f"the file system of the store {self.root} is read-only. Mount it for writing, or use another "
                    f"directory: {paths.STORE_VARIABLE}=directory",
                )
        return StoreAccessError(
            errno.EACCES,
            f"this user may not write to the store {self.root}. Run as its owner, or use a store of your own: "
            f"{paths.STORE_VARIABLE}=directory",
        )

    def _wait(self, file: _core.Descriptor, timeout: float | None) -> None:
        pause, has_warned = _FIRST_PAUSE, False
        began = time.monotonic()
        while not file.try_lock():
            if timeout is None:
                raise BlockingIOError(errno.EWOULDBLOCK, f"the store {self.root} is locked")
            if file.locked_by_this_thread():
                raise ReentrantCallError(
                    f"the store {self.root} is being changed by this very thread, which was interrupted by a signal "
                    "handler or a finalizer (__del__) that changes it too. Let the handler set a flag, or let another "
                    "thread change the store"
                )
            seconds_waited = time.monotonic() - began
            if seconds_waited >= timeout:
                raise LockTimeoutError(
                    f"the store {self.root} was locked for {timeout:g} seconds by {_describe_holder(file)}; "
                    "nothing was changed. Continue or end that process, or wait longer: Store(..., timeout=seconds)"
                )
            if seconds_waited >= WARN_AFTER and not has_warned:
                has_warned = True
                warnings.warn(
                    f"waiting for the store {self.root}, which is locked by {_describe_holder(file)}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            time.sleep(min(pause, max(timeout - seconds_waited, 0)))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    # -- settings ------------------------------------------------------------------------------------------------------

    def settings(self, root: int) -> Settings:
        """The settings in effect: those that the caller chose, else those that the directory stores."""
        return self.options.or_else(settings.read(root, self.trusted_users))

    def configure(self, changes: Settings) -> Settings:
        """Store settings in the directory; those that are None stay as they are. Returns all that hold then.

        Raises
        ------
        StoreAccessError, LockTimeoutError, ReentrantCallError
            The settings are as they were.
        NotDurableError
            They are stored, and not known to be on the disk.
        """
        with explained(self.root, "configure"), self.lock() as root:
            try:
                current = settings.read(root, self.trusted_users)
            except StoreAccessError as error:
                if error.errno != errno.EINVAL:
                    raise
                current = Settings()  # they cannot be read, and are set anew
            new_settings = changes.or_else(current)
            result = self.options.or_else(new_settings)
            if changes.mode is None:
                settings.write(root, new_settings)
            else:
                mode = stat.S_IMODE(os.fstat(root).st_mode)
                folders.set_mode(root, result.folder_mode)
                try:
                    settings.write(root, new_settings)
                except NotDurableError:
                    folders.set_modes_below(root, result.folder_mode)
                    raise
                except BaseException:
                    os.fchmod(root, mode)
                    raise
                folders.set_modes_below(root, result.folder_mode)
            return result

    @property
    def trusted_users(self) -> frozenset[int]:
        """The users whose files are read, whatever the settings say. This process may have become another user's."""
        return self._others | {os.geteuid()}

    def trusts(self, owner: int) -> bool:
        """Whether files of a user are read: this user's, a trusted one's, or one whom this user's settings trust."""
        if owner == os.geteuid() or owner in self._others:
            return True
        with contextlib.suppress(OSError), self.opened() as root:
            return owner in settings.trusted_by_owner(root)
        return False


def _is_current(root: int, file: int) -> bool:
    """Whether a locked file is still the one of the store's lock."""
    status = os.fstat(file)
    if os.path.samestat(status, os.fstat(root)):
        return True
    try:
        return os.path.samestat(status, os.stat(paths.SEGMENTS, dir_fd=root, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _describe_holder(file: _core.Descriptor) -> str:
    from colonnade.storage import processes

    holder = processes.lock_holder(file.fileno())
    if holder is None:
        return "a process that this one cannot see (in another container, for instance)"
    state = ", which is stopped" if holder.stopped else ""
    return f"process {holder.pid} ({holder.command}){state}"
