"""The kernel's events of folders: inotify, three functions of the C library.

Does not depend on: stores, names, why a folder is watched.

Why no library: `watchfiles`, the best kept one, collects events for 50 ms before it reports them, in a thread of its
own, and watches whole trees; a put is to be seen within 2 ms. `inotify_simple` and `asyncinotify` do what this file
does, as a dependency, and do not explain the limits in words. What they add, asyncio and threads, needs no more than
the descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from colonnade import _core
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
    """One event: the watched folder, what happened (bits), and to which name in it (empty: to the folder itself)."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance; its descriptor is closed when nobody has the object any more.

    So a thread that waits for the descriptor holds it, and no other thread can close it, and have its number used
    again, meanwhile.
    """

    def __init__(self) -> None:
        try:
            self._descriptor = _core.Descriptor.inotify()
        except OSError as error:
            raise _explained(error.errno or 0) from None
        self._fd = self._descriptor.fileno()

    def fileno(self) -> int:
        """The number of the descriptor."""
        return self._fd

    def add(self, folder: int, mask: int) -> int:
        """Watch an open folder; one that is watched already gets the new mask and keeps its number."""
        # By its descriptor, so what is watched is what was opened, whatever the path leads to by now.
        watch = _libc.inotify_add_watch(self._fd, f"/proc/self/fd/{folder}".encode(), mask)
        if watch < 0 and ctypes.get_errno() == errno.ENOENT and not os.path.isdir("/proc/self/fd"):
            raise StoreAccessError(errno.ENOENT, "cannot watch for new versions: /proc is not mounted. Mount it")
        return _checked(watch)

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


def _checked(result: int) -> int:
    if result >= 0:
        return result
    raise _explained(ctypes.get_errno())


def _explained(number: int) -> OSError:
    if number in _LIMITS:
        return StoreAccessError(number, f"cannot watch for new versions: {_LIMITS[number]}")
    return OSError(number, os.strerror(number))


def _parsed(data: bytes) -> Iterator[Event]:
    at = 0
    while at < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Event(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
        at += length
