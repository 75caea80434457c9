"""The settings of a store: its capacity, its spares, its files' mode, whom it trusts; and the file that stores them.

Does not depend on: how a setting is applied.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from colonnade import _core
from colonnade.errors import NotDurableError, StoreAccessError
from colonnade.sizes import parse_size
from colonnade.storage import folders, paths
from colonnade.storage.users import user_numbers

MODES = {0o600: "this user alone", 0o640: "the group may read"}


class Settings(NamedTuple):
    """The settings of a store; None: not set.

    ``capacity`` is in bytes, of all tables together; None: as much as the file system has. ``spares`` is in bytes;
    None: an eighth of the file system, 0: none. ``mode`` is the segments' mode. ``trust`` are the numbers of other
    users whose tables this store's owner reads.

    Examples
    --------
    >>> import colonnade as cn
    >>> cn.Settings(capacity=1 << 30).or_else(cn.Settings(capacity=1, mode=0o640))
    Settings(capacity=1073741824, spares=None, mode=416, trust=None)
    """

    capacity: int | None = None
    spares: int | None = None
    mode: int | None = None
    trust: tuple[int, ...] | None = None

    def or_else(self, other: Self) -> Self:
        """Fill in what is not set here from other settings.

        Parameters
        ----------
        other : Settings
            The settings to take the rest from.

        Returns
        -------
        Settings

        Examples
        --------
        >>> import colonnade as cn
        >>> cn.Settings(spares=0).or_else(cn.Settings(spares=1, capacity=5)).capacity
        5
        """
        pairs: Any = zip(self, other, strict=True)
        return type(self)(*(theirs if mine is None else mine for mine, theirs in pairs))

    @property
    def file_mode(self) -> int:
        """The mode of a segment."""
        return 0o600 if self.mode is None else self.mode

    @property
    def folder_mode(self) -> int:
        """The mode of a folder: whoever may read a segment may look it up."""
        return 0o700 | self.file_mode | (self.file_mode & 0o444) >> 2


def checked(
    *,
    capacity: object = None,
    spares: object = None,
    mode: object = None,
    trust: int | str | Iterable[int | str] | None = None,
) -> Settings:
    """Make settings of what a user wrote.

    Raises
    ------
    ValueError
    """
    if mode is not None and mode not in MODES:
        modes = " and ".join(f"0o{number:o} ({who})" for number, who in MODES.items())
        mode_text = f"0o{mode:o}" if isinstance(mode, int) else repr(mode)
        raise ValueError(f"mode={mode_text}: modes are {modes}; a snapshot never changes, so nobody else may write")
    return Settings(
        None if capacity is None else parse_size(capacity, "capacity"),
        None if spares is None else parse_size(spares, "spares"),
        mode if isinstance(mode, int) else None,
        None if trust is None else tuple(sorted(user_numbers(trust))),
    )


def read(root: int, trusted_users: frozenset[int]) -> Settings:
    """Read the settings that the directory stores.

    Raises
    ------
    StoreAccessError
        If the file belongs to neither this user nor a trusted one, or is damaged.
    """
    return _read(root, trusted_users)[1]


def trusted_by_owner(root: int) -> tuple[int, ...]:
    """The users whom the directory's settings trust; none unless this user wrote these settings."""
    owner, settings = _read(root, frozenset([os.geteuid()]))
    return settings.trust or () if owner == os.geteuid() else ()


def _read(root: int, trusted_users: frozenset[int]) -> tuple[int, Settings]:
    if not folders.is_there(root, paths.SETTINGS):  # a failed open costs 100 us where many libraries are loaded
        return -1, Settings()
    try:
        file = _core.Descriptor(paths.SETTINGS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root)
    except FileNotFoundError:
        return -1, Settings()
    with file as fd:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise StoreAccessError(errno.EINVAL, f"the store's settings are not a file; remove {paths.SETTINGS}")
        if status.st_uid not in trusted_users:
            raise StoreAccessError(
                errno.EPERM, f"the store's settings belong to user {status.st_uid}; remove {paths.SETTINGS}"
            )
        data = os.pread(fd, status.st_size, 0)
    if not data:  # a power failure came before the bytes were on the disk
        return status.st_uid, Settings()
    try:
        return status.st_uid, checked(**json.loads(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreAccessError(
            errno.EINVAL, f"the store's settings cannot be read ({error}); set them anew with configure()"
        ) from error


def write(root: int, settings: Settings) -> None:
    """Store settings in the directory, and on its disk; under the store's lock. They are whole or unchanged."""
    values = {name: value for name, value in settings._asdict().items() if value is not None}
    temporary = paths.random_name(f"{paths.SETTINGS}-")
    file = _core.Descriptor(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=root)
    try:
        with file as fd:
            os.write(fd, json.dumps(values).encode())
            os.fchmod(fd, settings.file_mode)
            folders.give_to_owner(fd, root)
            os.fsync(fd)
        os.rename(temporary, paths.SETTINGS, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=root)
        raise
    try:
        os.fsync(root)
    except OSError as error:
        raise NotDurableError(
            error.errno or errno.EIO,
            "the settings are stored, but it is not known to be on the disk: "
            f"{os.strerror(error.errno or errno.EIO)}. Look at the disk, and configure again to be sure",
        ) from error
