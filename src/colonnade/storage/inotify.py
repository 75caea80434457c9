"""The kernel's events of folders: inotify, three functions of the C library.

Does not depend on: stores, names, why a folder is watched.

Why no library: `watchfiles`, the best kept one, collects events for 50 ms before it reports them, in a thread of its
own, and watches whole trees; a put is to be seen within 2 ms. `inotify_simple` and `asyncinotify` do what this file
does, as a dependency, and do not explain the limits in words. What they add, asyncio and threads, needs no more than
a descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import struct
import weakref
from collections.abc import Iterator
from threading import RLock
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import StoreAccessError

MOVED_FROM, MOVED_TO = 0x40, 0x80
CREATE, DELETE = 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
IS_FOLDER = 0x40000000
_MASK_ADD = 0x20000000  # of a folder that others read too: what they asked for stays
_ALWAYS = UNMOUNT | OVERFLOW | IGNORED
_ONE = (1).to_bytes(8, "little")

_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name, which is filled up with zeros
_LIMITS = {
    errno.EMFILE: "this process holds as many descriptors as it may (each watch is one; ulimit -n), or this user's "
    "processes as many inotify instances (each that watches has one). Close some, or raise "
    "fs.inotify.max_user_instances (sysctl)",
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
    """The events of some folders, for one reader. All readers of a process share one inotify instance: a user has 128.

    A reader that looks for its own events reads the events of all, and passes on those of the others; an eventfd wakes
    the others. No thread does this, because Python 3.12 and later warn a program that has threads and forks.
    """

    def __init__(self) -> None:
        try:
            self._signal = _eventfd()
            self._instance = _join(self)
        except OSError as error:
            raise _explained(error.errno or 0) from None
        self._epoll: select.epoll | None = None
        self._masks: dict[int, int] = {}
        self._events: dict[Event, None] = {}  # each once, so that the list of a reader that seldom reads stays short

    def fileno(self) -> int:
        """The number of a descriptor that is readable when there may be events; for event loops."""
        if self._epoll is None:
            epoll = select.epoll(2)
            epoll.register(self._instance.descriptor.fileno(), select.EPOLLIN)
            epoll.register(self._signal.fileno(), select.EPOLLIN)
            self._epoll = epoll
        return self._epoll.fileno()

    def wait(self, seconds: float | None) -> bool:
        """Wait until there may be events; False if there were none in ``seconds``."""
        poll = select.poll()
        poll.register(self._instance.descriptor.fileno(), select.POLLIN)
        poll.register(self._signal.fileno(), select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))

    def add(self, folder: int, mask: int) -> int:
        """Watch an open folder; one that is watched already gets the new mask and keeps its number."""
        return self._instance.add(self, folder, mask)

    def remove(self, watch: int) -> None:
        """Stop watching a folder, and wake the threads that wait, by the event IGNORED. The folder may be gone."""
        if self._instance.is_of_this_process():
            self._instance.remove(self, watch)
            self.deliver(Event(watch, IGNORED, ""))

    def read(self) -> list[Event]:
        """Read all events since the last call; does not wait."""
        self._instance.distribute()
        with self._instance.lock, contextlib.suppress(BlockingIOError):
            os.read(self._signal.fileno(), 8)
        events, self._events = list(self._events), {}
        return events

    def deliver(self, event: Event) -> None:
        """Take an event, if it is one that was asked for, and wake who waits."""
        if not event.mask & (_ALWAYS | self._masks.get(event.watch, 0)):
            return
        self._events[event] = None
        with contextlib.suppress(BlockingIOError):
            os.write(self._signal.fileno(), _ONE)

    def note(self, watch: int, mask: int | None) -> None:
        """Remember what is asked for of a folder; None: nothing any more."""
        if mask is None:
            self._masks.pop(watch, None)
        else:
            self._masks[watch] = mask

    @property
    def watches(self) -> list[int]:
        """The numbers of the folders that are watched."""
        return list(self._masks)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # half-made, or the interpreter is ending
            self._instance.leave(self)


class _Instance:
    """The process's inotify instance, and who reads which of its folders. Closed with its last reader."""

    def __init__(self) -> None:
        self.descriptor = _core.Descriptor.inotify()
        self.lock = RLock()  # a signal handler may close a watch while its thread is in here
        self._process = os.getpid()
        self._readers: dict[int, weakref.ref[Inotify]] = {}
        self._folders: dict[int, set[int]] = {}  # of each watch, the readers

    def is_of_this_process(self) -> bool:
        """False in a forked child: the instance and its events are the parent's."""
        return self._process == os.getpid()

    def join(self, reader: Inotify) -> None:
        self._readers[id(reader)] = weakref.ref(reader)

    def leave(self, reader: Inotify) -> None:
        """Forget a reader, and the folders that nobody else reads."""
        if not self.is_of_this_process():
            return
        with self.lock:
            for watch in reader.watches:
                self.remove(reader, watch)
            self._readers.pop(id(reader), None)
            if not self._readers:
                _forget(self)

    def add(self, reader: Inotify, folder: int, mask: int) -> int:
        # By its descriptor, so what is watched is what was opened, whatever the path leads to by now.
        path = f"/proc/self/fd/{folder}".encode()
        with self.lock:  # so that the thread that gets the first event finds the reader
            watch = _libc.inotify_add_watch(self.descriptor.fileno(), path, mask | _MASK_ADD)
            if watch < 0 and ctypes.get_errno() == errno.ENOENT and not os.path.isdir("/proc/self/fd"):
                raise StoreAccessError(errno.ENOENT, "cannot watch for new versions: /proc is not mounted. Mount it")
            _checked(watch)
            self._folders.setdefault(watch, set()).add(id(reader))
            reader.note(watch, mask)
            return int(watch)

    def remove(self, reader: Inotify, watch: int) -> None:
        with self.lock:
            reader.note(watch, None)
            readers = self._folders.get(watch, set())
            readers.discard(id(reader))
            if not readers and self._folders.pop(watch, None) is not None:
                _libc.inotify_rm_watch(self.descriptor.fileno(), watch)

    def distribute(self) -> None:
        """Read all events, and give each to its readers."""
        if not self.is_of_this_process():
            return
        with self.lock, contextlib.suppress(BlockingIOError):
            while True:
                for event in _parsed(os.read(self.descriptor.fileno(), 1 << 16)):
                    everybody = event.mask & OVERFLOW
                    for key in list(self._readers if everybody else self._folders.get(event.watch, ())):
                        reader = self._readers[key]() if key in self._readers else None
                        if reader is not None:
                            reader.deliver(event)
                    if event.mask & IGNORED:
                        self._folders.pop(event.watch, None)


_lock = RLock()
_instances: list[_Instance] = []  # the process's one, or none


def _join(reader: Inotify) -> _Instance:
    with _lock:
        if not _instances or not _instances[0].is_of_this_process():
            _instances[:] = [_Instance()]
        _instances[0].join(reader)
        return _instances[0]


def _forget(instance: _Instance) -> None:
    with _lock:
        if instance in _instances:
            _instances.remove(instance)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 -- another thread of the parent may have had it
    _lock = RLock()
    _instances.clear()


os.register_at_fork(after_in_child=_after_fork)


def _eventfd() -> _core.Descriptor:
    number = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        return _core.Descriptor.duplicate(number)
    finally:
        os.close(number)


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
