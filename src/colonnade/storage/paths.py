"""The only maker and parser of file names: the grammar of names, and what each file of a store is called.

Does not depend on: what is in a file.

::

    <store>/prices/eurusd.arrow        the newest version of the table prices/eurusd
    <store>/prices/eurusd@7.arrow      version 7, retained by keep=
    <store>/prices/ticks@live          the folder of the growing table prices/ticks: its head and its segments
    <store>/.publish                   a segment that is about to get its name, under the store's lock
    <store>/.segments                  what has no table's name; only its owner may open it, and its lock is the store's
    <store>/.segments/draft-<random>   a segment that is being written, if it needs a name for that
    <store>/.segments/spare-<random>   a spare
    <store>/.segments/shared-<random>  a shared segment; its owner has it locked
    <store>/.segments/inflight-<group>-<random>
                                       a segment on its way from one process of a process group to another
    <store>/.segments/copy-<numbers>   a copy of another host's snapshot; those who use it have it locked, shared
    <store>/.segments/fetch-<identity> an empty file that the process has locked which fetches that copy
    <store>/.segments/group-<group>    an empty file that all processes of a process group have locked
    <store>/.work                      the locks of `one_at_a_time`, while a process works
    <store>/.serving                   the address at which the store is served to other hosts; locked by who serves it
    <store>/.credentials               what processes of this user show to other hosts, while the store is served
    <store>/.settings                  the settings that `Store.configure` stores

    <store>/.segments/new@<random>     the folder of a growing table before it gets its name, or after it lost it

``@`` is in no name, so a retained version and a growing table are never taken for a table or a folder of tables.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from string import ascii_letters, digits
from typing import NamedTuple

from colonnade.arguments import expanded
from colonnade.errors import InvalidNameError, brief_repr

SUFFIX = ".arrow"
PUBLISH = ".publish"
SEGMENTS = ".segments"
DRAFT_PREFIX = "draft-"
SPARE_PREFIX = "spare-"
SHARED_PREFIX = "shared-"
IN_FLIGHT_PREFIX = "inflight-"
GROUP_PREFIX = "group-"
COPY_PREFIX = "copy-"
FETCH_PREFIX = "fetch-"
SETTINGS = ".settings"
WORK = ".work"
SERVING = ".serving"
CREDENTIALS = ".credentials"
LIVE = "@live"
HEAD = "head"
NEW_LOG_PREFIX = "new@"
STORE_VARIABLE = "COLONNADE_STORE"
TRUST_VARIABLE = "COLONNADE_TRUST"

# Patterns are texts: `re` takes 0.2 ms to compile one, and does so at its first use. A reader uses none.
_CHARACTERS = frozenset(f"{ascii_letters}{digits}._-")
_VERSIONED = rf"(?P<part>[A-Za-z0-9_-][A-Za-z0-9._-]*)(@(?P<version>[1-9][0-9]*))?{re.escape(SUFFIX)}"
_UNNAMED = rf"(?:{SHARED_PREFIX}|{COPY_PREFIX}[0-9a-f]+-|{IN_FLIGHT_PREFIX}[0-9a-z]+-)[0-9a-f]+"
_LOG_SEGMENT = rf"[0-9]{{20,}}-[0-9]{{6,}}{re.escape(SUFFIX)}"
_STAGED = rf"{re.escape(PUBLISH)}(?:-[0-9a-f]{{16}})?"
_TEMPORARY_SETTINGS = rf"{re.escape(SETTINGS)}-[0-9a-f]{{16}}"
_MOST_PARTS = 64  # each is a folder that is opened below the one before
# The longest file name of Linux' file systems, less room for "@<version>.arrow".
_LONGEST_PART = 255 - 28


def default_store() -> Path:
    """The default store's directory: ``$COLONNADE_STORE``, else shared memory, else the user's runtime folder."""
    variable = os.environ.get(STORE_VARIABLE)
    if variable:
        return directory_path(variable)
    if Path("/dev/shm").is_dir():  # noqa: S108 -- shared memory is the point; the store's owner and mode are checked
        return Path(f"/dev/shm/colonnade-{os.getuid()}")  # noqa: S108 -- the same
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "colonnade"


def directory_path(path: str | os.PathLike[str]) -> Path:
    """Make a path of what a user gave as the directory of a store.

    Raises
    ------
    TypeError, ValueError
        It is not text, is empty, or names another machine.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"the path of a store is text, got {text!r}")
    if not text:
        raise ValueError("the path of a store is empty; name a directory, '.' for the current one")
    if "\0" in text:
        raise ValueError(f"the path of a store cannot contain a null character, got {text!r}")
    # C:\x is a drive. A pathlib.Path has made one slash of the two of s3://.
    scheme, _, rest = text.partition(":")
    has_scheme = scheme.isascii() and scheme.isalnum() and rest[:1] in ("/", "\\")
    if "://" in text or has_scheme or text.startswith("\\\\"):
        raise ValueError(
            f"a store is a directory of this machine, in memory or on a disk, got {text!r}. "
            "load() and dump() read and write other places"
        )
    return expanded(text)


