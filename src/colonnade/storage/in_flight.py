"""Segments on their way from one process to another, and when nobody will receive them any more.

Knows: names of what is sent, ages.
Does not depend on: columns; how the message that leads to a segment travels; who is of
a family.

A frame that is sent by reference is a segment and a message. The message is in a pipe that nobody can look into, so
that it was lost is never seen; and the segment cannot be its sender's, for a worker that returns a result may be gone
before it is received. Hence:

1. **The receiver takes the name away** when it has attached, by the rename that makes a spare, or by ``unlink``. Bytes
   that were pickled are good for one receiver, as the message in a pipe is. Two that attach at once both have it; one
   that comes later finds nothing, and its error says so.
2. **A family** of processes is those that could still receive: the one that began to send by reference, and its
   children, theirs too. It has a file, and each of them has it locked, shared: by a descriptor that is forked, or one
   of its own. When nobody has, there is nobody to receive: whoever cleans removes the family's file first and then
   whatever was sent in it. The last of the family that exits in order does so itself.
3. **A family that lives** may have lost a message: a worker was killed that had read it, or a pool was broken with
   tasks in its pipe. Nobody can tell that from a task that waits; so what was not received within `PATIENCE`, a day, is
   removed.
4. **All that is in flight** takes at most a share of the file system. Past it, frames are pickled as ever, and pipes
   that are full make senders wait, as ever. So what is lost is bounded, too.
5. A child that begins by itself, where its parent did not, has no family: what it sends is to survive it, and nobody
   knows whom its parent tells. There only 1, 3 and 4 hold.
"""

from __future__ import annotations

import contextlib
import os
import time

from colonnade.storage import folders, paths, segment
from colonnade.storage.directory import Directory

# In seconds, since it was sent.
PATIENCE = 86_400.0
# Of the file system.
SHARE = 4
# What stands for a family where there is none; no family has that name.
ALONE = "alone"

_LOCKED = (paths.DRAFT_PREFIX, paths.SHARED_PREFIX, paths.FAMILY_PREFIX)


def is_cleaned(file: str) -> bool:
    """Whether a file of the segments' folder is removed when nobody needs it; a spare is not."""
    return file.startswith((*_LOCKED, paths.SENT_PREFIX))


def remove_abandoned(folder: int, name: str) -> int | None:
    """Remove a file that nobody will need; the bytes that it held, or None where it is needed. Under the store's lock.

    In the order of names, a family comes before what was sent in it.

    Raises
    ------
    FileNotFoundError
        Where somebody was faster.
    """
    if name.startswith(_LOCKED):
        return segment.remove_abandoned(folder, name)
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    family = paths.family_of(name)
    lives = family == ALONE or folders.is_there(folder, f"{paths.FAMILY_PREFIX}{family}")
    if lives and time.time() - found.st_ctime < PATIENCE:
        return None
    os.unlink(name, dir_fd=folder)
    return found.st_blocks * 512


def has_room(directory: Directory, size: int) -> bool:
    """Whether so many bytes more may be in flight."""
    with directory.opened() as root:
        found = os.fstatvfs(root)
        flying = size
        with contextlib.suppress(FileNotFoundError), folders.below(root, [paths.SEGMENTS]) as folder:
            for name in os.listdir(folder):  # noqa: PTH208 -- it is a descriptor
                if name.startswith(paths.SENT_PREFIX):
                    with contextlib.suppress(FileNotFoundError):
                        flying += os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
        return flying <= found.f_blocks * found.f_frsize // SHARE
