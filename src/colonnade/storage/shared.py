"""Segments that are shared without a name, and whose they are.

Knows: locks on descriptors, forks, exits. Does not depend on: columns; who has a reference.

1. A shared segment has a hidden, random name, by which references lead to it, and its **owner** has it locked by
   ``flock`` from before anybody can see it. The kernel drops the lock when the owner ends, however it ends, and
   whoever cleans removes what nobody has locked, as with drafts.
2. Owners that live take the name away: when they let go of it, and it may become a spare then, by the same rename
   under the store's lock as any segment (`recycle`); and when they exit, after `multiprocessing` has joined its
   children, and then it is freed.
3. A child that is forked inherits the owner's descriptor, and with it the lock, which would hold for as long as the
   child lives. So in the child the descriptor is replaced at once by one of its own, which has no lock. It owns
   nothing, and takes no name away.
4. Whoever attached it needs the name no more: a mapping keeps the inode. Names are random and never used again, so
   one that leads nowhere never comes to lead to another table.
"""

from __future__ import annotations

import contextlib
import os
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade.storage.publish import Publisher

# After the children were joined, which may still open it.
AT_THE_END = -100


class Owned:
    """A shared segment, as its owner has it."""

    def __init__(self, publisher: Publisher, segment: Segment, file: str) -> None:
        self._publisher = publisher
        self._file = file
        self.segment = segment
        self._owner = os.getpid()
        self._at_exit = Finalize(None, self._release, kwargs={"spare": False}, exitpriority=AT_THE_END)
        _owned.add(self)

    def release(self) -> None:
        """Take its name away, unless that was done, or it is a parent's."""
        if self in _owned and os.getpid() == self._owner:  # in a child, a destructor may come before `_in_child`
            self._at_exit.cancel()
            self._release(spare=True)

    def _release(self, *, spare: bool) -> None:
        _owned.discard(self)
        with contextlib.suppress(OSError):  # of a store that became another user's, for instance: gc has it
            self._publisher.take_away(self._file, spare=spare)

    def disown(self) -> None:
        """Go on without the lock, in a child."""
        self._at_exit.cancel()  # else it keeps the segment open
        with contextlib.suppress(OSError):
            fd = os.open(f"/proc/self/fd/{self.segment.fd}", os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(fd, self.segment.fd, inheritable=False)
            os.close(fd)


_owned: set[Owned] = set()


def _in_child() -> None:
    for owned in _owned:
        owned.disown()
    _owned.clear()


os.register_at_fork(after_in_child=_in_child)