def check_name(name: str) -> str:
    """Return the name if it is one.

    Raises
    ------
    InvalidNameError
        Saying which part breaks the grammar, and what a name looks like.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"a name is a string, not {type(name).__name__}: {brief_repr(name)}")
    parts = name.split("/")
    if len(parts) > _MOST_PARTS:
        raise InvalidNameError(
            f"a name may have {_MOST_PARTS} parts between slashes, got {len(parts):,}: {name[:60]!r}..."
        )
    for part in parts:
        if not is_part(part):
            raise InvalidNameError(
                f"{name!r} is not a name: {part!r} must be 1 to {_LONGEST_PART} of A-Z a-z 0-9 . _ - "
                "and not start with a dot; folders are written with slashes, as in 'prices/2026/eurusd'"
            )
    return name


def is_part(text: str) -> bool:
    """Whether a text is one part of a name, between two slashes."""
    return 0 < len(text) <= _LONGEST_PART and text[0] != "." and _CHARACTERS.issuperset(text)


class Location(NamedTuple):
    """Where a name's files are: the folders below the store, and the last part, which its files' names begin with."""

    folders: tuple[str, ...]
    part: str

    @property
    def current(self) -> str:
        """The file that holds the newest version."""
        return f"{self.part}{SUFFIX}"

    def retained(self, version: int) -> str:
        """The file that holds an older version."""
        return f"{self.part}@{version}{SUFFIX}"

    @property
    def live(self) -> str:
        """The folder of the growing table."""
        return f"{self.part}{LIVE}"

    def version_of(self, file: str) -> int | None:
        """The version that a file of the same folder retains for this name; None where it does not."""
        if not file.startswith(f"{self.part}@"):  # of nearly all files of a large folder
            return None
        match = re.fullmatch(_VERSIONED, file)
        return None if match is None or match["version"] is None else int(match["version"])


def locate(name: str) -> Location:
    """Where the files of a name are.

    Raises
    ------
    InvalidNameError
    """
    *folders, part = check_name(name).split("/")
    return Location(tuple(folders), part)


def live_name(folders: Sequence[str], folder: str) -> str | None:
    """Which growing table a folder is, by the folders below the store and its own name; None if it is not one."""
    part = folder.removesuffix(LIVE)
    return "/".join([*folders, part]) if folder.endswith(LIVE) and all(map(is_part, [*folders, part])) else None


def log_segment(base: int, number: int) -> str:
    """The file of a segment of a growing table: its first row, and its number among all that were ever begun."""
    return f"{base:020d}-{number:06d}{SUFFIX}"


def is_log_segment(file: str) -> bool:
    """Whether a file of the folder of a growing table has the name of a segment."""
    return re.fullmatch(_LOG_SEGMENT, file) is not None


def random_name(prefix: str) -> str:
    """Make a file name that no other has."""
    return f"{prefix}{os.urandom(8).hex()}"


def in_flight_name(group: str) -> str:
    """Make a name for a segment that is sent by reference."""
    return random_name(f"{IN_FLIGHT_PREFIX}{group}-")


def is_no_segment(file: str) -> bool:
    """Whether a file of a store takes no memory to speak of: locks, addresses."""
    return file.startswith((GROUP_PREFIX, FETCH_PREFIX)) or file in (SERVING, CREDENTIALS)


def fetch_name(identity: int) -> str:
    """The file that is locked while a copy of another host's snapshot is fetched."""
    return f"{FETCH_PREFIX}{identity:016x}"


def group_of(file: str) -> str:
    """The process group that an in-flight segment belongs to."""
    return file.removeprefix(IN_FLIGHT_PREFIX).partition("-")[0]


def is_unnamed(folders: Sequence[str], file: str) -> bool:
    """Whether a file is a whole table that has no name: shared, in flight, or a copy of another host's."""
    return tuple(folders) == (SEGMENTS,) and re.fullmatch(_UNNAMED, file) is not None


def is_staged(file: str) -> bool:
    """Whether a file in the store's directory has the name of a segment that is about to be published."""
    return re.fullmatch(_STAGED, file) is not None


def is_temporary_settings(file: str) -> bool:
    """Whether a file in the store's directory has the name of settings that are being written."""
    return re.fullmatch(_TEMPORARY_SETTINGS, file) is not None


class Entry(NamedTuple):
    """A file of a store that is a table's: its newest version, or (with ``version``) a retained one."""

    name: str
    version: int | None


def parse(folders: Sequence[str], file: str) -> Entry | None:
    """Which table a file is of, by the folders below the store and its own name; None if it belongs to no table."""
    match = re.fullmatch(_VERSIONED, file)
    if match is None or not all(map(is_part, [*folders, match["part"]])):
        return None
    version = match["version"]
    return Entry("/".join([*folders, match["part"]]), None if version is None else int(version))


def store_of(path: Path, name: str) -> str:
    """The store's directory, by the path of a table's file, or of one of its segments."""
    depth = 1 if path.parent.name == SEGMENTS else name.count("/")
    return os.fspath(path.parents[depth])


def path_of(root: Path, entry: Entry) -> Path:
    """The whole path of a table's file."""
    where = locate(entry.name)
    file = where.current if entry.version is None else where.retained(entry.version)
    return root.joinpath(*where.folders, file)
