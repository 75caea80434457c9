"""The only maker and parser of file names.

Knows: the grammar of names, and what each file of a store is called. Must not know: what is in a file.

::

    <store>/prices/eurusd.arrow        the newest version of the table prices/eurusd
    <store>/prices/eurusd@7.arrow      version 7, retained by keep=
    <store>/.publish                   a segment on its way to its name, under the store's lock
    <store>/.draft-<random>            a segment being written, where the file system has no nameless files
    <store>/.spare-<random>            a retired segment whose pages are kept for the next put

``@`` is in no name, so a retained version is never taken for a table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade.errors import InvalidNameError

SUFFIX = ".arrow"
PUBLISH = ".publish"
DRAFT_PREFIX = ".draft-"
SPARE_PREFIX = ".spare-"
STORE_VARIABLE = "COLONNADE_STORE"

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VERSIONED = re.compile(rf"(?P<part>{_PART.pattern})(@(?P<version>[1-9][0-9]*))?{re.escape(SUFFIX)}")
# The longest file name of Linux' file systems, less room for "@<version>.arrow".
_LONGEST_PART = 255 - 28


def default_store() -> Path:
    """Where the default store is: ``$COLONNADE_STORE``, else shared memory, else the user's runtime folder."""
    named = os.environ.get(STORE_VARIABLE)
    if named:
        return Path(named)
    if Path("/dev/shm").is_dir():  # noqa: S108 -- shared memory is the point; the store's owner and mode are checked
        return Path(f"/dev/shm/colonnade-{os.getuid()}")  # noqa: S108 -- the same
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "colonnade"


def check_name(name: str) -> str:
    """Give the name back if it is one.

    Raises
    ------
    InvalidNameError
        Saying which part breaks the grammar, and what a name looks like.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"a name is a string, not {type(name).__name__}: {name!r}")
    for part in name.split("/"):
        if not _PART.fullmatch(part) or len(part) > _LONGEST_PART:
            raise InvalidNameError(
                f"{name!r} is not a name: {part!r} must be 1 to {_LONGEST_PART} of A-Z a-z 0-9 . _ - "
                "and not start with a dot; folders are written with slashes, as in 'prices/2026/eurusd'"
            )
    return name


def current(root: Path, name: str) -> Path:
    """The file that holds the newest version of a name."""
    return root / f"{check_name(name)}{SUFFIX}"


def retained(root: Path, name: str, version: int) -> Path:
    """The file that holds an older version."""
    return root / f"{check_name(name)}@{version}{SUFFIX}"


class Entry(NamedTuple):
    """A file of a store that is a table's: its newest version, or (with ``version``) a retained one."""

    path: Path
    name: str
    version: int | None


def parse(root: Path, path: Path) -> Entry | None:
    """Which table a file is of; None where it is none's."""
    match = _VERSIONED.fullmatch(path.name)
    folders = path.relative_to(root).parts[:-1]
    if match is None or not all(_PART.fullmatch(folder) for folder in folders):
        return None
    version = match["version"]
    return Entry(path, "/".join([*folders, match["part"]]), None if version is None else int(version))


def walk(root: Path) -> Iterator[Path]:
    """All files below a store, and other things that are no folders; links are not followed."""
    for folder, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*files, *links]))


def retained_versions(root: Path, name: str) -> dict[int, Path]:
    """The retained versions of a name."""
    newest = current(root, name)
    found: dict[int, Path] = {}
    try:
        with os.scandir(newest.parent) as entries:
            for item in entries:
                entry = parse(root, newest.parent / item.name)
                if entry is not None and entry.name == name and entry.version is not None:
                    found[entry.version] = entry.path
    except (FileNotFoundError, NotADirectoryError):
        pass
    return found
