"""Memory limits of control groups, versions 1 and 2: what the kernel lets this process still take.

Pages of a file system in memory are charged to the control group of the process that first writes to them, and stay
charged to it after that process has ended. If a limit is reached, the kernel does not return an error: it kills a
process of the group. So a writer has to look before it writes.

A limit of a group holds for all groups below it. In a container the groups above may be out of sight; what can be seen
is the mounted part of the tree.

Does not depend on: stores, files.
"""

from __future__ import annotations

import functools
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from colonnade import _core

_SELF = Path("/proc/self")
# Version 1 says "no limit" by the largest number of whole pages.
_UNLIMITED = 1 << 62


class _Files(NamedTuple):
    """The names of one version's files, and of the rows of its statistics that count what the kernel may reclaim."""

    limit: str
    usage: str
    reclaimable: tuple[str, ...]


_VERSION_1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_VERSION_2 = _Files("memory.max", "memory.current", ("inactive_file", "active_file"))


class MemoryLimit(NamedTuple):
    """The limit of one control group, in bytes, and what is left of it. ``file`` is where the limit is set."""

    file: Path
    nbytes: int
    free: int


def tightest(size: int = 0) -> MemoryLimit | None:
    """The limit that leaves the fewest bytes to this process; None if there is none.

    ``size`` is what is to be written. The cache of files, which the kernel reclaims when a limit is reached, counts
    as free; it is only looked up if the rest is less than ``size``, because the kernel needs some time to add it up.
    """
    limits = [
        MemoryLimit(Path(folder, files.limit), limit, _free(folder, files, limit, size))
        for folder, files, limit in _limits()
    ]
    return min(limits, key=lambda limit: limit.free, default=None)


def least_limit() -> int | None:
    """The lowest limit of the own group and of those above it, in bytes; None if there is none."""
    return min((limit for *_, limit in _limits()), default=None)


def _limits() -> list[tuple[str, _Files, int]]:
    """The groups that have a limit, and the limit.

    They are looked up once a second at most, because limits seldom change and a look takes a tenth of a small put. What
    is left of a limit is looked up each time.
    """
    return _limits_at(int(time.monotonic()), _SELF)


@functools.lru_cache(maxsize=1)
def _limits_at(_second: int, _process: Path) -> list[tuple[str, _Files, int]]:
    return [
        (folder, files, limit)
        for folder, files in _groups()
        if (limit := _number(f"{folder}/{files.limit}")) is not None and limit < _UNLIMITED
    ]


def _free(folder: str, files: _Files, limit: int, size: int) -> int:
    free = limit - (_number(f"{folder}/{files.usage}") or 0)
    if free < size:
        free += _reclaimable(folder, files)
    return max(free, 0)


def _reclaimable(folder: str, files: _Files) -> int:
    try:
        rows = dict(line.split() for line in _read(f"{folder}/memory.stat").splitlines())
    except (OSError, ValueError):
        return 0
    return sum(int(rows.get(name, 0)) for name in files.reclaimable)


def _number(file: str) -> int | None:
    """A number of bytes; None if the file says ``max``, or is not there (the root of version 2 has none)."""
    try:
        return int(_read(file))
    except (OSError, ValueError):
        return None


def _read(file: str) -> str:
    """The text of one of the kernel's files; every put reads some, and this takes half of the time of `open`."""
    with _core.Descriptor(file, os.O_RDONLY) as fd:
        return os.read(fd, 1 << 16).decode()


def _groups() -> list[tuple[str, _Files]]:
    """The folders of the own control group and of those above it, as far as they are mounted."""
    try:
        return _folders(_read(f"{_SELF}/cgroup"), _SELF)
    except OSError:
        return []


@functools.lru_cache(maxsize=4)
def _folders(membership: str, process: Path) -> list[tuple[str, _Files]]:
    """The folders for what ``/proc/self/cgroup`` says, by the mounts of a process, which do not change in practice."""
    groups = {}
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            groups["cgroup2"] = path
        elif "memory" in controllers.split(","):
            groups["cgroup"] = path
    folders: list[tuple[str, _Files]] = []
    for line in (process / "mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        file_system, _, options = source.split(" ", 2)
        if file_system not in groups or (file_system == "cgroup" and "memory" not in options.split(",")):
            continue
        top, place = (_ESCAPED.sub(_character, part) for part in mount.split(" ")[3:5])
        files = _VERSION_2 if file_system == "cgroup2" else _VERSION_1
        folders += [(str(folder), files) for folder in _up(Path(place), top, groups[file_system])]
    return folders


# A blank in a mount's path is written \\040. Python's decoder is imported late, and there may be no descriptor then.
_ESCAPED = re.compile(r"\\([0-7]{3})")


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))


def _up(place: Path, top: str, group: str) -> list[Path]:
    """The folders of a group and of those above it, of a mount that shows the groups below ``top``."""
    try:
        inner = Path(group).relative_to(top)
    except ValueError:  # this process is outside of what is mounted; the mount itself is the nearest that is known
        inner = Path()
    own = place / inner
    if ".." in inner.parts or not own.is_dir():
        own = place
    return [folder for folder in (own, *own.parents) if folder.is_relative_to(place)]
