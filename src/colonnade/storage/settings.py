"""What a store is told to keep to: its capacity, its spares, its files' mode.

Knows: the file `.settings`. Does not depend on: how a setting is kept to.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from colonnade.errors import StoreAccessError
from colonnade.sizes import parse_size
from colonnade.storage import paths

MODES = {0o600: "this user alone", 0o640: "the group may read"}


class Settings(NamedTuple):
    """The settings of a store; None: as if it were not set.

    ``capacity`` is in bytes, of all tables together; None: as much as the file system has. ``spares`` is in bytes;
    None: an eighth of the file system, 0: none. ``mode`` is the segments' mode.
    """

    capacity: int | None = None
    spares: int | None = None
    mode: int | None = None

    def or_else(self, other: Settings) -> Settings:
        """These settings, and those of another where these are not set."""
        return Settings(*(mine if mine is not None else theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def file_mode(self) -> int:
        """The mode of a segment."""
        return 0o600 if self.mode is None else self.mode

    @property
    def folder_mode(self) -> int:
        """The mode of a folder: whoever may read a segment may look it up."""
        return 0o700 | self.file_mode | (self.file_mode & 0o444) >> 2


def checked(*, capacity: object = None, spares: object = None, mode: object = None) -> Settings:
    """Make settings of what a user wrote.

    Raises
    ------
    ValueError
    """
    if mode is not None and mode not in MODES:
        told = " and ".join(f"0o{number:o} ({what})" for number, what in MODES.items())
        shown = f"0o{mode:o}" if isinstance(mode, int) else repr(mode)
        raise ValueError(f"mode={shown}: modes are {told}; a snapshot never changes, so nobody else may write")
    return Settings(
        None if capacity is None else parse_size(capacity, "capacity"),
        None if spares is None else parse_size(spares, "spares"),
        mode if isinstance(mode, int) else None,
    )


def read(root: int, trusted: frozenset[int]) -> Settings:
    """What the directory keeps.

    Raises
    ------
    StoreAccessError
        Where the file is not this user's, nor of one who is trusted, or cannot be read as settings.
    """
    try:
        fd = os.open(paths.SETTINGS, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root)
    except FileNotFoundError:
        return Settings()
    import json  # noqa: PLC0415 -- seldom needed

    with os.fdopen(fd, "rb") as file:
        owner = os.fstat(fd).st_uid
        if owner not in trusted:
            raise StoreAccessError(errno.EPERM, f"the store's settings belong to user {owner}; remove {paths.SETTINGS}")
        try:
            return checked(**json.loads(file.read()))
        except (ValueError, TypeError) as error:
            raise StoreAccessError(
                errno.EINVAL, f"the store's settings cannot be read ({error}); set them anew with configure()"
            ) from error


def write(root: int, settings: Settings) -> None:
    """Keep settings in the directory; under the store's lock."""
    import json  # noqa: PLC0415 -- seldom needed

    told = {name: value for name, value in settings._asdict().items() if value is not None}
    fresh = paths.random_name(f"{paths.SETTINGS}-")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        with os.fdopen(fd, "w") as file:
            json.dump(told, file)
            os.fchmod(fd, settings.file_mode)
        os.rename(fresh, paths.SETTINGS, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        os.unlink(fresh, dir_fd=root)
        raise
