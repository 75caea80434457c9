"""Segments on their way from one process to another, and when nobody will receive them any more.

Does not depend on: columns; how the message that leads to a segment is sent; which processes are in a process group.

A frame that is sent by reference is a segment and a message. The message is in a pipe that nobody can look into, so
nobody can see that it was lost. The sender cannot own the segment, because a worker that returns a result may end
before the result is received. Hence:

1. **The receiver removes the name** when it has attached, by the rename that makes a spare, or by ``unlink``. Bytes
   that were pickled are good for one receiver, as the message in a pipe is. Two that attach at once both have it; one
   that comes later finds nothing, and its error says so.
2. **A process group** is the processes that could still receive: the one that began to send by reference, and all
   its descendants. The group has a file. Each process holds a shared lock on it, through a descriptor that it inherited
   or one of its own. When nobody holds the lock, nobody can receive any more: a cleaner removes the group's file first,
   and then whatever was sent in the group. If the last process exits normally, it does this itself.
3. **A group that is alive** may have lost a message: a worker was killed after it had read it, or a pool broke with
   tasks in its pipe. This looks the same as a task that waits, so segments that are not received within `PATIENCE`, a
   day, are removed.
4. **All that is in flight** takes at most a share of the file system. Past it, frames are pickled as usual, and pipes
   that are full make senders wait, as usual. So the memory of lost segments is bounded.
5. **A segment may be in flight several times**, under a name for each receiver (`link`): a table that is sent again and
   has not changed, or one that is in a store. It is one inode, whose memory is there until its last name and its last
   mapping are gone. A segment with two names is never made a spare, nor is one written again (`spares`, 2a). A new
   name is given by an open descriptor, so a segment that is linked is not one that a writer has claimed: the lease test
   fails while the descriptor is open.
6. A child whose parent does not send by reference has no process group. What it sends must survive it, and nobody
   knows to whom its parent passes it on. For such segments only 1, 3, 4 and 5 hold.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from colonnade.storage import draft, folders, paths
from colonnade.storage.directory import Directory
from colonnade.storage.room import total_bytes
from colonnade.storage.segment import Segment

# So many seconds after it was sent, a segment that nobody has received is removed.
PATIENCE = 86_400.0
# Segments in flight take at most this part of the file system, a quarter.
SHARE = 4
# The name of no process group: of segments that are sent without one.
ALONE = "alone"

_LOCKED = (paths.DRAFT_PREFIX, paths.SHARED_PREFIX, paths.GROUP_PREFIX, paths.FETCH_PREFIX)


def is_cleaned(file: str) -> bool:
    """Whether a file of the segments' folder is removed when nobody needs it; a spare is not."""
    return file.startswith((*_LOCKED, paths.IN_FLIGHT_PREFIX))


def remove_if_abandoned(folder: int, name: str) -> int | None:
    """Remove a file that nobody will need; the bytes that it held, or None if it is needed. Under the store's lock.

    In the order of names, a process group comes before what was sent in it.

    Raises
    ------
    FileNotFoundError
        If somebody was faster.
    """
    if name.startswith(_LOCKED):
        return draft.remove_if_abandoned(folder, name)
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    group = paths.group_of(name)
    lives = group == ALONE or folders.is_there(folder, f"{paths.GROUP_PREFIX}{group}")
    if lives and time.time() - status.st_ctime < PATIENCE:
        return None
    os.unlink(name, dir_fd=folder)
    return status.st_blocks * 512


def has_room(directory: Directory, size: int, bytes_in_memory: int = 0) -> bool:
    """Whether ``size`` more bytes may be in flight, or be remembered by the process that sends."""
    with directory.opened() as root:
        bytes_of: dict[int, int] = {}
        with contextlib.suppress(FileNotFoundError), folders.segments(root) as folder:
            for name in os.listdir(folder):
                if name.startswith(paths.IN_FLIGHT_PREFIX):
                    with contextlib.suppress(FileNotFoundError):
                        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        bytes_of[status.st_ino] = status.st_blocks * 512
        return max(sum(bytes_of.values()), bytes_in_memory) + size <= total_bytes(root) // SHARE


def link(directory: Directory, segment: Segment, file: str) -> None:
    """Send a segment that is there already: it gets one more name, which its receiver removes.

    Raises
    ------
    OSError
        If it has no name any more (FileNotFoundError), is on another file system, or is another user's.
    """
    if segment.owner != os.geteuid():
        raise PermissionError(errno.EPERM, "a segment of another user")
    with directory.opened() as root, folders.segments(root, make=True) as folder:
        os.link(f"/proc/self/fd/{segment.fd}", file, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
