"""One process at a time does a piece of work that has a key; the others wait. If it is killed, another one replaces it.

Does not depend on: what the work is.

All keys share one file. For each key one byte of it is locked, far beyond its end, so a key leaves nothing behind. The
kernel drops the locks of a process that ends. They are *open file description* locks, so two threads of one process
exclude each other too. A forked child would keep its parent's lock alive, so it closes the descriptors that it
inherits.

`gc` removes the file if no process has a lock in it. A process that opened the file before, and locks it afterwards,
sees that the file has no name any more, and begins again with the next file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

from colonnade import _core
from colonnade.storage import paths
from colonnade.storage.directory import Directory

_PLACES = 1 << 62
# struct flock: type, whence, start, length, process.
_LOCK = struct.Struct("hhqqii")

# Those that are closed are dropped with the next one.
_open_files: set[_core.Descriptor] = set()


def alone(directory: Directory, key: str) -> _core.Descriptor:
    """Wait until no other thread or process is in a block with this key, and begin one; ``key`` is hexadecimal.

    The block is a ``with`` of the descriptor, whose end is one call of C: no interrupt comes between.
    """
    place = int(key[:16], 16) % _PLACES
    for file in list(_open_files):
        if file.fileno() < 0:
            _open_files.discard(file)
    while True:
        with directory.opened() as root:
            file = _core.Descriptor(paths.WORK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=root)
        try:
            _open_files.add(file)
            _lock(file.fileno(), place, 1, wait=True)
            if os.fstat(file.fileno()).st_nlink:
                return file
        except BaseException:  # a traceback keeps this frame, and must not keep the lock
            file.close()
            raise
        file.close()


def remove_unused(root: int) -> None:
    """Remove the file of the locks if there is one and no process has a lock in it."""
    try:
        file = _core.Descriptor(paths.WORK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=root)
    except OSError:
        return
    with file as fd, contextlib.suppress(OSError):
        _lock(fd, 0, 0, wait=False)
        os.unlink(paths.WORK, dir_fd=root)


def _lock(fd: int, start: int, length: int, *, wait: bool) -> None:
    command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    fcntl.fcntl(fd, command, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0, 0))


def _close_inherited() -> None:
    while _open_files:
        _open_files.pop().close()


os.register_at_fork(after_in_child=_close_inherited)
