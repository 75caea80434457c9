"""The kernel's news of folders: inotify, three functions of the C library.

Knows: the structure of an event. Does not depend on: stores, names, why a folder is watched.

Why no library: `watchfiles`, the best kept one, collects events for 50 ms before it tells of them, in a thread of its
own, and watches whole trees; a put is to be seen within 2 ms. `inotify_simple` and `asyncinotify` are this file again,
as a dependency, without the limits explained in words. What they add, asyncio and threads, needs no more than the
descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from colonnade.errors import StoreAccessError

MOVED_FROM, MOVED_TO = 0x40, 0x80
CREATE, DELETE = 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
IS_FOLDER = 0x40000000

_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name, which is filled up with zeros
_LIMITS = {
    errno.EMFILE: "this user or process holds as many inotify descriptors as it may: each watch is one. Close some, or "
    "raise fs.inotify.max_user_instances (sysctl) or ulimit -n",
    errno.ENOSPC: "this user watches as many folders as it may. Close some watches, or raise "
    "fs.inotify.max_user_watches (sysctl)",
}

_libc = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """What happened: in which watched folder, what (bits), and to which name in it (empty: to the folder itself)."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance; its descriptor is closed when nobody has the object any more.

    So whoever waits for the descriptor holds it, and no other thread can close it, and have its number used again,
    meanwhile.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._fd = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def fileno(self) -> int:
        return self._fd

    def add(self, folder: int, mask: int) -> int:
        """Watch an open folder; one that is watched already gets the new mask and keeps its number."""
        # By its descriptor, so what is watched is what was opened, whatever the path leads to by now.
        return _checked(_libc.inotify_add_watch(self._fd, f"/proc/self/fd/{folder}".encode(), mask))

    def remove(self, watch: int) -> None:
        """Watch a folder no more. Who waits is woken, by the event IGNORED; one that is gone already is no error."""
        _libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """All events since the last time; does not wait."""
        events: list[Event] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                events += _parsed(os.read(self._fd, 1 << 16))
        return events

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _checked(result: int) -> int:
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if number in _LIMITS:
        raise StoreAccessError(number, f"cannot watch for new versions: {_LIMITS[number]}")
    raise OSError(number, os.strerror(number))


def _parsed(data: bytes) -> Iterator[Event]:
    at = 0
    while at < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Event(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
        at += length
