"""How many bytes a store's directory has room for: its file system, and the memory limit of the control group.

Does not depend on: what is stored there, and what may be freed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from colonnade import _core
from colonnade.storage import memory_limits
from colonnade.storage.memory_limits import MemoryLimit


class Room(NamedTuple):
    """The bytes that are free, and the memory limit that leaves so few; None where the file system does.

    ``nbytes`` is negative if there is not even room for the private memory.
    """

    nbytes: int
    limit: MemoryLimit | None = None


def room(root: int, size: int = 0, private: int = 0) -> Room:
    """What can still be stored: the least of what the file system and the memory limits leave to this user.

    ``private`` is the memory that the process takes while it stores something; a memory limit counts that too.

    A file system without a size (ramfs, a tmpfs mounted with ``size=0``) counts as unlimited. Memory limits hold where
    the file system is memory; on a disk the kernel writes pages out instead.
    """
    file_system = os.fstatvfs(root)
    nbytes = file_system.f_bavail * file_system.f_frsize if file_system.f_blocks else sys.maxsize
    if (
        _is_memory(root, file_system)
        and (limit := memory_limits.tightest(size + private))
        and limit.free - private < nbytes
    ):
        return Room(limit.free - private, limit)
    return Room(nbytes)


def file_system_bytes(root: int | Path) -> tuple[int, int]:
    """The size of a file system and its free bytes; if it has no size, those of the machine's memory."""
    file_system = os.statvfs(root)
    if file_system.f_blocks == 0:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    return file_system.f_blocks * file_system.f_frsize, file_system.f_bavail * file_system.f_frsize


def total_bytes(root: int) -> int:
    """The size of the file system, or the least memory limit; without either, the machine's memory; in bytes."""
    total, _ = file_system_bytes(root)
    if _is_memory(root, os.fstatvfs(root)) and (limit := memory_limits.least_limit()) is not None:
        return min(total, limit)
    return total


def _is_memory(root: int, file_system: os.statvfs_result) -> bool:
    return file_system.f_blocks == 0 or _core.in_memory(root)
