"""The lock of a growing table's head: whoever has it writes.

Does not depend on: what a head contains.

It is a lock of the open file description (OFD) on the first byte. So it goes with the last descriptor and mapping of
that description, however the process ends, and threads of one process exclude each other too.

Producers that share a table wait in a queue of one: whoever waits locks the second byte first, and keeps it until the
first one is locked. A producer that appends again and again has to wait for the second byte then, so it cannot keep
the others out.
"""

from __future__ import annotations

import fcntl
import os
import struct

from colonnade import _core

WRITING, NEXT = 0, 1  # the bytes
_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid
UNLOCKED = _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, WRITING, 2, 0)  # both


def try_lock(fd: int | _core.Descriptor, byte: int = WRITING) -> bool:
    """Lock a head for writing without waiting; also if this open file has it locked already."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
    except BlockingIOError:
        return False
    return True


def unlock(fd: int | _core.Descriptor, byte: int = WRITING) -> None:
    """Drop the lock, if it is there.

    Closing would not be enough: a mapping keeps the open file, and so does a forked child.
    """
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, byte, 1, 0))
